/* engine/dispatch.h - who runs the next task: this process, or one of the places elsewhere.
 *
 * A place is somebody who runs tasks: place 0 is this process' own pool, the others belong to the
 * caller (subworkers). It knows a set of names, takes certain levels, has slots, and may be handed
 * a few tasks more than it has slots for (its window) when its tasks are short: the surplus is
 * measured, so that it never holds more than about 2 ms of work that does not run yet.
 *
 * While nothing is attached and this process runs everything, tasks go straight to the pool's
 * lanes and this file costs one load. Otherwise they wait here, first in first out per level, in
 * groups: one group for all names that the same places know. Whenever a task, a slot or a place
 * comes, the next ones are given out: highest level first, oldest first, to the place with the
 * lowest share of its slots in use among those that know the name.
 *
 * Roles: any thread brings tasks, results and places. One at a time has the duty to give out: who
 * brought something when nobody had it; who finds somebody at it leaves a mark and goes on. All
 * queues and places belong to the duty, so there is no lock.
 *
 * A task that was given out elsewhere is RUNNING, and in hand there under a lease: a number that is
 * used once. Whoever claims the lease (a result, a return, the loss of the place) has the task,
 * and everybody later finds nothing: no result is taken twice, none of a run that was given up.
 *
 * Key invariants: D1 a task is in exactly one of: lane or inbox, group, hand, wheel; D2 after the
 * duty, no group has a waiting task of a level for which one of its places has room, unless a mark
 * is left, or a limit or a pause (limits.h) holds it back; D3 a lease is claimed at most once; D4
 * the decision costs the same with ten places and with ten thousand, and with whatever is held
 * back. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_ENGINE_DISPATCH_H
#define FW_ENGINE_DISPATCH_H

#include "engine/engine.h"

enum { FW_PLACES_MAX = 65535, FW_NAMES_MAX = 16384, FW_WINDOW_MAX = 4096 };

/* A task that is given out, as `send` gets it. */
typedef struct fw_handout {
    fw_task *task; /* valid until its lease is claimed */
    uint64_t lease;
    unsigned attempt; /* of the run that begins */
} fw_handout;

/* What follows when a place has gone with a task in hand. */
typedef enum fw_loss {
    FW_LOSS_ENDS,  /* it ends as FAILURE, why FW_ENDED_BY_LOSS */
    FW_LOSS_AGAIN, /* queued again at the front of its level; the next run is another attempt */
    FW_LOSS_UNRUN, /* the same, but it had not begun there: no attempt */
} fw_loss;

typedef struct fw_dispatch_ops {
    void *context;
    /* Gives tasks to a place elsewhere. Under the duty, on whatever thread has it: must not block;
     * may call fw_dispatch_return for those it cannot send. */
    void (*send)(void *context, void *place_owner, const fw_handout *handouts, size_t count);
    /* A place went away with this task in hand. Under the duty. */
    fw_loss (*lost)(void *context, fw_task *task, void *place_owner);
    /* After fw_dispatch_detach: nothing is in hand there, and `send` will not be called for it any
     * more. Under the duty. */
    void (*gone)(void *context, void *place_owner);
} fw_dispatch_ops;

typedef struct fw_dispatch_config {
    bool local;        /* this process runs tasks whose names are local; false: only places do */
    int prefetch;      /* per slot beyond the slot's own; -1: measured */
    size_t window_max; /* most in hand of one place, up to FW_WINDOW_MAX */
    /* The clock of limits and pauses; NULL: fw_now_ns. Another one is looked at when somebody calls
     * fw_dispatch_flush: no timer rings by it. */
    int64_t (*now_ns)(void);
} fw_dispatch_config;

/* Once, before the first task and before any call below. */
int fw_dispatch_init(fw_engine *engine, const fw_dispatch_config *config,
                     const fw_dispatch_ops *ops);
/* Name number `name` (fw_task.name, below FW_NAMES_MAX) can run in this process. Before or after
 * tasks of that name; any thread. Names are neither local nor known to anybody until said so. */
int fw_dispatch_local_name(fw_engine *engine, uint32_t name);

typedef struct fw_place_config {
    void *owner;           /* the caller's */
    const uint32_t *names; /* ascending; copied. Ignored with any */
    size_t name_count;
    bool any;       /* runs whatever it is given */
    uint8_t levels; /* bit 1 << level for each level that it takes */
    unsigned slots; /* 1 to FW_WINDOW_MAX: runs so many at once */
    bool prefetch;  /* may hold more than its slots */
} fw_place_config;

/* A place comes. 0 and its number (1 to FW_PLACES_MAX), or -FW_EINVAL, -FW_EFULL, -FW_ENOMEM. Any
 * thread. */
int fw_dispatch_attach(fw_engine *engine, uint32_t *place, const fw_place_config *config);
/* From its return on tasks wait at the dispatcher, also such as the own pool can't run; the first
 * place that comes does the same, but later. Before the first of them is queued. Any thread; may
 * wait a moment for who has the duty. */
void fw_dispatch_begin(fw_engine *engine);
/* It takes nothing new (drain), or takes again; what it has in hand stays. Any thread. */
void fw_dispatch_pause(fw_engine *engine, uint32_t place, bool paused);
/* It is lost or leaves: what it has in hand is asked about (`lost`), then `gone`. Any thread. */
void fw_dispatch_detach(fw_engine *engine, uint32_t place);

/* Claims a lease of that place. NULL: it was claimed before, or never was. Otherwise the task is
 * the caller's until one of the three calls below. Any thread; lock-free. */
fw_task *fw_dispatch_claim(fw_engine *engine, uint32_t place, uint64_t lease);
/* The run ended. `done` (or `again`) is called on this thread. ran_ns: how long it ran there, for
 * the measuring; 0: not known. */
void fw_dispatch_end(fw_engine *engine, fw_task *task, uint64_t lease, bool success,
                     int64_t ran_ns);
/* It did not run: the place was full, is draining, does not know it, or gives it back. Queued again
 * at the front; counts as no attempt. refused: not to this place again until another one had the
 * chance (it does not know the name after all). */
void fw_dispatch_return(fw_engine *engine, fw_task *task, uint64_t lease, bool refused);
/* As if the place were lost, for one task only: `lost` decides. */
void fw_dispatch_lose(fw_engine *engine, fw_task *task, uint64_t lease);
/* After any of them, once per batch: gives out what can be given now. Any thread. */
void fw_dispatch_flush(fw_engine *engine);

/* The lease under which the task is in hand elsewhere, and of which place; 0: it is not. For
 * cancels. In a read section. */
uint64_t fw_dispatch_lease_of(const fw_task *task, uint32_t *place);
/* The task that is in hand there under that lease, which stays; NULL: no more. In a read section.
 */
fw_task *fw_dispatch_peek(fw_engine *engine, uint32_t place, uint64_t lease);
/* Calls visit for each lease that place has in hand, about now; for cancel, recall and deadlines.
 * The task is valid during the call. Any thread. */
void fw_dispatch_each(fw_engine *engine, uint32_t place,
                      bool (*visit)(void *context, fw_task *task, uint64_t lease, int64_t given_ns),
                      void *context);
/* Its run has passed its limit: the caller is answered now, FW_ENDED_BY_DEADLINE, or `again` lets
 * another run follow. The lease stays with the place, and counts as in hand, until it is claimed or
 * the place goes; whatever comes then is dropped. Nothing, if the lease was claimed. In a read
 * section, as inside `visit`. */
void fw_dispatch_expire(fw_engine *engine, fw_task *task, uint64_t lease);
/* Whether any place (this process included) knows that name. Any thread; a hint. */
bool fw_dispatch_knows(const fw_engine *engine, uint32_t name);

typedef struct fw_place_stats {
    unsigned slots, window, in_hand;
    uint64_t given, ended, returned, lost;
    int64_t run_ns; /* about how long its tasks take; 0: not known */
    bool paused;
} fw_place_stats;
/* False: no such place. Place 0 is this process. Any thread; figures. */
bool fw_dispatch_place_snapshot(fw_engine *engine, uint32_t place, fw_place_stats *out);
typedef struct fw_dispatch_stats {
    bool engaged; /* tasks wait here, not in the pool's lanes */
    size_t places, waiting[FW_LEVELS], in_hand;
    int64_t oldest_wall_ns[FW_LEVELS]; /* when the oldest waiting one was created; 0: none */
    uint64_t given, late;              /* late: claims that found nothing */
} fw_dispatch_stats;
void fw_dispatch_snapshot(fw_engine *engine, fw_dispatch_stats *out);

#endif

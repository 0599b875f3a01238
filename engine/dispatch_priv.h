/* engine/dispatch_priv.h - the dispatcher from inside: for the files that implement dispatch.h.
 *
 * dispatch.c is the door and the duty, groups.c has the tasks that wait, classes.c who knows what,
 * places.c who has room, leases.c what is in hand elsewhere, local.c the own pool as place 0,
 * limits.c and holding.c what may not start now, limits_keys.c and limits_table.c by key.
 *
 * What `the duty's` says belongs to the holder of the baton (engine/baton.h). Everything reaches it
 * through lists that any thread may push to: the inbox of a level (tasks), `changed` (places to be
 * attached, paused, detached), `back` (holds whose lease was claimed and dealt with).
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_ENGINE_DISPATCH_PRIV_H
#define FW_ENGINE_DISPATCH_PRIV_H

#include "engine/baton.h"
#include "engine/dispatch.h"
#include "engine/engine_priv.h"
#include "engine/limits_priv.h"
#include "engine/lines.h"
#include "engine/overflow.h"

enum {
    FW_FREE_LOADS = 32,  /* steps of load of a place that has a slot free */
    FW_EXTRA_LOADS = 32, /* and of one that has none, but may hold more */
    FW_EXTRA_STEPS = 8,  /* of these to a window */
    FW_NO_LOAD = -1,
    FW_CHUNKS = 9, /* of holds: 16, 16, 32, 64, ... */
    FW_CHUNK_FIRST = 16,
    FW_LOCAL = 0, /* the own pool's number */
    FW_LOCAL_OUT = 64,
};
#define FW_AHEAD_NS (2 * FW_NS_PER_MS) /* of work that waits at a place, at most */

typedef struct fw_dispatch fw_dispatch;
typedef struct fw_place fw_place;

/* --- Tasks that wait: groups.c --- */

/* Names that the same classes know, and what waits of them. */
typedef struct fw_group {
    struct fw_group *next_of_mark, *next_touched;
    uint64_t mark; /* the ids of the classes that know these names, or do not although they know any
                      other, by exclusive or */
    size_t names;
    fw_line lines[FW_LEVELS], incoming[FW_LEVELS];
    size_t active_at[FW_LEVELS]; /* in fw_groups.active, when the line is not empty */
    uint64_t blocked;            /* the round in which no place was found */
    /* While classes come and go. */
    size_t moving;
    struct fw_group *target;
    struct fw_class **classes;
    size_t class_count, class_room;
    bool local;      /* the own pool is among them */
    bool held;       /* none of it may start: not among the active ones */
    fw_limit *limit; /* of the one name that it has; NULL: none */
} fw_group;

enum { FW_MARKS = 1024 };

typedef struct fw_groups {
    fw_group *other; /* of names that have no group of their own, mark 0 */
    fw_group *of_name[FW_NAMES_MAX];
    fw_group *by_mark[FW_MARKS];
    size_t count;
    fw_group **active[FW_LEVELS];
    size_t active_count[FW_LEVELS], active_room;
    size_t waiting[FW_LEVELS], held[FW_LEVELS]; /* held: those of them in groups that are */
    uint64_t order;                             /* of the last task that came */
    uint64_t round;
} fw_groups;

/* --- Who knows what: classes.c --- */

typedef struct fw_seat {
    struct fw_seat *next, *prev;
} fw_seat;

/* Places that know the same names and take the same levels, by load. */
typedef struct fw_class {
    struct fw_class *next;
    uint64_t id, hash;
    bool any, local;
    uint8_t levels;
    size_t places;
    uint32_t free_loads;             /* bit per load that has places */
    uint32_t extra_loads[FW_LEVELS]; /* the same of places without a free slot */
    fw_seat free[FW_FREE_LOADS], extra[FW_LEVELS][FW_EXTRA_LOADS];
    size_t name_count;
    uint32_t names[]; /* known; with any: not known. Ascending */
} fw_class;

/* --- Places, and what they have in hand: places.c, leases.c --- */

typedef enum fw_verdict {
    FW_VERDICT_ENDED = 0,
    FW_VERDICT_RETURNED,
    FW_VERDICT_REFUSED,
    FW_VERDICT_LOST
} fw_verdict;

/* One task in hand. */
typedef struct fw_hold {
    fw_atomic(uint64_t) word;  /* generation and state */
    fw_atomic(fw_task *) task; /* of the present generation, like the next two */
    fw_atomic(int64_t) given_ns;
    fw_atomic(uint32_t) run;
    uint16_t place, index; /* immutable */
    uint64_t order;        /* the duty's, like the next */
    struct fw_hold *next_out;
    /* Whoever claimed it; then the duty's. */
    struct fw_hold *next;
    int64_t ran_ns;
    uint32_t name; /* the duty's, which gave it */
    uint8_t verdict, level;
    bool again;        /* the task is to be queued again */
    bool counted;      /* the duty's: by the limit of its name */
    fw_key_line *line; /* and by that of its key; or NULL */
} fw_hold;

enum { FW_CHANGE_ATTACH = 1, FW_CHANGE_PAUSE = 2, FW_CHANGE_DETACH = 4 };

struct fw_place {
    /* Immutable from attach to gone. */
    fw_dispatch *dispatch;
    uint32_t number;
    bool prefetch;
    uint32_t slots;
    void *owner;
    fw_class *wanted; /* handed over with the attach */
    /* Any thread. */
    fw_atomic(bool) used;
    fw_atomic(uint32_t) changes; /* not yet seen to; listed while not 0 */
    fw_atomic(bool) pause;
    struct fw_place *next_changed;
    fw_atomic(fw_hold *) chunks[FW_CHUNKS]; /* only grow */
    /* The duty's; the atomic ones are figures. */
    _Alignas(FW_APART) fw_class *class;
    fw_seat free_seat, extra_seat[FW_LEVELS];
    int8_t free_load, extra_load[FW_LEVELS];
    bool touched, leaving;
    struct fw_place *next_touched, *next_out;
    fw_hold *free_holds;
    fw_hold *out_first, *out_last; /* given, not yet sent */
    unsigned holds, holds_max, surplus;
    unsigned hand[FW_LEVELS];
    fw_atomic(uint32_t) in_hand, window, slots_shown;
    fw_atomic(bool) paused;
    fw_atomic(uint64_t) given, ended, returned, lost;
    fw_atomic(int64_t) run_ns;
};

struct fw_dispatch {
    /* Immutable after init. */
    fw_engine *engine;
    fw_dispatch_config config;
    fw_dispatch_ops ops;
    fw_atomic(fw_place *) * places; /* by number; never freed before the end */
    fw_place *local;
    fw_class *local_class;
    /* Any thread. */
    fw_baton baton;
    fw_overflow inbox[FW_LEVELS];
    _Alignas(FW_APART) fw_atomic(fw_hold *) back;
    _Alignas(FW_APART) fw_atomic(fw_place *) changed;
    fw_atomic(uint32_t) attach_hint;
    fw_atomic(bool) closed, names_wanted, wanted, shed_asked;
    fw_atomic(size_t) shed[FW_LEVELS]; /* so many shall give way to that level (shed.c) */
    fw_atomic(uint64_t) local_wanted[FW_NAMES_MAX / 64];
    fw_atomic(uint64_t) late;
    fw_atomic(size_t) dead; /* tasks that ended while they waited, since the last sweep */
    fw_atomic(int32_t) knowers[FW_NAMES_MAX]; /* classes that name it; minus those that except it */
    fw_atomic(int32_t) any_knowers;
    /* Task threads tell what their runs take. */
    _Alignas(FW_APART) fw_atomic(int64_t) local_run_ns;
    fw_atomic(unsigned) local_joined; /* threads that the duty counts on */
    fw_atomic(bool) local_eager;      /* each end of a run is told at once */
    fw_atomic(bool) local_awaited;    /* something waits for room in the own pool */
    /* The duty's. */
    _Alignas(FW_APART) uint64_t next_id;
    fw_groups groups;
    fw_class *classes;
    uint64_t local_known[FW_NAMES_MAX / 64];
    uint64_t local_back[FW_LEVELS]; /* of the runners' counts */
    fw_task *local_out[FW_LOCAL_OUT];
    unsigned local_out_count;
    bool local_blocked; /* something that the own pool could run found no place in this round */
    unsigned recall;    /* levels whose lanes are being emptied into groups, a bit each */
    bool more;          /* a round left something undone */
    int64_t now_ns, now_wall_ns; /* of this round; 0: not read yet */
    fw_place *out_first;         /* places with something to be sent */
    fw_place *touched;
    fw_line homecoming; /* of all levels: to be queued again, not in order */
    fw_limits limits;
    /* Figures. */
    fw_atomic(size_t) waiting[FW_LEVELS], held[FW_LEVELS], in_hand, attached;
    fw_atomic(int64_t) oldest_wall_ns[FW_LEVELS];
    fw_atomic(uint64_t) given;
};

/* dispatch.c. The job: calls for a round, does it if nobody is at it. Any thread. */
void fw_dispatch_pump(fw_dispatch *dispatch);
/* Under the duty: from now on tasks wait here. */
void fw_dispatch_engage(fw_dispatch *dispatch);
static inline bool fw_dispatch_is_closed(const fw_dispatch *dispatch)
{
    /* [dispatch-closed] acquire: seldom asked; order costs nothing. */
    return fw_load_acquire(&dispatch->closed);
}
/* shed.c. Under the duty: does what was asked. */
void fw_dispatch_shed_asked(fw_dispatch *dispatch);
/* A task that is to be dropped, since the engine ends: ends it, if nobody has, and lets it go. */
void fw_dispatch_drop(fw_dispatch *dispatch, fw_task *task);

/* groups.c. All under the duty. */
int fw_groups_init(fw_groups *groups);
void fw_groups_fini(fw_groups *groups);
/* New ones, in order; what comes back, in any. */
void fw_groups_add(fw_groups *groups, fw_task *task);
void fw_groups_put_back(fw_groups *groups, fw_line *tasks);
/* Some of one level, in order, go to the group's line. */
void fw_group_bring_in(fw_groups *groups, fw_group *group, unsigned level, fw_line *tasks);
/* It has something to give at the level, or has not any more. */
void fw_group_activate(fw_groups *groups, fw_group *group, unsigned level);
void fw_group_deactivate(fw_groups *groups, fw_group *group, unsigned level);
/* The group whose head is the oldest of the level among those not blocked; *until: the order of the
 * next one's head. NULL: none. */
fw_group *fw_groups_oldest(const fw_groups *groups, unsigned level, uint64_t *until);
fw_task *fw_group_take(fw_groups *groups, fw_group *group, unsigned level);
/* Lets go of tasks that ended while they waited. */
void fw_groups_sweep(fw_dispatch *dispatch);
/* Drops everything. */
void fw_groups_drop(fw_dispatch *dispatch);
/* These names are known to the class from now on, or no longer. 0, or -FW_ENOMEM and nothing has
 * changed; removing never fails. */
int fw_groups_toggle(fw_groups *groups, fw_class *class, const uint32_t *names, size_t count,
                     bool known);
/* The name gets a group of its own, by a mark that nobody else has, or leaves it again. 0, or
 * -FW_ENOMEM and nothing has changed; leaving never fails. */
int fw_groups_set_apart(fw_groups *groups, uint64_t mark, uint32_t name);
fw_group *fw_groups_of_name(const fw_groups *groups, uint32_t name);
/* None of the group may start; or some may. */
void fw_group_hold(fw_groups *groups, fw_group *group);
void fw_group_let_go(fw_groups *groups, fw_group *group);
/* Every group's names are known to the class, but for marked ones; or to no group any more. */
int fw_groups_know_any(fw_groups *groups, fw_class *class);
void fw_groups_forget(fw_groups *groups, fw_class *class);

/* classes.c. A private one, for any thread; NULL: no memory. */
fw_class *fw_class_make(bool any, uint8_t levels, const uint32_t *names, size_t count);
/* Under the duty: the place joins the class that is like `wanted`, which is used or freed; leaves
 * its own; has a name taken from what it knows. */
int fw_class_join(fw_place *place, fw_class *wanted);
void fw_class_leave(fw_place *place);
void fw_class_refuse(fw_place *place, uint32_t name);
int fw_class_add_local(fw_dispatch *dispatch);
/* One that no class and no name has. */
uint64_t fw_class_mark(fw_dispatch *dispatch);

/* places.c. Under the duty. */
void fw_places_change(fw_dispatch *dispatch);
/* Where the place stands has changed: its seats follow. */
void fw_place_settle(fw_place *place);
/* Its window follows what was measured. */
void fw_place_measure(fw_place *place, int64_t ran_ns);
/* It gave back what waited there: nothing is sent ahead until runs are seen to be short again. */
void fw_place_slow(fw_place *place);
void fw_place_size(fw_place *place);
/* It gave something back: fw_places_settle sees to it, and to its going. */
void fw_place_touch(fw_place *place);
void fw_places_settle(fw_dispatch *dispatch);
/* The place for the group's next task of the level, or NULL. */
fw_place *fw_place_choose(const fw_group *group, unsigned level);
fw_place *fw_place_make(fw_dispatch *dispatch, uint32_t number);
fw_place *fw_place_of(const fw_dispatch *dispatch, uint32_t number);
void fw_place_unseat(fw_place *place);

/* leases.c. Under the duty. */
/* False: no memory for one more. */
bool fw_hold_has_room(fw_place *place);
/* Gives the task, unless it has ended; there is room. limit: its name's, or NULL. */
void fw_hold_give(fw_place *place, fw_task *task, fw_limit *limit);
/* Takes in the holds that come back. */
void fw_holds_collect(fw_dispatch *dispatch);
/* Claims whatever is in hand there: lost; or, stop, dropped. */
void fw_holds_lose(fw_place *place, bool stop);
/* Sends what was given. */
void fw_holds_send(fw_dispatch *dispatch);
void fw_holds_free(fw_place *place);

/* local.c. Under the duty. */
/* Gives the group's oldest tasks of the level, up to that order: one, or all that there is room for
 * if nobody else knows them, but no more than `most`. */
void fw_local_give(fw_dispatch *dispatch, fw_group *group, unsigned level, uint64_t until,
                   size_t most);
void fw_local_flush(fw_dispatch *dispatch, unsigned level);
void fw_local_collect(fw_dispatch *dispatch);
/* After giving: whether threads have to call when there is room; see await-note. */
void fw_local_await(fw_dispatch *dispatch);
/* Dispatching begins: counts on threads that have nothing to do. */
void fw_local_begin(fw_dispatch *dispatch);
void fw_local_learn(fw_dispatch *dispatch);
/* A piece of what waits in the pool's lanes comes into the groups. */
void fw_local_recall(fw_dispatch *dispatch);

/* The average of what runs take, with one more: quickly up, so that little waits behind long runs,
 * slowly down. */
static inline int64_t fw_run_average(int64_t run_ns, int64_t ran_ns)
{
    if (run_ns == 0)
        return ran_ns;
    return ran_ns > run_ns ? run_ns + (ran_ns - run_ns + 1) / 2 : run_ns - (run_ns - ran_ns) / 8;
}

static inline fw_dispatch *fw_dispatch_of(fw_groups *groups)
{
    return FW_CONTAINER_OF(groups, fw_dispatch, groups);
}

static inline unsigned fw_place_in_hand(const fw_place *place)
{
    /* Relaxed: the duty's own. */
    return fw_load_relaxed(&place->in_hand);
}

#endif

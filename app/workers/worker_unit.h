/* app/workers/worker_unit.h - what the two files of app/workers share: a unit, and the table of
 * them. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_APP_WORKER_UNIT_H
#define FW_APP_WORKER_UNIT_H

#include <pthread.h>

#include "app/workers/workers.h"
#include "engine/dispatch.h"
#include "net/link.h"
#include "net/pylink.h"

typedef struct fw_unit fw_unit;

typedef enum fw_unit_state { FW_UNIT_OPENING, FW_UNIT_UP, FW_UNIT_DOWN } fw_unit_state;

struct fw_unit {
    /* Immutable once published. */
    fw_workers *workers;
    char id[FW_WORKER_TEXT_MAX + 1], address[FW_WORKER_TEXT_MAX + 1], epoch[64], software[64];
    bool native; /* neither: a Python one, or one that polls */
    bool any;    /* runs whatever it is given */
    unsigned slots;
    uint32_t *names;
    size_t name_count;
    fw_link *link; /* one of the three */
    fw_pylink *pylink;
    struct fw_poller *poller; /* app/workers/poller_unit.h */
    uint32_t place; /* of who attaches it, and of what comes after; others use fw_unit_place */
    /* Under the lock. */
    fw_unit_state state;
    char why[128]; /* it went down */
    fw_unit *next_dead;
    /* Shared, atomic. */
    fw_atomic(uint32_t) attached_as; /* its place; 0: not yet */
    fw_atomic(fw_unit *) next;       /* in its bucket */
    fw_atomic(unsigned) attached;    /* places that the dispatcher has */
    fw_atomic(bool) heard;           /* a beat of it */
    fw_atomic(bool) draining;
    fw_atomic(bool) held; /* draining because somebody asked for it, not by its own word */
    /* Main thread. */
    uint64_t ended_before;
    int64_t quiet_since_ns;
};

/* Its place, for whoever finds it in the table: it may be attached at this moment. 0: not yet. */
static inline uint32_t fw_unit_place(const fw_unit *unit)
{
    /* [unit-attached-as] acquire: it is attached. */
    return fw_load_acquire(&unit->attached_as);
}

enum { FW_UNIT_BUCKETS = 4096 };

struct fw_workers {
    /* Immutable. */
    fw_house *house;
    fw_engine *engine;
    fw_lifecycle *life;
    fw_registry *registry;
    /* Shared. */
    pthread_mutex_t lock; /* of those who change units */
    fw_unit *dead;        /* to be freed; under the lock */
    fw_atomic(fw_unit *) buckets[FW_UNIT_BUCKETS];
    fw_atomic(fw_unit *) by_place[FW_PLACES_MAX + 1];
    fw_atomic(bool) open, closing;
    /* Relaxed counts. */
    fw_atomic(uint64_t) downs, recalls, expired;
};

/* unit.c. In a read section, or under the lock. */
fw_unit *fw_unit_find(fw_workers *workers, fw_span id);
/* Under the lock. */
void fw_unit_publish(fw_workers *workers, fw_unit *unit);
/* Publishes and attaches one that needs no wire to come up first. False: there is one of that id
 * already, or the end has come; it is the caller's. In a read section. */
bool fw_unit_open(fw_workers *workers, fw_unit *unit);
/* Of one that is published, and has no wire that comes up: attaches it. kind: to be logged. */
void fw_unit_begin(fw_unit *unit, const char *kind);
bool fw_unit_is_down(fw_unit *unit);
/* Ascending, each once; returns how many. */
size_t fw_unit_sort_names(uint32_t *names, size_t count);
/* Its wires are up: gives its places to the dispatcher. In a read section. */
void fw_unit_attach(fw_unit *unit);
/* The first to say so ends it. Any thread; in a read section; without the lock. */
void fw_unit_end(fw_unit *unit, const char *why);
void fw_unit_pause(fw_unit *unit, bool paused);
/* Frees those that are down and in nobody's hands. Main thread. */
void fw_unit_reap(fw_workers *workers);
/* One that was never published. */
void fw_unit_free(fw_unit *unit);
/* The links' table. */
void fw_unit_up(void *context, void *owner);
void fw_unit_down(void *context, void *owner, const char *why);
void fw_unit_beat(void *context, void *owner, const fw_beat *beat);

/* work.c: tasks there and back. */
fw_dispatch_ops fw_work_dispatch_ops(fw_workers *workers);
/* They run there now: events, and unique keys that only wait. Before it is told of them. */
void fw_post_starts(const fw_unit *unit, const fw_handout *handouts, size_t count);
void fw_work_results(void *context, void *owner, const fw_lease_result *items, size_t count);
void fw_work_python_result(void *context, void *owner, fw_prio port, const fw_lease_result *result);
void fw_work_python_failed(void *context, void *owner, fw_prio port, uint64_t lease, bool sent,
                           const char *why);
/* A second's look at what is in hand at one unit: ends what is long past its limit. Main thread. */
void fw_work_check_deadlines(fw_unit *unit, int64_t now_ns);
/* Takes back what waits behind long tasks at one unit. Main thread. */
void fw_work_recall(fw_unit *unit, int64_t now_ns);

#endif

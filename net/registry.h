/* net/registry.h - who has registered as a subworker, what it says of itself, and when it was last
 * heard of.
 *
 *   registration --> ACTIVE <--> DRAINING    its own word
 *                      |            |
 *                      `-> STALE <--'        silence; the next sign of life leads back
 *                            `----> gone     long silence
 *
 * Readers (dispatch, dashboard) walk the entries, or find one by its id, inside an RCU read section
 * and never wait; writers (registrations, the sweep) take a mutex and link or unlink entries, at a
 * cost that does not depend on how many there are; a beat only stores a time. Time is an argument
 * (monotonic).
 *
 * Whoever keeps something for a worker (a link) hangs it on the entry, and learns from every writer
 * what has changed. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_NET_REGISTRY_H
#define FW_NET_REGISTRY_H

#include "base/atomic.h"
#include "net/message.h"

typedef struct fw_registry fw_registry;

enum { FW_WORKER_TEXT_MAX = 255 };

typedef enum fw_worker_state {
    FW_WORKER_ACTIVE = 0,
    FW_WORKER_DRAINING, /* says itself that it takes nothing: any status but "active" */
    FW_WORKER_STALE,    /* silent for too long */
    FW_WORKER_GONE      /* removed, or never there */
} fw_worker_state;
const char *fw_worker_state_name(fw_worker_state state);

/* What a writer has seen change, and what the owner has to do about it. */
typedef enum fw_worker_change {
    FW_WORKER_AS_BEFORE = 0,
    FW_WORKER_JOINED,       /* was not there: open a link */
    FW_WORKER_REPLACED,     /* another process: other kind, address or epoch; the owner hung there
                             * is still the former one's: end that link, open another */
    FW_WORKER_RETOLD,       /* the same process with other slots, tasks or pull address */
    FW_WORKER_DRAINS,       /* give it nothing new */
    FW_WORKER_ACTIVE_AGAIN, /* after DRAINS or FELL_SILENT */
    FW_WORKER_FELL_SILENT,  /* STALE: give it nothing new */
    FW_WORKER_LEFT          /* removed: end its link */
} fw_worker_change;

typedef struct fw_worker_entry {
    /* Immutable once published; its own copies. */
    const char *id, *address;
    fw_native_offer offer; /* not present: a Python subworker. Without token */
    int64_t registered_wall_ns;
    /* The registry's. */
    fw_atomic(struct fw_worker_entry *) next, next_in_bucket;
    struct fw_worker_entry *before, *next_told;
    fw_worker_change change;
    /* Shared, atomic. */
    fw_atomic(int64_t) last_seen_ns;
    fw_atomic(int64_t) last_seen_wall_ns;
    fw_atomic(int) state;   /* fw_worker_state, as of the last writer */
    fw_atomic(int) willing; /* its own word */
    fw_atomic(int) linked;  /* has sent a beat over its link since it registered */
    fw_atomic(void *) owner;
} fw_worker_entry;

typedef struct fw_registry_config {
    size_t workers_max;
    int64_t stale_ns;        /* silence that makes stale */
    int64_t linked_stale_ns; /* the same for who beats over a link; 0: no difference */
    int64_t gone_ns;         /* silence that removes */
    /* What the sweep has found: FELL_SILENT, LEFT. In a read section, no lock held. May be NULL. */
    void (*changed)(void *context, const fw_worker_entry *worker, fw_worker_change change);
    void *context;
} fw_registry_config;

/* NULL: no memory. */
fw_registry *fw_registry_create(const fw_registry_config *config);
void fw_registry_destroy(fw_registry *registry);

/* A registration or a beat of it. fw_worker_change (REPLACED tells more than RETOLD, and both more
 * than the rest: look at the state), or -FW_EINVAL (with a sentence in error), -FW_EFULL,
 * -FW_ENOMEM. Any thread; for one id, changes are told in their order if the calls are. */
int fw_registry_note(fw_registry *registry, char *error, size_t error_capacity,
                     const fw_registration *registration, int64_t now_ns);
/* The worker of that id was heard of elsewhere: a native one has sent a beat over its link, of a
 * Python one the owner knows that it is busy and its connection stands. AS_BEFORE, ACTIVE_AGAIN, or
 * LEFT: it is not there. Any thread; takes no lock. */
fw_worker_change fw_registry_touch(fw_registry *registry, fw_span id, int64_t now_ns);
/* Marks the silent, removes the long silent. About every second, one thread at a time. */
void fw_registry_sweep(fw_registry *registry, int64_t now_ns);

/* Hangs something on a worker, or NULL. It is handed on when the entry is made anew, and must live
 * until readers of now have left (fw_rcu_retire) when it is taken off, or its entry has LEFT.
 * False: no such worker. Any thread. */
bool fw_registry_own(fw_registry *registry, fw_span id, void *owner);
static inline void *fw_worker_owner(const fw_worker_entry *worker)
{
    /* [registry-owner] acquire: what hangs there. */
    return fw_load_acquire(&worker->owner);
}

/* In a read section; valid until its end. NULL: not there. Any thread; takes no lock. */
const fw_worker_entry *fw_registry_find(fw_registry *registry, fw_span id);
/* At this moment, also between two sweeps. Any thread; takes no lock. */
fw_worker_state fw_registry_state(fw_registry *registry, fw_span id, int64_t now_ns);
/* In the order of registration, until visit returns false. Any thread; takes no lock; entries are
 * valid during the call. */
void fw_registry_each(fw_registry *registry,
                      bool (*visit)(void *context, const fw_worker_entry *worker), void *context);
/* Any thread; no lock. */
void fw_registry_count(fw_registry *registry, size_t *total, size_t *active);
/* How many entries a find has to look at, at most. Any thread; no lock. */
size_t fw_registry_depth(fw_registry *registry);

#endif

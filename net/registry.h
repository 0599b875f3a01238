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
 * (monotonic). SPDX-License-Identifier: Apache-2.0 */
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

typedef struct fw_worker_entry {
    /* Immutable once published; its own copies. */
    const char *id, *address;
    fw_native_offer offer; /* not present: a Python subworker. Without token */
    int64_t registered_wall_ns;
    /* The registry's. */
    fw_atomic(struct fw_worker_entry *) next, next_in_bucket;
    struct fw_worker_entry *before;
    /* Shared, atomic. */
    fw_atomic(int64_t) last_seen_ns;
    fw_atomic(int64_t) last_seen_wall_ns;
    fw_atomic(int) state;   /* fw_worker_state, as of the last writer */
    fw_atomic(int) willing; /* its own word */
} fw_worker_entry;

typedef struct fw_registry_config {
    size_t workers_max;
    int64_t stale_ns; /* silence that makes stale */
    int64_t gone_ns;  /* silence that removes */
} fw_registry_config;

/* NULL: no memory. */
fw_registry *fw_registry_create(const fw_registry_config *config);
void fw_registry_destroy(fw_registry *registry);

/* A registration or a beat of it. 0, or -FW_EINVAL (with a sentence in error), -FW_EFULL,
 * -FW_ENOMEM. Any thread. */
int fw_registry_note(fw_registry *registry, char *error, size_t error_capacity,
                     const fw_registration *registration, int64_t now_ns);
/* The worker of that id was heard of elsewhere: a native one has sent a beat over its link, of a
 * Python one the owner knows that it is busy and its connection stands. False: it is not there. Any
 * thread; takes no lock. */
bool fw_registry_touch(fw_registry *registry, fw_span id, int64_t now_ns);
/* Marks the silent, removes the long silent. About every second, one thread at a time. */
void fw_registry_sweep(fw_registry *registry, int64_t now_ns);

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

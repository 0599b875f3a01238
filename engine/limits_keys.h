/* engine/limits_keys.h - limits per key from inside: who waits of each key, and who may go on.
 *
 * The tasks of a name that has a limit per key wait in one line per key and level. A key whose
 * limit lets one more start is ready, and stands in the ring of each level of which it has tasks;
 * the name's group shows the first of that ring as if it were the head of a line of its own, so the
 * dispatcher goes on as with any group. Keys take turns: who gave a task goes to the ring's end.
 *
 * A key's line is made when a task comes whose key has none, and is free again when nothing of it
 * waits or runs and its bucket of tokens is full. There are FW_KEYS_MAX of them for all names. When
 * these are in use, further keys share one of FW_KEY_SHARED lines of their name, and go on doing so
 * while that one is in use: what shares a line waits for each other as if it were one key, so a
 * limit is never exceeded and nothing is refused or lost.
 *
 * ended-note: a run of the own pool ends on its thread, which adds one to `ended`; who finds 0
 * there lists the line and calls for a round. The duty unlists it before it takes the sum, so
 * each end is taken once, and by a round that begins after it was counted. Lines are never freed
 * before the engine's end, so that a late end touches memory that is one.
 *
 * All of it is the duty's, but for fw_key_leave and the figures. SPDX-License-Identifier:
 * Apache-2.0 */
#ifndef FW_ENGINE_LIMITS_KEYS_H
#define FW_ENGINE_LIMITS_KEYS_H

#include "base/key.h"
#include "engine/limits.h"
#include "engine/lines.h"
#include "engine/tokens.h"

enum {
    FW_KEY_SLOTS = 65536, /* number 0 is nobody's */
    FW_KEYED_NAMES_MAX = 1024,
    FW_KEY_SHARED = 16,
    FW_KEY_FIRST = 1 + FW_KEYED_NAMES_MAX * FW_KEY_SHARED,
    FW_KEYS_MAX = FW_KEY_SLOTS - FW_KEY_FIRST,
    FW_KEY_BUCKETS = 65536,
};

struct fw_dispatch;
struct fw_groups;
struct fw_group;
struct fw_limit;

typedef struct fw_key_line {
    /* Any thread. */
    fw_atomic(uint32_t) ended; /* counted runs that the duty has not heard of; see ended-note */
    struct fw_key_line *next_ended;
    uint16_t slot; /* immutable */
    bool shared;   /* immutable: keys that found no line of their own */
    /* The duty's. */
    bool ready;                        /* something waits, and may start */
    uint32_t running;                  /* and counted */
    struct fw_limit *limit;            /* of the name; NULL: free */
    struct fw_key_line *next, *prev;   /* of the name; or the next free one */
    struct fw_key_line *next_in_table; /* by key */
    fw_key key;
    size_t waiting; /* at all levels */
    fw_line lines[FW_LEVELS];
    struct fw_key_line *ring_next[FW_LEVELS], *ring_prev[FW_LEVELS];
    fw_tokens tokens;
    int64_t due_ns; /* is to be looked at then; INT64_MAX: never */
    size_t heap_at; /* in the heap, from 1; 0: not there */
} fw_key_line;

/* Made once for a name that has a limit per key, and never freed before the end. */
typedef struct fw_keyed {
    /* The duty's. */
    bool on;
    uint32_t max_running; /* of a key; 0: any number */
    double rate_per_s;
    uint32_t burst;
    fw_tokens rule;     /* of a full bucket */
    fw_key_line *first; /* all lines in use, but those below */
    fw_key_line *ring[FW_LEVELS];
    fw_key_line *last; /* of the last task that was taken out */
    fw_key_line plain; /* tasks without a key; has no limit */
    fw_key_line shared[FW_KEY_SHARED];
    struct fw_limit *next_on; /* those that are on */
    fw_key_line *hand;        /* the next to be looked at for the oldest */
    int64_t oldest_ns[FW_LEVELS];
    /* Figures. */
    fw_atomic(uint32_t) max_running_shown, burst_shown;
    fw_atomic(double) rate_shown;
    fw_atomic(size_t) keys, held;
    fw_atomic(uint64_t) shares;                   /* tasks that shared a line */
    fw_atomic(int64_t) oldest_wall_ns[FW_LEVELS]; /* about; 0: none */
} fw_keyed;

typedef struct fw_key_table {
    /* Immutable once there may be lines. */
    fw_span (*key_of)(void *context, fw_task *task);
    void *context;
    /* Any thread. */
    fw_atomic(uint32_t) names; /* that have or had a limit per key */
    _Alignas(FW_APART) fw_atomic(fw_key_line *) ended;
    fw_atomic(fw_key_line *) at[FW_KEY_SLOTS]; /* by slot */
    /* The duty's. */
    fw_key_line *free;
    uint32_t made; /* of FW_KEYS_MAX */
    void *chunks;
    struct fw_limit *on, *hand;
    fw_key_line *table[FW_KEY_BUCKETS];
    fw_key_line *heap[FW_KEY_SLOTS]; /* from 1, the earliest first */
    size_t heap_count;
} fw_key_table;

/* limits_keys.c. Under the duty. */
/* What is asked of the keys of a name that is set apart and not held begins, changes or ends. */
void fw_keys_begin(struct fw_dispatch *dispatch, struct fw_limit *limit);
void fw_keys_change(struct fw_dispatch *dispatch, struct fw_limit *limit);
void fw_keys_end(struct fw_dispatch *dispatch, struct fw_limit *limit);
/* Newcomers go behind; what was given out and comes back, one level's in order, goes before. */
void fw_keys_add(struct fw_dispatch *dispatch, struct fw_limit *limit, fw_task *task);
void fw_keys_put_back(struct fw_dispatch *dispatch, struct fw_limit *limit, unsigned level,
                      fw_line *tasks);
/* The first ready one, counted as running; there is one. */
fw_task *fw_keys_take(struct fw_dispatch *dispatch, struct fw_limit *limit, unsigned level);
/* The last one that was taken does not run after all. */
void fw_keys_untake(struct fw_dispatch *dispatch, struct fw_limit *limit);
/* One that was given out elsewhere is back; unused: it did not run. */
void fw_keys_come_back(struct fw_dispatch *dispatch, fw_key_line *line, bool unused);
/* Ends that threads brought; what is due. */
void fw_keys_collect(struct fw_dispatch *dispatch);
void fw_keys_ring(struct fw_dispatch *dispatch);
/* Lets go of tasks that ended while they waited; drops everything. */
void fw_line_sweep(struct fw_dispatch *dispatch, fw_line *line);
void fw_keys_sweep(struct fw_dispatch *dispatch);
void fw_keys_drop(struct fw_dispatch *dispatch);
/* Looks at a few keys, to know how long the oldest has been waiting. */
void fw_keys_look_on(struct fw_dispatch *dispatch);

/* limits_table.c. NULL: no memory. The rest under the duty. */
fw_keyed *fw_keyed_make(struct fw_limit *limit, uint32_t number);
void fw_keyed_list(fw_key_table *table, fw_keyed *keyed);
/* The line of that key, if there is one; or makes it. NULL: there are too many, or no memory. */
fw_key_line *fw_key_find(const fw_key_table *table, const struct fw_limit *limit, fw_key key);
fw_key_line *fw_key_make(fw_key_table *table, struct fw_limit *limit, fw_key key);
/* Nothing waits in it, and nothing runs. */
void fw_key_free(fw_key_table *table, fw_key_line *line);
/* It is due then; INT64_MAX: never. */
void fw_key_set_due(fw_key_table *table, fw_key_line *line, int64_t due_ns);
void fw_key_table_fini(fw_key_table *table);

/* Any thread: a counted run of that line is over. True: call for a round. */
FW_MUST bool fw_key_leave(fw_key_table *table, unsigned slot);
/* Under the duty. Lines that runs of have ended, by next_ended. */
fw_key_line *fw_keys_take_ended(fw_key_table *table);
/* How many, once it was taken from that list and its link was read. */
static inline uint32_t fw_key_take_ends(fw_key_line *line)
{
    /* [key-ended] release: we are through with the link.
     * [key-ended] acquire: the runs are over. */
    return fw_swap_acq_rel(&line->ended, 0);
}

#endif

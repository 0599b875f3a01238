/* engine/lanes.h - the four levels together: their rings and overflows, what waits where, and the
 * order.
 *
 * L1 within a level pieces leave in the order in which they came, those in the overflow included:
 * while nodes wait in the overflow, newcomers go there or are refused. L2 signal-note: a level's
 * part of the signal word is non-zero while its ring, its overflow or a thread's deque of that
 * level may hold work; so between two pieces one load tells that nothing higher waits. L3 the order
 * of levels is one word; with FW_POLICY_AGING it changes at ticks. SPDX-License-Identifier:
 * Apache-2.0 */
#ifndef FW_ENGINE_LANES_H
#define FW_ENGINE_LANES_H

#include "engine/ages.h"
#include "engine/overflow.h"
#include "engine/ring.h"

enum { FW_REFILL_MAX = 64 }; /* nodes moved from an overflow to its ring at once */

typedef struct fw_lane {
    fw_ring ring;
    fw_overflow overflow;
    /* The overflow's taker: nodes on their way for which the ring had no room. */
    fw_work held[FW_REFILL_MAX];
    size_t held_count;
    /* The ticking thread. */
    fw_ages ages;
    /* Written by one, read by all: figures. */
    _Alignas(FW_APART) fw_atomic(uint64_t) full;
    fw_atomic(int64_t) oldest_ns;
} fw_lane;

typedef struct fw_lanes {
    /* Immutable after init. */
    size_t ring_size;
    fw_policy policy;
    int64_t aging_ns;
    fw_work_fn node_enter; /* runs a node given as argument */
    /* Read between any two pieces. */
    _Alignas(FW_APART)
        fw_atomic(uint64_t) signal; /* 16 bits per level: deques, and the ring's flag */
    _Alignas(FW_APART) fw_atomic(uint32_t) order; /* 8 bits per place, first in the low ones */
    fw_lane lane[FW_LEVELS];
} fw_lanes;

#define FW_ORDER_NATURAL UINT32_C(0x03020100)
#define FW_SIGNAL_RINGS  UINT64_C(0x8000800080008000)
#define FW_SIGNAL_STOP   UINT64_C(0x0000000000004000) /* in the part of the highest level */

/* 0 or -FW_ENOMEM. */
int fw_lanes_init(fw_lanes *lanes, const fw_pool_config *config, fw_work_fn node_enter);
void fw_lanes_fini(fw_lanes *lanes);

/* Any thread; lock-free. A prefix is taken; its length. The caller then notifies the parker. */
size_t fw_lanes_push(fw_lanes *lanes, fw_prio level, const fw_work *work, size_t count);
/* Any thread; lock-free. All are taken. */
void fw_lanes_push_nodes(fw_lanes *lanes, fw_prio level, fw_work_node *const *nodes, size_t count);
/* A thread of the pool; lock-free. Up to 1/share of what waits, at most max, at least one. 0:
 * nothing to be had. */
size_t fw_lanes_pull(fw_lanes *lanes, fw_prio level, fw_work *out, size_t max, size_t share);
/* A piece that was pulled goes to the end of the ring, before what is in the overflow. Waits if
 * others have filled the ring meanwhile. The caller then notifies the parker. */
void fw_lanes_put_back(fw_lanes *lanes, fw_prio level, fw_work work);
/* True unless ring and overflow are empty; goes by claims. Any thread. */
bool fw_lanes_has_work(const fw_lanes *lanes, fw_prio level);

/* This thread's deque of the level may become non-empty / is empty. Each thread once per change. */
void fw_lanes_enlist(fw_lanes *lanes, fw_prio level);
void fw_lanes_delist(fw_lanes *lanes, fw_prio level);
/* The ring was found empty, often: takes the flag down, unless it has filled meanwhile. */
void fw_lanes_lower(fw_lanes *lanes, fw_prio level);

static inline uint64_t fw_lanes_signal(const fw_lanes *lanes)
{
    /* [lanes-signal] seq_cst: after the sleeper's announcement; else only a hint. */
    return fw_load_seq_cst(&lanes->signal);
}

static inline unsigned fw_signal_part(uint64_t signal, unsigned level)
{
    return (unsigned)(signal >> (16 * level)) & 0xffff;
}

static inline unsigned fw_signal_deques(uint64_t signal, unsigned level)
{
    return fw_signal_part(signal, level) & 0x3fff;
}

static inline uint64_t fw_signal_flag(unsigned level)
{
    return UINT64_C(0x8000) << (16 * level);
}

/* Makes every thread that runs pieces look up between two of them. */
void fw_lanes_call(fw_lanes *lanes);

/* A piece was put into the level's ring or overflow: puts the flag up, see flag-note. */
void fw_lanes_lift(fw_lanes *lanes, fw_prio level);
static inline bool fw_lanes_is_raised(const fw_lanes *lanes, fw_prio level)
{
    /* [lanes-flag] seq_cst: after the claim. */
    return (fw_load_seq_cst(&lanes->signal) & fw_signal_flag(level)) != 0;
}

/* As fw_lanes_push of one piece, but false when that has to look closer, and the flag is the
 * caller's to raise. */
static inline bool fw_lanes_push_one(fw_lanes *lanes, fw_prio level, fw_work work)
{
    fw_lane *lane = &lanes->lane[level];
    return FW_LIKELY(fw_overflow_count(&lane->overflow) == 0) &&
           fw_ring_push_one(&lane->ring, work);
}

/* One caller at a time. Time is an argument. */
void fw_lanes_tick(fw_lanes *lanes, int64_t now_ns);
/* The order for levels whose heads have waited that long. Pure. */
uint32_t fw_lanes_order_by_age(const int64_t age_ns[FW_LEVELS], int64_t aging_ns);

#endif

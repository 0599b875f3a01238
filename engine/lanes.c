/* engine/lanes.c - pushing raises the level's flag, pulling refills the ring from the overflow.
 *
 * flag-note: a producer raises the flag only when it is down, so a busy level writes the signal
 * word never. A consumer takes it down only after it found the ring empty many times, and then
 * looks again: the producer's claim and its load of the signal, the consumer's clearing and its
 * look at the ring are all seq_cst, so either the producer sees the flag down or the consumer sees
 * the claim. SPDX-License-Identifier: Apache-2.0 */
#include "engine/lanes.h"

#include <sched.h>
#include <string.h>

#include "base/assert.h"

int fw_lanes_init(fw_lanes *lanes, const fw_pool_config *config, fw_work_fn node_enter)
{
    FW_ASSERT(config->ring_size >= 2);
    memset(lanes, 0, sizeof(*lanes));
    lanes->ring_size = config->ring_size;
    lanes->policy = config->policy;
    lanes->aging_ns = config->aging_ns;
    lanes->node_enter = node_enter;
    /* Relaxed: whoever shares the lanes publishes it. */
    fw_store_relaxed(&lanes->order, FW_ORDER_NATURAL);
    for (unsigned level = 0; level < FW_LEVELS; level++) {
        int err = fw_ring_init(&lanes->lane[level].ring, config->ring_size);
        if (err != 0) {
            fw_lanes_fini(lanes);
            return err;
        }
        fw_overflow_init(&lanes->lane[level].overflow);
    }
    return 0;
}

void fw_lanes_fini(fw_lanes *lanes)
{
    for (unsigned level = 0; level < FW_LEVELS; level++)
        fw_ring_fini(&lanes->lane[level].ring);
}

void fw_lanes_lift(fw_lanes *lanes, fw_prio level)
{
    /* [lanes-flag] seq_cst: one total order for the word. */
    fw_or_seq_cst(&lanes->signal, fw_signal_flag(level));
}

static inline void fw_lanes_raise(fw_lanes *lanes, fw_prio level)
{
    if (FW_UNLIKELY(!fw_lanes_is_raised(lanes, level)))
        fw_lanes_lift(lanes, level);
}

void fw_lanes_lower(fw_lanes *lanes, fw_prio level)
{
    /* [lanes-flag] seq_cst: before the look. */
    fw_and_seq_cst(&lanes->signal, ~fw_signal_flag(level));
    if (fw_lanes_has_work(lanes, level))
        fw_lanes_raise(lanes, level);
}

void fw_lanes_enlist(fw_lanes *lanes, fw_prio level)
{
    /* [lanes-signal] seq_cst: before the push that follows, and the look for sleepers. */
    fw_add_seq_cst(&lanes->signal, UINT64_C(1) << (16 * level));
}

void fw_lanes_delist(fw_lanes *lanes, fw_prio level)
{
    /* [lanes-signal] seq_cst: one total order for the word. */
    uint64_t before = fw_sub_seq_cst(&lanes->signal, UINT64_C(1) << (16 * level));
    FW_ASSERT(fw_signal_deques(before, level) > 0);
}

void fw_lanes_call(fw_lanes *lanes)
{
    /* [lanes-signal] seq_cst: one total order for the word. */
    fw_or_seq_cst(&lanes->signal, FW_SIGNAL_STOP);
}

size_t fw_lanes_push(fw_lanes *lanes, fw_prio level, const fw_work *work, size_t count)
{
    FW_ASSERT((unsigned)level < FW_LEVELS);
    fw_lane *lane = &lanes->lane[level];
    size_t taken = 0;
    if (FW_LIKELY(fw_overflow_count(&lane->overflow) == 0))
        taken = fw_ring_push(&lane->ring, work, count);
    if (FW_UNLIKELY(taken < count))
        /* Relaxed: a figure. */
        fw_add_relaxed(&lane->full, 1);
    if (taken > 0)
        fw_lanes_raise(lanes, level);
    return taken;
}

void fw_lanes_push_nodes(fw_lanes *lanes, fw_prio level, fw_work_node *const *nodes, size_t count)
{
    FW_ASSERT((unsigned)level < FW_LEVELS);
    fw_lane *lane = &lanes->lane[level];
    size_t done = 0;
    while (done < count && fw_overflow_count(&lane->overflow) == 0) {
        fw_work work[FW_REFILL_MAX];
        size_t n = count - done < FW_REFILL_MAX ? count - done : FW_REFILL_MAX;
        for (size_t i = 0; i < n; i++)
            work[i] = (fw_work){lanes->node_enter, nodes[done + i]};
        size_t taken = fw_ring_push(&lane->ring, work, n);
        done += taken;
        if (taken < n)
            break;
    }
    if (FW_UNLIKELY(done < count)) {
        fw_overflow_push(&lane->overflow, nodes + done, count - done);
        /* Relaxed: a figure. */
        fw_add_relaxed(&lane->full, 1);
    }
    fw_lanes_raise(lanes, level);
}

/* Moves nodes to the ring; at most one thread does. */
static void fw_lanes_refill(fw_lanes *lanes, fw_lane *lane)
{
    if (!fw_overflow_try_begin(&lane->overflow))
        return;
    while (lane->held_count < FW_REFILL_MAX) {
        fw_work_node *node = fw_overflow_pop(&lane->overflow);
        if (node == NULL)
            break;
        lane->held[lane->held_count++] = (fw_work){lanes->node_enter, node};
    }
    size_t moved = 0;
    if (lane->held_count > 0) {
        moved = fw_ring_push(&lane->ring, lane->held, lane->held_count);
        lane->held_count -= moved;
        memmove(lane->held, lane->held + moved, lane->held_count * sizeof(lane->held[0]));
    }
    fw_overflow_end(&lane->overflow, moved);
}

size_t fw_lanes_pull(fw_lanes *lanes, fw_prio level, fw_work *out, size_t max, size_t share)
{
    FW_ASSERT((unsigned)level < FW_LEVELS && max > 0 && share > 0);
    fw_lane *lane = &lanes->lane[level];
    if (FW_UNLIKELY(fw_overflow_count(&lane->overflow) > 0) &&
        fw_ring_depth(&lane->ring) < lanes->ring_size / 2)
        fw_lanes_refill(lanes, lane);
    size_t known = fw_ring_known(&lane->ring);
    if (known == 0)
        return 0;
    size_t want = known / share;
    return fw_ring_pop(&lane->ring, out, want == 0 ? 1 : want > max ? max : want);
}

void fw_lanes_put_back(fw_lanes *lanes, fw_prio level, fw_work work)
{
    FW_ASSERT((unsigned)level < FW_LEVELS);
    while (fw_ring_push(&lanes->lane[level].ring, &work, 1) == 0)
        sched_yield();
    fw_lanes_raise(lanes, level);
}

bool fw_lanes_has_work(const fw_lanes *lanes, fw_prio level)
{
    const fw_lane *lane = &lanes->lane[level];
    /* The overflow first: what leaves it is in the ring before it is counted down. */
    return fw_overflow_count(&lane->overflow) > 0 || !fw_ring_is_empty(&lane->ring);
}

uint32_t fw_lanes_order_by_age(const int64_t age_ns[FW_LEVELS], int64_t aging_ns)
{
    FW_ASSERT(aging_ns > 0);
    unsigned order[FW_LEVELS];
    int64_t rank[FW_LEVELS];
    for (unsigned level = 0; level < FW_LEVELS; level++) {
        rank[level] = (int64_t)level - age_ns[level] / aging_ns;
        if (level > 0 && rank[level] < 1)
            rank[level] = 1; /* critical stays first */
        unsigned place = level;
        for (; place > 0; place--) {
            unsigned other = order[place - 1];
            if (level == 0 || other == 0 || rank[other] < rank[level] ||
                (rank[other] == rank[level] && age_ns[other] >= age_ns[level]))
                break;
            order[place] = other;
        }
        order[place] = level;
    }
    return order[0] | order[1] << 8 | order[2] << 16 | order[3] << 24;
}

void fw_lanes_tick(fw_lanes *lanes, int64_t now_ns)
{
    int64_t age_ns[FW_LEVELS];
    for (unsigned level = 0; level < FW_LEVELS; level++) {
        fw_lane *lane = &lanes->lane[level];
        uint64_t popped = fw_ring_popped(&lane->ring);
        uint64_t pushed = fw_ring_pushed(&lane->ring);
        age_ns[level] = fw_ages_mark(&lane->ages, now_ns, pushed, popped);
        /* Relaxed: a figure. */
        fw_store_relaxed(&lane->oldest_ns, age_ns[level]);
    }
    if (lanes->policy == FW_POLICY_AGING)
        /* Relaxed: any order is right, a newer one is fairer. */
        fw_store_relaxed(&lanes->order, fw_lanes_order_by_age(age_ns, lanes->aging_ns));
}

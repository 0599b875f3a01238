/* net/connection_pause.c - when to stop listening to a peer, and when to listen again.
 *
 * pause-note: the reader pauses by storing PAUSED and then looks at the counters again; who answers
 * or sends changes a counter and then looks at the word. All four are seq_cst, so at least one of
 * the two sees the other, and the compare and swap from PAUSED lets only one of them go on. The low
 * marks lie under the high ones, and above a low mark something is still to be answered or sent, so
 * somebody will look again.
 *
 * A connection that follows another one (its answers leave there) counts that one's unsent bytes as
 * well, and is looked at when these become less, or when the other one closes: `closed` is one more
 * such counter. SPDX-License-Identifier: Apache-2.0 */
#include "net/connection_state.h"

#include "base/assert.h"
#include "base/rcu.h"

size_t fw_connection_unsent(const fw_connection *c)
{
    /* [connection-pause] seq_cst: see pause-note. Sent first: it never passes what was posted. */
    uint64_t sent = fw_load_seq_cst(&c->sent_bytes);
    return (size_t)(fw_load_seq_cst(&c->posted_bytes) - sent);
}

size_t fw_connection_unanswered(const fw_connection *c)
{
    /* [connection-pause] seq_cst: see pause-note. */
    uint64_t answered = fw_load_seq_cst(&c->answered);
    /* Relaxed: counted by the reader, who is either ourselves or paused. */
    uint64_t expected = fw_load_relaxed(&c->expected);
    return expected > answered ? (size_t)(expected - answered) : 0;
}

void fw_connection_expect(fw_connection *c, uint32_t answers)
{
    fw_count(&c->expected, answers);
}

/* What the one that we follow has unsent; nothing, when it is gone. */
static size_t followed_unsent(const fw_connection *c)
{
    size_t unsent = 0;
    /* [connection-follow] acquire: the other one knows us. */
    uint64_t number = fw_load_acquire(&c->follows);
    if (FW_LIKELY(number == 0))
        return 0;
    fw_rcu_read_lock();
    const fw_connection *other = fw_exchange_find(c->exchange, number);
    /* [connection-pause] seq_cst: see pause-note. */
    if (other && !fw_load_seq_cst(&other->closed))
        unsent = fw_connection_unsent(other);
    fw_rcu_read_unlock();
    return unsent;
}

bool fw_connection_is_choked(const fw_connection *c)
{
    const fw_limits *limits = &c->exchange->limits;
    return fw_connection_unanswered(c) >= limits->open_requests_max ||
           fw_connection_unsent(c) >= limits->unsent_bytes_max ||
           followed_unsent(c) >= limits->unsent_bytes_max;
}

static bool is_above_low(const fw_connection *c)
{
    const fw_limits *limits = &c->exchange->limits;
    size_t low = limits->open_requests_max - 1 - limits->open_requests_max / 16;
    return fw_connection_unanswered(c) > low ||
           fw_connection_unsent(c) > limits->unsent_bytes_max / 2 ||
           followed_unsent(c) > limits->unsent_bytes_max / 2;
}

bool fw_connection_is_paused(const fw_connection *c)
{
    /* Relaxed: of this moment. */
    return fw_load_relaxed(&c->reading) == FW_READING_PAUSED;
}

bool fw_connection_take_up(fw_connection *c)
{
    uint32_t expected = FW_READING_PAUSED;
    /* [connection-pause] seq_cst: see pause-note. */
    return !is_above_low(c) && fw_cas_seq_cst(&c->reading, &expected, FW_READING_ON);
}

void fw_connection_resume(fw_connection *c)
{
    /* [connection-pause] seq_cst: see pause-note. */
    if (FW_LIKELY(fw_load_seq_cst(&c->reading) == FW_READING_ON) || !fw_connection_take_up(c))
        return;
    c->mover->resume(c);
}

void fw_connection_resume_follower(fw_connection *c)
{
    /* [connection-pause] seq_cst: who pauses because of us has told us before. */
    uint64_t number = fw_load_seq_cst(&c->follower);
    if (FW_LIKELY(number == 0))
        return;
    fw_rcu_read_lock();
    fw_connection *follower = fw_exchange_find(c->exchange, number);
    if (follower)
        fw_connection_resume(follower);
    fw_rcu_read_unlock();
}

void fw_connection_follow(fw_connection *c, uint64_t number)
{
    fw_rcu_read_lock();
    fw_connection *other = fw_exchange_find(c->exchange, number);
    if (other) {
        /* [connection-pause] seq_cst: before we may pause because of it. */
        fw_store_seq_cst(&other->follower, c->number);
        /* [connection-follow] release: the other one knows us. */
        fw_store_release(&c->follows, number);
    }
    fw_rcu_read_unlock();
}

void fw_connection_forgive(fw_connection *c, uint32_t answers)
{
    /* [connection-pause] seq_cst: see pause-note. */
    fw_add_seq_cst(&c->answered, answers);
    fw_connection_resume(c);
}

/* engine/quota.c - chunks between a shared rest and one row per thread.
 *
 * Key invariant: rest + rows + taken = limit, for tasks and for bytes, when no call is under way.
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/quota.h"

#include "engine/pages.h"
#include "fastworker/types.h"

enum { TASKS_CHUNK_MAX = 64, BYTES_CHUNK_MAX = 64 * 1024, CHUNKS_MIN = 1024 };

/* Chunks of less than `least` do not pay: no chunks then. */
static int64_t chunk_of(int64_t limit, int64_t least, int64_t most)
{
    int64_t chunk = limit / CHUNKS_MIN;
    if (chunk < least)
        return 0;
    return chunk < most ? chunk : most;
}

int fw_quota_init(fw_quota *quota, size_t tasks_max, size_t bytes_max)
{
    FW_ASSERT(tasks_max > 0 && tasks_max <= INT64_MAX / 2);
    FW_ASSERT(bytes_max > 0 && bytes_max <= INT64_MAX / 2);
    *quota = (fw_quota){.tasks_max = (int64_t)tasks_max, .bytes_max = (int64_t)bytes_max};
    quota->tasks_chunk = chunk_of(quota->tasks_max, 4, TASKS_CHUNK_MAX);
    quota->bytes_chunk = chunk_of(quota->bytes_max, 4096, BYTES_CHUNK_MAX);
    /* Relaxed: before other threads. */
    fw_store_relaxed(&quota->tasks_left, quota->tasks_max);
    fw_store_relaxed(&quota->bytes_left, quota->bytes_max);
    quota->rows = fw_pages_map(FW_SLOTS * sizeof *quota->rows);
    return quota->rows ? 0 : -FW_ENOMEM;
}

void fw_quota_fini(fw_quota *quota)
{
    fw_pages_unmap(quota->rows, FW_SLOTS * sizeof *quota->rows);
    quota->rows = NULL;
}

/* Moves at least `need`, better `want`, out of the rest. 0: less than `need` is there. */
static int64_t take_rest(fw_atomic(int64_t) * rest, int64_t need, int64_t want)
{
    FW_ASSERT(need > 0);
    /* Relaxed, here and below: amounts only; they publish nothing. */
    int64_t left = fw_load_relaxed(rest);
    int64_t got;
    do {
        if (left < need)
            return 0;
        got = left < want ? left : want;
        if (got < need)
            got = need;
    } while (!fw_cas_relaxed(rest, &left, left - got));
    return got;
}

/* Takes `need` from a row that may have to be filled first. False: refused. */
static bool take(fw_atomic(int64_t) * row, fw_atomic(int64_t) * rest, int64_t need, int64_t chunk)
{
    /* Relaxed: the row's thread is its only writer. */
    int64_t have = fw_load_relaxed(row);
    if (FW_UNLIKELY(have < need)) {
        int64_t got = take_rest(rest, need - have, chunk);
        if (got == 0)
            return false;
        have += got;
    }
    fw_store_relaxed(row, have - need);
    return true;
}

static void give(fw_atomic(int64_t) * row, fw_atomic(int64_t) * rest, int64_t amount, int64_t chunk)
{
    /* Relaxed: the row's thread is its only writer; the rest is an amount only. */
    int64_t have = fw_load_relaxed(row) + amount;
    if (FW_UNLIKELY(have > 2 * chunk)) {
        fw_add_relaxed(rest, have - chunk);
        have = chunk;
    }
    fw_store_relaxed(row, have);
}

/* For threads that share a slot: no row. */
static bool take_shared(fw_quota *quota, int64_t bytes)
{
    if (take_rest(&quota->tasks_left, 1, 1) == 0)
        return false;
    if (take_rest(&quota->bytes_left, bytes, bytes) != 0)
        return true;
    /* Relaxed: an amount only. */
    fw_add_relaxed(&quota->tasks_left, 1);
    return false;
}

bool fw_quota_take(fw_quota *quota, size_t bytes)
{
    FW_ASSERT(bytes > 0);
    if (FW_UNLIKELY(bytes > (size_t)quota->bytes_max))
        return false;
    unsigned slot = fw_thread_slot();
    if (FW_UNLIKELY(slot == FW_SLOT_SHARED))
        return take_shared(quota, (int64_t)bytes);
    fw_quota_row *row = &quota->rows[slot];
    if (!take(&row->tasks, &quota->tasks_left, 1, quota->tasks_chunk))
        return false;
    if (take(&row->bytes, &quota->bytes_left, (int64_t)bytes, quota->bytes_chunk))
        return true;
    give(&row->tasks, &quota->tasks_left, 1, quota->tasks_chunk);
    return false;
}

void fw_quota_give(fw_quota *quota, size_t bytes)
{
    FW_ASSERT(bytes > 0 && bytes <= (size_t)quota->bytes_max);
    unsigned slot = fw_thread_slot();
    if (FW_UNLIKELY(slot == FW_SLOT_SHARED)) {
        /* Relaxed: amounts only. */
        fw_add_relaxed(&quota->tasks_left, 1);
        fw_add_relaxed(&quota->bytes_left, (int64_t)bytes);
        return;
    }
    fw_quota_row *row = &quota->rows[slot];
    give(&row->tasks, &quota->tasks_left, 1, quota->tasks_chunk);
    give(&row->bytes, &quota->bytes_left, (int64_t)bytes, quota->bytes_chunk);
}

size_t fw_quota_bytes_used(const fw_quota *quota)
{
    /* Relaxed: a figure to be shown. */
    int64_t free_bytes = fw_load_relaxed(&quota->bytes_left);
    unsigned used = fw_thread_slots_used();
    for (unsigned slot = 0; slot < used; slot++)
        free_bytes += fw_load_relaxed(&quota->rows[slot].bytes);
    return free_bytes < quota->bytes_max ? (size_t)(quota->bytes_max - free_bytes) : 0;
}

/* engine/quota.h - how many tasks and bytes may live, without a shared counter on each task's way.
 *
 * The limits are divided into chunks. A thread takes a chunk into its own row and serves itself
 * from there; rows that fill up, by threads that free more than they take, give chunks back. Q1 the
 * limits are never exceeded. Q2 a take may be refused although up to two chunks per other thread
 * lie unused in their rows; limits too small to be divided have no chunks and are exact. A chunk is
 * at most 1/1024 of the limit. Any thread; lock-free.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_ENGINE_QUOTA_H
#define FW_ENGINE_QUOTA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/thread_slot.h"

typedef struct fw_quota_row {
    /* Written by the slot's thread only. */
    _Alignas(FW_CACHE_LINE) fw_atomic(int64_t) tasks;
    fw_atomic(int64_t) bytes;
} fw_quota_row;

typedef struct fw_quota {
    /* Immutable after init. A chunk of 0: the limit is too small to be divided. */
    int64_t tasks_max, bytes_max, tasks_chunk, bytes_chunk;
    fw_quota_row *rows;
    /* What is in no row. */
    _Alignas(FW_APART) fw_atomic(int64_t) tasks_left;
    _Alignas(FW_APART) fw_atomic(int64_t) bytes_left;
} fw_quota;

/* 0 or -FW_ENOMEM. */
int fw_quota_init(fw_quota *quota, size_t tasks_max, size_t bytes_max);
void fw_quota_fini(fw_quota *quota);
/* One task of so many bytes. False: refused, nothing was taken. */
bool fw_quota_take(fw_quota *quota, size_t bytes);
void fw_quota_give(fw_quota *quota, size_t bytes);
/* Bytes taken, approximately while threads run. */
size_t fw_quota_bytes_used(const fw_quota *quota);

#endif

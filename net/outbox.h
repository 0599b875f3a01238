/* net/outbox.h - what waits to be written to one peer: a lock-free list with a duty to send.
 *
 * Roles: any thread posts a parcel (bytes that are ready for the wire). At most one thread at a
 * time has the duty to send; it collects everything posted, in the order of posting.
 *
 * One word says it all: idle (nobody sends, nothing waits), busy (somebody sends, nothing waits),
 * or the newest waiting parcel (somebody sends, or is just about to).
 *
 * Guarantees: (a) no parcel is lost, repeated, or overtakes an earlier one of the same thread;
 *             (b) there is exactly one sender whenever something waits: the post that finds the
 * word idle makes its caller the sender, and collecting nothing ends the duty.
 *
 *                 post   collect
 *   post          any    any
 *   collect       any    the one sender
 *
 * Progress: post is lock-free, collect wait-free but for the retry when a post comes between.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_NET_OUTBOX_H
#define FW_NET_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/atomic.h"
#include "base/slab.h"

/* Bytes for one connection. Owned by one holder at a time. */
typedef struct fw_parcel {
    struct fw_parcel *next;
    fw_slab *home; /* NULL: from the heap */
    size_t capacity;
    size_t len, sent; /* bytes filled in, bytes written to the peer */
    uint32_t answers; /* requests that these bytes finish */
    uint32_t messages;
    unsigned char bytes[];
} fw_parcel;

/* Where parcels come from: two usual sizes, the heap for larger ones. */
typedef struct fw_parcels {
    fw_slab *small, *large;
} fw_parcels;
enum {
    FW_PARCEL_SMALL = 1024 - sizeof(fw_parcel), /* bytes of content */
    FW_PARCEL_LARGE = 16 * 1024 - sizeof(fw_parcel)
};
/* 0 or -FW_ENOMEM. */
int fw_parcels_init(fw_parcels *parcels);
/* No parcel may be in use. */
void fw_parcels_fini(fw_parcels *parcels);
/* Room for capacity bytes at least. NULL: no memory. Any thread. */
fw_parcel *fw_parcel_create(fw_parcels *parcels, size_t capacity);
void fw_parcel_destroy(fw_parcel *parcel);

typedef struct fw_outbox {
    fw_atomic(fw_parcel *) word;
} fw_outbox;

void fw_outbox_init(fw_outbox *outbox);
/* Any thread. True: the caller has the duty to send now. */
bool fw_outbox_post(fw_outbox *outbox, fw_parcel *parcel);
/* The same for a chain: from the newest, by next, to the oldest. They stay together. */
bool fw_outbox_post_chain(fw_outbox *outbox, fw_parcel *newest, fw_parcel *oldest);
/* The sender: everything that waits, oldest first. NULL: nothing does, and the duty has ended. */
fw_parcel *fw_outbox_collect(fw_outbox *outbox);
/* Frees what waits. Nobody else may use the outbox any more. */
void fw_outbox_fini(fw_outbox *outbox);

#endif

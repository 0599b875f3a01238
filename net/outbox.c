/* net/outbox.c - see net/outbox.h.
 *
 * A stack whose takers take all of it, so a parcel that comes back between a poster's look and its
 * compare and swap does no harm: only the address of the top is used, never what lies below it.
 * SPDX-License-Identifier: Apache-2.0 */
#include "net/outbox.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "fastworker/types.h"

/* Its address means busy; idle is NULL. */
static fw_parcel busy;

int fw_parcels_init(fw_parcels *parcels)
{
    parcels->small = fw_slab_create(sizeof(fw_parcel) + FW_PARCEL_SMALL, FW_CACHE_LINE);
    parcels->large = fw_slab_create(sizeof(fw_parcel) + FW_PARCEL_LARGE, FW_CACHE_LINE);
    if (parcels->small && parcels->large)
        return 0;
    fw_parcels_fini(parcels);
    return -FW_ENOMEM;
}

void fw_parcels_fini(fw_parcels *parcels)
{
    fw_slab_destroy(parcels->small);
    fw_slab_destroy(parcels->large);
    *parcels = (fw_parcels){NULL, NULL};
}

fw_parcel *fw_parcel_create(fw_parcels *parcels, size_t capacity)
{
    FW_ASSERT(capacity <= SIZE_MAX - sizeof(fw_parcel));
    fw_slab *home = NULL;
    if (capacity <= FW_PARCEL_SMALL) {
        home = parcels->small;
        capacity = FW_PARCEL_SMALL;
    } else if (capacity <= FW_PARCEL_LARGE) {
        home = parcels->large;
        capacity = FW_PARCEL_LARGE;
    }
    fw_parcel *parcel = home ? fw_slab_alloc(home) : malloc(sizeof *parcel + capacity);
    if (!parcel)
        return NULL;
    *parcel = (fw_parcel){.home = home, .capacity = capacity};
    return parcel;
}

void fw_parcel_destroy(fw_parcel *parcel)
{
    FW_ASSERT(parcel != &busy);
    if (!parcel)
        return;
    if (parcel->home)
        fw_slab_free(parcel->home, parcel);
    else
        free(parcel);
}

void fw_outbox_init(fw_outbox *outbox)
{
    /* Relaxed: not shared yet. */
    fw_store_relaxed(&outbox->word, NULL);
}

bool fw_outbox_post(fw_outbox *outbox, fw_parcel *parcel)
{
    return fw_outbox_post_chain(outbox, parcel, parcel);
}

bool fw_outbox_post_chain(fw_outbox *outbox, fw_parcel *newest, fw_parcel *oldest)
{
    /* No bytes: only a sender is wanted (net/connection_tls). */
    FW_ASSERT(newest->len <= newest->capacity);
    /* Relaxed: the compare and swap decides. */
    fw_parcel *seen = fw_load_relaxed(&outbox->word);
    do {
        oldest->next = seen == &busy ? NULL : seen;
        /* [outbox-posted] release: the parcels' content and links, to the sender.
         * [outbox-idle] acquire: whoever becomes the sender sees what the last one left behind. */
    } while (!fw_cas_acq_rel(&outbox->word, &seen, newest));
    return seen == NULL;
}

fw_parcel *fw_outbox_collect(fw_outbox *outbox)
{
    for (;;) {
        /* [outbox-posted] acquire: the content and links of all that waits. */
        fw_parcel *newest = fw_swap_acquire(&outbox->word, &busy);
        FW_ASSERT(newest != NULL);
        if (newest != &busy) {
            fw_parcel *oldest = NULL;
            while (newest) {
                fw_parcel *next = newest->next;
                newest->next = oldest;
                oldest = newest;
                newest = next;
            }
            return oldest;
        }
        fw_parcel *expected = &busy;
        /* [outbox-idle] release: the sender's own state, to the next one. */
        if (fw_cas_release(&outbox->word, &expected, NULL))
            return NULL;
    }
}

void fw_outbox_fini(fw_outbox *outbox)
{
    /* Relaxed: nobody else uses it any more. */
    fw_parcel *parcel = fw_load_relaxed(&outbox->word);
    while (parcel && parcel != &busy) {
        fw_parcel *next = parcel->next;
        fw_parcel_destroy(parcel);
        parcel = next;
    }
    fw_store_relaxed(&outbox->word, NULL);
}

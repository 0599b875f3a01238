/* app/events/event_ring.c - see app/events/event_ring.h. SPDX-License-Identifier: Apache-2.0 */
#include "app/events/event_ring.h"

#include <stdlib.h>

#include "base/assert.h"

_Static_assert(sizeof(fw_event_record) <= 1024, "a record is a quarter of a page");
_Static_assert((FW_EVENT_PLACES & (FW_EVENT_PLACES - 1)) == 0, "places are found with a mask");

static uint64_t lap_of(uint64_t number)
{
    return 2 * (number / FW_EVENT_PLACES);
}

static fw_event_record *place_of(const fw_event_ring *ring, uint64_t number)
{
    return &ring->places[number % FW_EVENT_PLACES];
}

int fw_event_ring_init(fw_event_ring *ring)
{
    *ring = (fw_event_ring){.places = calloc(FW_EVENT_PLACES, sizeof *ring->places)};
    return ring->places ? 0 : -FW_ENOMEM;
}

void fw_event_ring_fini(fw_event_ring *ring)
{
    free(ring->places);
    ring->places = NULL;
}

fw_event_record *fw_event_ring_claim(fw_event_ring *ring)
{
    /* Relaxed: the place's lap says whether the number is still good. */
    uint64_t number = fw_load_relaxed(&ring->tail);
    for (;;) {
        fw_event_record *place = place_of(ring, number);
        /* [event-free] acquire: the reader is through with it. */
        uint64_t lap = fw_load_acquire(&place->lap);
        if (lap == lap_of(number)) {
            /* Relaxed: what is written there is published by push. */
            if (fw_cas_relaxed(&ring->tail, &number, number + 1))
                return place;
        } else if (lap < lap_of(number)) {
            /* Relaxed: a count. */
            fw_add_relaxed(&ring->dropped, 1);
            return NULL;
        } else {
            number = fw_load_relaxed(&ring->tail);
        }
    }
}

void fw_event_ring_push(fw_event_record *record)
{
    /* Relaxed: ours until the store. */
    uint64_t lap = fw_load_relaxed(&record->lap);
    /* [event-full] release: what the record says. */
    fw_store_release(&record->lap, lap + 1);
}

const fw_event_record *fw_event_ring_peek(fw_event_ring *ring)
{
    const fw_event_record *place = place_of(ring, ring->head);
    /* [event-full] acquire: what the record says. */
    return fw_load_acquire(&place->lap) == lap_of(ring->head) + 1 ? place : NULL;
}

void fw_event_ring_pop(fw_event_ring *ring)
{
    FW_ASSERT(fw_event_ring_peek(ring));
    fw_event_record *place = place_of(ring, ring->head);
    uint64_t lap = lap_of(ring->head) + 2;
    ring->head++;
    /* [event-free] release: the reader is through with it. */
    fw_store_release(&place->lap, lap);
}

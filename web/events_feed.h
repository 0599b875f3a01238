/* web/events_feed.h - events on their way from any thread to those who listen; knows no sockets.
 *
 * Anybody posts; the web thread turns, twenty times a second while somebody listens. Between them
 * is a bounded list that takes no lock: a poster never waits, what finds no room is dropped and
 * counted. A turn gives each event an id and makes its frame, as text/event-stream has it.
 *
 * coalesce-note: of one name a tenth of a second may have so many frames, the fewer the more
 * clients there are. What comes beyond them is held back, the newest in place of the one before,
 * and goes out when the tenth is over, as the newest event with a member "coalesced": how many it
 * stands for.
 *
 * The last frames are kept, for clients that come back. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_WEB_EVENTS_FEED_H
#define FW_WEB_EVENTS_FEED_H

#include <stdbool.h>

#include "base/json.h"
#include "fastworker/types.h"

typedef struct fw_event_feed fw_event_feed;

enum {
    FW_EVENTS_KEPT = 1000,
    FW_EVENT_BYTES_MAX = 32 * 1024,
    /* Kinds, a set: "stats" is one of its own since not all who want events want figures. */
    FW_EVENT_OTHER = 1,
    FW_EVENT_STATS = 2,
    FW_EVENT_KINDS = 4
};

/* first_id: ids grow from there; later runs of the program should begin higher. NULL: no memory. */
fw_event_feed *fw_event_feed_create(uint64_t first_id);
/* Nobody posts any more. */
void fw_event_feed_destroy(fw_event_feed *feed);

/* Any thread; never waits. name: static text; json: one value, copied. False: nobody is there, or
 * there was no room. */
bool fw_event_feed_post(fw_event_feed *feed, const char *name, fw_span json);
/* Whether any of these kinds is wanted; posts are taken while one is. One load. Any thread. */
bool fw_event_feed_is_wanted(const fw_event_feed *feed, unsigned kinds);
typedef struct fw_event_stats {
    uint64_t posted, dropped, coalesced; /* dropped: at the door */
} fw_event_stats;
/* Any thread. */
void fw_event_feed_snapshot(const fw_event_feed *feed, fw_event_stats *out);

/* Web thread, all that follow. */
void fw_event_feed_want(fw_event_feed *feed, unsigned kinds);
/* Frames of what came since the last turn, by kind; appended. listeners: how many there are. */
void fw_event_feed_turn(fw_event_feed *feed, int64_t now_ms, unsigned listeners,
                        fw_buffer frames[FW_EVENT_KINDS]);
/* Appends the kept frames of these kinds with an id above last_id, oldest first. False: some that
 * came after last_id are kept no more. */
bool fw_event_feed_since(const fw_event_feed *feed, uint64_t last_id, unsigned kinds,
                         fw_buffer *out);
/* An id as a client says it. False: it is none. */
bool fw_event_id_read(fw_span text, uint64_t *out);
/* Of the latest frame, or where ids begin. */
uint64_t fw_event_feed_last_id(const fw_event_feed *feed);

#endif

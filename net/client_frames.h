/* net/client_frames.h - frames of a client that are being filled, on their way, or not answered
 * yet.
 *
 * Requests are copied once, into the frame that leaves. A frame is kept until each of its items is
 * answered: after a broken connection the unanswered items, and only they, are sent again under the
 * same ids. The SP request id of a frame is its place in a table plus a generation, so that an
 * answer finds its item by two look-ups and a late answer to a frame that is gone finds nothing.
 *
 *   open (filled, at most one) -> closed -> sent -> answered: given back
 *
 * Owner only (the client's lock). SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_NET_CLIENT_FRAMES_H
#define FW_NET_CLIENT_FRAMES_H

#include "net/client_core.h"
#include "net/frame.h"

/* An item waits for an answer as long as its taker is there. */
typedef struct fw_item {
    fw_taker taker; /* neither fn nor waiter: answered or abandoned */
    fw_key key;
    char *id;                /* owned text, when the id is no UUID */
    uint32_t offset, length; /* of its record in the frame */
    uint8_t kind;            /* fw_item_kind */
} fw_item;
typedef enum fw_item_kind {
    FW_ITEM_ACCEPT,
    FW_ITEM_RESULT,
    FW_ITEM_GET,
    FW_ITEM_CANCEL
} fw_item_kind;

typedef struct fw_outgoing {
    struct fw_outgoing *older, *newer;
    fw_frame_writer writer;
    uint32_t request;
    uint8_t flags;
    uint32_t items_max, waiting; /* waiting: items without an answer */
    size_t sent;                 /* bytes of SP message written */
    size_t capacity;             /* of data */
    unsigned char *data;         /* SP length, request id, frame */
    fw_item items[];
} fw_outgoing;

typedef struct fw_frames {
    fw_outgoing **table; /* by place; place 0 is nobody's */
    uint32_t *generation, *places;
    uint32_t mask, free_places;
    fw_outgoing *oldest, *newest; /* closed ones */
    fw_outgoing *unsent;          /* the oldest that is not wholly written */
    fw_outgoing *open, *spare;
    size_t closed;
    size_t bytes_max; /* of one frame */
} fw_frames;

enum { FW_CLIENT_FRAME_ITEMS = 256 };

/* 0 or -FW_ENOMEM. in_flight_max: most items without an answer. */
int fw_frames_init(fw_frames *frames, size_t in_flight_max);
void fw_frames_fini(fw_frames *frames);

/* Adds one item to the open frame; one that does not fit, or asks for other answers, closes it
 * first. 0, -FW_ENOMEM, -FW_EBIG. */
int fw_frames_submit(fw_frames *frames, const fw_submission *item, bool wants_result,
                     const fw_taker *taker);
int fw_frames_query(fw_frames *frames, const fw_query *query, const fw_taker *taker);
/* All or none, in a frame of their own; at most FW_FRAME_ITEMS_MAX. */
int fw_frames_submit_all(fw_frames *frames, const fw_submission *items, size_t n,
                         const fw_taker *taker);
/* The open frame may leave. */
void fw_frames_close(fw_frames *frames);

/* Parts to write next, oldest first; how many. */
int fw_frames_parts(const fw_frames *frames, struct iovec *parts, int parts_max);
/* So many bytes of them were written. */
void fw_frames_wrote(fw_frames *frames, size_t bytes);
/* A new connection: everything unanswered is to be sent again, under new request ids. */
void fw_frames_rewind(fw_frames *frames);

/* The frame with that request id; NULL: none. */
fw_outgoing *fw_frames_find(const fw_frames *frames, uint32_t request);
/* Takes the taker out of an item: it is answered. False: it was before. The item's id text is the
 * caller's now. */
bool fw_frames_take(fw_outgoing *frame, uint32_t item, fw_taker *taker, char **id);
/* Gives the frame back if nobody waits for it any more. */
void fw_frames_settle(fw_frames *frames, fw_outgoing *frame);
void fw_frames_abandon(fw_frames *frames, const fw_waiter *waiter, size_t *dropped);
/* Takes out all frames, as a list by `newer`; each is freed by fw_outgoing_free. */
fw_outgoing *fw_frames_detach(fw_frames *frames);
void fw_outgoing_free(fw_outgoing *frame);

#endif

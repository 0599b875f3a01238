/* net/client_frames.c - see net/client_frames.h.
 *
 * Frames are filled at full size. One that leaves nearly empty is copied to a block of its own size
 * first, so that many lone requests in flight do not hold a full frame each.
 * SPDX-License-Identifier: Apache-2.0 */
#include "net/client_frames.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "net/sp.h"

enum { PREFIX = FW_SP_LENGTH_BYTES + FW_SP_WORD_BYTES, BYTES_MAX_DEFAULT = 1024 * 1024 };

/* --- one frame --- */

static size_t outgoing_bytes(size_t items_max, size_t capacity)
{
    return sizeof(fw_outgoing) + items_max * sizeof(fw_item) + capacity;
}

static fw_outgoing *outgoing_create(size_t items_max, size_t frame_bytes)
{
    size_t capacity = PREFIX + frame_bytes;
    fw_outgoing *frame = malloc(outgoing_bytes(items_max, capacity));
    if (frame == NULL)
        return NULL;
    *frame = (fw_outgoing){.items_max = (uint32_t)items_max, .capacity = capacity};
    frame->data = (unsigned char *)(frame->items + items_max);
    return frame;
}

static void outgoing_begin(fw_outgoing *frame, fw_frame_type type, uint8_t flags)
{
    frame->waiting = 0;
    frame->sent = 0;
    frame->flags = flags;
    fw_frame_begin(&frame->writer, frame->data + PREFIX, frame->capacity - PREFIX, type, flags);
}

void fw_outgoing_free(fw_outgoing *frame)
{
    if (frame == NULL)
        return;
    for (uint32_t i = 0; i < frame->writer.count; i++)
        free(frame->items[i].id);
    free(frame);
}

/* A copy that holds just what is there; the original when there is no memory for it. */
static fw_outgoing *outgoing_shrink(fw_outgoing *frame)
{
    uint32_t count = frame->writer.count;
    fw_outgoing *small = outgoing_create(count, frame->writer.len);
    if (small == NULL)
        return frame;
    size_t capacity = small->capacity;
    unsigned char *data = small->data;
    *small = *frame;
    small->items_max = count;
    small->capacity = capacity;
    small->data = data;
    memcpy(small->items, frame->items, count * sizeof(fw_item));
    memcpy(data, frame->data, PREFIX + frame->writer.len);
    fw_frame_move(&small->writer, data + PREFIX, capacity - PREFIX);
    frame->writer.count = 0;
    return small;
}

/* Writes lengths and request id; the frame can be sent. */
static void outgoing_finish(fw_outgoing *frame)
{
    size_t len = fw_frame_end(&frame->writer);
    fw_sp_length_write(frame->data, FW_SP_WORD_BYTES + len);
    fw_sp_word_write(frame->data + FW_SP_LENGTH_BYTES, frame->request);
}

static size_t outgoing_total(const fw_outgoing *frame)
{
    return PREFIX + frame->writer.len;
}

/* --- the table --- */

int fw_frames_init(fw_frames *frames, size_t in_flight_max)
{
    FW_ASSERT(in_flight_max > 0 && in_flight_max <= UINT32_C(1) << 24);
    uint32_t size = 4;
    while (size < in_flight_max + 2)
        size *= 2;
    *frames = (fw_frames){.mask = size - 1, .bytes_max = BYTES_MAX_DEFAULT};
    frames->table = calloc(size, sizeof(*frames->table));
    frames->generation = calloc(size, sizeof(*frames->generation));
    frames->places = calloc(size, sizeof(*frames->places));
    if (frames->table == NULL || frames->generation == NULL || frames->places == NULL) {
        fw_frames_fini(frames);
        return -FW_ENOMEM;
    }
    for (uint32_t place = size - 1; place > 0; place--)
        frames->places[frames->free_places++] = place;
    return 0;
}

void fw_frames_fini(fw_frames *frames)
{
    fw_outgoing *next;
    for (fw_outgoing *frame = fw_frames_detach(frames); frame != NULL; frame = next) {
        next = frame->newer;
        fw_outgoing_free(frame);
    }
    fw_outgoing_free(frames->spare);
    free(frames->table);
    free(frames->generation);
    free(frames->places);
    *frames = (fw_frames){.mask = 0};
}

static void place_take(fw_frames *frames, fw_outgoing *frame)
{
    FW_ASSERT(frames->free_places > 0);
    uint32_t place = frames->places[--frames->free_places];
    FW_ASSERT(place > 0 && frames->table[place] == NULL);
    uint32_t generation = ++frames->generation[place] * (frames->mask + 1);
    frame->request = FW_SP_REQUEST_BIT | generation | place;
    frames->table[place] = frame;
}

static void place_give_back(fw_frames *frames, fw_outgoing *frame)
{
    uint32_t place = frame->request & frames->mask;
    FW_ASSERT(frames->table[place] == frame);
    frames->table[place] = NULL;
    frames->places[frames->free_places++] = place;
}

fw_outgoing *fw_frames_find(const fw_frames *frames, uint32_t request)
{
    fw_outgoing *frame = frames->table[request & frames->mask];
    return frame != NULL && frame->request == request ? frame : NULL;
}

static void list_append(fw_frames *frames, fw_outgoing *frame)
{
    frame->older = frames->newest;
    frame->newer = NULL;
    if (frames->newest != NULL)
        frames->newest->newer = frame;
    else
        frames->oldest = frame;
    frames->newest = frame;
    if (frames->unsent == NULL)
        frames->unsent = frame;
    frames->closed++;
}

static void list_remove(fw_frames *frames, fw_outgoing *frame)
{
    FW_ASSERT(frames->closed > 0);
    *(frame->older != NULL ? &frame->older->newer : &frames->oldest) = frame->newer;
    *(frame->newer != NULL ? &frame->newer->older : &frames->newest) = frame->older;
    if (frames->unsent == frame)
        frames->unsent = frame->newer;
    frames->closed--;
}

/* --- filling --- */

static void enqueue(fw_frames *frames, fw_outgoing *frame)
{
    place_take(frames, frame);
    outgoing_finish(frame);
    list_append(frames, frame);
}

void fw_frames_close(fw_frames *frames)
{
    fw_outgoing *frame = frames->open;
    if (frame == NULL)
        return;
    FW_ASSERT(frame->writer.count > 0);
    frames->open = NULL;
    bool small =
        frame->writer.len < FW_FRAME_TARGET / 4 && frame->writer.count <= FW_CLIENT_FRAME_ITEMS / 4;
    fw_outgoing *leaving = small ? outgoing_shrink(frame) : frame;
    if (leaving != frame && frames->spare == NULL)
        frames->spare = frame;
    else if (leaving != frame)
        fw_outgoing_free(frame);
    enqueue(frames, leaving);
}

/* The open frame of that kind with room for `needed` more bytes; NULL: no memory. */
static fw_outgoing *open_frame(fw_frames *frames, fw_frame_type type, uint8_t flags, size_t needed)
{
    fw_outgoing *frame = frames->open;
    if (frame != NULL && (frame->writer.type != type || frame->flags != flags ||
                          frame->writer.len + needed > frame->writer.capacity)) {
        fw_frames_close(frames);
        frame = NULL;
    }
    if (frame != NULL)
        return frame;
    if (FW_FRAME_HEADER + needed > FW_FRAME_TARGET) {
        frame = outgoing_create(1, FW_FRAME_HEADER + needed);
    } else if (frames->spare != NULL) {
        frame = frames->spare;
        frames->spare = NULL;
    } else {
        frame = outgoing_create(FW_CLIENT_FRAME_ITEMS, FW_FRAME_TARGET);
    }
    if (frame != NULL)
        outgoing_begin(frame, type, flags);
    return frame;
}

/* Notes the record that was just written. False: no memory for its id. */
static bool note_item(fw_outgoing *frame, size_t start, fw_key key, fw_span id, fw_item_kind kind,
                      const fw_taker *taker)
{
    char *text = NULL;
    if (!fw_key_is_uuid(key) && (text = strndup(id.ptr, id.len)) == NULL)
        return false;
    fw_item *item = &frame->items[frame->waiting++];
    *item = (fw_item){.taker = *taker,
                      .key = key,
                      .id = text,
                      .offset = (uint32_t)start,
                      .length = (uint32_t)(frame->writer.len - start),
                      .kind = (uint8_t)kind};
    return true;
}

/* Keeps, closes or throws away the frame after an add. */
static int settle_open(fw_frames *frames, fw_outgoing *frame, bool added, size_t start)
{
    if (!added) {
        frame->writer.len = start;
        frame->writer.count = frame->waiting;
        if (frame->waiting > 0)
            frames->open = frame;
        else
            fw_outgoing_free(frame);
        return -FW_ENOMEM;
    }
    FW_ASSERT(frame->writer.count == frame->waiting);
    frames->open = frame;
    if (frame->writer.count == frame->items_max)
        fw_frames_close(frames);
    return 0;
}

int fw_frames_submit(fw_frames *frames, const fw_submission *item, bool wants_result,
                     const fw_taker *taker)
{
    size_t needed = fw_frame_submission_size(item);
    if (FW_FRAME_HEADER + needed > frames->bytes_max)
        return -FW_EBIG;
    fw_outgoing *frame =
        open_frame(frames, FW_FRAME_SUBMIT, wants_result ? FW_FRAME_WANTS_RESULTS : 0, needed);
    if (frame == NULL)
        return -FW_ENOMEM;
    size_t start = frame->writer.len;
    bool added = fw_frame_add_submission(&frame->writer, item) &&
                 note_item(frame, start, item->key, item->id,
                           wants_result ? FW_ITEM_RESULT : FW_ITEM_ACCEPT, taker);
    return settle_open(frames, frame, added, start);
}

int fw_frames_query(fw_frames *frames, const fw_query *query, const fw_taker *taker)
{
    fw_outgoing *frame = open_frame(frames, FW_FRAME_QUERY, 0, FW_FRAME_QUERY_SIZE);
    if (frame == NULL)
        return -FW_ENOMEM;
    size_t start = frame->writer.len;
    bool added = fw_frame_add_query(&frame->writer, query) &&
                 note_item(frame, start, query->key, query->id,
                           query->kind == FW_QUERY_CANCEL ? FW_ITEM_CANCEL : FW_ITEM_GET, taker);
    return settle_open(frames, frame, added, start);
}

int fw_frames_submit_all(fw_frames *frames, const fw_submission *items, size_t n,
                         const fw_taker *taker)
{
    if (n == 0 || n > FW_FRAME_ITEMS_MAX)
        return -FW_EBIG;
    size_t bytes = FW_FRAME_HEADER;
    for (size_t i = 0; i < n; i++)
        bytes += fw_frame_submission_size(&items[i]);
    if (bytes > frames->bytes_max)
        return -FW_EBIG;
    fw_frames_close(frames);
    fw_outgoing *frame = outgoing_create(n, bytes);
    if (frame == NULL)
        return -FW_ENOMEM;
    outgoing_begin(frame, FW_FRAME_SUBMIT, FW_FRAME_ALL_OR_NONE);
    for (size_t i = 0; i < n; i++) {
        size_t start = frame->writer.len;
        if (!fw_frame_add_submission(&frame->writer, &items[i]) ||
            !note_item(frame, start, items[i].key, items[i].id, FW_ITEM_ACCEPT, taker)) {
            frame->writer.count = frame->waiting;
            fw_outgoing_free(frame);
            return -FW_ENOMEM;
        }
    }
    enqueue(frames, frame);
    return 0;
}

/* --- sending --- */

int fw_frames_parts(const fw_frames *frames, struct iovec *parts, int parts_max)
{
    int n = 0;
    for (fw_outgoing *frame = frames->unsent; frame != NULL && n < parts_max; frame = frame->newer)
        parts[n++] = (struct iovec){.iov_base = frame->data + frame->sent,
                                    .iov_len = outgoing_total(frame) - frame->sent};
    return n;
}

void fw_frames_wrote(fw_frames *frames, size_t bytes)
{
    while (bytes > 0) {
        fw_outgoing *frame = frames->unsent;
        FW_ASSERT(frame != NULL);
        size_t left = outgoing_total(frame) - frame->sent;
        size_t now = bytes < left ? bytes : left;
        frame->sent += now;
        bytes -= now;
        if (now < left)
            return;
        frames->unsent = frame->newer;
        fw_frames_settle(frames, frame);
    }
}

/* Leaves only the unanswered items in the frame. */
static void compact(fw_outgoing *frame)
{
    fw_frame_writer whole = frame->writer;
    uint32_t kept = 0;
    size_t len = FW_FRAME_HEADER;
    for (uint32_t i = 0; i < whole.count; i++) {
        fw_item *item = &frame->items[i];
        if (item->taker.fn == NULL && item->taker.waiter == NULL)
            continue;
        FW_ASSERT(item->offset >= len);
        memmove(whole.data + len, whole.data + item->offset, item->length);
        item->offset = (uint32_t)len;
        len += item->length;
        frame->items[kept++] = *item;
    }
    FW_ASSERT(kept == frame->waiting);
    frame->writer.len = len;
    frame->writer.count = kept;
}

void fw_frames_rewind(fw_frames *frames)
{
    fw_outgoing *next;
    frames->unsent = NULL;
    for (fw_outgoing *frame = frames->oldest; frame != NULL; frame = next) {
        next = frame->newer;
        frame->sent = 0;
        place_give_back(frames, frame);
        if (frame->waiting == 0) {
            list_remove(frames, frame);
            fw_outgoing_free(frame);
            continue;
        }
        compact(frame);
        place_take(frames, frame);
        outgoing_finish(frame);
    }
    frames->unsent = frames->oldest;
}

/* --- answers --- */

bool fw_frames_take(fw_outgoing *frame, uint32_t item, fw_taker *taker, char **id)
{
    FW_ASSERT(item < frame->writer.count);
    fw_item *at = &frame->items[item];
    if (at->taker.fn == NULL && at->taker.waiter == NULL)
        return false;
    *taker = at->taker;
    *id = at->id;
    at->id = NULL;
    at->taker = (fw_taker){.fn = NULL};
    FW_ASSERT(frame->waiting > 0);
    frame->waiting--;
    return true;
}

void fw_frames_settle(fw_frames *frames, fw_outgoing *frame)
{
    bool half_written = frame->sent > 0 && frame->sent < outgoing_total(frame);
    if (frame->waiting > 0 || half_written)
        return;
    place_give_back(frames, frame);
    list_remove(frames, frame);
    if (frames->spare == NULL && frame->items_max == FW_CLIENT_FRAME_ITEMS &&
        frame->capacity == PREFIX + FW_FRAME_TARGET)
        frames->spare = frame;
    else
        fw_outgoing_free(frame);
}

static void abandon_in(fw_outgoing *frame, const fw_waiter *waiter, size_t *dropped)
{
    for (uint32_t i = 0; i < frame->writer.count && frame->waiting > 0; i++) {
        fw_taker taker;
        char *id;
        if (frame->items[i].taker.waiter != waiter || !fw_frames_take(frame, i, &taker, &id))
            continue;
        free(id);
        ++*dropped;
    }
}

void fw_frames_abandon(fw_frames *frames, const fw_waiter *waiter, size_t *dropped)
{
    fw_outgoing *next;
    fw_frames_close(frames);
    for (fw_outgoing *frame = frames->oldest; frame != NULL; frame = next) {
        next = frame->newer;
        abandon_in(frame, waiter, dropped);
        fw_frames_settle(frames,
                         frame); /* what nobody waits for and has not left, does not leave */
    }
}

fw_outgoing *fw_frames_detach(fw_frames *frames)
{
    fw_frames_close(frames);
    fw_outgoing *first = frames->oldest;
    for (fw_outgoing *frame = first; frame != NULL; frame = frame->newer)
        place_give_back(frames, frame);
    frames->oldest = frames->newest = frames->unsent = NULL;
    frames->closed = 0;
    return first;
}

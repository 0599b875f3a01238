/* net/frame_pipe.c - see net/frame_pipe.h; the structure is checked in net/frame_read.c.
 * SPDX-License-Identifier: Apache-2.0 */
#include "net/frame_pipe.h"

#include "base/assert.h"
#include "net/frame_extras.h"
#include "net/frame_layout.h"

/* ---- Tasks ---- */

/* An id that is no UUID, and what the task's function may ask for. */
static size_t task_extras(const fw_submission *s)
{
    return (key_has_text(s->key) ? 0 : extra_size(s->id.len)) + extra_size(s->options.len);
}

size_t fw_frame_task_size(const fw_assignment *assignment)
{
    const fw_submission *s = &assignment->task;
    return TASK_HEAD + item_bytes(s, item_kwargs(s), task_extras(s));
}

bool fw_frame_add_task(fw_frame_writer *writer, const fw_assignment *assignment)
{
    const fw_submission *s = &assignment->task;
    FW_ASSERT(writer->type == FW_FRAME_TASKS);
    FW_ASSERT(s->name.len > 0 && s->name.len <= FW_FRAME_NAME_MAX && s->level < FW_LEVELS);
    FW_ASSERT(s->args.len <= UINT32_MAX && s->kwargs.len <= UINT32_MAX);
    size_t kwargs = item_kwargs(s), extras = task_extras(s);
    unsigned char *at = NULL;
    if (writer->count < FW_FRAME_ITEMS_MAX)
        at = take_room(writer, TASK_HEAD + item_bytes(s, kwargs, extras));
    if (at == NULL)
        return false;
    store64(at, assignment->lease);
    store64(at + 8, s->timeout_ns > 0 ? (uint64_t)s->timeout_ns : 0);
    store16(at + 16,
            (uint16_t)(assignment->attempt < UINT16_MAX ? assignment->attempt : UINT16_MAX));
    store16(at + 18, s->isolate ? TASK_ISOLATE : 0);
    at = put_item(at + TASK_HEAD, s, kwargs, extras);
    if (FW_UNLIKELY(extras > 0)) {
        if (!key_has_text(s->key) && s->id.len > 0)
            at = put_extra(at, EXTRA_TEXT_ID, s->id.ptr, s->id.len);
        if (s->options.len > 0)
            at = put_extra(at, EXTRA_OPTIONS, s->options.ptr, s->options.len);
    }
    FW_DEBUG_ASSERT(at == writer->data + writer->len);
    return true;
}

/* ---- Orders, drain ---- */

bool fw_frame_add_order(fw_frame_writer *writer, const fw_order *order)
{
    FW_ASSERT(writer->type == FW_FRAME_ORDERS);
    bool bytes = key_has_text(order->key);
    FW_ASSERT(bytes || (order->id.len > 0 && order->id.len <= FW_ID_MAX));
    size_t len = bytes ? 16 : order->id.len;
    unsigned char *at = NULL;
    if (writer->count < FW_FRAME_ITEMS_MAX)
        at = take_room(writer, ORDER_HEAD + len);
    if (at == NULL)
        return false;
    at[0] = (unsigned char)order->kind;
    at[1] = (unsigned char)(bytes ? 0 : len);
    store16(at + 2, 0);
    store64(at + 4, order->lease);
    if (bytes)
        store_key(at + ORDER_HEAD, order->key);
    else
        put_bytes(at + ORDER_HEAD, order->id.ptr, len);
    return true;
}

int fw_frame_next_order(fw_frame *frame, fw_order *out)
{
    FW_ASSERT(frame->type == FW_FRAME_ORDERS && frame->next <= frame->count);
    if (frame->next == frame->count)
        return 0;
    const unsigned char *at = frame->at;
    size_t len = at[1];
    *out = (fw_order){.kind = (fw_order_kind)at[0], .lease = load64(at + 4)};
    frame->next++;
    frame->at = at + ORDER_HEAD + (len > 0 ? len : 16);
    FW_DEBUG_ASSERT(frame->at <= frame->end);
    if (len > 0) {
        out->id = span_at(at + ORDER_HEAD, len);
        out->key = fw_key_from_text(out->id);
        return 1;
    }
    out->key = load_key(at + ORDER_HEAD);
    if (key_has_text(out->key))
        return 1;
    frame->error = "id: a UUID of version 1 to 8, or a text";
    return -FW_EINVAL;
}

size_t fw_frame_write_drain(void *data, size_t capacity, bool drain)
{
    fw_frame_writer writer;
    if (capacity < FW_FRAME_HEADER)
        return 0;
    fw_frame_begin(&writer, data, capacity, FW_FRAME_DRAIN, drain ? DRAIN_BEGINS : 0);
    return FW_FRAME_HEADER;
}

bool fw_frame_drain(const fw_frame *frame)
{
    FW_ASSERT(frame->type == FW_FRAME_DRAIN);
    return (frame->flags & DRAIN_BEGINS) != 0;
}

/* ---- Results and returns ---- */

static inline size_t result_size(const fw_result_view *result)
{
    return LEASE_RESULT_HEAD + (result->error.ptr != NULL ? 4 + result->error.len : 0) +
           result->result.len + result_extras_room(result);
}

size_t fw_frame_lease_result_size(const fw_result_view *result)
{
    return result_size(result);
}

bool fw_frame_add_lease_result(fw_frame_writer *writer, uint64_t lease,
                               const fw_result_view *result)
{
    FW_ASSERT(writer->type == FW_FRAME_RESULTS && result->status < FW_UNKNOWN);
    FW_ASSERT(result->result.len <= UINT32_MAX && result->error.len <= UINT32_MAX);
    unsigned char *at = NULL;
    if (writer->count < FW_FRAME_ITEMS_MAX)
        at = take_room(writer, result_size(result));
    if (at == NULL)
        return false;
    bool error = result->error.ptr != NULL;
    size_t extras = result_extras(result);
    int64_t started = result->started_wall_ns, finished = result->finished_wall_ns;
    bool ran = started > 0 && finished >= started;
    store64(at, lease);
    at[8] = LEASE_RESULT;
    at[9] = (unsigned char)((unsigned)result->status | (error ? CODE_HAS_ERROR : 0) |
                            (extras > 0 ? CODE_HAS_EXTRAS : 0));
    store16(at + 10, result->crashed ? LEASE_CRASHED : 0);
    store32(at + 12, (uint32_t)result->result.len);
    store64(at + 16, (uint64_t)started);
    store64(at + 24, (uint64_t)finished);
    store64(at + 32, ran ? (uint64_t)(finished - started) : UINT64_MAX);
    at += LEASE_RESULT_HEAD;
    if (error) {
        store32(at, (uint32_t)result->error.len);
        at += 4;
    }
    if (FW_UNLIKELY(extras > 0)) {
        store32(at, (uint32_t)extras);
        at += 4;
    }
    at = put_bytes(at, result->result.ptr, result->result.len);
    at = put_bytes(at, result->error.ptr, error ? result->error.len : 0);
    if (FW_UNLIKELY(extras > 0))
        put_result_extras(at, result);
    return true;
}

static unsigned why_code(fw_refusal why)
{
    switch (why) {
    case FW_REFUSED_DRAINING:
        return WHY_DRAINING;
    case FW_REFUSED_UNKNOWN_NAME:
        return WHY_UNKNOWN_NAME;
    case FW_REFUSED_RECALLED:
        return WHY_RECALLED;
    case FW_REFUSED_TOO_BIG:
    case FW_REFUSED_MALFORMED:
    case FW_REFUSED_PICKLE:
        return WHY_MALFORMED;
    default:
        return WHY_FULL;
    }
}

static fw_refusal why_of(unsigned code)
{
    static const fw_refusal reasons[] = {
        [WHY_FULL] = FW_REFUSED_FULL,
        [WHY_DRAINING] = FW_REFUSED_DRAINING,
        [WHY_UNKNOWN_NAME] = FW_REFUSED_UNKNOWN_NAME,
        [WHY_RECALLED] = FW_REFUSED_RECALLED,
        [WHY_MALFORMED] = FW_REFUSED_MALFORMED,
    };
    FW_ASSERT(code > 0 && code <= WHY_LAST);
    return reasons[code];
}

bool fw_frame_add_return(fw_frame_writer *writer, uint64_t lease, fw_refusal why)
{
    FW_ASSERT(writer->type == FW_FRAME_RESULTS && (unsigned)why < FW_REFUSALS);
    unsigned char *at = NULL;
    if (writer->count < FW_FRAME_ITEMS_MAX)
        at = take_room(writer, LEASE_HEAD);
    if (at == NULL)
        return false;
    store64(at, lease);
    at[8] = LEASE_RETURN;
    at[9] = (unsigned char)why_code(why);
    store16(at + 10, 0);
    store32(at + 12, 0);
    return true;
}

static const unsigned char *take_end(fw_lease_result *out, const unsigned char *at)
{
    unsigned code = at[9];
    size_t result_len = load32(at + 12), error_len = 0, extras_len = 0;
    int64_t ran_ns = (int64_t)load64(at + 32);
    out->returned = false;
    out->view.status = (fw_state)(code & CODE_STATE);
    out->view.crashed = load16(at + 10) != 0;
    out->view.started_wall_ns = (int64_t)load64(at + 16);
    out->view.finished_wall_ns = (int64_t)load64(at + 24);
    out->accounted = ran_ns >= 0;
    out->ran_ns = ran_ns >= 0 ? ran_ns : 0;
    at += LEASE_RESULT_HEAD;
    if (code & CODE_HAS_ERROR) {
        error_len = load32(at);
        at += 4;
    }
    if (code & CODE_HAS_EXTRAS) {
        extras_len = load32(at);
        at += 4;
    }
    out->view.result = span_at(at, result_len);
    if (code & CODE_HAS_ERROR)
        out->view.error = span_at(at + result_len, error_len);
    at += result_len + error_len;
    if (FW_UNLIKELY(extras_len > 0))
        take_result_extras(&out->view, &out->progress, at, extras_len);
    return at + extras_len;
}

int fw_frame_next_result(fw_frame *frame, fw_lease_result *out)
{
    FW_ASSERT(frame->type == FW_FRAME_RESULTS && frame->next <= frame->count);
    if (frame->next == frame->count)
        return 0;
    const unsigned char *at = frame->at;
    memset(out, 0, sizeof *out);
    out->lease = load64(at);
    if (FW_LIKELY(at[8] == LEASE_RESULT)) {
        frame->at = take_end(out, at);
    } else {
        out->returned = true;
        out->why = why_of(at[9]);
        frame->at = at + LEASE_HEAD + load32(at + 12);
    }
    frame->next++;
    FW_DEBUG_ASSERT(frame->at <= frame->end);
    return 1;
}

/* ---- Beats ---- */

size_t fw_frame_write_beat(void *data, size_t capacity, const fw_beat *beat)
{
    fw_frame_writer writer;
    if (capacity < FW_FRAME_HEADER + BEAT_HEAD)
        return 0;
    fw_frame_begin(&writer, data, capacity, FW_FRAME_BEAT, 0);
    unsigned char *at = writer.data + FW_FRAME_HEADER;
    store32(at, beat->slots);
    store32(at + 4, beat->running);
    store32(at + 8, beat->queued);
    store32(at + 12, beat->draining ? BEAT_DRAINING : 0);
    store64(at + 16, beat->done);
    return FW_FRAME_HEADER + BEAT_HEAD;
}

void fw_frame_beat(fw_beat *out, const fw_frame *frame)
{
    FW_ASSERT(frame->type == FW_FRAME_BEAT);
    const unsigned char *at = frame->at;
    *out = (fw_beat){.slots = load32(at),
                     .running = load32(at + 4),
                     .queued = load32(at + 8),
                     .draining = (load32(at + 12) & BEAT_DRAINING) != 0,
                     .done = load64(at + 16)};
}

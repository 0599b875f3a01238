/* net/frame_read.c - frames from peers: checked once as a whole, then walked.
 *
 * Invariant after fw_frame_open: every length that an iterator reads leads to a place inside the
 * message. What an item means may still be wrong; that costs this item only.
 * SPDX-License-Identifier: Apache-2.0 */
#include "base/assert.h"
#include "net/frame_layout.h"
#include "net/frame_pipe.h"
#include "net/message_fields.h"

/* What tasks get that do not say (protocol 4.1). */
static const double retry_delay_s = 60.0, retry_backoff = 2.0, retry_backoff_max_s = 3600.0;

/* ---- The check ----
 * Each size function tells how many bytes the item or record at at takes; 0: broken. left is what
 * the message still has. Sums of four 32-bit lengths do not overflow 64 bits. */

static uint64_t submission_bytes(const unsigned char *at, uint64_t left)
{
    if (left < ITEM_HEAD)
        return 0;
    uint32_t head = load32(at); /* bits, zero, name length */
    if ((head & (ITEM_UNKNOWN | 0xff00)) != 0)
        return 0;
    uint64_t need = ITEM_HEAD + (head & ITEM_HAS_ID) * (16 / ITEM_HAS_ID);
    uint64_t body = (uint64_t)(head >> 16) + load32(at + 4);
    if (FW_LIKELY((head & (ITEM_HAS_KWARGS | ITEM_HAS_EXTRAS)) == 0))
        return need + body;
    for (unsigned bit = ITEM_HAS_KWARGS; bit <= ITEM_HAS_EXTRAS; bit <<= 1) {
        if ((head & bit) == 0)
            continue;
        if (left < need + 4)
            return 0;
        body += load32(at + need);
        need += 4;
    }
    return need + body;
}

static uint64_t query_bytes(const unsigned char *at, uint64_t left)
{
    if (left < ASK_HEAD || load16(at + 2) != 0)
        return 0;
    return ASK_HEAD + (at[1] == 0 ? 16u : at[1]);
}

static uint64_t result_bytes(const unsigned char *at, uint64_t left)
{
    unsigned known = CODE_STATE | CODE_HAS_ERROR | CODE_HAS_EXTRAS;
    if (left < RESULT_HEAD || (at[7] & ~known) != 0 || (at[7] & CODE_STATE) >= FW_UNKNOWN)
        return 0;
    uint64_t need = RESULT_HEAD, body = load32(at + 24);
    for (unsigned bit = CODE_HAS_ERROR; bit <= CODE_HAS_EXTRAS; bit <<= 1) {
        if ((at[7] & bit) == 0)
            continue;
        if (left < need + 4)
            return 0;
        body += load32(at + need);
        need += 4;
    }
    return need + body;
}

static uint64_t record_bytes(const unsigned char *at, uint64_t left)
{
    if (left < SHORT_HEAD)
        return 0;
    uint16_t first = load16(at + 4), number = load16(at + 8), second = load16(at + 10);
    switch (at[6]) {
    case FW_RECORD_ACCEPTED:
        if ((at[7] & ~(CODE_STATE | CODE_HAS_IDS)) != 0 || (at[7] & CODE_STATE) >= FW_UNKNOWN ||
            number == 0 || first + number > UINT16_MAX || second != 0)
            return 0;
        return SHORT_HEAD + (at[7] & CODE_HAS_IDS ? 16u * number : 0);
    case FW_RECORD_REFUSED:
        return number == 0 || first + number > UINT16_MAX || at[7] == 0 ? 0 : SHORT_HEAD + second;
    case FW_RECORD_RESULT:
        return result_bytes(at, left);
    case FW_RECORD_PONG:
        return at[7] != 0 || second != 0 || number > FW_FRAME_PING_MAX ? 0 : SHORT_HEAD + number;
    case FW_RECORD_HELLO:
        return second != 0 ? 0 : SHORT_HEAD + number;
    default:
        return 0;
    }
}

static uint64_t task_bytes(const unsigned char *at, uint64_t left)
{
    if (left < TASK_HEAD || (load16(at + 18) & ~TASK_ISOLATE) != 0)
        return 0;
    uint64_t item = submission_bytes(at + TASK_HEAD, left - TASK_HEAD);
    return item > 0 ? TASK_HEAD + item : 0;
}

static uint64_t order_bytes(const unsigned char *at, uint64_t left)
{
    if (left < ORDER_HEAD || load16(at + 2) != 0 || at[0] < FW_ORDER_CANCEL ||
        at[0] > FW_ORDER_RECALL)
        return 0;
    return ORDER_HEAD + (at[1] == 0 ? 16u : at[1]);
}

static uint64_t lease_bytes(const unsigned char *at, uint64_t left)
{
    if (left < LEASE_HEAD || load16(at + 10) > (at[8] == LEASE_RESULT ? LEASE_CRASHED : 0))
        return 0;
    unsigned code = at[9];
    uint64_t need = LEASE_HEAD, body = load32(at + 12);
    if (at[8] == LEASE_RETURN)
        return code == 0 || code > WHY_LAST ? 0 : need + body;
    need = LEASE_RESULT_HEAD;
    if (at[8] != LEASE_RESULT || left < need || (code & CODE_STATE) >= FW_UNKNOWN ||
        (code & ~(CODE_STATE | CODE_HAS_ERROR | CODE_HAS_EXTRAS)) != 0)
        return 0;
    for (unsigned bit = CODE_HAS_ERROR; bit <= CODE_HAS_EXTRAS; bit <<= 1) {
        if ((code & bit) == 0)
            continue;
        if (left < need + 4)
            return 0;
        body += load32(at + need);
        need += 4;
    }
    return need + body;
}

static inline uint64_t item_size(fw_frame_type type, const unsigned char *at, uint64_t left)
{
    switch (type) {
    case FW_FRAME_SUBMIT:
        return submission_bytes(at, left);
    case FW_FRAME_TASKS:
        return task_bytes(at, left);
    case FW_FRAME_RESULTS:
        return lease_bytes(at, left);
    case FW_FRAME_ANSWER:
        return record_bytes(at, left);
    case FW_FRAME_ORDERS:
        return order_bytes(at, left);
    default:
        return query_bytes(at, left);
    }
}

static const char *check_items(const fw_frame *frame)
{
    const unsigned char *at = frame->at;
    uint64_t left = (uint64_t)(frame->end - at);
    for (uint32_t i = 0; i < frame->count; i++) {
        uint64_t bytes = item_size(frame->type, at, left);
        if (bytes == 0 || bytes > left)
            return "frame: an item is cut off or not understood";
        at += bytes;
        left -= bytes;
    }
    return left == 0 ? NULL : "frame: bytes behind the last item";
}

/* What each type allows; NULL: fine. */
static const char *check_type(const fw_frame *frame)
{
    unsigned flags = 0;
    switch (frame->type) {
    case FW_FRAME_SUBMIT:
        flags = FW_FRAME_WANTS_RESULTS | FW_FRAME_ALL_OR_NONE;
        break;
    case FW_FRAME_QUERY:
    case FW_FRAME_ANSWER:
    case FW_FRAME_TASKS:
    case FW_FRAME_ORDERS:
    case FW_FRAME_RESULTS:
        break;
    case FW_FRAME_DRAIN:
        flags = DRAIN_BEGINS;
        if (frame->count != 0 || frame->at != frame->end)
            return "frame: a drain holds nothing";
        break;
    case FW_FRAME_BEAT:
        if (frame->count != 0 || frame->end - frame->at < BEAT_HEAD ||
            !extras_are_whole(frame->at + BEAT_HEAD, frame->end))
            return "frame: a beat holds numbers and extras";
        break;
    case FW_FRAME_PING:
        if (frame->count != 0 || frame->end - frame->at > FW_FRAME_PING_MAX)
            return "frame: a ping holds at most 64 bytes";
        break;
    case FW_FRAME_HELLO:
        if (frame->count != 0 || !extras_are_whole(frame->at, frame->end))
            return "frame: a hello holds extras";
        break;
    default:
        return "frame: unknown type";
    }
    return (frame->flags & ~flags) != 0 ? "frame: unknown flags" : NULL;
}

int fw_frame_open(fw_frame *out, fw_span message, const fw_reply_to *reply)
{
    const unsigned char *bytes = (const unsigned char *)message.ptr;
    *out = (fw_frame){.count = 1};
    if (reply != NULL)
        out->reply = *reply;
    out->reply.form = FW_REPLY_FRAME;
    out->reply.item = 0;
    out->reply.flags = 0;
    out->error = "frame: no header";
    if (message.len < FW_FRAME_HEADER || bytes[AT_MAGIC] != FW_FRAME_MAGIC)
        return -FW_EPROTO;
    out->error = "frame: version 1 is spoken here";
    if (bytes[AT_VERSION] != FW_FRAME_VERSION)
        return -FW_EPROTO;
    uint32_t count = load32(bytes + AT_COUNT);
    out->type = bytes[AT_TYPE];
    out->flags = bytes[AT_FLAGS];
    out->at = bytes + FW_FRAME_HEADER;
    out->end = bytes + message.len;
    bool asks = out->type == FW_FRAME_SUBMIT || out->type == FW_FRAME_QUERY ||
                out->type == FW_FRAME_TASKS || out->type == FW_FRAME_ORDERS ||
                out->type == FW_FRAME_RESULTS;
    out->error = "frame: at most 1024 items";
    if (asks && count > FW_FRAME_ITEMS_MAX)
        return -FW_EBIG;
    out->error = "frame: no items";
    if (asks && count == 0)
        return -FW_EPROTO;
    out->count = count;
    out->error = check_type(out);
    if (out->error == NULL && (asks || out->type == FW_FRAME_ANSWER))
        out->error = check_items(out);
    if (out->error != NULL) {
        out->count = asks ? count : 1;
        return -FW_EPROTO;
    }
    if (out->type == FW_FRAME_SUBMIT && (out->flags & FW_FRAME_WANTS_RESULTS) != 0)
        out->reply.flags = FW_WANTS_RESULT;
    return 0;
}

/* ---- Submissions ---- */

static const char *take_retry(fw_submission *out, const unsigned char *at)
{
    int32_t count = (int32_t)load32(at), most = (int32_t)load32(at + 4);
    double delay = load_double(at + 8), backoff = load_double(at + 16);
    double delay_max = load_double(at + 24);
    if (count < 0 || most < 0 || !(delay >= 0) || !(backoff >= 0) || !(delay_max >= 0))
        return "retry: numbers must not be negative";
    out->retry_count = count;
    out->max_retries = most;
    out->retry_delay_s = delay;
    out->retry_backoff = backoff;
    out->retry_backoff_max_s = delay_max;
    return NULL;
}

static const char *take_duration(int64_t *out, const unsigned char *at, size_t len)
{
    if (len != 8 || (int64_t)load64(at) < 0)
        return "timeout, ttl: 8 bytes, not negative";
    int64_t ns = (int64_t)load64(at);
    *out = ns < FW_CENTURY_NS ? ns : FW_CENTURY_NS;
    return NULL;
}

/* It is looked into here, because it will stand in answers to others as it is. */
static const char *take_callback(fw_submission *out, fw_span text)
{
    fw_fields fields = {"callback", 0, NULL, NULL};
    fw_json value = fw_json_parse(text);
    if (value.type != FW_JSON_OBJECT || !fw_field_callback(&fields, &out->callback, "", value))
        return "callback: a JSON object with address and data";
    return NULL;
}

/* One extra of a submission; NULL: fine, or what is wrong. */
static const char *take_extra(fw_submission *out, unsigned tag, const unsigned char *at, size_t len)
{
    switch (tag) {
    case EXTRA_TEXT_ID:
        if (len == 0 || len > FW_ID_MAX)
            return "id: 1 to 255 bytes";
        out->id = span_at(at, len);
        return NULL;
    case EXTRA_ETA:
        if (len != 8)
            return "eta: 8 bytes";
        out->eta_wall_ns = fw_eta_in_range((int64_t)load64(at));
        return NULL;
    case EXTRA_TIMEOUT:
        return take_duration(&out->timeout_ns, at, len);
    case EXTRA_TTL:
        return take_duration(&out->result_ttl_ns, at, len);
    case EXTRA_RETRY:
        return len == RETRY_BYTES ? take_retry(out, at) : "retry: 32 bytes";
    case EXTRA_CALLBACK:
        return take_callback(out, span_at(at, len));
    case EXTRA_OPTIONS:
        out->options = span_at(at, len);
        return fw_json_parse(out->options).type == FW_JSON_OBJECT ? NULL : "options: a JSON object";
    default:
        return tag >= EXTRA_OPTIONAL ? NULL : "an extra is not understood";
    }
}

static const char *take_extras(fw_submission *out, const unsigned char *at,
                               const unsigned char *end)
{
    if (!extras_are_whole(at, end))
        return "extras: cut off";
    while (at < end) {
        size_t len = load32(at) >> 8;
        const char *error = take_extra(out, at[0], at + EXTRA_HEAD, len);
        if (error != NULL)
            return error;
        at += EXTRA_HEAD + len;
    }
    return NULL;
}

/* The key of a text id; or an id is made up, with its text: nobody else could show it. */
static int settle_id(fw_frame *frame, fw_submission *out, fw_scratch *scratch)
{
    if (out->id.len > 0) {
        out->key = fw_key_from_text(out->id);
        return 1;
    }
    char *text = fw_scratch_take(scratch, FW_UUID_TEXT);
    if (text == NULL) {
        frame->error = "no memory";
        return -FW_ENOMEM;
    }
    out->key = fw_key_random();
    fw_key_format(text, out->key);
    out->id = (fw_span){text, FW_UUID_TEXT};
    out->reply.flags |= FW_WANTS_ID;
    return 1;
}

static bool bracketed(fw_span json, char open, char close)
{
    return json.len >= 2 && json.ptr[0] == open && json.ptr[json.len - 1] == close;
}

/* What can be wrong with an item whose bytes are all there. */
static inline __attribute__((always_inline)) const char *check_submission(const fw_submission *out,
                                                                          unsigned bits)
{
    if (out->name.len - 1 >= FW_FRAME_NAME_MAX)
        return "name: 1 to 1024 bytes";
    if (!bracketed(out->args, '[', ']'))
        return "args: a JSON array";
    if ((bits & ITEM_HAS_KWARGS) != 0 && !bracketed(out->kwargs, '{', '}'))
        return "kwargs: a JSON object";
    if ((bits & ITEM_HAS_ID) != 0 && (!key_has_text(out->key) || out->id.len > 0))
        return "id: a UUID of version 1 to 8, or a text";
    return NULL;
}

static inline void fill_defaults(fw_submission *out, unsigned level, const fw_frame *frame)
{
    out->callback = (fw_span){NULL, 0};
    out->options = (fw_span){NULL, 0};
    out->eta_wall_ns = 0;
    out->timeout_ns = 0;
    out->result_ttl_ns = 0;
    out->retry_count = 0;
    out->max_retries = 0;
    out->retry_delay_s = retry_delay_s;
    out->retry_backoff = retry_backoff;
    out->retry_backoff_max_s = retry_backoff_max_s;
    out->level = (uint8_t)level;
    out->accept_only = (frame->flags & FW_FRAME_WANTS_RESULTS) == 0;
    out->isolate = false;
    out->reply = frame->reply;
}

/* One item; `has` is its bits for id, kwargs and extras. Inlined, so that the usual item, with an
 * id and nothing else, is read without the branches of the others. */
static inline __attribute__((always_inline)) int
read_submission(fw_frame *frame, fw_submission *out, fw_scratch *scratch, unsigned has)
{
    const unsigned char *at = frame->at;
    unsigned level = at[0] & ITEM_LEVEL;
    size_t name_len = load16(at + 2), args_len = load32(at + 4), kwargs_len = 0, extras_len = 0;
    fw_key key = {0, 0};
    at += ITEM_HEAD;
    if (has & ITEM_HAS_ID) {
        key = load_key(at);
        at += 16;
    }
    if (has & ITEM_HAS_KWARGS) {
        kwargs_len = load32(at);
        at += 4;
    }
    if (has & ITEM_HAS_EXTRAS) {
        extras_len = load32(at);
        at += 4;
    }
    /* Field by field: a compound literal is built on the stack first, and copied. */
    out->key = key;
    out->id = (fw_span){NULL, 0};
    out->name = span_at(at, name_len);
    at += name_len;
    out->args = args_len > 0 ? span_at(at, args_len) : (fw_span){"[]", 2};
    at += args_len;
    out->kwargs = kwargs_len > 0 ? span_at(at, kwargs_len) : (fw_span){"{}", 2};
    at += kwargs_len;
    fill_defaults(out, level, frame);
    out->reply.item = (uint16_t)frame->next++;
    frame->at = at + extras_len;
    FW_DEBUG_ASSERT(frame->at <= frame->end);
    const char *error = extras_len > 0 ? take_extras(out, at, at + extras_len) : NULL;
    if (error == NULL)
        error = check_submission(out, has);
    if (FW_UNLIKELY(error != NULL)) {
        frame->error = error;
        return -FW_EINVAL;
    }
    return (has & ITEM_HAS_ID) != 0 ? 1 : settle_id(frame, out, scratch);
}

static __attribute__((noinline)) int read_unusual(fw_frame *frame, fw_submission *out,
                                                  fw_scratch *scratch)
{
    unsigned has = frame->at[0] & (ITEM_HAS_ID | ITEM_HAS_KWARGS | ITEM_HAS_EXTRAS);
    return read_submission(frame, out, scratch, has);
}

int fw_frame_next_submission(fw_frame *frame, fw_submission *out, fw_scratch *scratch)
{
    FW_ASSERT(frame->type == FW_FRAME_SUBMIT && frame->next <= frame->count);
    if (frame->next == frame->count)
        return 0;
    unsigned has = frame->at[0] & (ITEM_HAS_ID | ITEM_HAS_KWARGS | ITEM_HAS_EXTRAS);
    if (FW_LIKELY(has == ITEM_HAS_ID))
        return read_submission(frame, out, scratch, ITEM_HAS_ID);
    return read_unusual(frame, out, scratch);
}

int fw_frame_next_task(fw_frame *frame, fw_submission *out, fw_scratch *scratch)
{
    FW_ASSERT(frame->type == FW_FRAME_TASKS && frame->next <= frame->count);
    if (frame->next == frame->count)
        return 0;
    const unsigned char *at = frame->at;
    int64_t limit = (int64_t)load64(at + 8);
    unsigned attempt = load16(at + 16);
    frame->at = at + TASK_HEAD;
    unsigned has = frame->at[0] & (ITEM_HAS_ID | ITEM_HAS_KWARGS | ITEM_HAS_EXTRAS);
    int got = FW_LIKELY(has == ITEM_HAS_ID) ? read_submission(frame, out, scratch, ITEM_HAS_ID)
                                            : read_unusual(frame, out, scratch);
    bool named = (out->reply.flags & FW_WANTS_ID) == 0;
    out->accept_only = false;
    out->reply = fw_reply_for_lease(frame->reply.connection, load64(at));
    out->timeout_ns = limit < FW_CENTURY_NS ? limit : FW_CENTURY_NS;
    out->retry_count = attempt > 0 ? (int32_t)attempt - 1 : 0;
    out->isolate = (load16(at + 18) & TASK_ISOLATE) != 0;
    if (FW_LIKELY(got == 1 && limit >= 0 && named))
        return 1;
    if (got == 1)
        frame->error = named ? "limit: not negative" : "id: missing";
    return got == 1 ? -FW_EINVAL : got;
}

int fw_frame_next_query(fw_frame *frame, fw_query *out)
{
    FW_ASSERT(frame->type == FW_FRAME_QUERY && frame->next <= frame->count);
    if (frame->next == frame->count)
        return 0;
    const unsigned char *at = frame->at;
    size_t id_len = at[1];
    *out = (fw_query){
        .kind = at[0],
        .wait_ns = (int64_t)load32(at + 4) * 1000000,
        .native = true,
        .reply = frame->reply,
    };
    out->reply.item = (uint16_t)frame->next++;
    frame->at = at + ASK_HEAD + (id_len > 0 ? id_len : 16);
    FW_DEBUG_ASSERT(frame->at <= frame->end);
    frame->error = "query: unknown kind";
    if (at[0] > FW_QUERY_WAIT)
        return -FW_EINVAL;
    frame->error = "id: a UUID of version 1 to 8, or a text";
    if (id_len > 0) {
        out->id = span_at(at + ASK_HEAD, id_len);
        out->key = fw_key_from_text(out->id);
    } else {
        out->key = load_key(at + ASK_HEAD);
        if (!key_has_text(out->key))
            return -FW_EINVAL;
    }
    frame->error = NULL;
    return 1;
}

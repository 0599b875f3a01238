/* net/frame_write.c - frames to peers, record by record into the caller's memory.
 *
 * An add either writes a whole record or nothing. Acceptances and refusals that continue the run of
 * the record before them only raise its count, so that a frame of a thousand tasks is acknowledged
 * in twelve bytes. SPDX-License-Identifier: Apache-2.0 */
#include "base/assert.h"
#include "net/frame_extras.h"
#include "net/frame_layout.h"

void fw_frame_begin(fw_frame_writer *writer, void *data, size_t capacity, fw_frame_type type,
                    uint8_t flags)
{
    FW_ASSERT(data != NULL && capacity >= FW_FRAME_HEADER);
    *writer = (fw_frame_writer){.data = data, .capacity = capacity, .type = (uint8_t)type};
    writer->len = FW_FRAME_HEADER;
    writer->data[AT_MAGIC] = FW_FRAME_MAGIC;
    writer->data[AT_VERSION] = FW_FRAME_VERSION;
    writer->data[AT_TYPE] = (unsigned char)type;
    writer->data[AT_FLAGS] = flags;
    store32(writer->data + AT_COUNT, 0);
}

void fw_frame_move(fw_frame_writer *writer, void *data, size_t capacity)
{
    FW_ASSERT(data != NULL && capacity >= writer->len);
    writer->data = data;
    writer->capacity = capacity;
}

size_t fw_frame_end(fw_frame_writer *writer)
{
    FW_ASSERT(writer->data[AT_MAGIC] == FW_FRAME_MAGIC);
    store32(writer->data + AT_COUNT, writer->count);
    return writer->len;
}

static void put_head(unsigned char *at, uint32_t request, uint16_t item, fw_record_kind kind,
                     unsigned code)
{
    store32(at, request);
    store16(at + 4, item);
    at[6] = (unsigned char)kind;
    at[7] = (unsigned char)code;
}

/* ---- Answers ---- */

/* The last record, if item continues its run: same request, kind and code. */
static unsigned char *run_of(fw_frame_writer *writer, uint32_t request, uint16_t item,
                             fw_record_kind kind, unsigned code)
{
    if (writer->last == 0)
        return NULL;
    unsigned char *at = writer->data + writer->last;
    unsigned count = load16(at + 8);
    bool continues = load32(at) == request && at[6] == kind && at[7] == code &&
                     load16(at + 4) + count == item && item < UINT16_MAX;
    return continues ? at : NULL;
}

bool fw_frame_add_accepted(fw_frame_writer *writer, uint32_t request, uint16_t item,
                           fw_state status, const fw_key *id)
{
    FW_ASSERT(writer->type == FW_FRAME_ANSWER && status < FW_UNKNOWN);
    unsigned code = (unsigned)status | (id != NULL ? CODE_HAS_IDS : 0);
    unsigned char *at = run_of(writer, request, item, FW_RECORD_ACCEPTED, code);
    if (at == NULL)
        return fw_frame_add_accepted_run(writer, request, item, 1, status, id);
    if (id != NULL) {
        if (writer->capacity - writer->len < 16)
            return false;
        store_key(writer->data + writer->len, *id);
        writer->len += 16;
    }
    store16(at + 8, (uint16_t)(load16(at + 8) + 1));
    return true;
}

bool fw_frame_add_accepted_run(fw_frame_writer *writer, uint32_t request, uint16_t item,
                               uint16_t count, fw_state status, const fw_key *ids)
{
    FW_ASSERT(writer->type == FW_FRAME_ANSWER && status < FW_UNKNOWN);
    FW_ASSERT(count > 0 && item + count <= UINT16_MAX);
    unsigned char *at = take_room(writer, SHORT_HEAD + (ids != NULL ? 16u * count : 0));
    if (at == NULL)
        return false;
    put_head(at, request, item, FW_RECORD_ACCEPTED,
             (unsigned)status | (ids != NULL ? CODE_HAS_IDS : 0));
    store16(at + 8, count);
    store16(at + 10, 0);
    for (unsigned i = 0; ids != NULL && i < count; i++)
        store_key(at + SHORT_HEAD + 16 * i, ids[i]);
    return true;
}

/* Cut to the limit, but not inside a UTF-8 sequence. */
static size_t text_bytes(const char *text)
{
    if (text == NULL)
        return 0;
    size_t len = strnlen(text, FW_FRAME_TEXT_MAX + 1);
    if (len <= FW_FRAME_TEXT_MAX)
        return len;
    len = FW_FRAME_TEXT_MAX;
    while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80)
        len--;
    return len;
}

size_t fw_frame_refused_size(const char *text)
{
    return SHORT_HEAD + text_bytes(text);
}

bool fw_frame_add_refused(fw_frame_writer *writer, uint32_t request, uint16_t item, uint16_t count,
                          int err, const char *text)
{
    FW_ASSERT(writer->type == FW_FRAME_ANSWER && err > 0 && err < 256);
    FW_ASSERT(count > 0 && item + count <= UINT16_MAX);
    size_t len = text_bytes(text);
    unsigned char *at = NULL;
    if (len == 0)
        at = run_of(writer, request, item, FW_RECORD_REFUSED, (unsigned)err);
    if (at != NULL && load16(at + 10) == 0) {
        store16(at + 8, (uint16_t)(load16(at + 8) + count));
        return true;
    }
    at = take_room(writer, SHORT_HEAD + len);
    if (at == NULL)
        return false;
    put_head(at, request, item, FW_RECORD_REFUSED, (unsigned)err);
    store16(at + 8, count);
    store16(at + 10, (uint16_t)len);
    put_bytes(at + SHORT_HEAD, text, len);
    return true;
}

size_t fw_frame_result_size(const fw_result_view *result)
{
    return RESULT_HEAD + (result->error.ptr != NULL ? 4 : 0) + result->result.len +
           result->error.len + result_extras_room(result);
}

static bool add_result(fw_frame_writer *writer, uint32_t request, uint16_t item,
                       const fw_result_view *result, fw_span id)
{
    FW_ASSERT(writer->type == FW_FRAME_ANSWER && result->status < FW_UNKNOWN);
    FW_ASSERT(result->result.len <= UINT32_MAX && result->error.len <= UINT32_MAX);
    bool error = result->error.ptr != NULL;
    size_t extras = extra_size(id.len) + result_extras(result);
    unsigned char *at = take_room(writer, RESULT_HEAD + (error ? 4 + result->error.len : 0) +
                                              result->result.len + (extras > 0 ? 4 + extras : 0));
    if (at == NULL)
        return false;
    put_head(at, request, item, FW_RECORD_RESULT,
             (unsigned)result->status | (error ? CODE_HAS_ERROR : 0) |
                 (extras > 0 ? CODE_HAS_EXTRAS : 0));
    store64(at + 8, (uint64_t)result->started_wall_ns);
    store64(at + 16, (uint64_t)result->finished_wall_ns);
    store32(at + 24, (uint32_t)result->result.len);
    at += RESULT_HEAD;
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
    if (FW_UNLIKELY(extras > 0)) {
        if (id.len > 0)
            at = put_extra(at, EXTRA_TEXT_ID, id.ptr, id.len);
        at = put_result_extras(at, result);
    }
    FW_DEBUG_ASSERT(at == writer->data + writer->len);
    return true;
}

bool fw_frame_add_result(fw_frame_writer *writer, uint32_t request, uint16_t item,
                         const fw_result_view *result)
{
    return add_result(writer, request, item, result, (fw_span){NULL, 0});
}

size_t fw_frame_named_result_size(const fw_result_view *result)
{
    return fw_frame_result_size(result) + 4 +
           extra_size(result->id.len > 0 ? result->id.len : FW_UUID_TEXT);
}

bool fw_frame_add_named_result(fw_frame_writer *writer, uint32_t request, uint16_t item,
                               const fw_result_view *result)
{
    char uuid[FW_UUID_TEXT];
    fw_span id = result->id;
    if (id.len == 0) {
        fw_key_format(uuid, result->key);
        id = (fw_span){uuid, sizeof uuid};
    }
    return add_result(writer, request, item, result, id);
}

bool fw_frame_add_pong(fw_frame_writer *writer, uint32_t request, fw_span bytes)
{
    FW_ASSERT(writer->type == FW_FRAME_ANSWER && bytes.len <= FW_FRAME_PING_MAX);
    unsigned char *at = take_room(writer, SHORT_HEAD + bytes.len);
    if (at == NULL)
        return false;
    put_head(at, request, 0, FW_RECORD_PONG, 0);
    store16(at + 8, (uint16_t)bytes.len);
    store16(at + 10, 0);
    put_bytes(at + SHORT_HEAD, bytes.ptr, bytes.len);
    return true;
}

/* ---- Extras ---- */

static unsigned char *put_extra64(unsigned char *at, unsigned tag, uint64_t value)
{
    unsigned char bytes[8];
    store64(bytes, value);
    return put_extra(at, tag, bytes, sizeof(bytes));
}

static unsigned char *put_extra32(unsigned char *at, unsigned tag, uint32_t value)
{
    unsigned char bytes[4];
    store32(bytes, value);
    return put_extra(at, tag, bytes, sizeof(bytes));
}

static size_t hello_bytes(const fw_hello *hello)
{
    FW_ASSERT(hello->software.len <= HELLO_TEXT_MAX && hello->token.len <= HELLO_TEXT_MAX);
    FW_ASSERT(hello->worker.len <= HELLO_TEXT_MAX && hello->epoch.len <= HELLO_TEXT_MAX &&
              hello->expects.len <= HELLO_TEXT_MAX);
    return extra_size(hello->software.len) + extra_size(hello->token.len) +
           2 * (size_t)(EXTRA_HEAD + 8) + 2 * (size_t)(EXTRA_HEAD + 4) +
           extra_size(hello->worker.len) + extra_size(hello->epoch.len) +
           extra_size(hello->expects.len);
}

static unsigned char *put_text(unsigned char *at, unsigned tag, fw_span text)
{
    return text.len > 0 ? put_extra(at, tag, text.ptr, text.len) : at;
}

static void put_hello(unsigned char *at, const fw_hello *hello)
{
    at = put_text(at, HELLO_SOFTWARE, hello->software);
    at = put_text(at, HELLO_TOKEN, hello->token);
    at = put_extra64(at, HELLO_CAPABILITIES, hello->capabilities);
    at = put_extra64(at, HELLO_MESSAGE_MAX, hello->message_max);
    at = put_extra32(at, HELLO_ITEMS_MAX, hello->items_max);
    at = put_extra32(at, HELLO_OPEN_REQUESTS_MAX, hello->open_requests_max);
    at = put_text(at, HELLO_WORKER, hello->worker);
    at = put_text(at, HELLO_EPOCH, hello->epoch);
    put_text(at, HELLO_EXPECTS, hello->expects);
}

size_t fw_frame_hello_size(const fw_hello *hello)
{
    return SHORT_HEAD + hello_bytes(hello);
}

bool fw_frame_add_hello(fw_frame_writer *writer, uint32_t request, const fw_hello *hello)
{
    FW_ASSERT(writer->type == FW_FRAME_ANSWER);
    size_t bytes = hello_bytes(hello);
    unsigned char *at = take_room(writer, SHORT_HEAD + bytes);
    if (at == NULL)
        return false;
    put_head(at, request, 0, FW_RECORD_HELLO, FW_FRAME_VERSION);
    store16(at + 8, (uint16_t)bytes);
    store16(at + 10, 0);
    put_hello(at + SHORT_HEAD, hello);
    return true;
}

/* ---- Requests ---- */

static bool retries_differ(const fw_submission *s)
{
    return s->retry_count != 0 || s->max_retries != 0;
}

static size_t extras_bytes(const fw_submission *s)
{
    return (key_has_text(s->key) ? 0 : extra_size(s->id.len)) +
           (s->eta_wall_ns != 0 ? EXTRA_HEAD + 8 : 0) + (s->timeout_ns != 0 ? EXTRA_HEAD + 8 : 0) +
           (s->result_ttl_ns != 0 ? EXTRA_HEAD + 8 : 0) +
           (retries_differ(s) ? EXTRA_HEAD + RETRY_BYTES : 0) + extra_size(s->callback.len) +
           extra_size(s->options.len);
}

static unsigned char *put_retry(unsigned char *at, const fw_submission *s)
{
    unsigned char bytes[RETRY_BYTES];
    store32(bytes, (uint32_t)s->retry_count);
    store32(bytes + 4, (uint32_t)s->max_retries);
    store_double(bytes + 8, s->retry_delay_s);
    store_double(bytes + 16, s->retry_backoff);
    store_double(bytes + 24, s->retry_backoff_max_s);
    return put_extra(at, EXTRA_RETRY, bytes, sizeof(bytes));
}

static unsigned char *put_extras(unsigned char *at, const fw_submission *s)
{
    if (!key_has_text(s->key) && s->id.len > 0)
        at = put_extra(at, EXTRA_TEXT_ID, s->id.ptr, s->id.len);
    if (s->eta_wall_ns != 0)
        at = put_extra64(at, EXTRA_ETA, (uint64_t)s->eta_wall_ns);
    if (s->timeout_ns != 0)
        at = put_extra64(at, EXTRA_TIMEOUT, (uint64_t)s->timeout_ns);
    if (s->result_ttl_ns != 0)
        at = put_extra64(at, EXTRA_TTL, (uint64_t)s->result_ttl_ns);
    if (retries_differ(s))
        at = put_retry(at, s);
    if (s->callback.len > 0)
        at = put_extra(at, EXTRA_CALLBACK, s->callback.ptr, s->callback.len);
    if (s->options.len > 0)
        at = put_extra(at, EXTRA_OPTIONS, s->options.ptr, s->options.len);
    return at;
}

size_t fw_frame_submission_size(const fw_submission *s)
{
    return item_bytes(s, item_kwargs(s), extras_bytes(s));
}

bool fw_frame_add_submission(fw_frame_writer *writer, const fw_submission *s)
{
    FW_ASSERT(writer->type == FW_FRAME_SUBMIT);
    FW_ASSERT(s->name.len > 0 && s->name.len <= FW_FRAME_NAME_MAX && s->level < FW_LEVELS);
    FW_ASSERT(s->args.len <= UINT32_MAX && s->kwargs.len <= UINT32_MAX);
    size_t kwargs = item_kwargs(s), extras = extras_bytes(s);
    unsigned char *at = NULL;
    if (writer->count < FW_FRAME_ITEMS_MAX)
        at = take_room(writer, item_bytes(s, kwargs, extras));
    if (at == NULL)
        return false;
    at = put_extras(put_item(at, s, kwargs, extras), s);
    FW_ASSERT(at == writer->data + writer->len);
    return true;
}

bool fw_frame_add_query(fw_frame_writer *writer, const fw_query *query)
{
    FW_ASSERT(writer->type == FW_FRAME_QUERY && query->wait_ns >= 0);
    bool bytes = key_has_text(query->key);
    FW_ASSERT(bytes || (query->id.len > 0 && query->id.len <= FW_ID_MAX));
    size_t len = bytes ? 16 : query->id.len;
    unsigned char *at = NULL;
    if (writer->count < FW_FRAME_ITEMS_MAX)
        at = take_room(writer, ASK_HEAD + len);
    if (at == NULL)
        return false;
    int64_t wait_ms = query->wait_ns / 1000000 + (query->wait_ns % 1000000 != 0);
    at[0] = (unsigned char)query->kind;
    at[1] = (unsigned char)(bytes ? 0 : len);
    store16(at + 2, 0);
    store32(at + 4, wait_ms < UINT32_MAX ? (uint32_t)wait_ms : UINT32_MAX);
    if (bytes)
        store_key(at + ASK_HEAD, query->key);
    else
        put_bytes(at + ASK_HEAD, query->id.ptr, len);
    return true;
}

size_t fw_frame_write_ping(void *data, size_t capacity, fw_span bytes)
{
    FW_ASSERT(bytes.len <= FW_FRAME_PING_MAX);
    if (capacity < FW_FRAME_HEADER + bytes.len)
        return 0;
    fw_frame_writer writer;
    fw_frame_begin(&writer, data, capacity, FW_FRAME_PING, 0);
    put_bytes(writer.data + writer.len, bytes.ptr, bytes.len);
    return FW_FRAME_HEADER + bytes.len;
}

size_t fw_frame_write_hello(void *data, size_t capacity, const fw_hello *hello)
{
    size_t bytes = hello_bytes(hello);
    if (capacity < FW_FRAME_HEADER + bytes)
        return 0;
    fw_frame_writer writer;
    fw_frame_begin(&writer, data, capacity, FW_FRAME_HELLO, 0);
    put_hello(writer.data + writer.len, hello);
    return FW_FRAME_HEADER + bytes;
}

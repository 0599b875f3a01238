/* net/frame_answer.c - the records of answers, and what peers say of themselves.
 *
 * fw_frame_open (net/frame_read.c) has checked the structure; here it is only walked.
 * SPDX-License-Identifier: Apache-2.0 */
#include "base/assert.h"
#include "net/frame_extras.h"
#include "net/frame_layout.h"

/* Of a result: the id, when it is another than was sent. */
static fw_span find_id(const unsigned char *at, const unsigned char *end)
{
    if (!extras_are_whole(at, end))
        return (fw_span){NULL, 0};
    for (size_t len; at < end; at += EXTRA_HEAD + len) {
        len = load32(at) >> 8;
        if (at[0] == EXTRA_TEXT_ID && len > 0 && len <= FW_ID_MAX)
            return span_at(at + EXTRA_HEAD, len);
    }
    return (fw_span){NULL, 0};
}

static const unsigned char *take_result(fw_record *out, const unsigned char *at)
{
    unsigned code = at[7];
    size_t result_len = load32(at + 24), error_len = 0, extras_len = 0;
    out->result.started_wall_ns = (int64_t)load64(at + 8);
    out->result.finished_wall_ns = (int64_t)load64(at + 16);
    at += RESULT_HEAD;
    if (code & CODE_HAS_ERROR) {
        error_len = load32(at);
        at += 4;
    }
    if (code & CODE_HAS_EXTRAS) {
        extras_len = load32(at);
        at += 4;
    }
    out->status = code & CODE_STATE;
    out->result.status = out->status;
    out->result.result = span_at(at, result_len);
    if (code & CODE_HAS_ERROR)
        out->result.error = span_at(at + result_len, error_len);
    at += result_len + error_len;
    if (extras_len > 0) {
        out->result.id = find_id(at, at + extras_len);
        take_result_extras(&out->result, &out->progress, at, extras_len);
    }
    return at + extras_len;
}

int fw_frame_next_record(fw_frame *frame, fw_record *out)
{
    FW_ASSERT(frame->type == FW_FRAME_ANSWER && frame->next <= frame->count);
    if (frame->next == frame->count)
        return 0;
    const unsigned char *at = frame->at;
    *out = (fw_record){.kind = at[6], .request = load32(at), .item = load16(at + 4), .count = 1};
    uint16_t number = load16(at + 8), second = load16(at + 10);
    const unsigned char *body = at + SHORT_HEAD;
    switch (out->kind) {
    case FW_RECORD_ACCEPTED:
        out->count = number;
        out->status = at[7] & CODE_STATE;
        if (at[7] & CODE_HAS_IDS)
            out->ids = body;
        body += out->ids != NULL ? 16u * number : 0;
        break;
    case FW_RECORD_REFUSED:
        out->count = number;
        out->err = at[7];
        out->text = span_at(body, second);
        body += second;
        break;
    case FW_RECORD_RESULT:
        body = take_result(out, at);
        break;
    case FW_RECORD_PONG:
    case FW_RECORD_HELLO:
        out->text = span_at(body, number);
        body += number;
        break;
    }
    frame->at = body;
    frame->next++;
    FW_ASSERT(frame->at <= frame->end);
    return 1;
}

int fw_frame_read_hello(fw_hello *out, fw_span extras)
{
    const unsigned char *at = (const unsigned char *)extras.ptr, *end = at + extras.len;
    fw_hello hello = {0};
    if (!extras_are_whole(at, end))
        return -FW_EPROTO;
    while (at < end) {
        size_t len = load32(at) >> 8;
        unsigned tag = at[0];
        at += EXTRA_HEAD;
        if (tag == HELLO_SOFTWARE)
            hello.software = span_at(at, len);
        else if (tag == HELLO_TOKEN)
            hello.token = span_at(at, len);
        else if (tag == HELLO_CAPABILITIES && len == 8)
            hello.capabilities = load64(at);
        else if (tag == HELLO_MESSAGE_MAX && len == 8)
            hello.message_max = load64(at);
        else if (tag == HELLO_ITEMS_MAX && len == 4)
            hello.items_max = load32(at);
        else if (tag == HELLO_OPEN_REQUESTS_MAX && len == 4)
            hello.open_requests_max = load32(at);
        else if (tag == HELLO_WORKER)
            hello.worker = span_at(at, len);
        else if (tag == HELLO_EPOCH)
            hello.epoch = span_at(at, len);
        else if (tag == HELLO_EXPECTS)
            hello.expects = span_at(at, len);
        at += len;
    }
    *out = hello;
    return 0;
}

fw_span fw_frame_ping(const fw_frame *frame)
{
    FW_ASSERT(frame->type == FW_FRAME_PING);
    return span_at(frame->at, (size_t)(frame->end - frame->at));
}

fw_span fw_frame_hello(const fw_frame *frame)
{
    FW_ASSERT(frame->type == FW_FRAME_HELLO);
    return span_at(frame->at, (size_t)(frame->end - frame->at));
}

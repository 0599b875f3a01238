/* net/uplink_say.c - registrations and beats: requests to the control plane's management port.
 *
 * One connection is kept for all of them. A beat that is not answered in time is fine; a late
 * answer is known by its id and passed over. SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>

#include "base/assert.h"
#include "base/clock.h"
#include "net/message_json.h"
#include "net/sp.h"
#include "net/uplink_state.h"

enum { MANAGEMENT_OFFSET = 5, PREFIX = FW_SP_LENGTH_BYTES + FW_SP_WORD_BYTES };

static const int64_t connect_limit_ns = 2 * FW_NS_PER_S;

static int fail(fw_uplink *uplink, fw_stream *stream, int err, const char *what)
{
    snprintf(uplink->why, sizeof uplink->why, "%s", what);
    if (stream == &uplink->management)
        uplink->asked = false;
    fw_stream_close(stream);
    return err;
}

int fw_uplink_dial(fw_uplink *uplink, fw_stream *stream, const fw_address *to, int64_t until_ns)
{
    char where[FW_ADDRESS_MAX], text[FW_UPLINK_WHY];
    fw_endpoint endpoint;
    const char *reason = "";
    if (stream->state == FW_STREAM_READY)
        return 0;
    fw_stream_close(stream);
    int rc = fw_address_resolve(&endpoint, &reason, to);
    if (rc == 0) {
        rc = fw_stream_connect(stream, &endpoint);
        while (rc == 0 && stream->state != FW_STREAM_READY &&
               fw_uplink_wait(uplink, &stream, 1, until_ns))
            rc = fw_stream_advance(stream);
        reason = rc < 0 ? stream->error : "no answer in time";
    }
    if (rc == 0 && stream->state == FW_STREAM_READY)
        return 0;
    fw_address_format(where, sizeof where, to);
    snprintf(text, sizeof text, "%.100s: %.50s", where, reason);
    return fail(uplink, stream, rc < 0 ? rc : -FW_ETIME, text);
}

static fw_span span(const char *text)
{
    return (fw_span){text, text ? strlen(text) : 0};
}

static void write_words(fw_uplink *uplink, fw_buffer *out, const char *status, bool heartbeat)
{
    static const char software[] = "fastworker/" FW_VERSION;
    const fw_uplink_config *config = &uplink->config;
    uplink->offering = !config->compat && fw_now_ns() >= uplink->native_due_ns;
    fw_native_offer offer = {.present = uplink->offering,
                             .version = 1,
                             .slots = config->slots,
                             .impl = {software, sizeof software - 1},
                             .epoch = span(fw_net_epoch(uplink->net)),
                             .pull = span(fw_net_pull_address(uplink->net)),
                             .token = span(config->token),
                             .tasks = config->tasks,
                             .beat_ns = config->beat_ns};
    fw_json_write_registration_request(out, span(config->worker_id), span(config->advertise),
                                       status, heartbeat, &offer);
}

static int send_request(fw_uplink *uplink, fw_span body, int64_t until_ns)
{
    fw_stream *stream = &uplink->management;
    unsigned char prefix[PREFIX];
    union {
        const char *from;
        void *to;
    } bytes = {.from = body.ptr}; /* only read */
    struct iovec parts[2] = {{prefix, PREFIX}, {bytes.to, body.len}};
    int first = 0;
    uplink->request = FW_SP_REQUEST_BIT | (uplink->request + 1);
    fw_sp_length_write(prefix, FW_SP_WORD_BYTES + body.len);
    fw_sp_word_write(prefix + FW_SP_LENGTH_BYTES, uplink->request);
    while (first < 2) {
        ssize_t taken = fw_stream_write(stream, parts + first, 2 - first);
        if (taken < 0)
            return fail(uplink, stream, -FW_ENOCONN, stream->error);
        if (taken == 0 && !fw_uplink_wait(uplink, &stream, 1, until_ns))
            return fail(uplink, stream, -FW_ETIME, "it does not read what it is sent");
        while (first < 2 && (size_t)taken >= parts[first].iov_len)
            taken -= (ssize_t)parts[first++].iov_len;
        if (first < 2) {
            parts[first].iov_base = (char *)parts[first].iov_base + taken;
            parts[first].iov_len -= (size_t)taken;
        }
    }
    return 0;
}

int fw_uplink_tell(fw_uplink *uplink, const char *status, bool heartbeat, int64_t until_ns)
{
    fw_buffer text = {0};
    fw_address management = uplink->peer;
    management.port += MANAGEMENT_OFFSET;
    int64_t connected_ns = fw_now_ns() + connect_limit_ns;
    int rc = fw_uplink_dial(uplink, &uplink->management, &management,
                            connected_ns < until_ns ? connected_ns : until_ns);
    if (rc < 0)
        return rc;
    write_words(uplink, &text, status, heartbeat);
    if (text.failed) {
        snprintf(uplink->why, sizeof uplink->why, "no memory");
        rc = -FW_ENOMEM;
    } else {
        rc = send_request(uplink, (fw_span){text.data, text.len}, until_ns);
        uplink->asked = rc == 0;
        uplink->declining = strcmp(status, "active") != 0;
    }
    fw_buffer_fini(&text);
    return rc;
}

static bool copy(char *out, size_t capacity, fw_span text)
{
    if (text.len >= capacity)
        return false;
    if (text.len > 0)
        memcpy(out, text.ptr, text.len);
    out[text.len] = 0;
    return true;
}

/* => 1, -FW_EINVAL, -FW_EPROTO. */
static int read_answer(fw_uplink *uplink, fw_span body)
{
    fw_native_offer native;
    fw_span error;
    fw_scratch_reset(&uplink->scratch);
    int rc = fw_json_registration_answer_read(&native, &error, &uplink->scratch, body);
    if (rc == -FW_EINVAL)
        snprintf(uplink->why, sizeof uplink->why, "refused: %.*s",
                 error.len < FW_UPLINK_WHY ? (int)error.len : FW_UPLINK_WHY, error.ptr);
    if (rc < 0)
        return rc;
    uplink->answer.native =
        native.present && uplink->offering &&
        copy(uplink->answer.epoch, sizeof uplink->answer.epoch, native.epoch) &&
        copy(uplink->answer.results, sizeof uplink->answer.results, native.results);
    return 1;
}

int fw_uplink_hear(fw_uplink *uplink)
{
    fw_stream *stream = &uplink->management;
    for (;;) {
        fw_span message;
        fw_sp_request answer;
        fw_stream_message got = fw_stream_next(stream, &message);
        if (got == FW_STREAM_NONE) {
            int rc = fw_stream_fill(stream);
            if (rc == 0)
                return 0;
            if (rc < 0)
                return fail(uplink, stream, rc, stream->error);
            continue;
        }
        if (got != FW_STREAM_MESSAGE || !fw_sp_request_read(&answer, message))
            return fail(uplink, stream, -FW_EPROTO, "it does not speak this protocol");
        if (!uplink->asked || answer.id != uplink->request)
            continue;
        uplink->asked = false;
        int rc = read_answer(uplink, answer.body);
        return rc == -FW_EPROTO ? fail(uplink, stream, rc, "an acknowledgement that is none") : rc;
    }
}

int fw_uplink_say(fw_uplink *uplink, const char *status, bool heartbeat, int64_t until_ns)
{
    fw_stream *stream = &uplink->management;
    int rc = fw_uplink_tell(uplink, status, heartbeat, until_ns);
    if (rc < 0)
        return rc;
    while ((rc = fw_uplink_hear(uplink)) == 0) {
        if (!fw_uplink_wait(uplink, &stream, 1, until_ns))
            return fail(uplink, stream, -FW_ETIME, "it does not answer");
    }
    return rc < 0 ? rc : 0;
}

/* net/client_line.c - see net/client_line.h. SPDX-License-Identifier: Apache-2.0 */
#include "net/client_line.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "net/client_ports.h"
#include "net/sp.h"

enum { MESSAGE_MAX = 64 * 1024 * 1024 };
/* From confirmed bytes to "accepted": time for the other process to read what its kernel has. */
#define SETTLE_NS     (20 * FW_NS_PER_MS)
#define GLANCE_NS     (1 * FW_NS_PER_MS)
#define BUSY_NS       (5 * FW_NS_PER_MS)
#define POLL_FIRST_NS (5 * FW_NS_PER_MS)

_Static_assert(FW_LINE_PREFIX == FW_SP_LENGTH_BYTES + FW_SP_WORD_BYTES,
               "what a request begins with");

/* --- errands --- */

void fw_errand_free(fw_errand *errand)
{
    fw_buffer_fini(&errand->message);
    free(errand->id);
    free(errand);
}

fw_errand *fw_errand_create(fw_errand_kind kind, const fw_taker *taker, fw_key key, fw_span id)
{
    char uuid[FW_UUID_TEXT];
    fw_errand *errand = calloc(1, sizeof(*errand));
    if (errand == NULL)
        return NULL;
    if (id.len == 0) {
        fw_key_format(uuid, key);
        id = (fw_span){uuid, sizeof(uuid)};
    }
    errand->kind = kind;
    errand->taker = *taker;
    errand->answers = 1;
    errand->key = key;
    errand->id = strndup(id.ptr, id.len);
    errand->pause_ns = POLL_FIRST_NS;
    fw_buffer_add(&errand->message, "\0\0\0\0\0\0\0\0\0\0\0\0", FW_LINE_PREFIX);
    if (errand->id != NULL && !errand->message.failed)
        return errand;
    fw_errand_free(errand);
    return NULL;
}

bool fw_errand_is_wanted(const fw_errand *errand)
{
    return errand->taker.fn != NULL || errand->taker.waiter != NULL;
}

void fw_errand_answer(fw_client *c, fw_completions *out, fw_errand *errand, fw_answer answer)
{
    fw_taker taker = errand->taker;
    if (!fw_errand_is_wanted(errand))
        return;
    errand->taker = (fw_taker){.fn = NULL};
    answer.key = errand->key;
    answer.id = (fw_span){errand->id, strlen(errand->id)};
    for (size_t i = 0; i < errand->answers; i++) {
        FW_ASSERT(c->in_flight > 0);
        c->in_flight--;
        fw_client_answer(c, out, &taker, &answer);
    }
}

static void fail(fw_client *c, fw_completions *out, fw_line *line, int err, const char *what)
{
    char text[512], where[FW_ADDRESS_MAX];
    fw_address_format(where, sizeof(where), &line->address);
    snprintf(text, sizeof(text), "%s: %s", where, what);
    fw_errand_answer(c, out, line->open, (fw_answer){.err = err, .text = {text, strlen(text)}});
}

/* --- the line --- */

void fw_line_init(fw_line *line, const fw_address *address, const fw_endpoint *endpoint,
                  const fw_tls *tls)
{
    *line = (fw_line){.address = *address, .endpoint = *endpoint};
    fw_stream_init(&line->stream, FW_SP_REQ0, MESSAGE_MAX);
    line->stream.tls = tls;
}

static fw_errand *release_open(fw_line *line)
{
    fw_errand *errand = line->open;
    FW_ASSERT(errand != NULL);
    line->open = NULL;
    fw_port_give_back(&line->address, line);
    return errand;
}

static void finish_open(fw_line *line)
{
    fw_errand_free(release_open(line));
}

void fw_line_fini(fw_line *line)
{
    fw_errand *next;
    fw_stream_close(&line->stream);
    if (line->open != NULL)
        finish_open(line);
    for (fw_errand *errand = line->first; errand != NULL; errand = next) {
        next = errand->next;
        fw_errand_free(errand);
    }
    line->first = line->last = NULL;
}

void fw_line_append(fw_line *line, fw_errand *errand)
{
    errand->next = NULL;
    *(line->first == NULL ? &line->first : &line->last->next) = errand;
    line->last = errand;
}

/* Takes out the first errand that is due. *due: when one will be, if none is. */
static fw_errand *take_due(fw_line *line, int64_t now, int64_t *due)
{
    fw_errand *before = NULL;
    *due = INT64_MAX;
    for (fw_errand *at = line->first; at != NULL; before = at, at = at->next) {
        if (at->due_ns > now) {
            *due = at->due_ns < *due ? at->due_ns : *due;
            continue;
        }
        *(before == NULL ? &line->first : &before->next) = at->next;
        if (line->last == at)
            line->last = before;
        return at;
    }
    return NULL;
}

/* Makes an errand the open one. False: nothing is due, or the port is somebody else's. */
static bool open_next(fw_client *c, fw_line *line, int64_t now)
{
    int64_t due = INT64_MAX;
    if (line->first == NULL)
        return false;
    if (!fw_port_take(&line->address, line)) {
        fw_client_alarm(c, now + BUSY_NS);
        return false;
    }
    line->open = take_due(line, now, &due);
    if (line->open == NULL) {
        fw_port_give_back(&line->address, line);
        fw_client_alarm(c, due);
        return false;
    }
    unsigned char *data = (unsigned char *)line->open->message.data;
    line->request = (line->request + 1) | FW_SP_REQUEST_BIT;
    fw_sp_length_write(data, line->open->message.len - FW_SP_LENGTH_BYTES);
    fw_sp_word_write(data + FW_SP_LENGTH_BYTES, line->request);
    line->open->sent = 0;
    line->open->end_ns = line->open->settled_ns = 0;
    return true;
}

/* The connection is gone. What may have been taken by the other side is not sent again. */
static void broken(fw_client *c, fw_completions *out, fw_lines *lines, fw_line *line)
{
    fw_errand *errand = line->open;
    fw_stream_close(&line->stream);
    if (errand == NULL)
        return;
    bool whole = errand->sent == errand->message.len;
    bool is_question = errand->kind >= FW_ERRAND_GET;
    if (whole && !fw_errand_is_wanted(errand)) {
        finish_open(line);
    } else if (whole && errand->kind == FW_ERRAND_TASK && !errand->accept_only) {
        fw_line_ask_later(c, lines, release_open(line));
    } else if ((!whole || is_question) && errand->tries++ < c->retries) {
        errand->sent = 0;
        errand->end_ns = errand->settled_ns = 0;
        line->retry_ns = fw_now_ns() + fw_client_backoff_ns(errand->tries - 1);
        fw_client_alarm(c, line->retry_ns);
    } else {
        fail(c, out, line, FW_ENOCONN, line->stream.error);
        finish_open(line);
    }
}

/* Gets the connection ready and the bytes out. False: not yet, or it broke. */
static bool send_open(fw_client *c, fw_completions *out, fw_lines *lines, fw_line *line,
                      int64_t now)
{
    fw_errand *errand = line->open;
    fw_stream *stream = &line->stream;
    int rc = 0;
    if (errand->sent == errand->message.len)
        return true;
    if (stream->state == FW_STREAM_CLOSED && line->retry_ns > now) {
        fw_client_alarm(c, line->retry_ns);
        return false;
    }
    if (stream->state == FW_STREAM_CLOSED)
        rc = fw_stream_connect(stream, &line->endpoint);
    if (rc == 0 && stream->state != FW_STREAM_READY)
        rc = fw_stream_advance(stream);
    if (rc == 0 && stream->state == FW_STREAM_READY) {
        struct iovec part = {.iov_base = errand->message.data + errand->sent,
                             .iov_len = errand->message.len - errand->sent};
        ssize_t n = fw_stream_write(stream, &part, 1);
        rc = n < 0 ? (int)n : 0;
        errand->sent += n > 0 ? (size_t)n : 0;
    }
    if (rc < 0) {
        broken(c, out, lines, line);
        return false;
    }
    fw_client_watch(c, stream);
    if (errand->sent < errand->message.len)
        return false;
    errand->end_ns = now + errand->limit_ns;
    return true;
}

/* Decides whether a task counts as accepted. True: and it is over for the line. */
static bool settle(fw_client *c, fw_completions *out, fw_line *line, int64_t now)
{
    fw_errand *errand = line->open;
    if (!(errand->accept_only || errand->delayed) || !fw_errand_is_wanted(errand) ||
        errand->kind != FW_ERRAND_TASK)
        return false;
    if (errand->settled_ns == 0 && fw_stream_unconfirmed(&line->stream) == 0)
        errand->settled_ns = now + SETTLE_NS;
    if (errand->settled_ns == 0 || now < errand->settled_ns) {
        fw_client_alarm(c, errand->settled_ns == 0 ? now + GLANCE_NS : errand->settled_ns);
        return false;
    }
    const fw_result_view view = {.status = errand->delayed ? FW_SCHEDULED : FW_PENDING};
    bool delayed = errand->delayed;
    fw_errand_answer(c, out, errand, (fw_answer){.view = &view});
    if (delayed)
        finish_open(line);
    return delayed;
}

/* True: the open errand is out of time and was ended. */
static bool expire(fw_client *c, fw_completions *out, fw_line *line, int64_t now)
{
    fw_errand *errand = line->open;
    FW_ASSERT(errand->end_ns != 0);
    if (now < errand->end_ns) {
        fw_client_alarm(c, errand->end_ns);
        return false;
    }
    fail(c, out, line, FW_ETIME, "no answer in time");
    fw_stream_close(&line->stream);
    finish_open(line);
    return true;
}

void fw_line_turn(fw_client *c, fw_completions *out, fw_lines *lines, fw_line *line)
{
    for (;;) {
        int64_t now = fw_now_ns();
        if (line->open == NULL && !open_next(c, line, now))
            return;
        if (!send_open(c, out, lines, line, now)) {
            if (line->open != NULL)
                return;
            continue;
        }
        if (!settle(c, out, line, now) && !expire(c, out, line, now))
            return;
    }
}

void fw_line_read(fw_client *c, fw_completions *out, fw_lines *lines, fw_line *line)
{
    fw_span message;
    fw_stream_message got = FW_STREAM_NONE;
    if (line->stream.state != FW_STREAM_READY)
        return;
    int filled = fw_stream_fill(&line->stream);
    while ((got = fw_stream_next(&line->stream, &message)) == FW_STREAM_MESSAGE) {
        fw_sp_request request;
        fw_chunk *chunk = line->stream.in;
        if (!fw_sp_request_read(&request, message)) {
            got = FW_STREAM_BAD;
            break;
        }
        bool is_answer = line->open != NULL && request.id == line->request &&
                         line->open->sent == line->open->message.len;
        fw_chunk_hold(chunk);
        /* Callbacks run inside, and may have opened the next errand of this line already. */
        if (is_answer && fw_line_take_answer(c, out, lines, line, request.body) &&
            line->open == NULL)
            fw_port_give_back(&line->address, line);
        fw_client_run(c, out); /* their results lie in the chunk */
        fw_chunk_drop(chunk);
    }
    if (filled < 0 || got == FW_STREAM_BAD) {
        if (line->stream.state == FW_STREAM_CLOSED || got == FW_STREAM_BAD)
            broken(c, out, lines, line);
    }
}

static size_t forget(fw_errand *errand, const fw_waiter *waiter)
{
    if (errand == NULL || errand->taker.waiter != waiter)
        return 0;
    errand->taker = (fw_taker){.fn = NULL};
    return errand->answers;
}

size_t fw_line_abandon(fw_line *line, const fw_waiter *waiter)
{
    size_t dropped = forget(line->open, waiter);
    fw_errand *before = NULL, *next;
    for (fw_errand *at = line->first; at != NULL; at = next) {
        size_t had = forget(at, waiter);
        next = at->next;
        dropped += had;
        if (had == 0) {
            before = at;
            continue;
        }
        *(before == NULL ? &line->first : &before->next) = next;
        if (line->last == at)
            line->last = before;
        fw_errand_free(at);
    }
    return dropped;
}

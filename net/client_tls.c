/* net/client_tls.c - see net/client_tls.h and net/client_stream.h.
 *
 * What is encrypted lies in the session until the kernel takes it. No more is encrypted while that
 * is much, so a peer that does not read costs a few records. Covered by
 * tests/client/client_tls_test.c. SPDX-License-Identifier: Apache-2.0 */
#include "net/client_tls.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/assert.h"

enum { RECORD_BYTES = 16 * 1024, WAITING_MAX = 64 * 1024 };

struct fw_secret {
    fw_tls_session *session;
    bool holds;             /* there may be more that was decrypted, and that no poll tells of */
    size_t out_at, out_end; /* what the kernel has not taken of out */
    unsigned char out[RECORD_BYTES];
};

int fw_client_tls_begin(fw_stream *stream, const char *host)
{
    snprintf(stream->error, sizeof(stream->error), "out of memory");
    if (stream->tls == NULL) {
        snprintf(stream->error, sizeof(stream->error), "TLS is not set up here");
        return -FW_EINVAL;
    }
    stream->secret = calloc(1, sizeof(*stream->secret));
    if (stream->secret == NULL)
        return -FW_ENOMEM;
    stream->secret->session = fw_tls_session_create(stream->tls, host);
    if (stream->secret->session == NULL) {
        free(stream->secret);
        stream->secret = NULL;
        return -FW_ENOMEM;
    }
    stream->error[0] = '\0';
    return 0;
}

bool fw_client_tls_holds(const fw_stream *stream)
{
    return stream->secret != NULL && stream->secret->holds;
}

size_t fw_client_tls_waiting(const fw_stream *stream)
{
    const struct fw_secret *secret = stream->secret;
    return secret == NULL
               ? 0
               : secret->out_end - secret->out_at + fw_tls_session_waiting(secret->session);
}

/* The session failed. */
static int blame(fw_stream *stream)
{
    const fw_tls_session *session = stream->secret->session;
    stream->fault = fw_tls_session_fault(session);
    FW_ASSERT(stream->fault != 0);
    snprintf(stream->error, sizeof(stream->error), "%s", fw_tls_session_error(session));
    return -1;
}

/* What came goes to the session. 1: something; 0: nothing now; -1: the end, or errno. */
static int feed(fw_stream *stream)
{
    unsigned char bytes[RECORD_BYTES];
    ssize_t n = fw_transport_tcp.read(stream, bytes, sizeof(bytes));
    if (n > 0 && !fw_tls_session_feed(stream->secret->session, bytes, (size_t)n)) {
        errno = ENOMEM;
        return -1;
    }
    return n > 0 ? 1 : (int)n;
}

/* The peer does not read any more; perhaps it has said why. */
static int hear_last_word(fw_stream *stream)
{
    int reason = errno;
    char byte;
    while (feed(stream) > 0)
        ;
    if (fw_tls_session_read(stream->secret->session, &byte, 1) < 0)
        return blame(stream);
    errno = reason;
    return -1;
}

static ssize_t tls_flush(fw_stream *stream)
{
    struct fw_secret *secret = stream->secret;
    for (;;) {
        if (secret->out_at == secret->out_end) {
            secret->out_at = 0;
            secret->out_end =
                fw_tls_session_take(secret->session, secret->out, sizeof(secret->out));
        }
        if (secret->out_end == 0)
            return 0;
        struct iovec part = {secret->out + secret->out_at, secret->out_end - secret->out_at};
        ssize_t n = fw_transport_tcp.write(stream, &part, 1);
        if (n < 0)
            return hear_last_word(stream);
        if (n == 0)
            return (ssize_t)fw_client_tls_waiting(stream);
        secret->out_at += (size_t)n;
    }
}

/* Sees to it that POLLOUT is waited for. */
static int flush_now(fw_stream *stream)
{
    ssize_t left = tls_flush(stream);
    stream->write_blocked = left > 0;
    return left < 0 ? -1 : 0;
}

static int tls_greet(fw_stream *stream)
{
    for (;;) {
        int done = fw_tls_session_greet(stream->secret->session);
        if (flush_now(stream) < 0)
            return -1;
        if (done != 0)
            return done < 0 ? blame(stream) : 1;
        int fed = feed(stream);
        if (fed <= 0)
            return fed;
    }
}

/* All that the session has, or else what one read of the socket brings. */
static ssize_t tls_read(fw_stream *stream, void *into, size_t capacity)
{
    struct fw_secret *secret = stream->secret;
    bool again = secret->holds;
    size_t total = 0;
    for (;;) {
        ssize_t n = fw_tls_session_read(secret->session, (char *)into + total, capacity - total);
        total += n > 0 ? (size_t)n : 0;
        secret->holds = total == capacity;
        if (n > 0 && !secret->holds)
            continue;
        if (total > 0 || n < 0)
            return total > 0 ? (ssize_t)total : blame(stream);
        int fed = again ? 0 : feed(stream);
        if (fed <= 0)
            return fed;
    }
}

static ssize_t tls_write(fw_stream *stream, const struct iovec *parts, int count)
{
    size_t taken = 0, at = 0;
    for (int i = 0; i < count && fw_client_tls_waiting(stream) < WAITING_MAX;) {
        if (at == parts[i].iov_len) {
            i++;
            at = 0;
            continue;
        }
        ssize_t n = fw_tls_session_write(
            stream->secret->session, (const char *)parts[i].iov_base + at, parts[i].iov_len - at);
        if (n < 0)
            return blame(stream);
        if (n == 0)
            break;
        at += (size_t)n;
        taken += (size_t)n;
        if (tls_flush(stream) < 0)
            return -1;
    }
    return (ssize_t)taken;
}

static void tls_close(fw_stream *stream)
{
    if (stream->secret == NULL)
        return;
    fw_tls_session_destroy(stream->secret->session);
    free(stream->secret);
    stream->secret = NULL;
}

const fw_transport fw_transport_tls = {.greet = tls_greet,
                                       .read = tls_read,
                                       .write = tls_write,
                                       .flush = tls_flush,
                                       .close = tls_close};

/* net/pair.c - see net/pair.h. SPDX-License-Identifier: Apache-2.0 */
#include "net/pair.h"

#include <stdlib.h>

#include <nng/nng.h>

#include "base/assert.h"
#include "base/atomic.h"
#include "base/clock.h"
#include "net/sp.h"

/* What NNG has completed since the last look. */
enum { DIALED = 1, SENT = 2, RECEIVED = 4 };
enum { IGNORED_BYTES = 256 };

struct fw_pair {
    /* Immutable after dial. */
    void (*wake)(void *context);
    void *context;
    nng_duration limit;
    nng_stream_dialer *dialer;
    nng_aio *dial, *send, *receive;
    /* Owner only. */
    fw_pair_state state;
    nng_stream *stream;
    fw_span sending; /* what is left of it */
    unsigned char hello[FW_SP_HANDSHAKE_BYTES];
    unsigned char in[IGNORED_BYTES]; /* the peer's handshake, then what it says */
    size_t greeted;                  /* bytes of its handshake */
    /* Shared. */
    fw_atomic(uint32_t) done;
};

static void mark(fw_pair *pair, uint32_t what)
{
    /* [pair-done] release: the operation's outcome, to the owner.
     * [pair-look] acquire: nothing; the owner's look takes the marks. */
    fw_or_acq_rel(&pair->done, what);
    pair->wake(pair->context);
}

static void on_dialed(void *pair)
{
    mark(pair, DIALED);
}

static void on_sent(void *pair)
{
    mark(pair, SENT);
}

static void on_received(void *pair)
{
    mark(pair, RECEIVED);
}

static void start_send(fw_pair *pair)
{
    union {
        const char *from;
        void *to;
    } bytes = {.from = pair->sending.ptr}; /* NNG only reads them */
    nng_iov part = {bytes.to, pair->sending.len};
    FW_ASSERT(part.iov_len > 0 && nng_aio_set_iov(pair->send, 1, &part) == 0);
    nng_stream_send(pair->stream, pair->send);
}

static void start_receive(fw_pair *pair)
{
    bool greeting = pair->greeted < FW_SP_HANDSHAKE_BYTES;
    nng_iov part = {pair->in, sizeof pair->in};
    if (greeting)
        part = (nng_iov){pair->in + pair->greeted, FW_SP_HANDSHAKE_BYTES - pair->greeted};
    nng_aio_set_timeout(pair->receive, greeting ? pair->limit : NNG_DURATION_INFINITE);
    FW_ASSERT(nng_aio_set_iov(pair->receive, 1, &part) == 0);
    nng_stream_recv(pair->stream, pair->receive);
}

static void after_dial(fw_pair *pair)
{
    if (nng_aio_result(pair->dial) != 0) {
        pair->state = FW_PAIR_LOST;
        return;
    }
    pair->stream = nng_aio_get_output(pair->dial, 0);
    nng_stream_set_bool(pair->stream, NNG_OPT_TCP_NODELAY, true);
    pair->sending = (fw_span){(const char *)pair->hello, sizeof pair->hello};
    start_send(pair);
    start_receive(pair);
}

static void after_send(fw_pair *pair)
{
    size_t count = nng_aio_count(pair->send);
    if (nng_aio_result(pair->send) != 0 || count > pair->sending.len) {
        pair->state = FW_PAIR_LOST;
        return;
    }
    pair->sending.ptr += count;
    pair->sending.len -= count;
    if (pair->sending.len > 0)
        start_send(pair);
    else if (pair->state == FW_PAIR_SENDING)
        pair->state = FW_PAIR_READY;
}

static void after_receive(fw_pair *pair)
{
    if (nng_aio_result(pair->receive) != 0) {
        pair->state = FW_PAIR_LOST;
        return;
    }
    if (pair->greeted < FW_SP_HANDSHAKE_BYTES) {
        pair->greeted += nng_aio_count(pair->receive);
        if (pair->greeted == FW_SP_HANDSHAKE_BYTES &&
            fw_sp_handshake_read(pair->in) != FW_SP_PAIR0) {
            pair->state = FW_PAIR_LOST;
            return;
        }
    }
    start_receive(pair);
}

fw_pair_state fw_pair_advance(fw_pair *pair)
{
    /* [pair-done] acquire: the outcomes of what is marked.
     * [pair-look] release: nothing; a later mark finds the word empty. */
    uint32_t done = fw_swap_acq_rel(&pair->done, 0);
    if ((done & DIALED) && pair->state != FW_PAIR_LOST)
        after_dial(pair);
    if ((done & SENT) && pair->state != FW_PAIR_LOST)
        after_send(pair);
    if ((done & RECEIVED) && pair->state != FW_PAIR_LOST)
        after_receive(pair);
    if (pair->state == FW_PAIR_CONNECTING && pair->stream && pair->sending.len == 0 &&
        pair->greeted == FW_SP_HANDSHAKE_BYTES)
        pair->state = FW_PAIR_READY;
    return pair->state;
}

void fw_pair_send(fw_pair *pair, fw_span message)
{
    FW_ASSERT(pair->state == FW_PAIR_READY && message.len > 0);
    pair->sending = message;
    pair->state = FW_PAIR_SENDING;
    start_send(pair);
}

fw_pair *fw_pair_dial(const char *address, int64_t limit_ns, void (*wake)(void *context),
                      void *context)
{
    fw_pair *pair = calloc(1, sizeof *pair);
    if (!pair)
        return NULL;
    pair->wake = wake;
    pair->context = context;
    pair->limit = (nng_duration)(limit_ns / FW_NS_PER_MS);
    pair->state = FW_PAIR_CONNECTING;
    fw_sp_handshake_write(pair->hello, FW_SP_PAIR0);
    if (nng_aio_alloc(&pair->dial, on_dialed, pair) != 0 ||
        nng_aio_alloc(&pair->send, on_sent, pair) != 0 ||
        nng_aio_alloc(&pair->receive, on_received, pair) != 0 ||
        nng_stream_dialer_alloc(&pair->dialer, address) != 0) {
        pair->state = FW_PAIR_LOST;
        fw_pair_destroy(pair);
        return NULL;
    }
    nng_aio_set_timeout(pair->dial, pair->limit);
    nng_aio_set_timeout(pair->send, pair->limit);
    nng_stream_dialer_dial(pair->dialer, pair->dial);
    return pair;
}

void fw_pair_hang_up(fw_pair *pair)
{
    nng_stream_dialer_close(pair->dialer);
    nng_aio_stop(pair->dial);
    nng_aio_stop(pair->send);
    nng_aio_stop(pair->receive);
    /* Dialed, and nobody looked. */
    if (!pair->stream && nng_aio_result(pair->dial) == 0)
        pair->stream = nng_aio_get_output(pair->dial, 0);
    if (pair->stream)
        nng_stream_close(pair->stream);
    pair->state = FW_PAIR_LOST;
}

void fw_pair_destroy(fw_pair *pair)
{
    FW_ASSERT(pair->state == FW_PAIR_LOST);
    nng_aio_free(pair->dial);
    nng_aio_free(pair->send);
    nng_aio_free(pair->receive);
    nng_stream_dialer_free(pair->dialer);
    nng_stream_free(pair->stream);
    free(pair);
}

/* net/connection_tls.c - see net/connection_tls.h.
 *
 * park-note: before the greetings are over nothing can be encrypted, so the sender may hold the
 * duty with parcels and nothing to send. It parks the duty under the lock; the reader, who moves
 * the greeting on under the same lock, takes it up when there is something to send. If the duty is
 * not parked, the reader posts a parcel of no bytes: it makes him the sender, or tells the one
 * there is.
 *
 * A session that failed may have a last word (an alert that tells why). It is sent, then the
 * connection closes. SPDX-License-Identifier: Apache-2.0 */
#include "net/connection_tls.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "net/connection_state.h"

enum {
    IN_BYTES = 16 * 1024,
    OUT_ENOUGH = 32 * 1024,            /* encrypted for one send, */
    OUT_BYTES = OUT_ENOUGH + 18 * 1024 /* and a record more */
};

struct fw_connection_tls {
    pthread_mutex_t lock;
    /* Under lock. */
    fw_tls_session *session;
    bool parked; /* see park-note */
    bool over;
    /* The sender's. */
    size_t out_len, out_sent;
    size_t plain; /* bytes of parcels that `out` says */
    unsigned char out[OUT_BYTES];
    /* The reader's. */
    unsigned char in[IN_BYTES];
};

fw_connection_tls *fw_connection_tls_create(const fw_port *port)
{
    fw_connection_tls *tls = malloc(sizeof *tls);
    fw_tls_session *session = tls ? fw_tls_session_create(port->tls, port->host) : NULL;
    if (!session) {
        free(tls);
        return NULL;
    }
    FW_ASSERT(pthread_mutex_init(&tls->lock, NULL) == 0);
    tls->session = session;
    tls->parked = tls->over = false;
    tls->out_len = tls->out_sent = tls->plain = 0;
    return tls;
}

void fw_connection_tls_destroy(fw_connection_tls *tls)
{
    if (!tls)
        return;
    fw_tls_session_destroy(tls->session);
    pthread_mutex_destroy(&tls->lock);
    free(tls);
}

void fw_connection_tls_error(fw_connection_tls *tls, char out[FW_TLS_ERROR_MAX])
{
    pthread_mutex_lock(&tls->lock);
    snprintf(out, FW_TLS_ERROR_MAX, "%s", fw_tls_session_error(tls->session));
    pthread_mutex_unlock(&tls->lock);
}

static void end(fw_connection *c)
{
    fw_connection_tls *tls = c->tls;
    pthread_mutex_lock(&tls->lock);
    bool greeted = fw_tls_session_is_ready(tls->session);
    pthread_mutex_unlock(&tls->lock);
    fw_connection_close(c, greeted ? FW_CLOSED_BY_PEER : FW_CLOSED_BY_HANDSHAKE);
}

/* ---- The reader's ---- */

nng_iov fw_connection_tls_room(fw_connection_tls *tls)
{
    return (nng_iov){tls->in, sizeof tls->in};
}

bool fw_connection_tls_feed(fw_connection_tls *tls, size_t count)
{
    FW_ASSERT(count <= sizeof tls->in);
    pthread_mutex_lock(&tls->lock);
    bool fed = fw_tls_session_feed(tls->session, tls->in, count);
    pthread_mutex_unlock(&tls->lock);
    return fed;
}

/* Under lock. */
static int fill(fw_connection *c)
{
    fw_connection_tls *tls = c->tls;
    size_t before = c->in_end;
    while (!tls->over && c->in_end < c->in_capacity) {
        ssize_t n =
            fw_tls_session_read(tls->session, c->in + c->in_end, c->in_capacity - c->in_end);
        if (n == 0)
            break;
        tls->over = n < 0;
        c->in_end += n > 0 ? (size_t)n : 0;
    }
    if (c->in_end > before || c->in_end == c->in_capacity)
        return 1;
    return tls->over ? -1 : 0;
}

static void nudge(fw_connection *c)
{
    fw_parcel *parcel = fw_parcel_create(&c->exchange->parcels, 0);
    if (parcel)
        fw_connection_post(c, parcel);
    else
        fw_connection_close(c, FW_CLOSED_BY_US);
}

int fw_connection_tls_fill(fw_connection *c)
{
    fw_connection_tls *tls = c->tls;
    pthread_mutex_lock(&tls->lock);
    int outcome = fill(c);
    bool waits = fw_tls_session_waiting(tls->session) > 0;
    bool duty = tls->parked && (waits || tls->over || fw_tls_session_is_ready(tls->session));
    if (duty)
        tls->parked = false;
    pthread_mutex_unlock(&tls->lock);
    if (duty)
        fw_connection_transmit(c);
    else if (waits)
        nudge(c);
    else if (outcome < 0)
        end(c);
    return outcome;
}

/* ---- The sender's ---- */

static void drop_nudges(fw_connection *c)
{
    while (c->sending && c->sending->len == 0) {
        fw_parcel *next = c->sending->next;
        fw_parcel_destroy(c->sending);
        c->sending = next;
    }
}

/* Encrypts parcels until it is enough. Under lock. */
static void encrypt(fw_connection *c)
{
    fw_connection_tls *tls = c->tls;
    fw_parcel *parcel = c->sending;
    size_t at = parcel->sent;
    while (parcel && !tls->over && fw_tls_session_waiting(tls->session) < OUT_ENOUGH) {
        if (at == parcel->len) {
            parcel = parcel->next;
            at = 0;
            continue;
        }
        ssize_t n = fw_tls_session_write(tls->session, parcel->bytes + at, parcel->len - at);
        if (n == 0)
            return;
        tls->over = n < 0;
        at += n > 0 ? (size_t)n : 0;
        tls->plain += n > 0 ? (size_t)n : 0;
    }
}

/* => true: there is something in `out`. False: the duty is parked, or has ended, or *over. Under
 * lock. */
static bool prepare(fw_connection *c, bool *over)
{
    fw_connection_tls *tls = c->tls;
    if (tls->out_sent < tls->out_len)
        return true;
    tls->out_len = tls->out_sent = 0;
    drop_nudges(c);
    /* What the session has to say itself goes first: without a parcel there may be no other. */
    while (!c->sending && !tls->over && fw_tls_session_waiting(tls->session) == 0) {
        c->sending = fw_outbox_collect(&c->outbox);
        if (!c->sending)
            return false;
        drop_nudges(c);
    }
    if (c->sending)
        encrypt(c);
    tls->out_len = fw_tls_session_take(tls->session, tls->out, sizeof tls->out);
    *over = tls->over && tls->out_len == 0;
    tls->parked = !tls->over && tls->out_len == 0;
    return tls->out_len > 0;
}

fw_span fw_connection_tls_next(fw_connection *c)
{
    fw_connection_tls *tls = c->tls;
    bool over = false;
    pthread_mutex_lock(&tls->lock);
    bool ready = prepare(c, &over);
    fw_span part = {(const char *)tls->out + tls->out_sent, tls->out_len - tls->out_sent};
    pthread_mutex_unlock(&tls->lock);
    if (over)
        end(c);
    return ready ? part : (fw_span){NULL, 0};
}

size_t fw_connection_tls_sent(fw_connection_tls *tls, size_t count)
{
    FW_ASSERT(count <= tls->out_len - tls->out_sent);
    tls->out_sent += count;
    if (tls->out_sent < tls->out_len)
        return 0;
    size_t plain = tls->plain;
    tls->plain = 0;
    return plain;
}

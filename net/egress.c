/* net/egress.c - see net/egress.h.
 *
 * While a frame is open, the parcel's len stands where its SP message begins; closing the frame
 * writes the length word and moves len behind it. SPDX-License-Identifier: Apache-2.0 */
#include "net/egress.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/rcu.h"
#include "net/connection.h"
#include "net/sp.h"

enum {
    PLACES = 8,                  /* connections that a thread answers in turns */
    TEXT_KEPT_MAX = 1024 * 1024, /* larger texts are given back when the thread flushes */
    PREFIX_MAX = FW_SP_LENGTH_BYTES + FW_DETOUR_BYTES
};

typedef struct gather_place {
    uint64_t connection; /* 0: nobody's */
    fw_parcel *parcel;   /* NULL, or room; empty between two uses */
    uint64_t turn;       /* when it was used last */
    size_t prefix;       /* bytes before the open frame: length and words; 0: no frame is open */
    bool detoured;       /* the open frame goes a longer way back, alone */
    fw_frame_writer writer;
} gather_place;

struct fw_gather {
    /* Immutable after create; next under the exchange's lock. */
    fw_exchange *exchange;
    fw_gather *next;
    pthread_t owner;
    /* Owner only. */
    uint64_t turn;
    unsigned filled; /* places that may hold something, by bits */
    gather_place *last;
    gather_place places[PLACES];
    fw_buffer text;
    fw_scratch scratch;
    /* Shared between one owner and the next thread that gets its pthread id. */
    fw_atomic(uint64_t) rests;
};

static _Thread_local struct {
    uint64_t serial;
    fw_gather *gather;
} mine;

/* ---- Parcels ---- */

static void close_frame(gather_place *place)
{
    if (place->prefix == 0)
        return;
    fw_parcel *parcel = place->parcel;
    size_t prefix = place->prefix;
    place->prefix = 0;
    if (place->writer.count == 0)
        return;
    size_t len = prefix + fw_frame_end(&place->writer);
    FW_ASSERT(len <= parcel->capacity - parcel->len);
    fw_sp_length_write(parcel->bytes + parcel->len, len - FW_SP_LENGTH_BYTES);
    parcel->len += len;
    parcel->messages++;
}

/* A short content moves to a small parcel, and the large one stays with the thread. */
static fw_parcel *pack(fw_exchange *exchange, gather_place *place)
{
    fw_parcel *parcel = place->parcel;
    if (parcel->len <= FW_PARCEL_SMALL && parcel->capacity > FW_PARCEL_SMALL) {
        fw_parcel *small = fw_parcel_create(&exchange->parcels, parcel->len);
        if (small) {
            memcpy(small->bytes, parcel->bytes, parcel->len);
            small->len = parcel->len;
            small->answers = parcel->answers;
            small->messages = parcel->messages;
            parcel->len = 0;
            parcel->answers = parcel->messages = 0;
            return small;
        }
    }
    place->parcel = NULL;
    return parcel;
}

static void hand_over(fw_exchange *exchange, gather_place *place)
{
    close_frame(place);
    fw_parcel *parcel = place->parcel;
    if (!parcel || parcel->len == 0)
        return;
    fw_rcu_read_lock();
    fw_connection *connection = fw_exchange_find(exchange, place->connection);
    if (connection) {
        fw_connection_post(connection, pack(exchange, place));
    } else {
        /* Relaxed: a figure to be shown. */
        fw_add_relaxed(&exchange->traffic.answers_dropped, parcel->messages);
        parcel->len = 0;
        parcel->answers = parcel->messages = 0;
    }
    fw_rcu_read_unlock();
}

/* The place of that connection, or the one that was used least recently. */
static gather_place *place_for(fw_gather *gather, uint64_t connection)
{
    gather_place *found = gather->last;
    if (FW_LIKELY(found->connection == connection))
        return found;
    found->turn = ++gather->turn;
    for (unsigned i = 0; i < PLACES; i++) {
        gather_place *p = &gather->places[i];
        if (p->connection == connection) {
            found = p;
            break;
        }
        if (p->turn < found->turn)
            found = p;
    }
    if (found->connection != connection) {
        hand_over(gather->exchange, found);
        found->connection = connection;
    }
    found->turn = ++gather->turn;
    gather->last = found;
    return found;
}

/* Room for n bytes behind what is gathered. => false: no memory. */
static bool make_room(fw_gather *gather, gather_place *place, size_t n)
{
    FW_ASSERT(place->prefix == 0);
    gather->filled |= 1u << (place - gather->places);
    if (place->parcel && place->parcel->capacity - place->parcel->len >= n)
        return true;
    hand_over(gather->exchange, place);
    if (place->parcel && place->parcel->capacity >= n)
        return true;
    fw_parcel_destroy(place->parcel);
    place->parcel =
        fw_parcel_create(&gather->exchange->parcels, n < FW_PARCEL_LARGE ? FW_PARCEL_LARGE : n);
    return place->parcel != NULL;
}

/* The words that lead back. => their length; 0: unknown. */
static size_t way_back(fw_exchange *exchange, unsigned char out[FW_DETOUR_BYTES],
                       const fw_reply_to *reply)
{
    if (FW_LIKELY(reply->detour == 0)) {
        fw_sp_word_write(out, reply->request | FW_SP_REQUEST_BIT);
        return FW_SP_WORD_BYTES;
    }
    size_t len = 0;
    fw_rcu_read_lock();
    fw_connection *connection = fw_exchange_find(exchange, reply->connection);
    if (connection)
        len = fw_detours_read(fw_connection_detours(connection), out, reply->detour);
    fw_rcu_read_unlock();
    return len;
}

static __attribute__((noinline)) void end_detour(fw_exchange *exchange, const fw_reply_to *reply,
                                                 uint32_t uses)
{
    if (reply->detour == 0 || uses == 0)
        return;
    fw_rcu_read_lock();
    fw_connection *connection = fw_exchange_find(exchange, reply->connection);
    if (connection)
        fw_detours_end(fw_connection_detours(connection), reply->detour, uses);
    fw_rcu_read_unlock();
}

void fw_gather_give_up(fw_gather *gather, const fw_reply_to *reply)
{
    fw_exchange *exchange = gather->exchange;
    /* Relaxed: a figure to be shown. */
    fw_add_relaxed(&exchange->traffic.answers_dropped, 1);
    fw_rcu_read_lock();
    fw_connection *connection = fw_exchange_find(exchange, reply->connection);
    if (connection)
        fw_connection_close(connection, FW_CLOSED_BY_US);
    fw_rcu_read_unlock();
}

/* ---- Answers ---- */

void fw_gather_message(fw_gather *gather, const fw_reply_to *reply, fw_span body, uint32_t finishes)
{
    FW_ASSERT(reply->connection != 0);
    unsigned char words[FW_DETOUR_BYTES];
    size_t words_len = way_back(gather->exchange, words, reply);
    gather_place *place = place_for(gather, reply->connection);
    close_frame(place);
    size_t len = FW_SP_LENGTH_BYTES + words_len + body.len;
    if (words_len == 0 || !make_room(gather, place, len)) {
        fw_gather_give_up(gather, reply);
        return;
    }
    fw_parcel *parcel = place->parcel;
    unsigned char *at = parcel->bytes + parcel->len;
    fw_sp_length_write(at, words_len + body.len);
    memcpy(at + FW_SP_LENGTH_BYTES, words, words_len);
    if (body.len > 0)
        memcpy(at + FW_SP_LENGTH_BYTES + words_len, body.ptr, body.len);
    parcel->len += len;
    parcel->messages++;
    parcel->answers += finishes;
    end_detour(gather->exchange, reply, finishes);
}

/* Closes the open frame, if there is one, and begins another. */
static __attribute__((noinline)) fw_frame_writer *begin_frame(fw_gather *gather,
                                                              const fw_reply_to *reply, size_t size)
{
    FW_ASSERT(reply->connection != 0 && reply->form == FW_REPLY_FRAME);
    unsigned char words[FW_DETOUR_BYTES];
    gather_place *place = place_for(gather, reply->connection);
    close_frame(place);
    size_t words_len = way_back(gather->exchange, words, reply);
    if (words_len == 0 || !make_room(gather, place, PREFIX_MAX + FW_FRAME_HEADER + size)) {
        fw_gather_give_up(gather, reply);
        return NULL;
    }
    fw_parcel *parcel = place->parcel;
    unsigned char *at = parcel->bytes + parcel->len;
    place->prefix = FW_SP_LENGTH_BYTES + words_len;
    place->detoured = reply->detour != 0;
    memcpy(at + FW_SP_LENGTH_BYTES, words, words_len);
    fw_frame_begin(&place->writer, at + place->prefix,
                   parcel->capacity - parcel->len - place->prefix, FW_FRAME_ANSWER, 0);
    return &place->writer;
}

/* A frame that goes the direct way takes records for all requests of its connection. */
static inline bool joins(const gather_place *place, const fw_reply_to *reply, size_t size)
{
    return place->connection == reply->connection && place->prefix > 0 && !place->detoured &&
           reply->detour == 0 && place->writer.capacity - place->writer.len >= size &&
           place->writer.count < FW_FRAME_ITEMS_MAX;
}

static inline bool joins_leases(const gather_place *place, uint64_t connection, size_t size)
{
    return place->connection == connection && place->prefix > 0 &&
           place->writer.type == FW_FRAME_RESULTS &&
           place->writer.capacity - place->writer.len >= size &&
           place->writer.count < FW_FRAME_ITEMS_MAX;
}

static __attribute__((noinline)) fw_frame_writer *begin_leases(fw_gather *gather,
                                                               uint64_t connection, size_t size)
{
    gather_place *place = place_for(gather, connection);
    if (joins_leases(place, connection, size))
        return &place->writer;
    close_frame(place);
    if (!make_room(gather, place, PREFIX_MAX + FW_FRAME_HEADER + size)) {
        fw_reply_to reply = {.connection = connection};
        fw_gather_give_up(gather, &reply);
        return NULL;
    }
    fw_parcel *parcel = place->parcel;
    place->prefix = FW_SP_LENGTH_BYTES;
    place->detoured = false;
    fw_frame_begin(&place->writer, parcel->bytes + parcel->len + place->prefix,
                   parcel->capacity - parcel->len - place->prefix, FW_FRAME_RESULTS, 0);
    return &place->writer;
}

fw_frame_writer *fw_gather_leases(fw_gather *gather, uint64_t connection, size_t size)
{
    gather_place *place = gather->last;
    return FW_LIKELY(joins_leases(place, connection, size))
               ? &place->writer
               : begin_leases(gather, connection, size);
}

/* Not the connection that was answered last, or its frame is full. */
static __attribute__((noinline)) fw_frame_writer *
another_frame(fw_gather *gather, const fw_reply_to *reply, size_t size)
{
    gather_place *place = place_for(gather, reply->connection);
    return joins(place, reply, size) ? &place->writer : begin_frame(gather, reply, size);
}

fw_frame_writer *fw_gather_frame(fw_gather *gather, const fw_reply_to *reply, size_t size)
{
    gather_place *place = gather->last;
    return FW_LIKELY(joins(place, reply, size)) ? &place->writer
                                                : another_frame(gather, reply, size);
}

void fw_gather_recorded(fw_gather *gather, const fw_reply_to *reply, uint32_t finishes)
{
    gather_place *place = gather->last;
    FW_DEBUG_ASSERT(place->connection == reply->connection && place->prefix > 0);
    place->parcel->answers += finishes;
    if (FW_UNLIKELY(reply->detour != 0))
        end_detour(gather->exchange, reply, finishes);
}

void fw_gather_flush(fw_gather *gather)
{
    for (; gather->filled != 0; gather->filled &= gather->filled - 1)
        hand_over(gather->exchange, &gather->places[__builtin_ctz(gather->filled)]);
    if (gather->text.capacity > TEXT_KEPT_MAX) {
        fw_buffer_fini(&gather->text);
        gather->text = (fw_buffer){NULL, 0, 0, false};
    }
    /* [egress-rest] release: a thread that ends has flushed; the next with its id finds it so. */
    fw_store_release(&gather->rests, gather->turn);
}

fw_buffer *fw_gather_text(fw_gather *gather)
{
    gather->text.len = 0;
    gather->text.failed = false;
    return &gather->text;
}

fw_scratch *fw_gather_scratch(fw_gather *gather)
{
    return &gather->scratch;
}

/* ---- Which gather is this thread's ---- */

static fw_gather *create(fw_exchange *exchange)
{
    fw_gather *gather = calloc(1, sizeof *gather);
    if (!gather)
        return NULL;
    gather->exchange = exchange;
    gather->owner = pthread_self();
    gather->last = &gather->places[0];
    gather->next = exchange->gathers;
    exchange->gathers = gather;
    return gather;
}

static fw_gather *look_up(fw_exchange *exchange)
{
    pthread_mutex_lock(&exchange->lock);
    fw_gather *gather = exchange->gathers;
    while (gather && !pthread_equal(gather->owner, pthread_self()))
        gather = gather->next;
    if (gather) {
        /* [egress-rest] acquire: what the thread that had this id before left behind. */
        (void)fw_load_acquire(&gather->rests);
    } else {
        gather = create(exchange);
    }
    pthread_mutex_unlock(&exchange->lock);
    if (gather) {
        mine.serial = exchange->serial;
        mine.gather = gather;
    }
    return gather;
}

fw_gather *fw_egress_mine(fw_exchange *exchange)
{
    return FW_LIKELY(mine.serial == exchange->serial) ? mine.gather : look_up(exchange);
}

void fw_egress_flush(fw_exchange *exchange)
{
    fw_gather *gather = fw_egress_mine(exchange);
    if (gather)
        fw_gather_flush(gather);
}

void fw_egress_fini(fw_exchange *exchange)
{
    while (exchange->gathers) {
        fw_gather *gather = exchange->gathers;
        exchange->gathers = gather->next;
        for (unsigned i = 0; i < PLACES; i++)
            fw_parcel_destroy(gather->places[i].parcel);
        fw_buffer_fini(&gather->text);
        fw_scratch_fini(&gather->scratch);
        free(gather);
    }
}

/* => NULL: no memory. */
static fw_parcel *pack_messages(fw_exchange *exchange, const fw_span *messages, size_t count,
                                size_t size)
{
    fw_parcel *parcel = fw_parcel_create(&exchange->parcels, size);
    if (!parcel)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        fw_sp_length_write(parcel->bytes + parcel->len, messages[i].len);
        parcel->len += FW_SP_LENGTH_BYTES;
        memcpy(parcel->bytes + parcel->len, messages[i].ptr, messages[i].len);
        parcel->len += messages[i].len;
    }
    parcel->messages = (uint32_t)count;
    FW_ASSERT(parcel->len == size);
    return parcel;
}

bool fw_egress_post(fw_exchange *exchange, uint64_t number, const fw_span *messages, size_t count)
{
    FW_ASSERT(count > 0);
    fw_parcel *parcel = NULL;
    size_t size = 0;
    for (size_t i = 0; i < count; i++)
        size += FW_SP_LENGTH_BYTES + messages[i].len;
    fw_rcu_read_lock();
    fw_connection *connection = fw_exchange_find(exchange, number);
    if (connection && fw_connection_unsent(connection) + size <= exchange->limits.unsent_bytes_max)
        parcel = pack_messages(exchange, messages, count, size);
    if (parcel)
        fw_connection_post(connection, parcel);
    fw_rcu_read_unlock();
    return parcel != NULL;
}

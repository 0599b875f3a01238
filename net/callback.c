/* net/callback.c - see net/callback.h.
 *
 * Posting threads and NNG's callbacks only touch what is under the lock: the inbox and the bell.
 * Lines, notices and connections belong to the thread, which looks at every line whenever the bell
 * rings or something is due.
 *
 *   a line    RESTING --dial--> CALLING --ready--> CALLING ... --nothing left to say or to watch-->
 * gone
 *                ^------ lost or not reached, pause ------'
 *
 * A notice that was sent stays in `watched`, oldest first, until WATCH_NS have passed; if the
 * connection is lost before, it goes back to the front of the queue. SPDX-License-Identifier:
 * Apache-2.0 */
#include "net/callback.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/atomic.h"
#include "base/clock.h"
#include "base/log.h"
#include "net/address.h"
#include "net/pair.h"
#include "net/sp.h"

#define LIMIT_NS (5 * FW_NS_PER_S)    /* of a dial, a handshake, a send */
#define WATCH_NS (100 * FW_NS_PER_MS) /* after a send */
#define PAUSE_NS (200 * FW_NS_PER_MS) /* after a failure; doubled each time */

typedef struct notice {
    struct notice *next;
    unsigned tries;
    int64_t sent_ns;
    size_t len; /* of bytes: length word and message */
    char address[FW_TCP_ADDRESS_MAX];
    char bytes[];
} notice;

typedef struct queue {
    notice *first, *last;
} queue;

/* One connection. */
typedef struct talk {
    struct talk *next;
    fw_pair *pair;
    int64_t free_ns; /* after it was hung up: when to free it */
} talk;

typedef struct line {
    struct line *next;
    char address[FW_TCP_ADDRESS_MAX];
    queue waiting, watched;
    notice *current;   /* being sent */
    talk *talk;        /* NULL: resting */
    unsigned failures; /* in a row, without a notice that got through */
    int64_t due_ns; /* resting: when to dial; calling: when to look again; INT64_MAX: when the bell
                       rings */
} line;

struct fw_callbacks {
    pthread_t thread;
    /* The thread's. */
    line *lines;
    size_t line_count;
    talk *over; /* hung up, newest first */
    /* Shared, atomic. */
    fw_atomic(uint64_t) sent, failed;
    fw_atomic(size_t) notices, bytes; /* not yet settled */
    /* Under lock. */
    pthread_mutex_t lock;
    pthread_cond_t rang;
    queue inbox;
    bool bell, stops;
    int64_t stop_ns;
};

/* ---- Queues ---- */

static void push(queue *q, notice *n)
{
    n->next = NULL;
    if (q->last)
        q->last->next = n;
    else
        q->first = n;
    q->last = n;
}

static notice *pop(queue *q)
{
    notice *n = q->first;
    if (!n)
        return NULL;
    q->first = n->next;
    if (!q->first)
        q->last = NULL;
    n->next = NULL;
    return n;
}

/* All of `front` before all of q. */
static void put_before(queue *q, queue *front)
{
    if (!front->first)
        return;
    front->last->next = q->first;
    if (!q->last)
        q->last = front->last;
    q->first = front->first;
    *front = (queue){NULL, NULL};
}

static void settle(fw_callbacks *c, notice *n, fw_atomic(uint64_t) * counter)
{
    /* Relaxed: figures and limits. */
    fw_add_relaxed(counter, 1);
    fw_sub_relaxed(&c->notices, 1);
    fw_sub_relaxed(&c->bytes, n->len);
    free(n);
}

static void fail_all(fw_callbacks *c, queue *q)
{
    for (notice *n = pop(q); n; n = pop(q))
        settle(c, n, &c->failed);
}

/* ---- Lines ---- */

static void ring(void *context)
{
    fw_callbacks *c = context;
    pthread_mutex_lock(&c->lock);
    c->bell = true;
    pthread_cond_signal(&c->rang);
    pthread_mutex_unlock(&c->lock);
}

static void hang_up(fw_callbacks *c, line *l, int64_t now)
{
    if (!l->talk)
        return;
    fw_pair_hang_up(l->talk->pair);
    l->talk->free_ns = now + FW_PAIR_REST_MS * FW_NS_PER_MS;
    l->talk->next = c->over;
    c->over = l->talk;
    l->talk = NULL;
}

static void rest(fw_callbacks *c, line *l, int64_t now)
{
    hang_up(c, l, now);
    unsigned doublings = l->failures > 0 ? l->failures - 1 : 0;
    l->due_ns = now + (PAUSE_NS << (doublings < 5 ? doublings : 5));
}

/* Nobody there, or not a Pair0 listener. */
static void not_reached(fw_callbacks *c, line *l, int64_t now)
{
    l->failures++;
    if (l->failures >= FW_CALLBACK_TRIES) {
        fw_log(FW_LOG_WARN, "callback.unreachable", "%s: no callback listener, notices dropped",
               l->address);
        fail_all(c, &l->waiting);
    }
    rest(c, l, now);
}

/* What was sent a moment ago, or was being sent, may not have been read. */
static void lost(fw_callbacks *c, line *l, int64_t now)
{
    queue again = {NULL, NULL};
    if (l->current)
        push(&l->watched, l->current);
    l->current = NULL;
    l->failures++;
    for (notice *n = pop(&l->watched); n; n = pop(&l->watched)) {
        if (++n->tries < FW_CALLBACK_TRIES) {
            push(&again, n);
            continue;
        }
        fw_log(FW_LOG_WARN, "callback.lost", "%s: the listener hung up each time, notice dropped",
               l->address);
        settle(c, n, &c->failed);
    }
    put_before(&l->waiting, &again);
    rest(c, l, now);
}

/* Those that were sent long enough ago have arrived. */
static void confirm(fw_callbacks *c, line *l, int64_t now)
{
    while (l->watched.first && now - l->watched.first->sent_ns >= WATCH_NS) {
        l->failures = 0;
        settle(c, pop(&l->watched), &c->sent);
    }
}

static void call(fw_callbacks *c, line *l, int64_t now)
{
    fw_pair_state state = fw_pair_advance(l->talk->pair);
    if (state == FW_PAIR_LOST) {
        if (l->current || l->watched.first)
            lost(c, l, now);
        else
            not_reached(c, l, now);
        return;
    }
    if (state == FW_PAIR_READY && l->current) {
        l->current->sent_ns = now;
        push(&l->watched, l->current);
        l->current = NULL;
    }
    confirm(c, l, now);
    if (state == FW_PAIR_READY && l->waiting.first) {
        l->current = pop(&l->waiting);
        fw_pair_send(l->talk->pair, (fw_span){l->current->bytes, l->current->len});
    }
    l->due_ns = l->watched.first ? l->watched.first->sent_ns + WATCH_NS : INT64_MAX;
}

static void dial(fw_callbacks *c, line *l, int64_t now)
{
    l->due_ns = INT64_MAX;
    talk *t = calloc(1, sizeof *t);
    if (t)
        t->pair = fw_pair_dial(l->address, LIMIT_NS, ring, c);
    if (t && t->pair) {
        l->talk = t;
        return;
    }
    free(t);
    not_reached(c, l, now);
}

/* => false: nothing is left of the line. */
static bool advance(fw_callbacks *c, line *l, int64_t now)
{
    if (!l->talk && l->waiting.first && now >= l->due_ns)
        dial(c, l, now);
    if (l->talk)
        call(c, l, now);
    return l->waiting.first || l->watched.first || l->current;
}

static void close_line(fw_callbacks *c, line *l, int64_t now)
{
    hang_up(c, l, now);
    if (l->current)
        push(&l->watched, l->current);
    fail_all(c, &l->watched);
    fail_all(c, &l->waiting);
    free(l);
    c->line_count--;
}

/* => when the next one may be freed. */
static int64_t free_over(fw_callbacks *c, int64_t now)
{
    int64_t due = INT64_MAX;
    talk **link = &c->over;
    while (*link) {
        talk *t = *link;
        if (t->free_ns > now) {
            due = t->free_ns < due ? t->free_ns : due;
            link = &t->next;
            continue;
        }
        *link = t->next;
        fw_pair_destroy(t->pair);
        free(t);
    }
    return due;
}

/* => NULL: too many, or no memory. */
static line *line_of(fw_callbacks *c, const char *address)
{
    for (line *l = c->lines; l; l = l->next)
        if (strcmp(l->address, address) == 0)
            return l;
    line *l = c->line_count < FW_CALLBACK_LINES_MAX ? calloc(1, sizeof *l) : NULL;
    if (!l)
        return NULL;
    memcpy(l->address, address, sizeof l->address);
    l->next = c->lines;
    c->lines = l;
    c->line_count++;
    return l;
}

static void distribute(fw_callbacks *c, queue *inbox)
{
    for (notice *n = pop(inbox); n; n = pop(inbox)) {
        line *l = line_of(c, n->address);
        if (l)
            push(&l->waiting, n);
        else
            settle(c, n, &c->failed);
    }
}

/* => when to look again without a bell. */
static int64_t advance_all(fw_callbacks *c, bool end)
{
    int64_t now = fw_now_ns(), due = INT64_MAX;
    line **link = &c->lines;
    while (*link) {
        line *l = *link;
        if (!end && advance(c, l, now)) {
            due = l->due_ns < due ? l->due_ns : due;
            link = &l->next;
        } else {
            *link = l->next;
            close_line(c, l, now);
        }
    }
    int64_t free_ns = free_over(c, now);
    return free_ns < due ? free_ns : due;
}

/* ---- The thread ---- */

static void wait_until(fw_callbacks *c, int64_t due_ns)
{
    if (due_ns == INT64_MAX) {
        pthread_cond_wait(&c->rang, &c->lock);
        return;
    }
    due_ns = fw_machine_ns(due_ns);
    struct timespec at = {(time_t)(due_ns / FW_NS_PER_S), (long)(due_ns % FW_NS_PER_S)};
    pthread_cond_timedwait(&c->rang, &c->lock, &at);
}

static void *run(void *argument)
{
    fw_callbacks *c = argument;
    int64_t due = INT64_MAX;
    bool end = false;
    while (!end) {
        pthread_mutex_lock(&c->lock);
        while (!c->bell && fw_now_ns() < due && !(c->stops && !c->lines && !c->over))
            wait_until(c, due);
        c->bell = false;
        queue inbox = c->inbox;
        c->inbox = (queue){NULL, NULL};
        bool stops = c->stops;
        int64_t stop_ns = c->stop_ns;
        pthread_mutex_unlock(&c->lock);
        distribute(c, &inbox);
        due = advance_all(c, stops && fw_now_ns() >= stop_ns);
        if (stops && c->lines && stop_ns < due)
            due = stop_ns;
        end = stops && !c->lines && !c->over;
    }
    return NULL;
}

int fw_callbacks_start(fw_callbacks **out)
{
    fw_callbacks *c = calloc(1, sizeof *c);
    if (!c)
        return -FW_ENOMEM;
    pthread_condattr_t forward;
    FW_ASSERT(pthread_condattr_init(&forward) == 0);
    FW_ASSERT(pthread_condattr_setclock(&forward, CLOCK_MONOTONIC) == 0);
    FW_ASSERT(pthread_cond_init(&c->rang, &forward) == 0);
    FW_ASSERT(pthread_mutex_init(&c->lock, NULL) == 0);
    pthread_condattr_destroy(&forward);
    if (pthread_create(&c->thread, NULL, run, c) != 0) {
        pthread_cond_destroy(&c->rang);
        pthread_mutex_destroy(&c->lock);
        free(c);
        return -FW_ENOMEM;
    }
    *out = c;
    return 0;
}

void fw_callbacks_stop(fw_callbacks *c, int64_t limit_ns)
{
    if (!c)
        return;
    pthread_mutex_lock(&c->lock);
    c->stops = c->bell = true;
    c->stop_ns = fw_now_ns() + limit_ns;
    pthread_cond_signal(&c->rang);
    pthread_mutex_unlock(&c->lock);
    FW_ASSERT(pthread_join(c->thread, NULL) == 0);
    FW_ASSERT(c->line_count == 0 && !c->lines && !c->over);
    fail_all(c, &c->inbox);
    pthread_cond_destroy(&c->rang);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

/* => NULL: over a limit, or not an address. */
static notice *make_notice(fw_callbacks *c, fw_span address, fw_span message)
{
    fw_tcp_address parsed;
    if (message.len == 0 || fw_tcp_address_parse(&parsed, address) < 0 || parsed.tls)
        return NULL;
    size_t len = FW_SP_LENGTH_BYTES + message.len;
    /* Relaxed: limits; a few more under contention do no harm. */
    if (fw_load_relaxed(&c->notices) >= FW_CALLBACK_NOTICES_MAX ||
        fw_load_relaxed(&c->bytes) + len > FW_CALLBACK_BYTES_MAX)
        return NULL;
    notice *n = malloc(sizeof *n + len);
    if (!n)
        return NULL;
    *n = (notice){.len = len};
    fw_tcp_address_format(n->address, &parsed);
    unsigned char word[FW_SP_LENGTH_BYTES];
    fw_sp_length_write(word, message.len);
    memcpy(n->bytes, word, sizeof word);
    memcpy(n->bytes + sizeof word, message.ptr, message.len);
    return n;
}

bool fw_callbacks_post(fw_callbacks *c, fw_span address, fw_span message)
{
    notice *n = make_notice(c, address, message);
    if (!n) {
        /* Relaxed: a figure to be shown. */
        fw_add_relaxed(&c->failed, 1);
        return false;
    }
    /* Relaxed: limits. */
    fw_add_relaxed(&c->notices, 1);
    fw_add_relaxed(&c->bytes, n->len);
    pthread_mutex_lock(&c->lock);
    push(&c->inbox, n);
    c->bell = true;
    pthread_cond_signal(&c->rang);
    pthread_mutex_unlock(&c->lock);
    return true;
}

void fw_callbacks_count(fw_callbacks *c, uint64_t *sent, uint64_t *failed)
{
    /* Relaxed: figures to be shown. */
    *sent = fw_load_relaxed(&c->sent);
    *failed = fw_load_relaxed(&c->failed);
}

/* net/dial.c - see net/dial.h.
 *
 * rest-note: NNG lets go of a connection that failed on a thread of its own, which still holds on
 * to the dialer for a moment after the operation is over. So a dial that was destroyed is stopped
 * at once and freed REST_NS later; both by the undertaker, because stopping waits for callbacks.
 * SPDX-License-Identifier: Apache-2.0 */
#include "net/dial.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/assert.h"
#include "base/atomic.h"
#include "base/clock.h"

#define REST_NS (100 * FW_NS_PER_MS)

/* Who has the outcome: nobody yet, done, or a canceller. */
enum { DIALING = 0, TOLD, WITHDRAWN };

struct fw_dial {
    /* Immutable after start. */
    void (*done)(void *context, nng_stream *stream, const char *why);
    void *context;
    nng_stream_dialer *dialer;
    nng_aio *aio;
    /* Shared, atomic. */
    fw_atomic(uint32_t) outcome;
    /* The undertaker's. */
    fw_dial *next;
    int64_t free_ns;
};

/* The undertaker. All under lock. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    fw_dial *destroyed;     /* newest first */
    fw_dial *first, **last; /* stopped, in the order of free_ns */
    bool runs;
} grave = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void on_dialed(void *argument)
{
    fw_dial *dial = argument;
    uint32_t expected = DIALING;
    /* Relaxed: only decides who has the outcome; NNG's operation carries it. */
    if (!fw_cas_relaxed(&dial->outcome, &expected, TOLD))
        return;
    int failure = nng_aio_result(dial->aio);
    /* The dial may be destroyed by done: nothing is touched after it. */
    if (failure == 0)
        dial->done(dial->context, nng_aio_get_output(dial->aio, 0), "");
    else
        dial->done(dial->context, NULL, nng_strerror(failure));
}

/* ---- The undertaker ---- */

static void stop(fw_dial *dial)
{
    nng_stream_dialer_close(dial->dialer);
    nng_aio_stop(dial->aio);
    /* Relaxed: no callback runs any more. */
    if (fw_load_relaxed(&dial->outcome) != TOLD && nng_aio_result(dial->aio) == 0) {
        nng_stream *stream = nng_aio_get_output(dial->aio, 0);
        nng_stream_close(stream);
        nng_stream_free(stream);
    }
    dial->free_ns = fw_now_ns() + REST_NS;
}

static void release(fw_dial *dial)
{
    nng_aio_free(dial->aio);
    nng_stream_dialer_free(dial->dialer);
    free(dial);
}

/* Under lock, which is given away meanwhile. */
static void stop_all(void)
{
    fw_dial *stopped = grave.destroyed;
    grave.destroyed = NULL;
    pthread_mutex_unlock(&grave.lock);
    for (fw_dial *dial = stopped; dial; dial = dial->next)
        stop(dial);
    pthread_mutex_lock(&grave.lock);
    while (stopped) {
        fw_dial *next = stopped->next;
        stopped->next = NULL;
        *(grave.first ? grave.last : &grave.first) = stopped;
        grave.last = &stopped->next;
        stopped = next;
    }
}

/* Under lock, which is given away meanwhile. */
static void free_first(void)
{
    fw_dial *dial = grave.first;
    struct timespec until;
    int64_t wait_ns = dial->free_ns - fw_now_ns();
    if (wait_ns > 0) {
        clock_gettime(CLOCK_REALTIME, &until);
        int64_t at_ns = until.tv_nsec + wait_ns;
        until.tv_sec += at_ns / FW_NS_PER_S;
        until.tv_nsec = at_ns % FW_NS_PER_S;
        pthread_cond_timedwait(&grave.changed, &grave.lock, &until);
        return;
    }
    grave.first = dial->next;
    pthread_mutex_unlock(&grave.lock);
    release(dial);
    pthread_mutex_lock(&grave.lock);
}

static void *undertake(void *unused)
{
    (void)unused;
    pthread_mutex_lock(&grave.lock);
    while (grave.destroyed || grave.first) {
        if (grave.destroyed)
            stop_all();
        else
            free_first();
    }
    grave.runs = false;
    pthread_cond_broadcast(&grave.changed);
    pthread_mutex_unlock(&grave.lock);
    return NULL;
}

/* Under lock. Without memory for a thread the next one that is destroyed tries again. */
static void wake_undertaker(void)
{
    pthread_cond_broadcast(&grave.changed);
    if (grave.runs)
        return;
    pthread_t thread;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    grave.runs = pthread_create(&thread, NULL, undertake, NULL) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (grave.runs)
        pthread_detach(thread);
}

/* ---- The door ---- */

fw_dial *fw_dial_start(const char *address, int64_t limit_ns,
                       void (*done)(void *context, nng_stream *stream, const char *why),
                       void *context)
{
    FW_ASSERT(address && done && limit_ns > 0);
    const char *wire = strncmp(address, "tls+", 4) == 0 ? address + 4 : address;
    fw_dial *dial = calloc(1, sizeof *dial);
    if (!dial)
        return NULL;
    dial->done = done;
    dial->context = context;
    if (nng_aio_alloc(&dial->aio, on_dialed, dial) != 0 ||
        nng_stream_dialer_alloc(&dial->dialer, wire) != 0) {
        nng_aio_free(dial->aio);
        free(dial);
        return NULL;
    }
    int64_t limit_ms = limit_ns / FW_NS_PER_MS;
    nng_aio_set_timeout(dial->aio, limit_ms > 1 ? (nng_duration)limit_ms : 1);
    nng_stream_dialer_dial(dial->dialer, dial->aio);
    return dial;
}

bool fw_dial_cancel(fw_dial *dial)
{
    uint32_t expected = DIALING;
    /* Relaxed: only decides who has the outcome. */
    if (!fw_cas_relaxed(&dial->outcome, &expected, WITHDRAWN))
        return expected == WITHDRAWN;
    nng_aio_abort(dial->aio, NNG_ECANCELED);
    return true;
}

void fw_dial_destroy(fw_dial *dial)
{
    if (!dial)
        return;
    fw_dial_cancel(dial);
    pthread_mutex_lock(&grave.lock);
    dial->next = grave.destroyed;
    grave.destroyed = dial;
    wake_undertaker();
    pthread_mutex_unlock(&grave.lock);
}

void fw_dial_settle(void)
{
    pthread_mutex_lock(&grave.lock);
    while (grave.destroyed || grave.first || grave.runs) {
        if (!grave.runs)
            wake_undertaker();
        pthread_cond_wait(&grave.changed, &grave.lock);
    }
    pthread_mutex_unlock(&grave.lock);
}

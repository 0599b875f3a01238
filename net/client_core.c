/* net/client_core.c - turns, sleeping, and handing answers on; see net/client_core.h.
 *
 * One thread at a time sleeps in epoll and is the leader. Whatever wakes it, it serves everybody:
 * the others sleep on `turn` until their answers are there or the leader's place is free. The alarm
 * is a timer descriptor in the same set, so an alarm that another thread sets wakes the leader too,
 * and so the epoll descriptor alone tells an event loop of the user when there is something to do.
 * SPDX-License-Identifier: Apache-2.0 */
#include "net/client_core.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"

_Static_assert(EPOLLIN == POLLIN && EPOLLOUT == POLLOUT, "events have one numbering");

/* --- in and out --- */

int fw_client_enter(fw_client *c)
{
    FW_ASSERT(c != NULL);
    pthread_mutex_lock(&c->lock);
    if (c->closing) {
        pthread_mutex_unlock(&c->lock);
        return fw_client_fail(FW_ECLOSED, "the client is being closed");
    }
    c->users++;
    return 0;
}

void fw_client_leave(fw_client *c)
{
    FW_ASSERT(c->users > 0);
    bool last = --c->users == 0 && c->closing;
    pthread_mutex_unlock(&c->lock);
    if (last)
        fw_client_destroy(c);
}

/* --- alarms and descriptors --- */

static void set_timer(fw_client *c, int64_t at_ns)
{
    struct itimerspec when = {
        .it_value = {.tv_sec = at_ns / FW_NS_PER_S, .tv_nsec = at_ns % FW_NS_PER_S}};
    FW_ASSERT(at_ns > 0);
    timerfd_settime(c->timer, TFD_TIMER_ABSTIME, &when, NULL);
    c->alarm_ns = at_ns;
}

void fw_client_alarm(fw_client *c, int64_t at_ns)
{
    if (c->alarm_ns == 0 || at_ns < c->alarm_ns)
        set_timer(c, at_ns);
}

void fw_client_watch(fw_client *c, fw_stream *stream)
{
    uint32_t wants = (uint32_t)fw_stream_wants(stream);
    if (wants == stream->watched || stream->fd < 0)
        return;
    struct epoll_event event = {.events = wants, .data.ptr = stream};
    int how = stream->watched == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
    if (epoll_ctl(c->epoll, how, stream->fd, &event) == 0)
        stream->watched = wants;
}

int64_t fw_client_backoff_ns(int tries)
{
    FW_ASSERT(tries >= 0);
    int64_t pause = 100 * FW_NS_PER_MS << (tries < 5 ? tries : 5);
    return pause < 2 * FW_NS_PER_S ? pause : 2 * FW_NS_PER_S;
}

/* --- answers --- */

static void answer_waiter(fw_client *c, fw_waiter *waiter, const fw_answer *answer)
{
    FW_ASSERT(waiter->left > 0);
    waiter->left--;
    if (answer->err != 0 && waiter->err == 0) {
        waiter->err = answer->err;
        snprintf(waiter->text, sizeof(waiter->text), "%.*s", (int)answer->text.len,
                 answer->text.len > 0 ? answer->text.ptr : "");
    }
    /* A unique key is another task's: this is that task's id. */
    if (waiter->ids != NULL && answer->view != NULL && answer->view->id.len > 0)
        fw_id_write(&waiter->ids[waiter->batch ? answer->item : 0], answer->key, answer->id);
    if (answer->view != NULL && waiter->wants_result && waiter->left == 0) {
        waiter->result = fw_result_create(answer->view, answer->key, answer->id);
        if (waiter->result == NULL)
            waiter->err = FW_ENOMEM;
    }
    if (waiter->left == 0 && c->sleepers > 0)
        pthread_cond_broadcast(&c->turn);
}

static char *copy_span(fw_span text)
{
    return text.ptr == NULL ? NULL : strndup(text.ptr, text.len);
}

static void fill_completion(fw_completion *to, const fw_taker *taker, const fw_answer *answer)
{
    to->fn = taker->fn;
    to->user = taker->user;
    to->err = answer->err;
    to->text = answer->err != 0 && answer->text.len > 0 ? copy_span(answer->text) : NULL;
    to->error = to->id = NULL;
    to->has_result = answer->view != NULL && answer->err == 0;
    if (!to->has_result)
        return;
    const fw_result_view *view = answer->view;
    to->error = copy_span(view->error);
    to->id = answer->id.len > 0 ? copy_span(answer->id) : NULL;
    to->result = (fw_result){.state = view->status,
                             .id_pending = to->id == NULL,
                             .key = answer->key,
                             .json = view->result.len > 0 ? view->result : (fw_span){"null", 4},
                             .error = to->error,
                             .started_ns = view->started_wall_ns,
                             .finished_ns = view->finished_wall_ns};
    to->result.id = to->id == NULL ? to->uuid : to->id;
}

void fw_client_answer(fw_client *c, fw_completions *out, const fw_taker *taker,
                      const fw_answer *answer)
{
    FW_ASSERT(answer->err >= 0);
    if (taker->waiter != NULL) {
        answer_waiter(c, taker->waiter, answer);
        return;
    }
    FW_ASSERT(taker->fn != NULL && out->count < FW_COMPLETIONS);
    fill_completion(&out->items[out->count++], taker, answer);
    if (out->count == FW_COMPLETIONS)
        fw_client_run(c, out);
}

void fw_client_run(fw_client *c, fw_completions *out)
{
    if (out->count == 0)
        return;
    size_t count = out->count;
    pthread_mutex_unlock(&c->lock);
    for (size_t i = 0; i < count; i++) {
        fw_completion *done = &out->items[i];
        if (done->err != 0)
            fw_client_fail(done->err, "%s",
                           done->text != NULL ? done->text : fw_strerror(done->err));
        done->fn(done->user, -done->err, done->has_result ? &done->result : NULL);
        free(done->text);
        free(done->error);
        free(done->id);
    }
    pthread_mutex_lock(&c->lock);
    out->count = 0;
    out->ran += count;
}

/* --- sleeping --- */

static bool satisfied(const fw_client *c, const fw_until *until, const fw_completions *out)
{
    if (until->waiter != NULL)
        return until->waiter->left == 0;
    if (until->room > 0)
        return c->in_flight + until->room <= c->in_flight_max;
    return out->ran > 0 || c->in_flight == 0;
}

static int milliseconds_left(int64_t deadline_ns, int64_t now_ns)
{
    if (deadline_ns == INT64_MAX)
        return -1;
    int64_t left = (deadline_ns - now_ns + FW_NS_PER_MS - 1) / FW_NS_PER_MS;
    return left > INT32_MAX ? INT32_MAX : (int)left;
}

/* Sleeps until a descriptor is ready, then serves what it brought. */
static void lead(fw_client *c, fw_completions *out, int timeout_ms)
{
    struct epoll_event events[8];
    bool rang = false, ready = false;
    c->led = true;
    pthread_mutex_unlock(&c->lock);
    int n = epoll_wait(c->epoll, events, 8, timeout_ms);
    pthread_mutex_lock(&c->lock);
    c->led = false;
    for (int i = 0; i < n; i++)
        *(events[i].data.ptr == NULL ? &rang : &ready) = true;
    if (rang) {
        uint64_t times;
        if (read(c->timer, &times, sizeof(times)) > 0)
            c->alarm_ns = 0;
        c->mode->tick(c, out);
    }
    if (ready)
        c->mode->pump(c, out);
    fw_client_run(c, out);
}

static void follow(fw_client *c, int64_t deadline_ns)
{
    int64_t at_ns = fw_machine_ns(deadline_ns);
    struct timespec until = {.tv_sec = at_ns / FW_NS_PER_S, .tv_nsec = at_ns % FW_NS_PER_S};
    c->sleepers++;
    if (deadline_ns == INT64_MAX)
        pthread_cond_wait(&c->turn, &c->lock);
    else
        pthread_cond_timedwait(&c->turn, &c->lock, &until);
    c->sleepers--;
}

int fw_client_wait(fw_client *c, fw_until *until, int64_t deadline_ns)
{
    fw_completions out;
    bool looked = false;
    int rc = 0;
    out.count = out.ran = 0;
    while (!satisfied(c, until, &out)) {
        if (c->closing) {
            rc = -FW_ECLOSED;
            break;
        }
        int64_t now = deadline_ns == INT64_MAX ? 0 : fw_now_ns();
        if (now >= deadline_ns && (looked || c->led)) {
            rc = -FW_ETIME;
            break;
        }
        if (c->led)
            follow(c, deadline_ns);
        else
            lead(c, &out, now >= deadline_ns ? 0 : milliseconds_left(deadline_ns, now));
        looked = true; /* also without any time: what is ready is served */
    }
    until->ran = out.ran;
    if (c->sleepers > 0 && !c->led)
        pthread_cond_broadcast(&c->turn);
    return rc;
}

/* --- the end --- */

void fw_client_shut(fw_client *c)
{
    fw_completions out;
    out.count = out.ran = 0;
    c->closing = true;
    c->mode->end(c, FW_ECLOSED, &out);
    fw_client_run(c, &out);
    set_timer(c, 1); /* wakes the leader */
    pthread_cond_broadcast(&c->turn);
}

void fw_client_destroy(fw_client *c)
{
    FW_ASSERT(c->users == 0);
    if (c->mode != NULL)
        c->mode->destroy(c);
    if (c->epoll >= 0)
        close(c->epoll);
    if (c->timer >= 0)
        close(c->timer);
    fw_tls_destroy(c->tls);
    free(c->token);
    pthread_cond_destroy(&c->turn);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

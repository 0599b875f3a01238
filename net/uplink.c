/* net/uplink.c - one thread that keeps a subworker registered.
 *
 *   SEEKING --found, acknowledged--> REGISTERED --native, and both pipes have greeted--> UP
 *      ^                                 |                                               |
 *      `---- refused, closed, silent ----'-------------- a pipe lost, another run -------'
 *
 * The registration goes over a client's socket, which the thread may wait on (net/uplink_say). The
 * link (net/link) is our end of the pipes; it tells up and down on other threads, which only set a
 * mark and wake us.
 *
 * fallback-note: a control plane that is native but whose pipes cannot be opened (a port is
 * blocked) gets a registration without the native member, and sends tasks as requests. The member
 * is offered again after a minute, when we have nothing to do, because whoever registers as another
 * kind is another worker: what it had in hand would be lost.
 *
 * Progress: whatever is lost, the thread tries again, with back-off; nothing it does blocks tasks.
 * SPDX-License-Identifier: Apache-2.0 */
#include "net/uplink.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "net/sp.h"
#include "net/server.h"
#include "net/uplink_state.h"

enum { ANSWER_MAX = 64 * 1024 };

static const int64_t answer_limit_ns = 5 * FW_NS_PER_S;
static const int64_t beat_limit_ns = FW_NS_PER_S; /* to say one, not to have it answered */
/* Three times what a control plane lets pass between two words to us. */
static const int64_t silence_ns = 6 * FW_NS_PER_S;
static const int64_t plain_beat_ns = 10 * FW_NS_PER_S;
static const int64_t back_off_first_ns = 50 * FW_NS_PER_MS;
static const int64_t back_off_last_ns = 2 * FW_NS_PER_S;
static const int64_t pipes_limit_ns = 4 * FW_NS_PER_S;
static const int64_t native_again_ns = 60 * FW_NS_PER_S;
static const int64_t idle_look_ns = 2 * FW_NS_PER_S;
/* What a control plane had sent before it knew that we drain has come after that. */
enum { DRAIN_LIMIT_MS = 1000, ON_THE_WAY_MS = 50 };

/* ---- Waking and waiting ---- */

static void ring(int event)
{
    uint64_t one = 1;
    while (write(event, &one, sizeof one) < 0 && errno == EINTR)
        ;
}

static void clear(int event)
{
    uint64_t count;
    while (read(event, &count, sizeof count) < 0 && errno == EINTR)
        ;
}

static void wake_up(fw_uplink *uplink)
{
    ring(uplink->wake);
}

bool fw_uplink_is_stopping(const fw_uplink *uplink)
{
    /* [uplink-stop] acquire: until when. */
    return fw_load_acquire(&uplink->stopping);
}

bool fw_uplink_wait(fw_uplink *uplink, fw_stream *const streams[], size_t count, int64_t until_ns)
{
    enum { MOST = 2 };
    struct pollfd ready[1 + MOST] = {{.fd = uplink->wake, .events = POLLIN}};
    int64_t left = until_ns - fw_now_ns();
    FW_ASSERT(count <= MOST);
    for (size_t i = 0; i < count; i++)
        ready[1 + i] = (struct pollfd){.fd = streams[i]->fd, .events = fw_stream_wants(streams[i])};
    if (left > 0 && (uplink->leaving || !fw_uplink_is_stopping(uplink)) &&
        poll(ready, 1 + count, (int)(left / FW_NS_PER_MS) + 1) > 0 && ready[0].revents != 0)
        clear(uplink->wake);
    return left > 0 && (uplink->leaving || !fw_uplink_is_stopping(uplink));
}

static void rest(fw_uplink *uplink, int64_t limit_ns)
{
    int64_t until_ns = fw_now_ns() + limit_ns;
    while (fw_uplink_wait(uplink, NULL, 0, until_ns))
        ;
}

static void become(fw_uplink *uplink, fw_uplink_state state, const char *what)
{
    /* Relaxed: a state to be shown. */
    int before = fw_load_relaxed(&uplink->state);
    fw_store_relaxed(&uplink->state, (int)state);
    if (state == FW_UPLINK_REGISTERED)
        clear(uplink->heard);
    else
        ring(uplink->heard);
    if (before == (int)state && strcmp(uplink->told, what) == 0)
        return;
    snprintf(uplink->told, sizeof uplink->told, "%s", what);
    uplink->ops.changed(uplink->ops.context, state, uplink->told);
}

static bool is_draining(const fw_uplink *uplink)
{
    /* Relaxed: a flag. */
    return fw_load_relaxed(&uplink->draining);
}

static const char *status_of(const fw_uplink *uplink)
{
    return is_draining(uplink) ? "inactive" : "active";
}

/* ---- The link ---- */

static void on_up(void *context, void *owner)
{
    fw_uplink *uplink = owner;
    (void)context;
    /* Relaxed: the wake-up orders it. */
    fw_store_relaxed(&uplink->link_up, true);
    wake_up(uplink);
}

static void on_down(void *context, void *owner, const char *why)
{
    fw_uplink *uplink = owner;
    (void)context;
    (void)why;
    /* Relaxed: the wake-up orders it. */
    fw_store_relaxed(&uplink->link_down, true);
    wake_up(uplink);
}

static bool open_link(fw_uplink *uplink)
{
    fw_link_config config = {
        .epoch = {uplink->answer.epoch, strlen(uplink->answer.epoch)},
        .address = {uplink->answer.results, strlen(uplink->answer.results)},
        .owner = uplink,
        .silence_ns = silence_ns,
    };
    /* Relaxed: nobody else looks while there is no link. */
    fw_store_relaxed(&uplink->link_up, false);
    fw_store_relaxed(&uplink->link_down, false);
    uplink->link = fw_link_open(uplink->net, &config);
    return uplink->link != NULL;
}

static void close_link(fw_uplink *uplink)
{
    if (uplink->link)
        fw_link_close(uplink->link);
    uplink->link = NULL;
}

/* Its pipes cannot be opened, since then; see fallback-note. */
static const char *note_trouble(fw_uplink *uplink, int64_t since_ns)
{
    int64_t now_ns = fw_now_ns();
    if (uplink->trouble_since_ns == 0)
        uplink->trouble_since_ns = since_ns;
    if (now_ns - uplink->trouble_since_ns >= pipes_limit_ns) {
        uplink->trouble_since_ns = 0;
        uplink->native_due_ns = now_ns + native_again_ns;
        uplink->back_off_ns = back_off_first_ns;
    }
    return "the pipes to the control plane cannot be opened";
}

/* ---- Registered ---- */

/* One stay at one control plane. */
typedef struct visit {
    bool native, up, drain_told;
    int64_t since_ns, beat_due_ns, plain_due_ns;
    char epoch[FW_ID_MAX + 1];
} visit;

/* => why the stay is over, or NULL. */
static const char *look_at_link(fw_uplink *uplink, visit *v, int64_t now_ns)
{
    /* Relaxed: the wake-up orders them. */
    bool down = fw_load_relaxed(&uplink->link_down);
    if (down && v->up)
        return "connection to the control plane lost, registering again";
    if (!v->up && (down || now_ns - v->since_ns >= pipes_limit_ns))
        return note_trouble(uplink, v->since_ns);
    if (!v->up && fw_load_relaxed(&uplink->link_up)) {
        v->up = true;
        v->beat_due_ns = now_ns;
        uplink->trouble_since_ns = 0;
        become(uplink, FW_UPLINK_UP, "connected to its control plane");
    }
    return NULL;
}

static void beat(fw_uplink *uplink, visit *v, int64_t now_ns)
{
    fw_beat figures;
    uplink->ops.beat(uplink->ops.context, &figures);
    figures.draining = figures.draining || is_draining(uplink);
    fw_link_beat(uplink->link, &figures);
    v->beat_due_ns = now_ns + uplink->config.beat_ns;
}

/* See fallback-note. */
static bool may_offer_again(fw_uplink *uplink, int64_t now_ns)
{
    fw_beat figures;
    if (uplink->native_due_ns == 0 || now_ns < uplink->native_due_ns || is_draining(uplink))
        return false;
    uplink->ops.beat(uplink->ops.context, &figures);
    if (figures.running == 0 && figures.queued == 0)
        return true;
    uplink->native_due_ns = now_ns + idle_look_ns;
    return false;
}

static bool is_another_one(const fw_uplink *uplink, const visit *v)
{
    return uplink->answer.native != v->native ||
           (v->native && strcmp(uplink->answer.epoch, v->epoch) != 0);
}

/* What came on the connection for beats. => why the stay is over, or NULL. */
static const char *take_answers(fw_uplink *uplink, const visit *v)
{
    int rc;
    if (uplink->management.state != FW_STREAM_READY)
        return NULL;
    while ((rc = fw_uplink_hear(uplink)) > 0) {
        if (is_another_one(uplink, v))
            return "the control plane is another run, registering again";
        if (uplink->declining)
            ring(uplink->heard);
    }
    if (rc == -FW_EINVAL)
        return uplink->why;
    if (rc < 0 && !v->native) {
        uplink->native_due_ns = 0;
        return "connection to the control plane lost, registering again";
    }
    return NULL;
}

/* The beat that every subworker sends. => why the stay is over, or NULL. */
static const char *plain_beat(fw_uplink *uplink, visit *v, int64_t now_ns)
{
    if (uplink->asked && !v->native)
        return "the control plane does not answer, registering again";
    if (uplink->asked) {
        uplink->asked = false;
        fw_stream_close(&uplink->management);
    }
    v->plain_due_ns = now_ns + plain_beat_ns;
    v->drain_told = is_draining(uplink);
    int rc = fw_uplink_tell(uplink, status_of(uplink), true, now_ns + beat_limit_ns);
    return rc < 0 && !v->native ? uplink->why : NULL;
}

/* => why the stay is over, or NULL. */
static const char *turn(fw_uplink *uplink, visit *v)
{
    int64_t now_ns = fw_now_ns();
    const char *why = v->native ? look_at_link(uplink, v, now_ns) : NULL;
    if (!why)
        why = take_answers(uplink, v);
    if (why)
        return why;
    if (!v->native && may_offer_again(uplink, now_ns))
        return "trying to open the pipes to the control plane again";
    bool drains = is_draining(uplink) && !v->drain_told;
    if (v->up && (drains || now_ns >= v->beat_due_ns))
        beat(uplink, v, now_ns);
    if (drains || now_ns >= v->plain_due_ns)
        why = plain_beat(uplink, v, now_ns);
    return why;
}

static int64_t earlier(int64_t a_ns, int64_t b_ns)
{
    return a_ns < b_ns ? a_ns : b_ns;
}

static int64_t next_turn(const fw_uplink *uplink, const visit *v)
{
    int64_t due_ns = v->plain_due_ns;
    if (v->up)
        due_ns = earlier(due_ns, v->beat_due_ns);
    else if (v->native)
        due_ns = earlier(due_ns, v->since_ns + pipes_limit_ns);
    else if (uplink->native_due_ns != 0)
        due_ns = earlier(due_ns, uplink->native_due_ns);
    return due_ns;
}

/* Registered: until something is lost, or we stop. Leaves why. */
static void stay(fw_uplink *uplink)
{
    int64_t now_ns = fw_now_ns();
    visit v = {.native = uplink->answer.native,
               .drain_told = is_draining(uplink),
               .since_ns = now_ns,
               .plain_due_ns = now_ns + plain_beat_ns};
    memcpy(v.epoch, uplink->answer.epoch, sizeof v.epoch);
    fw_stream *const management = &uplink->management;
    const char *why = NULL;
    if (v.native)
        become(uplink, FW_UPLINK_REGISTERED, "registered, opening the pipes");
    else if (uplink->native_due_ns != 0)
        become(uplink, FW_UPLINK_REGISTERED, "registered, without pipes: they cannot be opened");
    else
        become(uplink, FW_UPLINK_REGISTERED, "registered at a Python control plane");
    if (v.native && !open_link(uplink))
        why = note_trouble(uplink, v.since_ns);
    while (!why && !(why = turn(uplink, &v))) {
        fw_uplink_wait(uplink, &management, 1, next_turn(uplink, &v));
        if (fw_uplink_is_stopping(uplink))
            return;
    }
    close_link(uplink);
    if (why != uplink->why)
        snprintf(uplink->why, sizeof uplink->why, "%s", why);
    if (fw_now_ns() - v.since_ns >= back_off_last_ns)
        uplink->back_off_ns = back_off_first_ns;
}

/* ---- The thread ---- */

/* Known to the control plane only if we were registered; nobody is waited for longer than told. */
static void sign_off(fw_uplink *uplink)
{
    uplink->leaving = true;
    /* Relaxed: our own. */
    if (fw_load_relaxed(&uplink->state) != FW_UPLINK_SEEKING)
        (void)fw_uplink_say(uplink, "inactive", true, uplink->stop_until_ns);
    close_link(uplink);
    fw_stream_close(&uplink->management);
}

static void *run(void *argument)
{
    fw_uplink *uplink = argument;
    pthread_setname_np(pthread_self(), "fw-uplink");
    while (!fw_uplink_is_stopping(uplink)) {
        int rc = fw_uplink_seek(uplink);
        if (rc == 0)
            rc = fw_uplink_say(uplink, status_of(uplink), false, fw_now_ns() + answer_limit_ns);
        if (rc == 0)
            stay(uplink);
        else /* whoever is found next may be reached by pipes as well */
            uplink->trouble_since_ns = uplink->native_due_ns = 0;
        if (fw_uplink_is_stopping(uplink))
            break;
        /* One that only lacks pipes so far is registered, and tried for a while without a word. */
        bool troubled = uplink->trouble_since_ns != 0;
        if (!troubled)
            become(uplink, FW_UPLINK_SEEKING, uplink->why);
        rest(uplink, uplink->back_off_ns);
        uplink->back_off_ns =
            earlier(2 * uplink->back_off_ns, troubled ? pipes_limit_ns / 8 : back_off_last_ns);
    }
    sign_off(uplink);
    return NULL;
}

/* ---- The door ---- */

static void free_uplink(fw_uplink *uplink)
{
    if (uplink->wake >= 0)
        close(uplink->wake);
    if (uplink->heard >= 0)
        close(uplink->heard);
    free((char *)(uintptr_t)uplink->config.worker_id);
    free((char *)(uintptr_t)uplink->config.control_plane);
    free((char *)(uintptr_t)uplink->config.discovery);
    free((char *)(uintptr_t)uplink->config.advertise);
    free((char *)(uintptr_t)uplink->config.token);
    free((char *)(uintptr_t)uplink->config.tasks.ptr);
    free(uplink);
}

static const char *copy(const char *text, bool *failed)
{
    char *mine = text ? strdup(text) : NULL;
    *failed = *failed || (text && !mine);
    return mine;
}

static bool take_config(fw_uplink *uplink, const fw_uplink_config *config)
{
    bool failed = false;
    uplink->config = *config;
    uplink->config.worker_id = copy(config->worker_id, &failed);
    uplink->config.control_plane = copy(config->control_plane, &failed);
    uplink->config.discovery = copy(config->discovery, &failed);
    uplink->config.advertise = copy(config->advertise, &failed);
    uplink->config.token = copy(config->token, &failed);
    uplink->config.tasks.ptr =
        config->tasks.len > 0 ? strndup(config->tasks.ptr, config->tasks.len) : strdup("");
    return !failed && uplink->config.tasks.ptr;
}

static int start_thread(fw_uplink *uplink)
{
    /* It inherits the mask, and no signal handler may run on it. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failure = pthread_create(&uplink->thread, NULL, run, uplink);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failure == 0 ? 0 : -FW_ENOMEM;
}

static int start(fw_uplink *uplink, char *error, size_t error_capacity, fw_net *net,
                 const fw_uplink_config *config)
{
    fw_link_ops link_ops = {.context = uplink, .up = on_up, .down = on_down};
    fw_address checked;
    const char *address = config->control_plane ? config->control_plane : config->discovery;
    if (fw_address_parse(&checked, (fw_span){address, strlen(address)}) < 0) {
        snprintf(error, error_capacity, "%s: not a tcp://host:port address", address);
        return -FW_EINVAL;
    }
    snprintf(error, error_capacity, "out of memory");
    uplink->back_off_ns = back_off_first_ns;
    uplink->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    uplink->heard = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    fw_stream_init(&uplink->management, FW_SP_REQ0, ANSWER_MAX);
    uplink->management.tls = net->exchange.tls_dials;
    if (!take_config(uplink, config) || uplink->wake < 0 || uplink->heard < 0)
        return -FW_ENOMEM;
    fw_net_set_link_ops(net, &link_ops);
    return start_thread(uplink);
}

int fw_uplink_start(fw_uplink **out, char *error, size_t error_capacity, fw_net *net,
                    const fw_uplink_config *config, const fw_uplink_ops *ops)
{
    fw_uplink *uplink = calloc(1, sizeof *uplink);
    FW_ASSERT(error_capacity > 0 && ops->changed && ops->beat && config->beat_ns > 0);
    if (!uplink) {
        snprintf(error, error_capacity, "out of memory");
        return -FW_ENOMEM;
    }
    uplink->net = net;
    uplink->ops = *ops;
    uplink->wake = uplink->heard = -1;
    int rc = start(uplink, error, error_capacity, net, config);
    if (rc == 0)
        *out = uplink;
    else
        free_uplink(uplink);
    return rc;
}

void fw_uplink_drain(fw_uplink *uplink)
{
    /* Relaxed: the wake-up orders it. */
    fw_store_relaxed(&uplink->draining, true);
    wake_up(uplink);
    if (fw_uplink_where(uplink) != FW_UPLINK_REGISTERED)
        return;
    struct pollfd heard = {.fd = uplink->heard, .events = POLLIN};
    if (poll(&heard, 1, DRAIN_LIMIT_MS) > 0)
        poll(NULL, 0, ON_THE_WAY_MS);
}

void fw_uplink_stop(fw_uplink *uplink, int64_t limit_ns)
{
    /* Relaxed: a flag. */
    fw_store_relaxed(&uplink->draining, true);
    uplink->stop_until_ns = fw_now_ns() + limit_ns;
    /* [uplink-stop] release: until when. */
    fw_store_release(&uplink->stopping, true);
    wake_up(uplink);
    pthread_join(uplink->thread, NULL);
    fw_scratch_fini(&uplink->scratch);
    free_uplink(uplink);
}

fw_uplink_state fw_uplink_where(const fw_uplink *uplink)
{
    /* Relaxed: a state to be shown. */
    return (fw_uplink_state)fw_load_relaxed(&uplink->state);
}

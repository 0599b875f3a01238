/* net/uplink.c - one thread that keeps a subworker registered.
 *
 *   SEEKING ─address known, registration acknowledged─▶ REGISTERED ───── link is up ─────▶ UP
 *      ▲                                                   │ │                             │
 *      └── refused, unreachable, silent ───────────────────┘ └◀── link down: again at once ┘
 *
 * The registration goes over a client's socket (net/client_stream), which the thread may wait on.
 * The link (net/link) is our end of the pipes; it tells up and down on other threads, which only
 * set a mark and wake us.
 *
 * Progress: whatever is lost, the thread tries again, with back-off; nothing it does blocks tasks.
 * SPDX-License-Identifier: Apache-2.0 */
#include "net/uplink.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "net/client_core.h"
#include "net/message_json.h"
#include "net/server.h"
#include "net/sp.h"

enum { ANSWER_MAX = 64 * 1024, MANAGEMENT_OFFSET = 5 };

static const int64_t answer_limit_ns = 5 * FW_NS_PER_S;
static const int64_t connect_limit_ns = 2 * FW_NS_PER_S;
/* Three times what a control plane lets pass between two words to us. */
static const int64_t silence_ns = 6 * FW_NS_PER_S;
static const int64_t plain_beat_ns = 10 * FW_NS_PER_S;
static const int64_t back_off_first_ns = 50 * FW_NS_PER_MS;
static const int64_t back_off_last_ns = 2 * FW_NS_PER_S;
static const int64_t discovery_look_ns = FW_NS_PER_S;

struct fw_uplink {
    /* Immutable. */
    fw_net *net;
    fw_uplink_ops ops;
    fw_uplink_config config; /* its texts are ours */
    int wake;                /* eventfd */
    pthread_t thread;
    /* The thread's. */
    fw_address peer;
    fw_stream management;
    fw_scratch scratch;
    fw_link *link;  /* NULL: none */
    char epoch[64]; /* of the control plane */
    int64_t back_off_ns;
    char told[160]; /* last said to the owner */
    /* Shared, atomic. */
    fw_atomic(int) state; /* fw_uplink_state */
    fw_atomic(bool) stopping, draining, link_up, link_down;
};

/* --- waking and waiting --- */

static void wake_up(fw_uplink *uplink)
{
    uint64_t one = 1;
    while (write(uplink->wake, &one, sizeof one) < 0 && errno == EINTR)
        ;
}

/* Until woken, or the time has passed. */
static void rest(fw_uplink *uplink, int64_t limit_ns)
{
    uint64_t count;
    struct pollfd ready = {.fd = uplink->wake, .events = POLLIN};
    if (poll(&ready, 1, (int)(limit_ns / FW_NS_PER_MS) + 1) > 0) {
        if (read(uplink->wake, &count, sizeof count) < 0)
            return;
    }
}

static bool is_stopping(const fw_uplink *uplink)
{
    /* Relaxed: the wake-up comes after it. */
    return fw_load_relaxed(&uplink->stopping);
}

static void become(fw_uplink *uplink, fw_uplink_state state, const char *what)
{
    /* Relaxed: a state to be shown. */
    int before = fw_load_relaxed(&uplink->state);
    fw_store_relaxed(&uplink->state, (int)state);
    if (before == (int)state && strcmp(uplink->told, what) == 0)
        return;
    snprintf(uplink->told, sizeof uplink->told, "%s", what);
    uplink->ops.changed(uplink->ops.context, state, uplink->told);
}

/* --- registration --- */

static bool find_peer(fw_uplink *uplink)
{
    fw_address discovery;
    int native;
    const fw_uplink_config *config = &uplink->config;
    if (config->control_plane)
        return fw_address_parse(&uplink->peer, (fw_span){config->control_plane,
                                                         strlen(config->control_plane)}) == 0;
    if (fw_address_parse(&discovery, (fw_span){config->discovery, strlen(config->discovery)}) < 0)
        return false;
    return fw_client_discover(&uplink->peer, &native, &discovery,
                              fw_now_ns() + discovery_look_ns) == 0;
}

static bool connect_management(fw_uplink *uplink)
{
    fw_address management = uplink->peer;
    management.port += MANAGEMENT_OFFSET;
    if (uplink->management.state == FW_STREAM_READY)
        return true;
    fw_stream_close(&uplink->management);
    return fw_client_dial(&uplink->management, &management, fw_now_ns() + connect_limit_ns) == 0;
}

static void write_registration(fw_uplink *uplink, fw_buffer *out, const char *status,
                               bool heartbeat)
{
    static const char software[] = "fastworker/" FW_VERSION;
    const fw_uplink_config *config = &uplink->config;
    const char *pull = fw_net_pull_address(uplink->net), *epoch = fw_net_epoch(uplink->net);
    fw_native_offer offer = {.present = !config->compat,
                             .version = 1,
                             .slots = config->slots,
                             .impl = {software, sizeof software - 1},
                             .epoch = {epoch, strlen(epoch)},
                             .pull = {pull, strlen(pull)},
                             .tasks = config->tasks,
                             .beat_ns = config->beat_ns};
    if (config->token)
        offer.token = (fw_span){config->token, strlen(config->token)};
    fw_json_write_registration_request(out, (fw_span){config->worker_id, strlen(config->worker_id)},
                                       (fw_span){config->advertise, strlen(config->advertise)},
                                       status, heartbeat, &offer);
}

/* Says `status` and reads the acknowledgement. 0 with its offer, or -FW_E... with a text. */
static int say(fw_uplink *uplink, fw_native_offer *native, const char *status, bool heartbeat,
               char *why, size_t capacity)
{
    fw_span reply, error;
    fw_buffer text = {0};
    if (!connect_management(uplink)) {
        snprintf(why, capacity, "%s", fw_client_errmsg());
        return -FW_ENOCONN;
    }
    write_registration(uplink, &text, status, heartbeat);
    int rc = text.failed
                 ? -FW_ENOMEM
                 : fw_client_ask(&uplink->management, &reply, (fw_span){text.data, text.len},
                                 fw_now_ns() + answer_limit_ns);
    fw_buffer_fini(&text);
    if (rc < 0) {
        fw_stream_close(&uplink->management);
        snprintf(why, capacity, "%s", rc == -FW_ENOMEM ? "no memory" : fw_client_errmsg());
        return rc;
    }
    fw_scratch_reset(&uplink->scratch);
    rc = fw_json_registration_answer_read(native, &error, &uplink->scratch, reply);
    if (rc == -FW_EINVAL)
        snprintf(why, capacity, "refused: %.*s", (int)error.len, error.ptr);
    else if (rc < 0)
        snprintf(why, capacity, "an acknowledgement that is none");
    return rc;
}

static const char *status_of(const fw_uplink *uplink)
{
    /* Relaxed: a flag. */
    return fw_load_relaxed(&uplink->draining) ? "inactive" : "active";
}

/* --- the link --- */

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

static bool open_link(fw_uplink *uplink, const fw_native_offer *native)
{
    fw_link_config config = {.epoch = native->epoch,
                             .address = native->results,
                             .owner = uplink,
                             .silence_ns = silence_ns};
    snprintf(uplink->epoch, sizeof uplink->epoch, "%.*s", (int)native->epoch.len,
             native->epoch.ptr);
    /* Relaxed: nobody else looks while there is no link. */
    fw_store_relaxed(&uplink->link_up, false);
    fw_store_relaxed(&uplink->link_down, false);
    uplink->link = fw_link_open(uplink->net, &config);
    return uplink->link != NULL;
}

static void close_link(fw_uplink *uplink)
{
    fw_link_close(uplink->link);
    uplink->link = NULL;
}

static void beat(fw_uplink *uplink)
{
    fw_beat figures;
    uplink->ops.beat(uplink->ops.context, &figures);
    fw_link_beat(uplink->link, &figures);
}

/* --- the thread --- */

/* Registered natively: beats until the link is down, the peer is another one, or we stop. */
static void stay_up(fw_uplink *uplink)
{
    int64_t plain_due_ns = fw_now_ns() + plain_beat_ns;
    bool up = false;
    /* Relaxed: the wake-up comes after it. */
    while (!is_stopping(uplink) && !fw_load_relaxed(&uplink->link_down)) {
        if (!up && fw_load_relaxed(&uplink->link_up)) {
            up = true;
            uplink->back_off_ns = back_off_first_ns;
            become(uplink, FW_UPLINK_UP, "connected to its control plane");
        }
        if (up)
            beat(uplink);
        if (fw_now_ns() >= plain_due_ns) {
            fw_native_offer native;
            char why[160];
            plain_due_ns = fw_now_ns() + plain_beat_ns;
            if (say(uplink, &native, status_of(uplink), true, why, sizeof why) < 0 ||
                !native.present || native.epoch.len != strlen(uplink->epoch) ||
                memcmp(native.epoch.ptr, uplink->epoch, native.epoch.len) != 0)
                break;
        }
        rest(uplink, uplink->config.beat_ns);
    }
    close_link(uplink);
    become(uplink, FW_UPLINK_SEEKING, "connection to the control plane lost, registering again");
}

/* Under a Python control plane: beats until one is not answered well. */
static void stay_registered(fw_uplink *uplink)
{
    char why[160];
    fw_native_offer native;
    become(uplink, FW_UPLINK_REGISTERED, "registered at a Python control plane");
    uplink->back_off_ns = back_off_first_ns;
    int64_t due_ns = fw_now_ns() + plain_beat_ns;
    bool told = false;
    while (!is_stopping(uplink)) {
        rest(uplink, due_ns - fw_now_ns());
        /* Relaxed: a flag; what it changes is said at once. */
        bool tell = fw_load_relaxed(&uplink->draining) && !told;
        if (is_stopping(uplink) || (fw_now_ns() < due_ns && !tell))
            continue;
        told = told || tell;
        due_ns = fw_now_ns() + plain_beat_ns;
        if (say(uplink, &native, status_of(uplink), true, why, sizeof why) < 0 || native.present)
            return;
    }
}

static void *run(void *argument)
{
    fw_uplink *uplink = argument;
    pthread_setname_np(pthread_self(), "fw-uplink");
    while (!is_stopping(uplink)) {
        char why[160] = "no control plane found yet";
        fw_native_offer native;
        int rc = find_peer(uplink) ? say(uplink, &native, status_of(uplink), false, why, sizeof why)
                                   : -FW_ENOCONN;
        if (rc == 0 && !native.present) {
            stay_registered(uplink);
            continue;
        }
        if (rc == 0 && open_link(uplink, &native))
            stay_up(uplink);
        else
            become(uplink, FW_UPLINK_SEEKING, why);
        if (is_stopping(uplink))
            break;
        rest(uplink, uplink->back_off_ns);
        uplink->back_off_ns *= 2;
        if (uplink->back_off_ns > back_off_last_ns)
            uplink->back_off_ns = back_off_last_ns;
    }
    return NULL;
}

/* --- the door --- */

static void free_uplink(fw_uplink *uplink)
{
    if (uplink->wake >= 0)
        close(uplink->wake);
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
    uplink->config.tasks.ptr = strndup(config->tasks.ptr, config->tasks.len);
    return !failed && uplink->config.tasks.ptr;
}

int fw_uplink_start(fw_uplink **out, char *error, size_t error_capacity, fw_net *net,
                    const fw_uplink_config *config, const fw_uplink_ops *ops)
{
    fw_uplink *uplink = calloc(1, sizeof *uplink);
    snprintf(error, error_capacity, "out of memory");
    if (!uplink)
        return -FW_ENOMEM;
    uplink->net = net;
    uplink->ops = *ops;
    fw_link_ops link_ops = {.context = uplink, .up = on_up, .down = on_down};
    fw_net_set_link_ops(net, &link_ops);
    uplink->back_off_ns = back_off_first_ns;
    uplink->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    fw_stream_init(&uplink->management, FW_SP_REQ0, ANSWER_MAX);
    if (!take_config(uplink, config) || uplink->wake < 0) {
        free_uplink(uplink);
        return -FW_ENOMEM;
    }
    if (config->control_plane && !find_peer(uplink)) {
        snprintf(error, error_capacity, "%s: not a tcp://host:port address", config->control_plane);
        free_uplink(uplink);
        return -FW_EINVAL;
    }
    if (pthread_create(&uplink->thread, NULL, run, uplink) != 0) {
        free_uplink(uplink);
        return -FW_ENOMEM;
    }
    *out = uplink;
    return 0;
}

void fw_uplink_drain(fw_uplink *uplink)
{
    /* Relaxed: the wake-up orders it. */
    fw_store_relaxed(&uplink->draining, true);
    wake_up(uplink);
}

void fw_uplink_stop(fw_uplink *uplink, int64_t limit_ns)
{
    char why[160];
    fw_native_offer native;
    (void)limit_ns;
    /* Relaxed: the wake-up orders it. */
    fw_store_relaxed(&uplink->draining, true);
    fw_store_relaxed(&uplink->stopping, true);
    wake_up(uplink);
    pthread_join(uplink->thread, NULL);
    /* Known to the control plane only if we were registered; nobody is waited for long. */
    if (uplink->management.state == FW_STREAM_READY)
        (void)say(uplink, &native, "inactive", true, why, sizeof why);
    fw_stream_close(&uplink->management);
    fw_scratch_fini(&uplink->scratch);
    free_uplink(uplink);
}

fw_uplink_state fw_uplink_where(const fw_uplink *uplink)
{
    /* Relaxed: a state to be shown. */
    return (fw_uplink_state)fw_load_relaxed(&uplink->state);
}

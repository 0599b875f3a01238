/* perf/link_load.c - what the wires between a control plane and a subworker carry.
 *
 *     link_load [--window N] [--tasks N] [--bytes N]
 *
 * Two processes: the control plane's net assigns `window` tasks and one more for each
 * result; the subworker's net answers each at once with its arguments. No engine at either end.
 * Prints tasks per second, CPU time a task on either side, and how many tasks a call brought.
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/atomic.h"
#include "base/clock.h"
#include "net/link.h"

enum { WINDOW_MAX = 65536, TEXT = 300 };

/* What one side tells the other before the link is opened. */
typedef struct card {
    char address[TEXT], epoch[TEXT];
} card;

typedef struct load {
    fw_net *net;
    fw_link *link;
    size_t window;
    uint64_t tasks;
    char *args;
    size_t args_len;
    fw_key first;
    /* The results' reader, after up. */
    uint64_t assigned, done, calls;
    fw_atomic(bool) up, over;
} load;

static load the_load;

static void die(const char *what)
{
    fprintf(stderr, "link_load: %s\n", what);
    exit(1);
}

/* ---- The subworker ---- */

static void echo(void *context, const fw_submission *items, size_t count)
{
    (void)context;
    for (size_t i = 0; i < count; i++) {
        fw_result_view view = {.key = items[i].key,
                               .status = FW_SUCCESS,
                               .result = items[i].args,
                               .started_wall_ns = 1,
                               .finished_wall_ns = 2};
        fw_net_answer_result(the_load.net, &items[i].reply, &view);
    }
}

static void on_up(void *context, void *owner)
{
    (void)context, (void)owner;
    fw_store_release(&the_load.up, true);
}

static void on_down(void *context, void *owner, const char *why)
{
    (void)context, (void)owner, (void)why;
    fw_store_release(&the_load.over, true);
}

/* ---- The control plane ---- */

/* In one call: results may come, and assign again, before it returns. */
static void assign(load *l, size_t count)
{
    static fw_assignment items[WINDOW_MAX];
    FW_ASSERT(count <= WINDOW_MAX);
    for (size_t i = 0; i < count; i++) {
        fw_key key = {l->first.high, l->first.low + l->assigned};
        items[i].lease = l->assigned++;
        items[i].attempt = 1;
        items[i].task = (fw_submission){.key = key,
                                        .name = {"echo", 4},
                                        .args = {l->args, l->args_len},
                                        .kwargs = {"{}", 2},
                                        .level = FW_NORMAL};
    }
    if (count > 0 && fw_link_assign(l->link, items, count) != count)
        die("the link is down");
}

static void on_results(void *context, void *owner, const fw_lease_result *items, size_t count)
{
    load *l = owner;
    (void)context;
    for (size_t i = 0; i < count; i++)
        if (items[i].returned || items[i].view.result.len != l->args_len)
            die("a wrong result");
    l->done += count;
    l->calls++;
    uint64_t left = l->tasks - l->assigned;
    assign(l, count < left ? count : left);
    if (l->done == l->tasks)
        fw_store_release(&l->over, true);
}

/* ---- Both ---- */

static void no_submit(void *context, const fw_submission *items, size_t count)
{
    (void)context, (void)items, (void)count;
}

static void no_batch(void *context, const fw_submission *items, size_t count,
                     const fw_reply_to *reply)
{
    (void)context, (void)items, (void)count, (void)reply;
}

static void no_query(void *context, const fw_query *query)
{
    (void)context, (void)query;
}

static void no_registration(void *context, const fw_registration *registration)
{
    (void)context, (void)registration;
}

static fw_net *start(fw_net_kind kind)
{
    fw_net *net;
    char error[256];
    fw_net_config config;
    fw_net_config_default(&config);
    config.kind = kind;
    config.worker_id = kind == FW_NET_SUBWORKER ? "sw1" : "control-plane";
    config.base_address = kind == FW_NET_SUBWORKER ? "auto" : "tcp://127.0.0.1:0";
    config.discovery_address = "tcp://127.0.0.1:0";
    fw_net_ops ops = {.submit = kind == FW_NET_SUBWORKER ? echo : no_submit,
                      .submit_batch = no_batch,
                      .query = no_query,
                      .registration = no_registration};
    fw_link_ops links = {.up = on_up, .down = on_down, .results = on_results};
    if (fw_net_start(&net, error, sizeof error, &config, &ops) != 0)
        die(error);
    fw_net_set_link_ops(net, &links);
    return net;
}

static card card_of(fw_net *net, fw_net_kind kind)
{
    card c;
    snprintf(c.address, sizeof c.address, "%s",
             kind == FW_NET_SUBWORKER ? fw_net_pull_address(net) : fw_net_results_address(net));
    snprintf(c.epoch, sizeof c.epoch, "%s", fw_net_epoch(net));
    return c;
}

static fw_link *open_link(fw_net *net, const char *id, const card *peer, load *owner)
{
    fw_link_config config = {.id = {id, strlen(id)},
                             .epoch = {peer->epoch, strlen(peer->epoch)},
                             .address = {peer->address, strlen(peer->address)},
                             .owner = owner};
    fw_link *link = fw_link_open(net, &config);
    if (!link)
        die("cannot dial");
    return link;
}

static void wait_for(fw_atomic(bool) * mark)
{
    while (!fw_load_acquire(mark))
        poll(NULL, 0, 1);
}

static double cpu_s(int who)
{
    struct rusage used;
    getrusage(who, &used);
    return (double)used.ru_utime.tv_sec + (double)used.ru_utime.tv_usec * 1e-6 +
           (double)used.ru_stime.tv_sec + (double)used.ru_stime.tv_usec * 1e-6;
}

static void exchange_cards(int out, int in, const card *mine, card *theirs)
{
    if (write(out, mine, sizeof *mine) != sizeof *mine ||
        read(in, theirs, sizeof *theirs) != sizeof *theirs)
        die("the other side is gone");
}

static int be_subworker(int out, int in)
{
    card mine, theirs;
    the_load.net = start(FW_NET_SUBWORKER);
    mine = card_of(the_load.net, FW_NET_SUBWORKER);
    exchange_cards(out, in, &mine, &theirs);
    fw_link *link = open_link(the_load.net, "", &theirs, &the_load);
    wait_for(&the_load.over);
    fw_link_close(link);
    fw_net_stop(the_load.net, 0);
    return 0;
}

static void measure(load *l, size_t window)
{
    int64_t start_ns = fw_now_ns();
    double cpu = cpu_s(RUSAGE_SELF);
    assign(l, window < l->tasks ? window : l->tasks);
    wait_for(&l->over);
    double seconds = (double)(fw_now_ns() - start_ns) * 1e-9;
    printf("window %zu: %.0f tasks/s, control plane %.0f ns of CPU a task, %.1f results a call\n",
           window, (double)l->tasks / seconds, (cpu_s(RUSAGE_SELF) - cpu) * 1e9 / (double)l->tasks,
           (double)l->done / (double)l->calls);
}

static void read_options(load *l, int argc, char **argv)
{
    size_t bytes = 64;
    for (int i = 1; i + 1 < argc; i += 2) {
        uint64_t value = strtoull(argv[i + 1], NULL, 10);
        if (strcmp(argv[i], "--window") == 0)
            l->window = value;
        else if (strcmp(argv[i], "--tasks") == 0)
            l->tasks = value;
        else if (strcmp(argv[i], "--bytes") == 0)
            bytes = value;
        else
            die("options: --window N --tasks N --bytes N");
    }
    l->args_len = bytes < 4 ? 4 : bytes;
    l->args = malloc(l->args_len);
    if (!l->args || l->window == 0 || l->window > WINDOW_MAX || l->tasks == 0)
        die("options: a window from 1 to 65536, and tasks");
    memset(l->args, 'x', l->args_len);
    memcpy(l->args, "[\"", 2);
    memcpy(l->args + l->args_len - 2, "\"]", 2);
}

int main(int argc, char **argv)
{
    load *l = &the_load;
    *l = (load){.window = 1024, .tasks = 2000000};
    read_options(l, argc, argv);
    int down[2], up[2];
    if (pipe(down) != 0 || pipe(up) != 0)
        die("pipe");
    pid_t child = fork(); /* before NNG has threads */
    if (child == 0)
        return be_subworker(up[1], down[0]);
    card mine, theirs;
    l->first = fw_key_random();
    l->first.low &= ~UINT64_C(0xffffffff);
    l->net = start(FW_NET_CONTROL_PLANE);
    mine = card_of(l->net, FW_NET_CONTROL_PLANE);
    /* Opened before the subworker hears of us, as after a registration. */
    if (read(up[0], &theirs, sizeof theirs) != sizeof theirs)
        die("the subworker is gone");
    l->link = open_link(l->net, "sw1", &theirs, l);
    if (write(down[1], &mine, sizeof mine) != sizeof mine)
        die("the subworker is gone");
    wait_for(&l->up);
    measure(l, l->window);
    fw_link_close(l->link);
    fw_net_stop(l->net, 0);
    waitpid(child, NULL, 0);
    printf("  subworker %.0f ns of CPU a task\n", cpu_s(RUSAGE_CHILDREN) * 1e9 / (double)l->tasks);
    return 0;
}

/* app/commands/top.c - `fastworker top`: what a control plane does, live.
 *
 * Asks the management port once an interval and draws what changed. On a terminal the screen is
 * the alternate one, put back at the end however the program ends; `q`, Ctrl-C and SIGTERM end it.
 * Otherwise, and with --once, plain text. SPDX-License-Identifier: Apache-2.0 */
#include "app/commands/top.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include "app/commands/commands.h"
#include "app/commands/connect.h"
#include "app/commands/moment.h"
#include "app/commands/output.h"
#include "base/clock.h"

enum { ROWS = 24, COLUMNS = 80 };

typedef struct top {
    fw_client *client;
    fw_top_sample before, now;
    fw_buffer text, screen;
    int64_t interval_ms;
    int signals;
    bool live, once, json, keys;
    struct termios usual;
} top;

/* --- samples --- */

static fw_json object_of(const char *answer)
{
    return fw_json_parse((fw_span){answer, strlen(answer)});
}

/* The exit status; it was said what is wrong. */
static int take_sample(top *t)
{
    fw_top_sample sample = {0};
    int64_t start = fw_now_ns();
    int rc = fw_manage(t->client, "{\"action\": \"stats\"}", &sample.stats);
    sample.answer_ms = (double)(fw_now_ns() - start) / 1e6;
    if (rc < 0)
        return fw_ends_saying(rc, fw_client_errmsg());
    sample.object = object_of(sample.stats);
    fw_json workers =
        sample.object.type == FW_JSON_OBJECT ? fw_json_get(sample.object, "workers") : (fw_json){0};
    if (workers.type != FW_JSON_OBJECT) {
        fw_top_sample_fini(&sample);
        return fw_ends_saying(-FW_EPROTO, "it does not tell its counters; is that a control plane "
                                          "of an older version, or a Python one?");
    }
    /* Without subworkers the second question is spared; a refusal of it is no reason to end. */
    double slots = 0;
    fw_json_double(fw_json_get(workers, "slots"), &slots);
    if (slots > 0 && fw_manage(t->client, "{\"action\": \"workers\"}", &sample.workers) < 0)
        sample.workers = NULL;
    fw_top_sample_fini(&t->before);
    t->before = t->now;
    t->now = sample;
    return FW_ENDS_WELL;
}

/* --- the terminal --- */

static void open_terminal(top *t)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGWINCH);
    sigprocmask(SIG_BLOCK, &set, NULL);
    t->signals = signalfd(-1, &set, SFD_CLOEXEC);
    if (!t->live)
        return;
    if (isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &t->usual) == 0) {
        struct termios raw = t->usual;
        raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
        t->keys = tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
    }
    fw_buffer_text(&t->screen, "\033[?1049h\033[?25l");
    fw_output_flush(&t->screen);
}

static void close_terminal(top *t)
{
    if (t->live) {
        fw_buffer_text(&t->screen, "\033[?25h\033[?1049l");
        fw_output_flush(&t->screen);
    }
    if (t->keys)
        tcsetattr(STDIN_FILENO, TCSANOW, &t->usual);
    if (t->signals >= 0)
        close(t->signals);
}

/* False: nobody reads any more. */
static bool draw(top *t)
{
    struct winsize size = {.ws_row = ROWS, .ws_col = COLUMNS};
    t->text.len = 0;
    if (t->json) {
        fw_buffer_format(&t->text, "{\"stats\": %s, \"workers\": %s}\n", t->now.stats,
                         t->now.workers ? t->now.workers : "null");
        return fw_output_flush(&t->text) && fflush(stdout) == 0;
    }
    fw_top_write(&t->text, fw_client_address(t->client), &t->before, &t->now);
    if (!t->live) {
        fw_buffer_text(&t->text, t->once ? "" : "\n");
        return fw_output_flush(&t->text) && fflush(stdout) == 0;
    }
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_row == 0 || size.ws_col == 0)
        size = (struct winsize){.ws_row = ROWS, .ws_col = COLUMNS};
    fw_top_fit(&t->screen, &t->text, size.ws_row, size.ws_col);
    return fw_output_flush(&t->screen) && fflush(stdout) == 0;
}

typedef enum wish { GO_ON, DRAW_AGAIN, STOP } wish;

/* Waits for the next sample's time, a key or a signal. */
static wish wait_until(top *t, int64_t due_ns, int *caught)
{
    struct pollfd ready[] = {{.fd = t->signals, .events = POLLIN},
                             {.fd = t->keys ? STDIN_FILENO : -1, .events = POLLIN}};
    int64_t left = (due_ns - fw_now_ns() + FW_NS_PER_MS - 1) / FW_NS_PER_MS;
    if (poll(ready, 2, left > 0 ? (int)left : 0) <= 0)
        return GO_ON;
    struct signalfd_siginfo info;
    if (ready[0].revents && read(t->signals, &info, sizeof info) == sizeof info) {
        *caught = (int)info.ssi_signo;
        return info.ssi_signo == SIGWINCH ? DRAW_AGAIN : STOP;
    }
    char key = 0;
    if (ready[1].revents && read(STDIN_FILENO, &key, 1) != 1)
        t->keys = false; /* it was closed; a signal still ends us */
    return key == 'q' || key == 'Q' ? STOP : DRAW_AGAIN;
}

static int run_top(top *t)
{
    int caught = 0, ends = take_sample(t);
    int64_t due = fw_now_ns();
    bool read_on = ends == 0 && (!t->live || draw(t));
    while (read_on) {
        due += t->interval_ms * FW_NS_PER_MS;
        wish w;
        while ((w = wait_until(t, due, &caught)) != STOP && fw_now_ns() < due)
            if (w == DRAW_AGAIN && t->live)
                draw(t);
        if (w == STOP)
            return caught == SIGTERM ? FW_ENDS_TERMINATED : FW_ENDS_WELL;
        ends = take_sample(t);
        read_on = ends == 0 && draw(t) && !t->once;
        if (fw_now_ns() > due + t->interval_ms * FW_NS_PER_MS)
            due = fw_now_ns(); /* it was asleep: nothing is caught up */
    }
    return ends;
}

static int read_options(top *t, fw_options *options)
{
    const char *interval = fw_options_text(options, "interval");
    t->interval_ms = 1000;
    if (options->word_count > 0)
        return fw_options_wrong(options, "it takes no words.");
    if (interval && (!fw_duration_read(&t->interval_ms, interval) || t->interval_ms < 50 ||
                     t->interval_ms > 3600000))
        return fw_options_wrong(options, "--interval: a time from 50ms to 1h is wanted.");
    t->json = fw_options_has(options, "json");
    t->once = fw_options_has(options, "once");
    t->live = !t->once && !t->json && isatty(STDOUT_FILENO);
    t->signals = -1;
    return FW_ENDS_WELL;
}

int fw_command_top(int argc, char **argv)
{
    fw_option all[] = {
        {.name = "once", .kind = FW_OPTION_FLAG, .meaning = "one snapshot as plain text"},
        {.name = "interval",
         .letter = 'i',
         .kind = FW_OPTION_VALUE,
         .value = "TIME",
         .meaning = "between two looks, and what rates are over (1)"},
        {.name = "json", .kind = FW_OPTION_FLAG, .meaning = "the counters, one object a line"},
        FW_CONNECT_OPTIONS,
    };
    fw_options options = {
        .command = "top",
        .usage = "top [options]",
        .examples = "  fastworker top\n  fastworker top --once --interval 5\n",
        .notes = "STARTED: by the control plane's own threads. STOLEN: taken from another "
                 "thread's queue. PARKS: it found\nnothing and slept. WAITED: ready to run, but no "
                 "CPU was free. On a terminal q ends it.\n",
        .all = all,
        .count = sizeof all / sizeof all[0]};
    fw_parse parsed = fw_options_parse(&options, argc, argv);
    if (parsed != FW_PARSE_GO)
        return parsed == FW_PARSE_HELPED ? FW_ENDS_WELL : FW_ENDS_USAGE;
    top t = {0};
    int ends = read_options(&t, &options);
    if (ends == 0)
        ends = fw_connect(&t.client, &options, -1, 0);
    if (ends == 0) {
        open_terminal(&t);
        ends = run_top(&t);
        close_terminal(&t);
    }
    fw_top_sample_fini(&t.before);
    fw_top_sample_fini(&t.now);
    fw_buffer_fini(&t.text);
    fw_buffer_fini(&t.screen);
    fw_client_close(t.client);
    fw_options_fini(&options);
    return fw_ends(ends);
}

/* app/commands/events.c - what happens at a control plane, as it happens.
 *
 * Covered by tests/app/events_test.py. SPDX-License-Identifier: Apache-2.0 */
#include <fnmatch.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "app/commands/commands.h"
#include "app/commands/connect.h"
#include "app/commands/manage.h"
#include "fastworker/subscribe.h"

typedef struct follow {
    fw_subscription *subscription;
    const char *pattern; /* NULL: all */
    bool json;
    long left; /* events still to be shown; -1: without end */
} follow;

static void print_member(fw_json event, const char *key, const char *label)
{
    char text[512];
    fw_span span;
    fw_json value = fw_json_get(event, key);
    if (value.type == FW_JSON_INVALID)
        return;
    if (!fw_json_string(value, text, sizeof text, &span))
        span = value.text;
    printf(" %s=", label);
    /* One line each, whatever a task wrote into its error. */
    for (size_t i = 0; i < span.len; i++) {
        unsigned char c = (unsigned char)span.ptr[i];
        putchar(c < 0x20 || c == 0x7f ? ' ' : c);
    }
}

static void print_line(const fw_event_text *event)
{
    static const char *const keys[][2] = {
        {"task", "task"},         {"task_id", "id"},    {"priority", "prio"},
        {"attempt", "attempt"},   {"worker", "worker"}, {"dur_ms", "ms"},
        {"delay_s", "delay"},     {"done", "done"},     {"total", "total"},
        {"schedule", "schedule"}, {"losses", "losses"}, {"count", "count"},
        {"all", "all"},           {"note", "note"},     {"error", "error"}};
    double seconds = 0;
    char clock[16] = "?";
    struct tm parts;
    fw_json json = fw_json_parse(event->json);
    fw_json_double(fw_json_get(json, "ts"), &seconds);
    time_t at = (time_t)seconds;
    if (localtime_r(&at, &parts))
        strftime(clock, sizeof clock, "%H:%M:%S", &parts);
    printf("%s.%03d %-14.*s", clock, (int)((seconds - (double)at) * 1000), (int)event->name.len,
           event->name.ptr);
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        print_member(json, keys[i][0], keys[i][1]);
    putchar('\n');
}

/* A pattern as in a shell: of the event's name, or of the task's. */
static bool is_wanted(const follow *f, const fw_event_text *event)
{
    char name[128], task[FW_MANAGE_TEXT_MAX + 1];
    if (!f->pattern)
        return true;
    snprintf(name, sizeof name, "%.*s", (int)event->name.len, event->name.ptr);
    if (fnmatch(f->pattern, name, 0) == 0)
        return true;
    char buffer[FW_MANAGE_TEXT_MAX];
    fw_span text = fw_manage_text(fw_json_parse(event->json), "task", buffer);
    snprintf(task, sizeof task, "%.*s", (int)text.len, text.ptr);
    return fnmatch(f->pattern, task, 0) == 0;
}

static void show(follow *f, const fw_event_text *event)
{
    if (!is_wanted(f, event))
        return;
    if (f->json)
        printf("%.*s\n", (int)event->json.len, event->json.ptr);
    else
        print_line(event);
    if (f->left > 0)
        f->left--;
}

static int end_by(int signals)
{
    struct signalfd_siginfo info;
    if (read(signals, &info, sizeof info) != sizeof info)
        return FW_ENDS_OTHERWISE;
    return info.ssi_signo == SIGTERM ? FW_ENDS_TERMINATED : FW_ENDS_WELL;
}

/* Until a signal, the end of the connection, or enough. */
static int run(follow *f, int signals)
{
    for (;;) {
        fw_event_text event;
        int rc = 1;
        while (f->left != 0 && (rc = fw_subscription_next(f->subscription, 0, &event)) > 0)
            show(f, &event);
        if (fflush(stdout) != 0)
            return FW_ENDS_OTHERWISE; /* whoever read has left */
        if (rc < 0)
            return fw_ends_saying(rc, fw_client_errmsg());
        if (f->left == 0)
            return FW_ENDS_WELL;
        struct pollfd ready[] = {{.fd = fw_subscription_fd(f->subscription), .events = POLLIN},
                                 {.fd = signals, .events = POLLIN}};
        poll(ready, 2, -1);
        if (ready[1].revents)
            return end_by(signals);
    }
}

static int follow_events(follow *f, fw_options *options)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    int signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    int rc = fw_subscribe(&f->subscription, fw_options_text(options, "discovery-address"), 0);
    if (rc < 0) {
        close(signals);
        fw_ends_saying(rc, fw_client_errmsg());
        return rc == -FW_ETIME ? FW_ENDS_NOBODY : fw_ends_of_error(rc);
    }
    fprintf(stderr, "listening; Ctrl-C ends it\n");
    int ends = run(f, signals);
    fw_subscription_close(f->subscription);
    close(signals);
    return ends;
}

static bool read_count(long *out, const char *text)
{
    char *end;
    *out = strtol(text, &end, 10);
    return end != text && *end == '\0' && *out >= 1 && *out <= INT32_MAX;
}

int fw_command_events(int argc, char **argv)
{
    fw_option all[] = {
        {.name = "json", .kind = FW_OPTION_FLAG, .meaning = "one JSON object a line"},
        {.name = "name",
         .kind = FW_OPTION_VALUE,
         .value = "PATTERN",
         .meaning = "events, or tasks, of these names: 'task.*', 'resize'"},
        {.name = "count",
         .letter = 'n',
         .kind = FW_OPTION_VALUE,
         .value = "N",
         .meaning = "ends after so many"},
        {.name = "discovery-address",
         .kind = FW_OPTION_VALUE,
         .value = "ADDRESS",
         .meaning = "where a control plane announces itself (tcp://127.0.0.1:5550)"},
    };
    fw_options options = {.command = "events",
                          .usage = "events [options]",
                          .examples = "  fastworker events\n  fastworker events --json --name "
                                      "'task.failed' | jq .error\n",
                          .notes = "Names and members: docs/EVENTS.md\n",
                          .all = all,
                          .count = sizeof(all) / sizeof(all[0])};
    fw_parse parsed = fw_options_parse(&options, argc, argv);
    if (parsed != FW_PARSE_GO)
        return parsed == FW_PARSE_HELPED ? FW_ENDS_WELL : FW_ENDS_USAGE;
    const char *count = fw_options_text(&options, "count");
    follow f = {.pattern = fw_options_text(&options, "name"),
                .json = fw_options_has(&options, "json"),
                .left = -1};
    int ends = 0;
    if (options.word_count > 0)
        ends = fw_options_wrong(&options, "it takes no words.");
    else if (count && !read_count(&f.left, count))
        ends = fw_options_wrong(&options, "--count takes a number from 1 on, not '%s'.", count);
    if (ends == 0)
        ends = follow_events(&f, &options);
    fw_options_fini(&options);
    return fw_ends(ends);
}

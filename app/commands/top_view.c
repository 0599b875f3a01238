/* app/commands/top_view.c - two samples of counters as a screen of text.
 *
 * Rates are differences over the control plane's own clock. How long a task stays is by Little's
 * law: tasks in the house, divided by tasks that end a second; that holds when neither changes
 * quickly. SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/commands/top.h"

enum { TEXT_MAX = 256, WORKERS_SHOWN = 40, THREADS_SHOWN = 64 };

void fw_top_sample_fini(fw_top_sample *sample)
{
    free(sample->stats);
    free(sample->workers);
    *sample = (fw_top_sample){0};
}

/* --- numbers --- */

static double number(fw_json object, const char *key)
{
    double value = 0;
    if (object.type == FW_JSON_OBJECT)
        fw_json_double(fw_json_get(object, key), &value);
    return value;
}

static fw_json member(fw_json object, const char *key)
{
    return object.type == FW_JSON_OBJECT ? fw_json_get(object, key) : (fw_json){0};
}

static bool is_true(fw_json object, const char *key)
{
    bool value = false;
    return fw_json_bool(member(object, key), &value) && value;
}

/* Two moments and the time between them; before's objects may be INVALID: all zero. */
typedef struct pair {
    fw_json before, now;
    double seconds;
} pair;

static double rate(pair p, const char *key)
{
    double difference = number(p.now, key) - number(p.before, key);
    return p.seconds > 0 && difference > 0 ? difference / p.seconds : 0;
}

static pair inside(pair p, const char *key)
{
    return (pair){member(p.before, key), member(p.now, key), p.seconds};
}

static fw_span text_of(fw_json object, const char *key, char buffer[TEXT_MAX])
{
    fw_span text = {"?", 1};
    fw_json_string(member(object, key), buffer, TEXT_MAX, &text);
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.ptr[i] < ' ' || (unsigned char)text.ptr[i] > '~')
            return (fw_span){"?", 1}; /* nobody else's bytes reach the terminal */
    return text;
}

/* 12.3k, 4.56M: six characters at most. */
static const char *short_number(double value, char out[16])
{
    if (value < 9999.5)
        snprintf(out, 16, value < 99.95 && value > 0 ? "%.1f" : "%.0f", value);
    else if (value < 999.5e3)
        snprintf(out, 16, "%.1fk", value / 1e3);
    else if (value < 999.5e6)
        snprintf(out, 16, "%.2fM", value / 1e6);
    else
        snprintf(out, 16, "%.2fG", value / 1e9);
    return out;
}

static const char *short_time(double seconds, char out[16])
{
    if (seconds < 1e-3)
        snprintf(out, 16, "%.1f us", seconds * 1e6);
    else if (seconds < 1)
        snprintf(out, 16, "%.1f ms", seconds * 1e3);
    else if (seconds < 600)
        snprintf(out, 16, "%.1f s", seconds);
    else
        snprintf(out, 16, "%.0f min", seconds / 60);
    return out;
}

/* --- the parts of the screen --- */

static void write_tasks(fw_buffer *out, pair whole, double answer_ms)
{
    char a[16], b[16], c[16], d[16];
    pair tasks = inside(whole, "tasks"), cpu = inside(whole, "cpu"), net = inside(whole, "net");
    pair cache = inside(whole, "cache");
    double ended = rate(tasks, "success") + rate(tasks, "failure") + rate(tasks, "cancelled");
    double here = number(tasks.now, "queued") + number(tasks.now, "running");
    double used = rate(cpu, "seconds"), hits = rate(cache, "hits"), misses = rate(cache, "misses");
    fw_buffer_format(out, "tasks    %s/s came  %s/s ended  %s/s failed  %s/s cancelled\n",
                     short_number(rate(tasks, "admitted"), a), short_number(ended, b),
                     short_number(rate(tasks, "failure"), c),
                     short_number(rate(tasks, "cancelled"), d));
    fw_buffer_format(out, "now      %s waiting  %s running  %s for later",
                     short_number(number(tasks.now, "queued"), a),
                     short_number(number(tasks.now, "running"), b),
                     short_number(number(tasks.now, "scheduled"), c));
    fw_buffer_format(out, "  each stays %s on average\n",
                     ended > 0 ? short_time(here / ended, a) : "-");
    fw_buffer_format(out, "cpu      %.2f cores  %s a task", used,
                     ended > 0 ? short_time(used / ended, a) : "-");
    fw_buffer_format(out, "  %s/s sleeps  %s/s preempted  answers in %.2f ms\n",
                     short_number(rate(cpu, "sleeps"), a), short_number(rate(cpu, "preempted"), b),
                     answer_ms);
    fw_buffer_format(
        out, "wire     %s connections  %s/s in  %s/s out  %s/s refused\n",
        short_number(number(net.now, "connections"), a), short_number(rate(net, "messages_in"), b),
        short_number(rate(net, "messages_out"), c), short_number(rate(net, "refused"), d));
    fw_buffer_format(out, "results  %s kept  %s bytes  %s/s dropped",
                     short_number(number(cache.now, "entries"), a),
                     short_number(number(cache.now, "bytes"), b),
                     short_number(rate(cache, "evicted"), c));
    if (hits + misses > 0)
        fw_buffer_format(out, "  %.0f %% of look-ups found one", 100 * hits / (hits + misses));
    fw_buffer_text(out, "\n");
}

/* Steps through two arrays at once; what before has not is INVALID. */
typedef struct walk {
    fw_json_cursor before, now;
    bool has_before;
} walk;

static walk begin(pair p, const char *key)
{
    fw_json before = member(p.before, key), now = member(p.now, key);
    walk w = {.has_before = before.type == FW_JSON_ARRAY};
    static const fw_span nothing = {"[]", 2};
    w.now = fw_json_open(now.type == FW_JSON_ARRAY ? now : fw_json_parse(nothing));
    if (w.has_before)
        w.before = fw_json_open(before);
    return w;
}

static bool step(walk *w, pair *p)
{
    p->before = (fw_json){0};
    if (w->has_before && !fw_json_next(&w->before, &p->before))
        w->has_before = false;
    return fw_json_next(&w->now, &p->now);
}

/* What of a list of [up to ns, how many] is up to this bound. */
static double count_upto(fw_json list, double bound_ns)
{
    double sum = 0;
    fw_json one;
    if (list.type != FW_JSON_ARRAY)
        return 0;
    for (fw_json_cursor c = fw_json_open(list); fw_json_next(&c, &one);) {
        fw_json value[2] = {{0}, {0}};
        double number[2] = {0, 0};
        fw_json_cursor in = fw_json_open(one);
        for (int i = 0; i < 2 && fw_json_next(&in, &value[i]); i++)
            fw_json_double(value[i], &number[i]);
        if (number[0] > bound_ns)
            break;
        sum += number[1];
    }
    return sum;
}

/* The bound that so many of what was counted between the two moments did not exceed. */
static const char *quantile(pair p, const char *key, double share, char out[16])
{
    fw_json before = member(p.before, key), now = member(p.now, key), one, bound;
    double all = count_upto(now, 1e300) - count_upto(before, 1e300), ns = 0;
    if (now.type != FW_JSON_ARRAY || all <= 0)
        return "-";
    for (fw_json_cursor c = fw_json_open(now); fw_json_next(&c, &one);) {
        fw_json_cursor in = fw_json_open(one);
        if (fw_json_next(&in, &bound) && fw_json_double(bound, &ns) &&
            count_upto(now, ns) - count_upto(before, ns) >= share * all)
            break;
    }
    return short_time(ns / 1e9, out);
}

static void write_queues(fw_buffer *out, pair whole)
{
    char name[TEXT_MAX], a[16], b[16], c[16], d[16];
    pair queue = {.seconds = whole.seconds};
    fw_buffer_format(out, "\n%-9s %8s %8s %7s %9s %9s %9s %9s\n", "PRIORITY", "WAITING", "OLDEST",
                     "HELD", "STARTED", "WAIT P50", "P99", "RUN P50");
    for (walk w = begin(whole, "queues"); step(&w, &queue);) {
        fw_span text = text_of(queue.now, "priority", name);
        double waiting = number(queue.now, "waiting");
        double oldest = number(queue.now, "oldest_seconds");
        fw_buffer_format(
            out, "%-9.*s %8s %8s %7s %7s/s", (int)text.len, text.ptr, short_number(waiting, a),
            waiting > 0 && oldest > 0 ? short_time(oldest, b) : "-",
            short_number(number(queue.now, "held"), c), short_number(rate(queue, "ran"), d));
        fw_buffer_format(out, " %9s %9s %9s%s\n", quantile(queue, "waits", 0.5, a),
                         quantile(queue, "waits", 0.99, b), quantile(queue, "runs", 0.5, c),
                         is_true(queue.now, "paused") ? "  paused" : "");
    }
}

static void write_threads(fw_buffer *out, pair whole)
{
    char a[16], b[16], c[16], d[16];
    pair thread = {.seconds = whole.seconds};
    walk w = begin(whole, "threads");
    int n = 0;
    fw_buffer_format(out, "\n%-12s %9s %9s %9s %9s  %s\n", "TASK THREAD", "RUNS", "STOLEN",
                     "SPAWNED", "PARKS", "NOW");
    for (; step(&w, &thread); n++) {
        if (n < THREADS_SHOWN)
            fw_buffer_format(
                out, "%-12d %7s/s %7s/s %7s/s %7s/s  %s\n", n, short_number(rate(thread, "ran"), a),
                short_number(rate(thread, "stolen"), b), short_number(rate(thread, "spawned"), c),
                short_number(rate(thread, "parks"), d),
                is_true(thread.now, "parked") ? "parked" : "awake");
    }
    if (n > THREADS_SHOWN)
        fw_buffer_format(out, "and %d more\n", n - THREADS_SHOWN);
}

/* The same one in the earlier sample: the object whose member key is that text. */
static fw_json find_same(fw_json array, const char *key, fw_span name)
{
    char buffer[TEXT_MAX];
    fw_json one;
    if (array.type != FW_JSON_ARRAY)
        return (fw_json){0};
    for (fw_json_cursor cursor = fw_json_open(array); fw_json_next(&cursor, &one);) {
        fw_span text = text_of(one, key, buffer);
        if (text.len == name.len && memcmp(text.ptr, name.ptr, name.len) == 0)
            return one;
    }
    return (fw_json){0};
}

/* Where time goes, by the names of the threads: what used nothing is left out. */
static void write_cpu(fw_buffer *out, pair whole)
{
    char buffer[TEXT_MAX];
    pair cpu = inside(whole, "cpu"), time = {.seconds = whole.seconds};
    fw_json before = member(cpu.before, "threads");
    walk w = begin((pair){.now = cpu.now}, "threads");
    fw_buffer_format(out, "\n%-16s %8s %8s %8s\n", "CPU TIME", "THREADS", "RAN", "WAITED");
    while (step(&w, &time)) {
        fw_span name = text_of(time.now, "name", buffer);
        time.before = find_same(before, "name", name);
        double ran = rate(time, "ran") * 100, waited = rate(time, "waited") * 100;
        if (ran + waited >= 0.05)
            fw_buffer_format(out, "%-16.*s %8.0f %6.1f %% %6.1f %%\n", (int)name.len, name.ptr,
                             number(time.now, "threads"), ran, waited);
    }
}

static fw_json workers_of(const fw_top_sample *sample)
{
    if (!sample->workers)
        return (fw_json){0};
    return member(fw_json_parse((fw_span){sample->workers, strlen(sample->workers)}), "workers");
}

static void write_workers(fw_buffer *out, const fw_top_sample *before, const fw_top_sample *now,
                          double seconds)
{
    char id[TEXT_MAX], state[TEXT_MAX], a[16], b[16];
    fw_json earlier = workers_of(before), list = workers_of(now);
    pair worker = {.seconds = seconds};
    if (list.type != FW_JSON_ARRAY || fw_json_count(list) == 0)
        return;
    int n = 0;
    fw_buffer_format(out, "\n%-24s %-9s %6s %8s %10s %7s %7s\n", "SUBWORKER", "STATE", "SLOTS",
                     "IN HAND", "ENDED", "LOST", "SEEN");
    for (fw_json_cursor c = fw_json_open(list); fw_json_next(&c, &worker.now); n++) {
        if (n >= WORKERS_SHOWN)
            continue;
        fw_span texts[] = {text_of(worker.now, "id", id), text_of(worker.now, "state", state)};
        worker.before = find_same(earlier, "id", texts[0]);
        fw_buffer_format(out, "%-24.*s %-9.*s %6.0f %8.0f %8s/s %7s %6.0fs\n", (int)texts[0].len,
                         texts[0].ptr, (int)texts[1].len, texts[1].ptr, number(worker.now, "slots"),
                         number(worker.now, "in_hand"), short_number(rate(worker, "ended"), a),
                         short_number(number(worker.now, "lost"), b),
                         number(worker.now, "seen_seconds"));
    }
    if (n > WORKERS_SHOWN)
        fw_buffer_format(out, "and %d more\n", n - WORKERS_SHOWN);
}

void fw_top_write(fw_buffer *out, const char *address, const fw_top_sample *before,
                  const fw_top_sample *now)
{
    char version[TEXT_MAX];
    pair whole = {before->object, now->object, 0};
    double began = before->stats
                       ? number(whole.before, "at_seconds")
                       : number(whole.now, "at_seconds") - number(whole.now, "up_seconds");
    whole.seconds = number(whole.now, "at_seconds") - began;
    fw_span text = text_of(whole.now, "version", version);
    fw_buffer_format(out, "fastworker %.*s  %s  up %.0f s  over %.1f s\n", (int)text.len, text.ptr,
                     address, number(whole.now, "up_seconds"), whole.seconds);
    write_tasks(out, whole, now->answer_ms);
    write_queues(out, whole);
    write_threads(out, whole);
    write_cpu(out, whole);
    write_workers(out, before, now, whole.seconds);
}

void fw_top_fit(fw_buffer *out, const fw_buffer *text, int rows, int columns)
{
    size_t at = 0;
    fw_buffer_text(out, "\033[H");
    for (int row = 0; row < rows && at < text->len; row++) {
        const char *line = text->data + at;
        const char *end = memchr(line, '\n', text->len - at);
        size_t len = end ? (size_t)(end - line) : text->len - at;
        at += len + 1;
        fw_buffer_text(out, row > 0 ? "\r\n" : "");
        fw_buffer_add(out, line, len < (size_t)columns ? len : (size_t)columns);
        if (len < (size_t)columns)
            fw_buffer_text(out, "\033[K");
    }
    fw_buffer_text(out, "\033[J");
}

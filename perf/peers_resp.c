/* perf/peers_resp.c - redis as a task queue, by its own protocol: see perf/peer_line.h for the
 * words; WHO is redis (lists, each result stored under its task's id, with an expiry) or
 * redis-streams (a consumer group, entries acknowledged and deleted).
 *
 * A worker takes up to 100 at once and sends results, what stores or acknowledges them, and
 * its next question in one write. SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "peer_line.h"

enum { BATCH = 100, ID_MAX = 64, NUMBER = 16 };

static bool streams;

/* --- the protocol --- */

static void begin(peer_line *l, size_t words)
{
    peer_format(l, "*%zu\r\n", words);
}

static void add(peer_line *l, const char *word, size_t len)
{
    peer_format(l, "$%zu\r\n", len);
    peer_put(l, word, len);
    peer_put(l, "\r\n", 2);
}

/* Words without spaces, written as they are. */
static void command(peer_line *l, const char *text)
{
    size_t words = 1;
    for (const char *at = text; *at; at++)
        words += *at == ' ';
    begin(l, words);
    while (*text) {
        size_t len = strcspn(text, " ");
        add(l, text, len);
        text += text[len] ? len + 1 : len;
    }
}

/* Text of a bulk string that is `len` long, waiting for it. */
static const char *bulk(peer_line *l, size_t len)
{
    while (l->in_end - l->in_start < len + 2)
        peer_fill(l);
    const char *at = l->in + l->in_start;
    l->in_start += len + 2;
    return at;
}

typedef void taker(peer_line *l, const char *text, size_t len);

/* Reads one answer, however it is nested, and gives its bulk strings to take. True: it was an
 * array. */
static bool answer(peer_line *l, taker *take)
{
    bool array = false;
    for (long left = 1; left > 0; left--) {
        const char *line = peer_text(l);
        long n = strtol(line + 1, NULL, 10);
        if (line[0] == '-')
            peer_die(line);
        if (line[0] == '*' && n > 0) {
            left += n;
            array = true;
        }
        if (line[0] == '$' && n >= 0) {
            const char *text = bulk(l, (size_t)n);
            if (take)
                take(l, text, (size_t)n);
        }
    }
    return array;
}

/* --- a worker --- */

static char tasks[BATCH][PEER_BYTES], ids[BATCH][ID_MAX];
static size_t task_count;

static void keep(peer_line *l, const char *text, size_t len)
{
    (void)l;
    if (task_count == BATCH)
        peer_die("more than was asked for");
    if (len == PEER_BYTES)
        memcpy(tasks[task_count++], text, len);
    else if (len > 1) /* of a stream's entry; keys have one character */
        snprintf(ids[task_count], ID_MAX, "%.*s", (int)len, text);
}

static void send_results(peer_line *l)
{
    if (!streams) {
        for (size_t i = 0; i < task_count; i++) {
            begin(l, 5);
            add(l, "SET", 3);
            add(l, tasks[i], NUMBER);
            add(l, tasks[i] + NUMBER, PEER_BYTES - NUMBER);
            add(l, "EX", 2);
            add(l, "3600", 4);
        }
        begin(l, task_count + 2);
        add(l, "LPUSH", 5);
        add(l, "r", 1);
        for (size_t i = 0; i < task_count; i++)
            add(l, tasks[i], PEER_BYTES);
        return;
    }
    for (size_t i = 0; i < task_count; i++) {
        begin(l, 5);
        add(l, "XADD", 4);
        add(l, "r", 1);
        add(l, "*", 1);
        add(l, "d", 1);
        add(l, tasks[i], PEER_BYTES);
    }
    for (int deletes = 0; deletes < 2; deletes++) {
        begin(l, task_count + (deletes ? 2 : 3));
        add(l, deletes ? "XDEL" : "XACK", 4);
        add(l, "q", 1);
        if (!deletes)
            add(l, "g", 1);
        for (size_t i = 0; i < task_count; i++)
            add(l, ids[i], strlen(ids[i]));
    }
}

static void work(int port)
{
    static peer_line l;
    char question[128] = "BLMPOP 0 1 q RIGHT COUNT 100";
    peer_dial(&l, port);
    if (streams)
        snprintf(question, sizeof question, "XREADGROUP GROUP g w%d COUNT 100 BLOCK 0 STREAMS q >",
                 (int)getpid());
    for (;;) {
        command(&l, question);
        peer_flush(&l);
        task_count = 0;
        while (!answer(&l, keep))
            ;
        send_results(&l);
    }
}

/* --- the client's --- */

static peer_line jobs, results;
static unsigned unacknowledged;
static bool asked;
static char last_id[ID_MAX] = "0";

static void submit(const char task[PEER_BYTES])
{
    begin(&jobs, streams ? 5 : 3);
    add(&jobs, streams ? "XADD" : "LPUSH", streams ? 4 : 5);
    add(&jobs, "q", 1);
    if (streams) {
        add(&jobs, "*", 1);
        add(&jobs, "d", 1);
    }
    add(&jobs, task, PEER_BYTES);
    unacknowledged++;
}

static void flush(void)
{
    char question[128] = "BLMPOP 0 1 r RIGHT COUNT 1000";
    peer_flush(&jobs);
    for (; unacknowledged > 0; unacknowledged--)
        answer(&jobs, NULL);
    if (asked)
        return;
    if (streams) {
        snprintf(question, sizeof question, "XTRIM r MINID %s", last_id);
        command(&results, question);
        snprintf(question, sizeof question, "XREAD COUNT 1000 BLOCK 0 STREAMS r %s", last_id);
    }
    command(&results, question);
    peer_flush(&results);
    asked = true;
}

static void take(peer_line *l, const char *text, size_t len)
{
    (void)l;
    if (len == PEER_BYTES)
        peer_done(text, len);
    else if (len > 1)
        snprintf(last_id, sizeof last_id, "%.*s", (int)len, text);
}

static void collect(void)
{
    while (!answer(&results, take))
        ;
    asked = false;
}

static int results_fd(void)
{
    return results.fd;
}

static void open_client(int port)
{
    peer_dial(&jobs, port);
    peer_dial(&results, port);
}

int main(int argc, char **argv)
{
    static const peer redis = {.program = "peers_resp",
                               .work = work,
                               .open = open_client,
                               .submit = submit,
                               .flush = flush,
                               .fd = results_fd,
                               .collect = collect};
    streams = argc > 4 && strcmp(argv[4], "redis-streams") == 0;
    if (streams) {
        /* The group has to be there before the first worker asks. */
        static peer_line l;
        peer_begin(&redis);
        peer_dial(&l, (int)strtol(argv[1], NULL, 10));
        command(&l, "XGROUP CREATE q g 0 MKSTREAM");
        peer_flush(&l);
        answer(&l, NULL);
    }
    return peer_main(&redis, argc, argv);
}

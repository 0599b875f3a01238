/* perf/peers_beanstalkd.c - beanstalkd: see perf/peer_line.h for the words.
 *
 * The client puts jobs into the tube q. Workers reserve (twice as many at once as there were last
 * time, up to 64, by `reserve` and then `reserve-with-timeout 0`), put what they got into the tube
 * r and delete the job; the client reserves there, and deletes. All gather what they can in one
 * write. Without results in a tube a client would not know the end.
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "peer_line.h"

enum { BATCH = 64 };

typedef struct tube {
    peer_line line;
    unsigned asked, last; /* jobs, by one round; that came of the round before */
} tube;

static void expect(tube *t, const char *word)
{
    const char *answer = peer_text(&t->line);
    if (strncmp(answer, word, strlen(word)) != 0)
        peer_die(answer);
}

static void dial(tube *t, int port, const char *watch, const char *use)
{
    peer_dial(&t->line, port);
    peer_format(&t->line, "watch %s\r\nignore default\r\nuse %s\r\n", watch, use);
    peer_flush(&t->line);
    expect(t, "WATCHING");
    expect(t, "WATCHING");
    expect(t, "USING");
}

static void ask_for_some(tube *t)
{
    t->asked = t->last < 1 ? 1 : 2 * t->last < BATCH ? 2 * t->last : BATCH;
    peer_format(&t->line, "reserve\r\n");
    for (unsigned i = 1; i < t->asked; i++)
        peer_format(&t->line, "reserve-with-timeout 0\r\n");
    peer_flush(&t->line);
}

/* A job of what ask_for_some asked for: its bytes and its id. False: there was none. */
static bool take(tube *t, char job[PEER_BYTES + 1], uint64_t *id)
{
    const char *answer = peer_text(&t->line);
    if (strcmp(answer, "TIMED_OUT") == 0)
        return false;
    if (sscanf(answer, "RESERVED %" SCNu64, id) != 1)
        peer_die(answer);
    snprintf(job, PEER_BYTES + 1, "%s", peer_text(&t->line));
    return true;
}

/* Takes what was asked for and deletes it; a worker puts it into its other tube first. */
static void serve(tube *t, bool echo)
{
    char job[PEER_BYTES + 1];
    uint64_t id;
    unsigned got = 0;
    for (unsigned i = 0; i < t->asked; i++) {
        if (!take(t, job, &id))
            continue;
        if (echo)
            peer_format(&t->line, "put 1000 0 300 %d\r\n%s\r\n", PEER_BYTES, job);
        else
            peer_done(job, PEER_BYTES);
        peer_format(&t->line, "delete %" PRIu64 "\r\n", id);
        got++;
    }
    peer_flush(&t->line);
    for (unsigned i = 0; i < got; i++) {
        if (echo)
            expect(t, "INSERTED");
        expect(t, "DELETED");
    }
    t->asked = 0;
    t->last = got;
}

static void work(int port)
{
    static tube t;
    dial(&t, port, "q", "r");
    for (;;) {
        ask_for_some(&t);
        serve(&t, true);
    }
}

/* --- the client's --- */

static tube jobs, results;
static unsigned unacknowledged;

static void open_client(int port)
{
    dial(&jobs, port, "none", "q");
    dial(&results, port, "r", "none");
}

static void submit(const char task[PEER_BYTES])
{
    peer_format(&jobs.line, "put 1000 0 300 %d\r\n%.*s\r\n", PEER_BYTES, PEER_BYTES, task);
    unacknowledged++;
}

static void flush(void)
{
    peer_flush(&jobs.line);
    for (; unacknowledged > 0; unacknowledged--)
        expect(&jobs, "INSERTED");
    if (results.asked == 0)
        ask_for_some(&results);
}

static int results_fd(void)
{
    return results.line.fd;
}

static void collect(void)
{
    serve(&results, false);
}

int main(int argc, char **argv)
{
    static const peer beanstalkd = {.program = "peers_beanstalkd",
                                    .work = work,
                                    .open = open_client,
                                    .submit = submit,
                                    .flush = flush,
                                    .fd = results_fd,
                                    .collect = collect};
    return peer_main(&beanstalkd, argc, argv);
}

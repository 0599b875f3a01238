/* perf/peers_redis.c - Redis lists as a task queue: peers_redis CASE PORT
 *
 * closed      LPUSH to a worker process, which answers on a list that the client reads by BRPOP
 * stored      tasks with an id of their own; a worker process takes 100 at once, stores each
 *             result under the id with an expiry, and answers; 4096 in flight
 * critical    two lists read by BRPOP critical low in two worker processes, 100,000 tasks of
 *             100 us in the low one, a critical one each millisecond for 2 s,
 *             waited for and timed from when it is sent, as critical_load does it
 *
 * Answers that can share a write do: this is the best we know how to do with lists. The server is
 * for this program alone. SPDX-License-Identifier: Apache-2.0 */
#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

enum {
    BYTES = 64,
    BATCH = 100,
    MANY = 4096,
    SAMPLES_MAX = 1024 * 1024,
    LOW_TASKS = 100000,
    LOW_NS = 100000,
    CRITICAL_TASKS = 2000
};

static int port;
static const int64_t run_ns = 2 * FW_NS_PER_S;
static int64_t samples[SAMPLES_MAX];
static size_t sample_count;
static char text[BYTES + 1];
static pid_t workers[2];

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "peers_redis: %s\n", what);
    for (size_t i = 0; i < 2; i++) {
        if (workers[i] > 0)
            kill(workers[i], SIGKILL);
    }
    exit(1);
}

static redisContext *dial(void)
{
    redisContext *c = redisConnect("127.0.0.1", port);
    if (!c || c->err)
        die(c ? c->errstr : "no memory");
    return c;
}

static redisReply *answer(redisContext *c)
{
    void *reply = NULL;
    if (redisGetReply(c, &reply) != REDIS_OK)
        die(c->errstr);
    redisReply *r = reply;
    if (r->type == REDIS_REPLY_ERROR)
        die(r->str);
    return r;
}

static void skip(redisContext *c)
{
    freeReplyObject(answer(c));
}

static void print(const char *suite, const char *name, double value, const char *unit)
{
    printf("{\"suite\":\"%s\",\"name\":\"%s\",\"who\":\"redis\",\"value\":%.6g,\"unit\":\"%s\"}\n",
           suite, name, value, unit);
}

static int by_size(const void *a, const void *b)
{
    const int64_t *left = a, *right = b;
    return (*left > *right) - (*left < *right);
}

static void print_latencies(const char *suite, const char *p50, const char *p99)
{
    qsort(samples, sample_count, sizeof(*samples), by_size);
    print(suite, p50, (double)samples[sample_count / 2] / 1e3, "us");
    print(suite, p99, (double)samples[sample_count * 99 / 100] / 1e3, "us");
}

static void start_worker(int number, void (*work)(void))
{
    fflush(stdout);
    workers[number] = fork();
    if (workers[number] < 0)
        die("fork");
    if (workers[number] == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        work();
        _exit(0);
    }
}

static void stop_worker(int number)
{
    kill(workers[number], SIGKILL);
    waitpid(workers[number], NULL, 0);
}

/* A command of `count` times the text after two words. */
static void append_push(redisContext *c, const char *list, size_t count)
{
    const char *words[BATCH + 2] = {"LPUSH", list};
    size_t lengths[BATCH + 2] = {5, strlen(list)};
    for (size_t i = 0; i < count; i++) {
        words[i + 2] = text;
        lengths[i + 2] = BYTES;
    }
    redisAppendCommandArgv(c, (int)count + 2, words, lengths);
}

static void echo_worker(void)
{
    redisContext *c = dial();
    redisAppendCommand(c, "BRPOP q 0");
    for (;;) {
        redisReply *r = answer(c);
        redisReply *value = r->element[1];
        redisAppendCommand(c, "LPUSH r %b", value->str, value->len);
        redisAppendCommand(c, "BRPOP q 0");
        freeReplyObject(r);
        skip(c);
    }
}

static void closed(void)
{
    redisContext *c = dial();
    start_worker(0, echo_worker);
    int64_t start = fw_now_ns(), now = start;
    while (now - start < run_ns && sample_count < SAMPLES_MAX) {
        append_push(c, "q", 1);
        redisAppendCommand(c, "BRPOP r 0");
        skip(c);
        skip(c);
        int64_t then = fw_now_ns();
        samples[sample_count++] = then - now;
        now = then;
    }
    stop_worker(0);
    print_latencies("wire", "closed-loop-p50", "closed-loop-p99");
    redisFree(c);
}

/* Takes up to 100 tasks; the first 16 bytes of each are its id. */
static void store_worker(void)
{
    redisContext *c = dial();
    for (;;) {
        redisReply *r = redisCommand(c, "BLMPOP 0 1 q RIGHT COUNT %d", BATCH);
        if (!r || r->type != REDIS_REPLY_ARRAY)
            die("BLMPOP");
        redisReply *tasks = r->element[1];
        const char *words[BATCH + 2] = {"LPUSH", "r"};
        size_t lengths[BATCH + 2] = {5, 1};
        for (size_t i = 0; i < tasks->elements; i++) {
            redisReply *t = tasks->element[i];
            redisAppendCommand(c, "SET %b %b EX 3600", t->str, (size_t)16, t->str + 16,
                               t->len - 16);
            words[i + 2] = t->str;
            lengths[i + 2] = t->len;
        }
        redisAppendCommandArgv(c, (int)tasks->elements + 2, words, lengths);
        for (size_t i = 0; i <= tasks->elements; i++)
            skip(c);
        freeReplyObject(r);
    }
}

static void push_stored(redisContext *c, uint64_t first)
{
    static char tasks[BATCH][16 + BYTES + 1];
    const char *words[BATCH + 2] = {"LPUSH", "q"};
    size_t lengths[BATCH + 2] = {5, 1};
    for (size_t i = 0; i < BATCH; i++) {
        snprintf(tasks[i], sizeof tasks[i], "%016" PRIx64 "%s", first + i, text);
        words[i + 2] = tasks[i];
        lengths[i + 2] = 16 + BYTES;
    }
    redisAppendCommandArgv(c, BATCH + 2, words, lengths);
}

static void stored(void)
{
    redisContext *c = dial();
    uint64_t sent = 0, done = 0;
    start_worker(0, store_worker);
    int64_t start = fw_now_ns(), now = start;
    for (; now - start < run_ns || done < sent; now = fw_now_ns()) {
        int pushed = 0;
        for (; now - start < run_ns && sent - done + BATCH <= MANY; sent += BATCH, pushed++)
            push_stored(c, sent);
        redisAppendCommand(c, "BLMPOP 0 1 r RIGHT COUNT 1000");
        while (pushed-- > 0)
            skip(c);
        redisReply *r = answer(c);
        done += r->element[1]->elements;
        freeReplyObject(r);
    }
    stop_worker(0);
    print("e2e", "throughput-local", (double)done / ((double)(now - start) / 1e9), "1/s");
    redisFree(c);
}

static void burn_worker(void)
{
    redisContext *c = dial();
    for (;;) {
        redisReply *r = redisCommand(c, "BRPOP critical low 0");
        if (!r || r->type != REDIS_REPLY_ARRAY)
            die("BRPOP");
        if (r->element[0]->str[0] == 'c') {
            freeReplyObject(redisCommand(c, "LPUSH r %b", r->element[1]->str, r->element[1]->len));
        } else {
            for (int64_t end = fw_now_ns() + LOW_NS; fw_now_ns() < end;)
                continue;
        }
        freeReplyObject(r);
    }
}

static void critical(void)
{
    redisContext *c = dial();
    for (int i = 0; i < LOW_TASKS / BATCH; i++)
        append_push(c, "low", BATCH);
    for (int i = 0; i < LOW_TASKS / BATCH; i++)
        skip(c);
    start_worker(0, burn_worker);
    start_worker(1, burn_worker);
    int64_t due = fw_now_ns(), end = due + run_ns;
    for (; fw_now_ns() < end && sample_count < CRITICAL_TASKS; due += FW_NS_PER_MS) {
        struct timespec until = {due / FW_NS_PER_S, due % FW_NS_PER_S};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
        int64_t begun = fw_now_ns();
        append_push(c, "critical", 1);
        redisAppendCommand(c, "BRPOP r 0");
        skip(c);
        skip(c);
        samples[sample_count++] = fw_now_ns() - begun;
    }
    redisReply *left = redisCommand(c, "LLEN low");
    if (!left || left->integer == 0)
        die("the backlog ran dry");
    freeReplyObject(left);
    stop_worker(0);
    stop_worker(1);
    print_latencies("e2e", "critical-p50", "critical-p99");
    redisFree(c);
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: peers_redis closed|stored|critical PORT\n");
        return 2;
    }
    port = (int)strtol(argv[2], NULL, 10);
    memset(text, 'x', BYTES);
    freeReplyObject(redisCommand(dial(), "FLUSHALL"));
    if (strcmp(argv[1], "closed") == 0)
        closed();
    else if (strcmp(argv[1], "stored") == 0)
        stored();
    else if (strcmp(argv[1], "critical") == 0)
        critical();
    else
        die("no such case");
    return 0;
}

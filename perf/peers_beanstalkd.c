/* perf/peers_beanstalkd.c - beanstalkd with two workers: peers_beanstalkd PORT
 *
 * One client keeps 4096 jobs of 64 bytes in flight in the tube q. Two worker processes reserve
 * (twice as many at once as there were last time, up to 64, by `reserve` and then
 * `reserve-with-timeout 0`), put what they got into the tube r and delete the job; the client
 * reserves there, and deletes. All gather what they can in one write. Without results in a tube a
 * client would not know the end. SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

enum { BYTES = 64, WINDOW = 4096, BATCH = 64, WORKERS = 2, BUFFER = 1 << 20 };

typedef struct line {
    int fd;
    size_t in_start, in_end, out_len;
    unsigned asked; /* jobs, by one round */
    char in[BUFFER], out[BUFFER];
} line;

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "peers_beanstalkd: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void flush(line *l)
{
    for (size_t sent = 0; sent < l->out_len;) {
        ssize_t n = send(l->fd, l->out + sent, l->out_len - sent, MSG_NOSIGNAL);
        if (n < 0)
            die("send");
        sent += (size_t)n;
    }
    l->out_len = 0;
}

__attribute__((format(printf, 2, 3))) static void put(line *l, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(l->out + l->out_len, BUFFER - l->out_len, format, args);
    va_end(args);
    if (n < 0 || l->out_len + (size_t)n >= BUFFER)
        die("too much to send");
    l->out_len += (size_t)n;
}

static void fill(line *l)
{
    memmove(l->in, l->in + l->in_start, l->in_end - l->in_start);
    l->in_end -= l->in_start;
    l->in_start = 0;
    ssize_t n = recv(l->fd, l->in + l->in_end, BUFFER - l->in_end, 0);
    if (n <= 0)
        die("receive");
    l->in_end += (size_t)n;
}

/* The next answer, without its CRLF; of the line's buffer until the next call. */
static const char *next(line *l)
{
    for (;;) {
        char *at = l->in + l->in_start;
        char *end = memchr(at, '\n', l->in_end - l->in_start);
        if (end) {
            end[-1] = 0;
            l->in_start += (size_t)(end - at) + 1;
            return at;
        }
        fill(l);
    }
}

static void expect(line *l, const char *word)
{
    const char *answer = next(l);
    if (strncmp(answer, word, strlen(word)) != 0) {
        fprintf(stderr, "peers_beanstalkd: %s, not %s\n", answer, word);
        exit(1);
    }
}

static void dial(line *l, int port, const char *watch, const char *use)
{
    int one = 1;
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    l->in_start = l->in_end = l->out_len = 0;
    l->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (l->fd < 0 || connect(l->fd, (struct sockaddr *)&at, sizeof at) != 0)
        die("connect");
    setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    put(l, "watch %s\r\nignore default\r\nuse %s\r\n", watch, use);
    flush(l);
    expect(l, "WATCHING");
    expect(l, "WATCHING");
    expect(l, "USING");
}

static void ask_for_some(line *l, unsigned last)
{
    l->asked = last < 1 ? 1 : 2 * last < BATCH ? 2 * last : BATCH;
    put(l, "reserve\r\n");
    for (unsigned i = 1; i < l->asked; i++)
        put(l, "reserve-with-timeout 0\r\n");
}

/* A job of what ask_for_some asked for: its bytes and its id. False: there was none. */
static bool take(line *l, char job[BYTES + 1], uint64_t *id)
{
    const char *answer = next(l);
    if (strcmp(answer, "TIMED_OUT") == 0)
        return false;
    if (sscanf(answer, "RESERVED %" SCNu64, id) != 1)
        die(answer);
    snprintf(job, BYTES + 1, "%s", next(l));
    return true;
}

/* One round: takes what there is and deletes it; a worker puts it into its other tube first. */
static unsigned serve(line *l, unsigned last, bool echo)
{
    char job[BYTES + 1];
    uint64_t id;
    unsigned got = 0;
    ask_for_some(l, last);
    flush(l);
    for (unsigned i = 0; i < l->asked; i++) {
        if (!take(l, job, &id))
            continue;
        if (echo)
            put(l, "put 1000 0 300 %d\r\n%s\r\n", BYTES, job);
        put(l, "delete %" PRIu64 "\r\n", id);
        got++;
    }
    flush(l);
    for (unsigned i = 0; i < got; i++) {
        if (echo)
            expect(l, "INSERTED");
        expect(l, "DELETED");
    }
    return got;
}

static void work(int port)
{
    static line l;
    unsigned got = 0;
    dial(&l, port, "q", "r");
    for (;;)
        got = serve(&l, got, true);
}

static double ask(int port, uint64_t *tasks)
{
    static line jobs, results;
    char job[BYTES + 1] = "";
    uint64_t sent = 0, done = 0;
    unsigned got = 0;
    memset(job, 'x', BYTES);
    dial(&jobs, port, "none", "q");
    dial(&results, port, "r", "none");
    int64_t start = fw_now_ns(), now = start, end = start + 2 * FW_NS_PER_S;
    for (; now < end || done < sent; now = fw_now_ns()) {
        unsigned put_now = 0;
        for (; now < end && sent - done < WINDOW; sent++, put_now++)
            put(&jobs, "put 1000 0 300 %d\r\n%s\r\n", BYTES, job);
        flush(&jobs);
        for (; put_now > 0; put_now--)
            expect(&jobs, "INSERTED");
        got = serve(&results, got, false);
        done += got;
    }
    *tasks = done;
    return (double)done / ((double)(now - start) / 1e9);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: peers_beanstalkd PORT\n");
        return 2;
    }
    int port = (int)strtol(argv[1], NULL, 10);
    pid_t workers[WORKERS];
    for (size_t i = 0; i < WORKERS; i++) {
        workers[i] = fork();
        if (workers[i] < 0)
            die("fork");
        if (workers[i] == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            work(port);
        }
    }
    uint64_t tasks;
    double rate = ask(port, &tasks);
    for (size_t i = 0; i < WORKERS; i++) {
        kill(workers[i], SIGKILL);
        waitpid(workers[i], NULL, 0);
    }
    printf("{\"suite\":\"subworkers\",\"name\":\"two-workers\",\"who\":\"beanstalkd\","
           "\"value\":%.6g,\"unit\":\"1/s\",\"tasks\":%" PRIu64 "}\n",
           rate, tasks);
    return 0;
}

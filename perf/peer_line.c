/* perf/peer_line.c - see perf/peer_line.h. SPDX-License-Identifier: Apache-2.0 */
#include "peer_line.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

enum { SAMPLES_MAX = 4 * 1024 * 1024, TIMES = 1 << 20, NUMBER = 16, SMALL_WINDOW = 128 };

static const peer *self;
static pid_t workers[PEER_WORKERS_MAX];
static size_t worker_count;

/* From when each task in flight counts, by its number. */
static int64_t from_ns[TIMES];
static uint64_t sent, done;
static uint32_t *samples;
static size_t sample_count;

static void stop_workers(void)
{
    for (size_t i = 0; i < worker_count; i++) {
        kill(workers[i], SIGKILL);
        waitpid(workers[i], NULL, 0);
    }
    worker_count = 0;
}

void peer_die(const char *what)
{
    fprintf(stderr, "%s: %s: %s\n", self->program, what, strerror(errno));
    stop_workers();
    exit(1);
}

/* --- a line --- */

void peer_dial(peer_line *l, int port)
{
    int one = 1;
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    l->in_start = l->in_end = l->out_len = 0;
    l->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (l->fd < 0 || connect(l->fd, (struct sockaddr *)&at, sizeof at) != 0)
        peer_die("connect");
    setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

void peer_flush(peer_line *l)
{
    for (size_t out = 0; out < l->out_len;) {
        ssize_t n = send(l->fd, l->out + out, l->out_len - out, MSG_NOSIGNAL);
        if (n < 0)
            peer_die("send");
        out += (size_t)n;
    }
    l->out_len = 0;
}

void peer_put(peer_line *l, const void *bytes, size_t len)
{
    if (l->out_len + len > PEER_BUFFER)
        peer_flush(l);
    memcpy(l->out + l->out_len, bytes, len);
    l->out_len += len;
}

void peer_format(peer_line *l, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (n < 0 || (size_t)n >= sizeof text)
        peer_die("too much to send");
    peer_put(l, text, (size_t)n);
}

void peer_fill(peer_line *l)
{
    memmove(l->in, l->in + l->in_start, l->in_end - l->in_start);
    l->in_end -= l->in_start;
    l->in_start = 0;
    ssize_t n = recv(l->fd, l->in + l->in_end, PEER_BUFFER - l->in_end, 0);
    if (n <= 0)
        peer_die("receive");
    l->in_end += (size_t)n;
}

char *peer_text(peer_line *l)
{
    for (;;) {
        char *at = l->in + l->in_start;
        char *end = memchr(at, '\n', l->in_end - l->in_start);
        if (end) {
            end[-1] = 0;
            l->in_start += (size_t)(end - at) + 1;
            return at;
        }
        peer_fill(l);
    }
}

/* --- the client's loop --- */

void peer_done(const char *task, size_t len)
{
    char number[NUMBER + 1];
    if (len < NUMBER)
        peer_die("a result is too short");
    memcpy(number, task, NUMBER);
    number[NUMBER] = 0;
    int64_t ns = fw_now_ns() - from_ns[strtoull(number, NULL, 16) % TIMES];
    if (sample_count < SAMPLES_MAX)
        samples[sample_count++] = ns > UINT32_MAX ? UINT32_MAX : (uint32_t)ns;
    done++;
}

static void send_one(int64_t from)
{
    char task[PEER_BYTES + 1];
    memset(task, 'x', PEER_BYTES);
    snprintf(task, sizeof task, "%016" PRIx64, sent);
    task[NUMBER] = 'x';
    from_ns[sent % TIMES] = from;
    self->submit(task);
    sent++;
}

static bool wait_for_results(int64_t until_ns)
{
    struct pollfd ready = {.fd = self->fd(), .events = POLLIN};
    int64_t left = until_ns - fw_now_ns();
    struct timespec pause = {left / FW_NS_PER_S, left % FW_NS_PER_S};
    return left > 0 && ppoll(&ready, 1, &pause, NULL) > 0;
}

static void run_closed(int64_t end_ns, uint64_t window)
{
    int64_t now = fw_now_ns();
    for (; now < end_ns || done < sent; now = fw_now_ns()) {
        while (now < end_ns && sent - done < window)
            send_one(now);
        self->flush();
        self->collect();
    }
}

static void run_open(int64_t start_ns, int64_t end_ns, double rate)
{
    double gap_ns = 1e9 / rate;
    int64_t due = start_ns;
    while (due < end_ns || done < sent) {
        while (due < end_ns && due <= fw_now_ns() && sent - done < TIMES) {
            send_one(due);
            due = start_ns + (int64_t)((double)sent * gap_ns);
        }
        if (sent > done)
            self->flush();
        if (sent == done) /* nothing to be read: until the next is due */
            wait_for_results(due);
        else if (wait_for_results(due < end_ns ? due : INT64_MAX / 2))
            self->collect();
    }
}

/* --- figures --- */

static int by_size(const void *a, const void *b)
{
    const uint32_t *left = a, *right = b;
    return (*left > *right) - (*left < *right);
}

static void print(const char *name, const char *more, const char *who, double value,
                  const char *unit)
{
    printf("{\"suite\":\"peers\",\"name\":\"%s%s\",\"who\":\"%s\",\"value\":%.6g,\"unit\":\"%s\"%s",
           name, more, who, value, unit, *more ? "}\n" : "");
    if (!*more)
        printf(",\"tasks\":%" PRIu64 "}\n", done);
}

static void report(const char *name, const char *who, int64_t took_ns)
{
    print(name, "", who, (double)done / ((double)took_ns / 1e9), "1/s");
    if (sample_count == 0)
        return;
    qsort(samples, sample_count, sizeof *samples, by_size);
    print(name, "-p50", who, samples[sample_count / 2] / 1e3, "us");
    print(name, "-p99", who, samples[sample_count * 99 / 100] / 1e3, "us");
}

void peer_begin(const peer *p)
{
    self = p;
}

int peer_main(const peer *p, int argc, char **argv)
{
    peer_begin(p);
    if (argc != 6) {
        fprintf(stderr, "usage: %s PORT results|call|pipelined|open:N NAME WHO WORKERS\n",
                p->program);
        return 2;
    }
    int port = (int)strtol(argv[1], NULL, 10);
    size_t wanted = strtoul(argv[5], NULL, 10);
    samples = calloc(SAMPLES_MAX, sizeof *samples);
    if (!samples || wanted > PEER_WORKERS_MAX)
        return 2;
    for (; worker_count < wanted; worker_count++) {
        workers[worker_count] = fork();
        if (workers[worker_count] < 0)
            peer_die("fork");
        if (workers[worker_count] == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            p->work(port);
            _exit(0);
        }
    }
    p->open(port);
    int64_t start = fw_now_ns(), end = start + 2 * FW_NS_PER_S;
    if (strncmp(argv[2], "open:", 5) == 0)
        run_open(start, end, strtod(argv[2] + 5, NULL));
    else
        run_closed(end, strcmp(argv[2], "call") == 0        ? 1
                        : strcmp(argv[2], "pipelined") == 0 ? SMALL_WINDOW
                                                            : PEER_WINDOW);
    int64_t took = fw_now_ns() - start;
    stop_workers();
    report(argv[3], argv[4], took);
    free(samples);
    return 0;
}

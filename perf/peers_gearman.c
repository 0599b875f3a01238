/* perf/peers_gearman.c - gearmand by its own protocol: peers_gearman PORT [NAME WHO]
 *
 * One client keeps 4096 foreground jobs of 64 bytes in flight, a worker process 256 GRAB_JOBs;
 * it answers what it got. Two workers where the figure's name is two-workers, otherwise one. All
 * gather what they can in one write, which libgearman does not.
 * SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

enum { CAN_DO = 1, PRE_SLEEP = 4, NOOP = 6, SUBMIT_JOB = 7, JOB_CREATED = 8, GRAB_JOB = 9 };
enum { NO_JOB = 10, JOB_ASSIGN = 11, WORK_COMPLETE = 13 };
enum { HEADER = 12, BYTES = 64, WINDOW = 4096, GRABS = 256, BUFFER = 1 << 20 };

typedef struct line {
    int fd;
    size_t in_start, in_end, out_len;
    unsigned char in[BUFFER], out[BUFFER];
} line;

typedef struct packet {
    unsigned type;
    const unsigned char *data;
    size_t len;
} packet;

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "peers_gearman: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void dial(line *l, int port)
{
    int one = 1;
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    *l = (line){.fd = socket(AF_INET, SOCK_STREAM, 0)};
    if (l->fd < 0 || connect(l->fd, (struct sockaddr *)&at, sizeof at) != 0)
        die("connect");
    setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
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

static void put(line *l, unsigned type, const void *data, size_t len)
{
    uint32_t words[2] = {htonl(type), htonl((uint32_t)len)};
    if (l->out_len + HEADER + len > BUFFER)
        flush(l);
    unsigned char *at = l->out + l->out_len;
    memcpy(at, "\0REQ", 4);
    memcpy(at + 4, words, sizeof words);
    if (len > 0)
        memcpy(at + HEADER, data, len);
    l->out_len += HEADER + len;
}

/* The next packet that has been read whole: 1, or 0 when more must be read. */
static int next(line *l, packet *p)
{
    uint32_t words[2];
    size_t have = l->in_end - l->in_start;
    const unsigned char *at = l->in + l->in_start;
    if (have < HEADER)
        return 0;
    memcpy(words, at + 4, sizeof words);
    *p = (packet){ntohl(words[0]), at + HEADER, ntohl(words[1])};
    if (have < HEADER + p->len)
        return 0;
    l->in_start += HEADER + p->len;
    return 1;
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

/* Handle, function and data of an assigned job become handle and data of its end. */
static void complete(line *l, const packet *job)
{
    unsigned char done[256];
    size_t handle = strnlen((const char *)job->data, job->len) + 1;
    const unsigned char *function = job->data + handle;
    size_t skip = handle + strnlen((const char *)function, job->len - handle) + 1;
    size_t len = job->len - skip;
    if (handle + len > sizeof done)
        die("a job is too long");
    memcpy(done, job->data, handle);
    memcpy(done + handle, job->data + skip, len);
    put(l, WORK_COMPLETE, done, handle + len);
}

static void work(int port)
{
    static line l;
    packet p;
    unsigned grabs = 0;
    dial(&l, port);
    put(&l, CAN_DO, "echo", 4);
    put(&l, PRE_SLEEP, NULL, 0);
    for (;;) {
        flush(&l);
        fill(&l);
        while (next(&l, &p)) {
            if (p.type == JOB_ASSIGN) {
                complete(&l, &p);
                put(&l, GRAB_JOB, NULL, 0);
            } else if (p.type == NO_JOB && --grabs == 0) {
                put(&l, PRE_SLEEP, NULL, 0);
            } else if (p.type == NOOP && grabs == 0) {
                for (; grabs < GRABS; grabs++)
                    put(&l, GRAB_JOB, NULL, 0);
            }
        }
    }
}

static double ask(int port, uint64_t *tasks)
{
    static line l;
    static const char head[] = "echo\0"; /* the function, and no id of our own */
    char job[sizeof head + BYTES];
    uint64_t sent = 0, done = 0;
    packet p;
    memset(job, 'x', sizeof job);
    memcpy(job, head, sizeof head);
    dial(&l, port);
    int64_t start = fw_now_ns(), now = start, end = start + 2 * FW_NS_PER_S;
    for (; now < end || done < sent; now = fw_now_ns()) {
        for (; now < end && sent - done < WINDOW; sent++)
            put(&l, SUBMIT_JOB, job, sizeof job);
        flush(&l);
        fill(&l);
        while (next(&l, &p))
            done += p.type == WORK_COMPLETE;
    }
    *tasks = done;
    return (double)done / ((double)(now - start) / 1e9);
}

int main(int argc, char **argv)
{
    if (argc != 2 && argc != 4) {
        fprintf(stderr, "usage: peers_gearman PORT [NAME WHO]\n");
        return 2;
    }
    int port = (int)strtol(argv[1], NULL, 10);
    const char *name = argc == 4 ? argv[2] : "throughput-local";
    const char *who = argc == 4 ? argv[3] : "gearmand";
    pid_t workers[2];
    size_t count = strcmp(name, "two-workers") == 0 ? 2 : 1;
    for (size_t i = 0; i < count; i++) {
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
    for (size_t i = 0; i < count; i++) {
        kill(workers[i], SIGKILL);
        waitpid(workers[i], NULL, 0);
    }
    printf("{\"suite\":\"e2e\",\"name\":\"%s\",\"who\":\"%s\",\"value\":%.6g,"
           "\"unit\":\"1/s\",\"tasks\":%" PRIu64 "}\n",
           name, who, rate, tasks);
    return 0;
}

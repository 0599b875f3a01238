/* perf/peers_gearman.c - gearmand by its own protocol: see perf/peer_line.h for the words.
 *
 * The client submits foreground jobs, a worker has up to 256 GRAB_JOBs out and answers what it got.
 * All gather what they can in one write, which libgearman does not. SPDX-License-Identifier:
 * Apache-2.0 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "peer_line.h"

enum { CAN_DO = 1, PRE_SLEEP = 4, NOOP = 6, SUBMIT_JOB = 7, JOB_CREATED = 8, GRAB_JOB = 9 };
enum { NO_JOB = 10, JOB_ASSIGN = 11, WORK_COMPLETE = 13 };
enum { HEADER = 12, GRABS = 256 };

typedef struct packet {
    unsigned type;
    const char *data;
    size_t len;
} packet;

static void put(peer_line *l, unsigned type, const void *data, size_t len)
{
    uint32_t words[2] = {htonl(type), htonl((uint32_t)len)};
    peer_put(l, "\0REQ", 4);
    peer_put(l, words, sizeof words);
    if (len > 0)
        peer_put(l, data, len);
}

/* The next packet that has been read whole. False: more must be read. */
static bool next(peer_line *l, packet *p)
{
    uint32_t words[2];
    size_t have = l->in_end - l->in_start;
    const char *at = l->in + l->in_start;
    if (have < HEADER)
        return false;
    memcpy(words, at + 4, sizeof words);
    *p = (packet){ntohl(words[0]), at + HEADER, ntohl(words[1])};
    if (have < HEADER + p->len)
        return false;
    l->in_start += HEADER + p->len;
    return true;
}

/* Handle, function and data of an assigned job become handle and data of its end. */
static void complete(peer_line *l, const packet *job)
{
    char done[256];
    size_t handle = strnlen(job->data, job->len) + 1;
    const char *function = job->data + handle;
    size_t skip = handle + strnlen(function, job->len - handle) + 1;
    size_t len = job->len - skip;
    if (handle + len > sizeof done)
        peer_die("a job is too long");
    memcpy(done, job->data, handle);
    memcpy(done + handle, job->data + skip, len);
    put(l, WORK_COMPLETE, done, handle + len);
}

static void work(int port)
{
    static peer_line l;
    packet p;
    unsigned grabs = 0;
    peer_dial(&l, port);
    put(&l, CAN_DO, "echo", 4);
    put(&l, PRE_SLEEP, NULL, 0);
    for (;;) {
        peer_flush(&l);
        peer_fill(&l);
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

/* --- the client's --- */

static peer_line client;

static void open_client(int port)
{
    peer_dial(&client, port);
}

static void submit(const char task[PEER_BYTES])
{
    static const char head[] = "echo\0"; /* the function, and no id of our own */
    char job[sizeof head + PEER_BYTES];
    memcpy(job, head, sizeof head);
    memcpy(job + sizeof head, task, PEER_BYTES);
    put(&client, SUBMIT_JOB, job, sizeof job);
}

static void flush(void)
{
    peer_flush(&client);
}

static int client_fd(void)
{
    return client.fd;
}

static void collect(void)
{
    packet p;
    peer_fill(&client);
    while (next(&client, &p)) {
        size_t handle = p.type == WORK_COMPLETE ? strnlen(p.data, p.len) + 1 : 0;
        if (handle > 0 && handle < p.len)
            peer_done(p.data + handle, p.len - handle);
    }
}

int main(int argc, char **argv)
{
    static const peer gearmand = {.program = "peers_gearman",
                                  .work = work,
                                  .open = open_client,
                                  .submit = submit,
                                  .flush = flush,
                                  .fd = client_fd,
                                  .collect = collect};
    return peer_main(&gearmand, argc, argv);
}

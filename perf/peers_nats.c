/* perf/peers_nats.c - NATS JetStream by its own protocol: see perf/peer_line.h for the words.
 *
 * A stream in memory with work-queue retention and one durable pull consumer; the client publishes
 * with a reply subject, so each task is acknowledged by the stream. A worker asks for 256 at once,
 * again when half have come, publishes each result to the client's subject and acknowledges
 * explicitly. All gather what they can in one write. SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "peer_line.h"

enum { BATCH = 256, SUBJECT_MAX = 160 };

typedef struct message {
    char subject[SUBJECT_MAX], reply[SUBJECT_MAX];
    const char *data;
    size_t len;
} message;

static void publish(peer_line *l, const char *subject, const char *reply, const char *data,
                    size_t len)
{
    peer_format(l, "PUB %s %s%s%zu\r\n", subject, reply, *reply ? " " : "", len);
    peer_put(l, data, len);
    peer_put(l, "\r\n", 2);
}

/* Reads a header line and, when it is all there, the message behind it. False: what was read is no
 * message, or more must be read. */
static bool next(peer_line *l, message *m, bool *more)
{
    size_t have = l->in_end - l->in_start, len = 0, head = 0;
    char *at = l->in + l->in_start, *end = memchr(at, '\n', have);
    char first[SUBJECT_MAX] = "", second[SUBJECT_MAX] = "";
    *more = end == NULL;
    if (!end)
        return false;
    size_t line = (size_t)(end - at) + 1;
    if (have > 4 && memcmp(at, "PING", 4) == 0)
        peer_format(l, "PONG\r\n");
    if (have > 4 && memcmp(at, "-ERR", 4) == 0)
        peer_die("the server refuses something");
    if (have < 4 || memcmp(at, "MSG ", 4) != 0) {
        l->in_start += line;
        return false;
    }
    /* MSG subject sid [reply] bytes */
    *end = 0;
    int words = sscanf(at + 4, "%159s %*s %159s %159s", m->subject, first, second);
    *end = '\n';
    snprintf(m->reply, sizeof m->reply, "%s", words == 3 ? first : "");
    len = strtoul(words == 3 ? second : first, NULL, 10);
    head = line;
    *more = have < head + len + 2;
    if (*more)
        return false;
    m->data = at + head;
    m->len = len;
    l->in_start += head + len + 2;
    return true;
}

static void dial(peer_line *l, int port, const char *subscribe)
{
    static const char stream[] = "{\"name\":\"T\",\"subjects\":[\"q\"],\"storage\":\"memory\","
                                 "\"retention\":\"workqueue\"}";
    static const char consumer[] =
        "{\"stream_name\":\"T\",\"config\":{\"durable_name\":\"W\",\"ack_policy\":\"explicit\","
        "\"max_ack_pending\":65536}}";
    char reply[32];
    message m;
    bool more;
    snprintf(reply, sizeof reply, "made.%d", (int)getpid());
    peer_dial(l, port);
    peer_format(l, "CONNECT {\"verbose\":false,\"pedantic\":false}\r\nSUB %s 1\r\nSUB %s 2\r\n",
                reply, subscribe);
    publish(l, "$JS.API.STREAM.CREATE.T", reply, stream, sizeof stream - 1);
    publish(l, "$JS.API.CONSUMER.DURABLE.CREATE.T.W", reply, consumer, sizeof consumer - 1);
    peer_flush(l);
    for (int answers = 0; answers < 2;) {
        if (next(l, &m, &more))
            answers++;
        else if (more)
            peer_fill(l);
    }
}

static void ask_for_some(peer_line *l, const char *inbox)
{
    char text[64];
    int n = snprintf(text, sizeof text, "{\"batch\":%d,\"expires\":300000000000}", BATCH);
    publish(l, "$JS.API.CONSUMER.MSG.NEXT.T.W", inbox, text, (size_t)n);
}

static void work(int port)
{
    static peer_line l;
    char inbox[32];
    message m;
    bool more;
    unsigned expected = 0;
    snprintf(inbox, sizeof inbox, "in.%d", (int)getpid());
    dial(&l, port, inbox);
    for (;;) {
        for (; expected <= BATCH / 2; expected += BATCH)
            ask_for_some(&l, inbox);
        peer_flush(&l);
        peer_fill(&l);
        do {
            /* Empty: a status, such as that a request is still being served. */
            if (!next(&l, &m, &more) || m.len == 0)
                continue;
            expected--;
            publish(&l, "r", "", m.data, m.len);
            publish(&l, m.reply, "", "", 0);
        } while (!more);
    }
}

/* --- the client's --- */

static peer_line client;

static void open_client(int port)
{
    dial(&client, port, "r");
    peer_format(&client, "SUB a 3\r\n");
    peer_flush(&client);
}

static void submit(const char task[PEER_BYTES])
{
    publish(&client, "q", "a", task, PEER_BYTES);
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
    message m;
    bool more;
    peer_fill(&client);
    do {
        if (next(&client, &m, &more) && m.subject[0] == 'r')
            peer_done(m.data, m.len);
    } while (!more);
}

int main(int argc, char **argv)
{
    static const peer nats = {.program = "peers_nats",
                              .work = work,
                              .open = open_client,
                              .submit = submit,
                              .flush = flush,
                              .fd = client_fd,
                              .collect = collect};
    return peer_main(&nats, argc, argv);
}

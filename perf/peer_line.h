/* perf/peer_line.h - what peers with a protocol of their own over TCP share: a buffered line,
 * worker processes, and one client loop for all loads.
 *
 * A peer says how a task is submitted and how results are taken; the loop says when. Tasks are
 * PEER_BYTES long and begin with their number, by which a result finds the time it was sent, or
 * was due. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_PERF_PEER_LINE_H
#define FW_PERF_PEER_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PEER_BYTES = 64, PEER_WINDOW = 4096, PEER_BUFFER = 1 << 20, PEER_WORKERS_MAX = 8 };

typedef struct peer_line {
    int fd;
    size_t in_start, in_end, out_len;
    char in[PEER_BUFFER], out[PEER_BUFFER];
} peer_line;

/* Says what went wrong with errno's text, ends the workers and the program. */
_Noreturn void peer_die(const char *what);
void peer_dial(peer_line *l, int port);
/* What does not fit is written first. */
void peer_put(peer_line *l, const void *bytes, size_t len);
__attribute__((format(printf, 2, 3))) void peer_format(peer_line *l, const char *format, ...);
void peer_flush(peer_line *l);
/* Waits for more bytes. */
void peer_fill(peer_line *l);
/* The next line without CRLF, waiting for it; of the buffer until the next call. */
char *peer_text(peer_line *l);

typedef struct peer {
    const char *program; /* for messages */
    /* A worker's process; does not return. */
    void (*work)(int port);
    /* The client's: dials. */
    void (*open)(int port);
    /* One task into the buffer. */
    void (*submit)(const char task[PEER_BYTES]);
    /* Writes what was gathered, takes what acknowledges it, asks for results. */
    void (*flush)(void);
    /* Readable when there are results. */
    int (*fd)(void);
    /* Takes results that have come, at least one, calling peer_done for each. */
    void (*collect)(void);
} peer;

/* A result has come; the first bytes of it are enough. */
void peer_done(const char *task, size_t len);

/* For those who dial before peer_main: whose messages are they. */
void peer_begin(const peer *p);
/* words: PORT LOAD NAME WHO WORKERS. LOAD: results (4096 in flight), call (one at a time), open:N
 * (N a second for the time, from when each was due), pipelined (128 in flight). Prints the figures;
 * the exit status. */
int peer_main(const peer *p, int argc, char **argv);

#endif

/* net/client_line.h - one port of a Python control plane: a line of requests of which one is open.
 *
 *   waiting -> open (has the port, process-wide) -> sent -> answered, or out of time
 *
 * A request that was answered to its asker may go on to occupy the port until the control plane is
 * done with it: then it has no taker any more. Owner only (the client's lock).
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_NET_CLIENT_LINE_H
#define FW_NET_CLIENT_LINE_H

#include "base/json.h"
#include "net/client_core.h"

typedef enum fw_errand_kind {
    FW_ERRAND_TASK,
    FW_ERRAND_BATCH,
    FW_ERRAND_GET,
    FW_ERRAND_POLL, /* GET again and again */
    FW_ERRAND_CANCEL
} fw_errand_kind;

typedef struct fw_errand {
    struct fw_errand *next;
    fw_errand_kind kind;
    fw_taker taker; /* neither fn nor waiter: nobody waits any more */
    size_t answers; /* how many the taker gets */
    fw_key key;
    char *id;          /* owned */
    fw_buffer message; /* SP length, request id, JSON */
    size_t sent;
    bool accept_only, delayed;
    bool is_lost_task; /* a poll for the result of a task whose answer went astray */
    int tries;
    int64_t limit_ns;   /* how long it may be open once sent */
    int64_t due_ns;     /* of a poll: not before */
    int64_t pause_ns;   /* of a poll: to the next */
    int64_t until_ns;   /* of a poll: then it ends */
    int64_t end_ns;     /* sent; ends without an answer then. 0: not sent */
    int64_t settled_ns; /* bytes confirmed; counts as accepted then. 0: not confirmed */
} fw_errand;

typedef struct fw_line {
    fw_stream stream;
    fw_address address;
    fw_endpoint endpoint;
    fw_errand *first, *last;
    fw_errand *open; /* has the port; not in the line any more. NULL: none */
    uint32_t request;
    int64_t retry_ns;
} fw_line;

/* The five lines of one control plane; index: fw_prio, or FW_LINE_QUERY. */
enum { FW_LINES = 5, FW_LINE_QUERY = 4, FW_LINE_PREFIX = 12 };
typedef struct fw_lines {
    fw_line lines[FW_LINES];
} fw_lines;

/* NULL: no memory. message is empty but for its prefix. */
fw_errand *fw_errand_create(fw_errand_kind kind, const fw_taker *taker, fw_key key, fw_span id);
void fw_errand_free(fw_errand *errand);
/* True while somebody waits for it. */
bool fw_errand_is_wanted(const fw_errand *errand);
/* Gives the taker its answer or answers; the errand stays. */
void fw_errand_answer(fw_client *c, fw_completions *out, fw_errand *errand, fw_answer answer);

/* tls: for addresses tls+tcp://, or NULL. */
void fw_line_init(fw_line *line, const fw_address *address, const fw_endpoint *endpoint,
                  const fw_tls *tls);
void fw_line_fini(fw_line *line);
void fw_line_append(fw_line *line, fw_errand *errand);
/* Does what can be done now without waiting, apart from reading. */
void fw_line_turn(fw_client *c, fw_completions *out, fw_lines *lines, fw_line *line);
/* Reads and takes answers. */
void fw_line_read(fw_client *c, fw_completions *out, fw_lines *lines, fw_line *line);
/* Nobody waits for these any more; how many answers they had open. */
size_t fw_line_abandon(fw_line *line, const fw_waiter *waiter);

/* net/client_python.c: what the answer to the open errand means. True: the errand is over and
 * freed, or has been moved elsewhere; false: not an answer to it. */
bool fw_line_take_answer(fw_client *c, fw_completions *out, fw_lines *lines, fw_line *line,
                         fw_span body);
/* The task's own answer will not come: ask for its result at the query port. */
void fw_line_ask_later(fw_client *c, fw_lines *lines, fw_errand *errand);

#endif

/* net/frame.h - the binary form of requests and answers between native peers.
 *
 * A frame is the body of one SP message (any task port or the query port). Its first byte is 0xF7,
 * with which neither JSON nor a pickle can begin. Numbers are little-endian. docs/PROTOCOL.md has
 * every byte.
 *
 *   header   0xF7, version, type, flags, count (4 bytes)                                 8 bytes
 *   SUBMIT   count items: how and what to run                    8 bytes + id 16 + name + args +
 * ... QUERY    count items: get, cancel or wait for an id PING, HELLO ANSWER   count records, each
 * for (request, item): ACCEPTED (a run of items), REFUSED (a run), RESULT (the end or the present
 * state), PONG, HELLO. Records for many requests of one connection share a frame.
 *
 * How each request is answered:
 *   item of SUBMIT   ACCEPTED or REFUSED; then, if the frame asked for results, one RESULT when the
 * task has ended get, wait        RESULT (state terminal or not), or REFUSED with FW_EUNKNOWN
 * (never seen) or FW_EEXPIRED cancel           ACCEPTED, or REFUSED with FW_EUNKNOWN PING, HELLO
 * PONG, HELLO
 *
 * Frames between a control plane and its subworkers have a page of their own: net/frame_pipe.h.
 *
 * Reading: fw_frame_open checks the whole structure once (every length, every count), so that a
 * broken frame is refused whole and before any of its items is taken; the iterators then only read.
 * No allocation; spans are borrowed from the message. Writing: into the caller's memory, record by
 * record. No shared state: any thread, one at a time per struct. SPDX-License-Identifier:
 * Apache-2.0 */
#ifndef FW_NET_FRAME_H
#define FW_NET_FRAME_H

#include "net/message.h"
#include "net/scratch.h"

enum {
    FW_FRAME_MAGIC = 0xF7,
    FW_FRAME_VERSION = 1,
    FW_FRAME_HEADER = 8,
    FW_FRAME_ITEMS_MAX = 1024, /* items of one SUBMIT or QUERY */
    FW_FRAME_NAME_MAX = 1024,  /* bytes of a task name */
    FW_FRAME_TEXT_MAX = 1024,  /* bytes of a refusal's text; longer ones are cut */
    FW_FRAME_PING_MAX = 64,
    FW_FRAME_TARGET = 16 * 1024 /* a good size for gathered frames */
};

typedef enum fw_frame_type {
    FW_FRAME_SUBMIT = 0x01,
    FW_FRAME_QUERY = 0x02,
    FW_FRAME_PING = 0x03,
    FW_FRAME_HELLO = 0x04,
    FW_FRAME_TASKS = 0x05, /* from here on: pipes only (net/frame_pipe) */
    FW_FRAME_ORDERS = 0x06,
    FW_FRAME_DRAIN = 0x07,
    FW_FRAME_ANSWER = 0x81,
    FW_FRAME_RESULTS = 0x82, /* pipes only */
    FW_FRAME_BEAT = 0x83     /* pipes only */
} fw_frame_type;

/* Flags of a SUBMIT frame. */
enum { FW_FRAME_WANTS_RESULTS = 1, FW_FRAME_ALL_OR_NONE = 2 };

typedef enum fw_record_kind {
    FW_RECORD_ACCEPTED = 1,
    FW_RECORD_REFUSED = 2,
    FW_RECORD_RESULT = 3,
    FW_RECORD_PONG = 4,
    FW_RECORD_HELLO = 5
} fw_record_kind;

/* One record of an ANSWER frame, as read. */
typedef struct fw_record {
    fw_record_kind kind;
    uint32_t request;     /* SP request id, host order */
    uint16_t item, count; /* ACCEPTED, REFUSED: items item .. item + count - 1; else count is 1 */
    fw_state status; /* ACCEPTED: what became of it (FW_QUEUED, FW_SCHEDULED, or terminal); RESULT:
                        its state */
    int err;         /* REFUSED: FW_E..., positive */
    fw_span text;    /* REFUSED: may be empty; PONG: the bytes of the PING; HELLO: its extras */
    const unsigned char
        *ids; /* ACCEPTED: count times 16 bytes, all zero where the client chose the id; or NULL */
    fw_result_view result; /* RESULT; without key, and without id unless it is another than sent */
    fw_progress_view progress; /* what the result points to, if it does */
} fw_record;

/* What both sides tell in a HELLO; absent members are 0 or empty. */
typedef struct fw_hello {
    fw_span software;      /* "fastworker/0.1.0" */
    fw_span token;         /* request only; empty: none */
    uint64_t capabilities; /* FW_CAPABLE_... */
    uint64_t message_max;
    uint32_t items_max, open_requests_max;
    /* Pipes: who speaks, the epoch of his run, and the epoch that he expects of the listener. */
    fw_span worker, epoch, expects;
} fw_hello;
enum { FW_CAPABLE_WAIT = 1, FW_CAPABLE_CANCEL = 2, FW_CAPABLE_RETRY = 4, FW_CAPABLE_ETA = 8 };

/* A message that begins with FW_FRAME_MAGIC. */
static inline bool fw_frame_is(fw_span message)
{
    return message.len > 0 && (unsigned char)message.ptr[0] == FW_FRAME_MAGIC;
}

/* ---- Reading ---- */

typedef struct fw_frame {
    fw_frame_type type;
    uint8_t flags;
    uint32_t count;    /* items or records */
    uint32_t next;     /* index of the item that the iterator reads next */
    fw_reply_to reply; /* of the items: form and flags filled in, item follows the iterator */
    const char *error; /* after a failure: static text that names what is wrong */
    const unsigned char *at, *end;
} fw_frame;

/* Checks the whole message. reply: connection, request and detour of the answers to it (NULL for an
 * ANSWER). 0; -FW_EPROTO: not a frame, another version, unknown type or flags, broken lengths;
 * -FW_EBIG: too many items. On failure out->error, out->reply and out->count (0 if it could not be
 * read) tell the refusal. */
int fw_frame_open(fw_frame *out, fw_span message, const fw_reply_to *reply);

/* Next item of a SUBMIT. 1: filled, reply included; 0: no more; -FW_EINVAL: this item is refused
 * (its reply is in out->reply, the reason in frame->error), go on; -FW_ENOMEM: likewise. scratch
 * holds ids that were made up; UUIDs that the client sent have an empty id text. */
int fw_frame_next_submission(fw_frame *frame, fw_submission *out, fw_scratch *scratch);
/* Next item of a QUERY: the same outcomes. */
int fw_frame_next_query(fw_frame *frame, fw_query *out);
/* Next record of an ANSWER: 1; 0 at the end. */
int fw_frame_next_record(fw_frame *frame, fw_record *out);
/* The bytes of a PING, to be sent back. */
fw_span fw_frame_ping(const fw_frame *frame);
/* The text of a HELLO record, or the body of a HELLO frame. 0 or -FW_EPROTO. */
int fw_frame_read_hello(fw_hello *out, fw_span extras);
fw_span fw_frame_hello(const fw_frame *frame);

/* ---- Writing ----
 * A writer fills memory of the caller: begin, add ..., end. add returns false, and changes nothing,
 * when there is no room left or the frame has all the items it may have: end it, begin another. The
 * ..._size functions tell the room that an add needs at most. Between two adds the caller may move
 * the bytes written so far and continue elsewhere. */
typedef struct fw_frame_writer {
    unsigned char *data; /* the caller's; the frame starts here */
    size_t capacity;
    size_t len;     /* bytes written so far */
    uint32_t count; /* items or records so far */
    size_t last;    /* where the last record starts, for runs; 0: none */
    uint8_t type;
} fw_frame_writer;

/* data has room for FW_FRAME_HEADER at least. */
void fw_frame_begin(fw_frame_writer *writer, void *data, size_t capacity, fw_frame_type type,
                    uint8_t flags);
/* The bytes written so far stand at data now. */
void fw_frame_move(fw_frame_writer *writer, void *data, size_t capacity);
/* Completes the header; returns the frame's length. The frame is valid after each end; adding may
 * go on after it. */
size_t fw_frame_end(fw_frame_writer *writer);

/* Answers. ACCEPTED and REFUSED without text join the record before them when they continue its
 * run. */
enum { FW_FRAME_ACCEPTED_SIZE = 28 };
/* id: NULL, or the key to tell (FW_WANTS_ID). */
bool fw_frame_add_accepted(fw_frame_writer *writer, uint32_t request, uint16_t item,
                           fw_state status, const fw_key *id);
/* A run of items at once. ids: NULL or count keys, zero where the client chose the id. */
bool fw_frame_add_accepted_run(fw_frame_writer *writer, uint32_t request, uint16_t item,
                               uint16_t count, fw_state status, const fw_key *ids);
/* err: FW_E..., positive. text may be NULL. */
bool fw_frame_add_refused(fw_frame_writer *writer, uint32_t request, uint16_t item, uint16_t count,
                          int err, const char *text);
size_t fw_frame_refused_size(const char *text);
bool fw_frame_add_result(fw_frame_writer *writer, uint32_t request, uint16_t item,
                         const fw_result_view *result);
size_t fw_frame_result_size(const fw_result_view *result);
/* The same with the task's id (text, or made from the key), where it is not the one that was sent:
 * in a result, or as the present state in place of ACCEPTED. */
bool fw_frame_add_named_result(fw_frame_writer *writer, uint32_t request, uint16_t item,
                               const fw_result_view *result);
size_t fw_frame_named_result_size(const fw_result_view *result);
bool fw_frame_add_pong(fw_frame_writer *writer, uint32_t request, fw_span bytes);
bool fw_frame_add_hello(fw_frame_writer *writer, uint32_t request, const fw_hello *hello);
size_t fw_frame_hello_size(const fw_hello *hello);

/* Requests. Of the submission, key and id decide the id on the wire: a UUID key goes as 16 bytes,
 * otherwise the id text; a zero key with an empty id lets the server choose. The reply member is
 * not used. */
bool fw_frame_add_submission(fw_frame_writer *writer, const fw_submission *submission);
size_t fw_frame_submission_size(const fw_submission *submission);
/* kind, key or id, wait_ns (rounded up to milliseconds). */
bool fw_frame_add_query(fw_frame_writer *writer, const fw_query *query);
enum { FW_FRAME_QUERY_SIZE = 8 + FW_ID_MAX };
/* Whole frames of their own; the length, or 0 when there is no room. */
size_t fw_frame_write_ping(void *data, size_t capacity, fw_span bytes);
size_t fw_frame_write_hello(void *data, size_t capacity, const fw_hello *hello);

#endif

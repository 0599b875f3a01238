/* net/message_json.h - the JSON of FastWorker 0.3.0, to and from the structs of net/message.h.
 *
 * Reads what Python and others write, as leniently as pydantic does (protocol 3, 4), and says in
 * one sentence which field is wrong. Writes what Python would write, byte for byte where the values
 * are equal: key order, ", " and ": ", naive local datetimes. args, kwargs, result and callback
 * pass through untouched. Spans that are given out point into the message or into the scratch. Any
 * thread. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_NET_MESSAGE_JSON_H
#define FW_NET_MESSAGE_JSON_H

#include "base/json.h"
#include "net/message.h"
#include "net/net.h"
#include "net/scratch.h"

enum { FW_SENTENCE_MAX = 256 };

/* Why a message was refused. */
typedef struct fw_complaint {
    fw_refusal reason;              /* MALFORMED, PICKLE, TOO_BIG */
    fw_span id;                     /* the id, if one could be read; else empty */
    char sentence[FW_SENTENCE_MAX]; /* names the field: "priority: 'urgent' is not ..." */
} fw_complaint;

/* A pickle of any protocol from 2 on. */
static inline bool fw_pickle_is(fw_span message)
{
    return message.len > 0 && (unsigned char)message.ptr[0] == 0x80;
}

/* ---- Requests, read by a control plane ---- */

/* The tasks of a message on a task port: one Task, or a batch of them. */
typedef struct fw_json_tasks {
    bool batch;
    size_t count;           /* 1 for a Task; members of a batch, 0 possible */
    fw_reply_to reply;      /* form filled in: JSON, LEGACY or PICKLE */
    fw_complaint complaint; /* after a failure */
    fw_json task;
    fw_json_cursor cursor;
    size_t next;
    fw_scratch *scratch;
} fw_json_tasks;

/* Parses the message and tells which it is. reply: connection, request and detour of the answer. 0,
 * or -FW_EINVAL with the complaint: then out->batch and out->reply tell how the refusal has to
 * look. */
int fw_json_tasks_open(fw_json_tasks *out, fw_scratch *scratch, fw_span message,
                       const fw_reply_to *reply);
/* 1: filled, reply included; 0: no more; -FW_EINVAL or -FW_ENOMEM: the complaint tells. After a
 * failed member of a batch the walk may go on, to learn the other ids. */
int fw_json_tasks_next(fw_json_tasks *tasks, fw_submission *out);

/* Query port: query, cancel or wait. 0, or -FW_EINVAL with the complaint. out->reply is filled in
 * any case. */
int fw_json_query_read(fw_query *out, fw_complaint *complaint, fw_scratch *scratch, fw_span message,
                       const fw_reply_to *reply);
/* Management port. */
int fw_json_registration_read(fw_registration *out, fw_complaint *complaint, fw_scratch *scratch,
                              fw_span message, const fw_reply_to *reply);
/* The two members of CallbackInfo (data empty: null), of text that was accepted once. False: no
 * address. */
bool fw_json_callback_read(fw_span *address, fw_span *data, fw_scratch *scratch, fw_span callback);

/* ---- Answers, written by a control plane; form is JSON, LEGACY or PICKLE ---- */

/* TaskResult. */
void fw_json_write_result(fw_buffer *out, fw_reply_form form, const fw_result_view *result);
/* The same, with the native member that says: accepted, not finished. */
void fw_json_write_accepted(fw_buffer *out, fw_reply_form form, const fw_result_view *state);
/* TaskResult of a refusal, finished now. id may be empty. */
void fw_json_write_refusal(fw_buffer *out, fw_reply_form form, fw_span id, const char *error);
/* error NULL: accepted. */
void fw_json_write_batch(fw_buffer *out, const fw_span *ids, size_t count, const char *error);
/* native: the asker understands states of unfinished tasks. */
void fw_json_write_query(fw_buffer *out, fw_found found, bool native, const fw_result_view *result);
void fw_json_write_cancel(fw_buffer *out, fw_span id, bool cancelled);
/* {"found": false, "cancelled": false, "error": ...}; with a missing id just the error, as Python
 * does. */
void fw_json_write_query_refusal(fw_buffer *out, fw_reply_form form, const char *error);
/* error NULL: registered. native: JSON of the native member or empty. */
void fw_json_write_registration(fw_buffer *out, fw_reply_form form, fw_span id, const char *error,
                                fw_span native);
/* Completion notice (protocol 10), datetimes with T. */
void fw_json_write_callback(fw_buffer *out, const fw_result_view *result);

/* ---- Requests, written by a client or by a control plane to a Python subworker ---- */

/* Task; created now. False: args or kwargs are not a JSON array and object. */
bool fw_json_write_task(fw_buffer *out, const fw_submission *task);
bool fw_json_write_tasks(fw_buffer *out, const fw_submission *tasks, size_t count);
/* GET, CANCEL or WAIT. */
void fw_json_write_ask(fw_buffer *out, const fw_query *query);

/* The member `native`. Never fails: what is not well-formed is not present. */
void fw_json_native_read(fw_native_offer *out, fw_scratch *scratch, fw_json object);
void fw_json_write_native(fw_buffer *out, const fw_native_offer *offer);
/* A subworker's registration or beat. offer may be NULL. */
void fw_json_write_registration_request(fw_buffer *out, fw_span id, fw_span address,
                                        const char *status, bool heartbeat,
                                        const fw_native_offer *offer);
/* 0: registered; -FW_EINVAL: refused, *error says why; -FW_EPROTO. */
int fw_json_registration_answer_read(fw_native_offer *native, fw_span *error, fw_scratch *scratch,
                                     fw_span message);

/* ---- Answers, read by a client ---- */

/* TaskResult. 0, or -FW_EPROTO. accepted: the native member said so (may be NULL). */
int fw_json_result_read(fw_result_view *out, bool *accepted, fw_scratch *scratch, fw_span message);
/* {"found": ...}: 0 with *found (out: only if FOUND or the state is told), or -FW_EPROTO. */
int fw_json_query_answer_read(fw_result_view *out, fw_found *found, fw_scratch *scratch,
                              fw_span message);
int fw_json_cancel_answer_read(bool *cancelled, fw_span message);
/* 0; -FW_EPROTO; or -FW_EINVAL with *error when the batch was refused. */
int fw_json_batch_answer_read(fw_span *error, fw_scratch *scratch, fw_span message);

#endif

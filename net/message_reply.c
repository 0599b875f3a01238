/* net/message_reply.c - what a control plane answers, byte for byte as Python would (protocol 4.3,
 * 6 to 8, 10), and the constant pickles that refuse pickle (3.5). SPDX-License-Identifier:
 * Apache-2.0 */
#include <inttypes.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "net/datetime.h"
#include "net/message_json.h"

#define ADD(out, literal) fw_buffer_add(out, literal, sizeof(literal) - 1)

static void add_id(fw_buffer *out, fw_span id, fw_key key)
{
    char text[FW_UUID_TEXT];
    bool from_key = id.len == 0 && key.high != 0 && fw_key_is_uuid(key);
    if (from_key) {
        fw_key_format(text, key);
        id = (fw_span){text, sizeof(text)};
    }
    fw_buffer_json_string(out, id);
}

static void add_datetime(fw_buffer *out, int64_t wall_ns, char separator)
{
    char text[FW_DATETIME_TEXT + 2];
    if (wall_ns == 0) {
        ADD(out, "null");
        return;
    }
    size_t len = fw_datetime_format(text + 1, wall_ns, separator);
    text[0] = text[len + 1] = '"';
    fw_buffer_add(out, text, len + 2);
}

/* JSON text as it is; empty: null. */
static void add_json(fw_buffer *out, fw_span json)
{
    if (json.len > 0)
        fw_buffer_add(out, json.ptr, json.len);
    else
        ADD(out, "null");
}

static void add_error(fw_buffer *out, fw_span error)
{
    if (error.ptr != NULL)
        fw_buffer_json_string(out, error);
    else
        ADD(out, "null");
}

/* FastWorker 0.1.x knows two ends only (23). */
static const char *status_name(fw_reply_form form, fw_state status)
{
    if (form == FW_REPLY_JSON_LEGACY)
        return fw_state_name(status == FW_SUCCESS ? FW_SUCCESS : FW_FAILURE);
    return fw_state_name(status);
}

/* ---- Pickles: 80 02 } ( key value ... u . ---- */

static void pickle_text(fw_buffer *out, const char *text)
{
    size_t len = strlen(text);
    unsigned char head[5] = {0x58, (unsigned char)len, (unsigned char)(len >> 8),
                             (unsigned char)(len >> 16), (unsigned char)(len >> 24)};
    fw_buffer_add(out, head, sizeof(head));
    fw_buffer_add(out, text, len);
}

static void pickle_begin(fw_buffer *out)
{
    ADD(out, "\x80\x02\x7d\x28");
}

static void pickle_pair(fw_buffer *out, const char *key, const char *value)
{
    pickle_text(out, key);
    pickle_text(out, value);
}

static void pickle_false(fw_buffer *out, const char *key)
{
    pickle_text(out, key);
    ADD(out, "\x89");
}

static void pickle_end(fw_buffer *out)
{
    ADD(out, "\x75\x2e");
}

/* ---- Task ports ---- */

static void add_progress(fw_buffer *out, const fw_progress_view *progress)
{
    fw_buffer_format(out, ", \"progress\": {\"done\": %" PRIu64 ", \"total\": %" PRIu64,
                     progress->done, progress->total);
    ADD(out, ", \"note\": ");
    fw_buffer_json_string(out, progress->note);
    ADD(out, "}");
}

static void add_result(fw_buffer *out, fw_reply_form form, const fw_result_view *result,
                       bool accepted)
{
    /* One look at the room for all the small parts. */
    fw_buffer_reserve(out, 256 + result->id.len + result->result.len + result->error.len);
    ADD(out, "{\"task_id\": ");
    add_id(out, result->id, result->key);
    ADD(out, ", \"status\": \"");
    fw_buffer_text(out, status_name(form, result->status));
    ADD(out, "\", \"result\": ");
    add_json(out, result->result);
    ADD(out, ", \"error\": ");
    add_error(out, result->error);
    ADD(out, ", \"started_at\": ");
    add_datetime(out, result->started_wall_ns, ' ');
    ADD(out, ", \"completed_at\": ");
    add_datetime(out, result->finished_wall_ns, ' ');
    ADD(out, ", \"callback\": ");
    add_json(out, result->callback);
    if (accepted)
        ADD(out, ", \"native\": {\"accepted\": true}");
    if (FW_UNLIKELY(result->progress != NULL))
        add_progress(out, result->progress);
    ADD(out, "}");
}

void fw_json_write_result(fw_buffer *out, fw_reply_form form, const fw_result_view *result)
{
    FW_ASSERT(form == FW_REPLY_JSON || form == FW_REPLY_JSON_LEGACY);
    FW_ASSERT(result->status < FW_UNKNOWN);
    add_result(out, form, result, false);
}

void fw_json_write_accepted(fw_buffer *out, fw_reply_form form, const fw_result_view *state)
{
    FW_ASSERT(form == FW_REPLY_JSON || form == FW_REPLY_JSON_LEGACY);
    FW_ASSERT(state->status < FW_UNKNOWN);
    add_result(out, form, state, form == FW_REPLY_JSON);
}

void fw_json_write_refusal(fw_buffer *out, fw_reply_form form, fw_span id, const char *error)
{
    FW_ASSERT(error != NULL && form != FW_REPLY_FRAME && form != FW_REPLY_NONE);
    if (form == FW_REPLY_PICKLE) {
        pickle_begin(out);
        pickle_pair(out, "task_id", "");
        pickle_pair(out, "status", "failure");
        pickle_pair(out, "error", error);
        pickle_end(out);
        return;
    }
    fw_result_view result = {
        .id = id,
        .status = FW_FAILURE,
        .error = {error, strlen(error)},
        .finished_wall_ns = fw_wall_ns(),
    };
    add_result(out, form, &result, false);
}

void fw_json_write_batch(fw_buffer *out, const fw_span *ids, size_t count, const char *error)
{
    FW_ASSERT(count == 0 || ids != NULL);
    if (error != NULL) {
        ADD(out, "{\"batch_accepted\": false, \"task_ids\": [], \"error\": ");
        fw_buffer_json_string(out, (fw_span){error, strlen(error)});
        ADD(out, "}");
        return;
    }
    ADD(out, "{\"batch_accepted\": true, \"task_ids\": [");
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            ADD(out, ", ");
        fw_buffer_json_string(out, ids[i]);
    }
    ADD(out, "]}");
}

/* ---- Query port ---- */

/* "Task <id> not found in cache or expired" */
static void add_not_found(fw_buffer *out, const fw_result_view *result)
{
    char id[FW_UUID_TEXT], text[FW_ID_MAX + 64];
    fw_span name = result->id;
    if (name.len == 0 && fw_key_is_uuid(result->key)) {
        fw_key_format(id, result->key);
        name = (fw_span){id, sizeof(id)};
    }
    size_t len = name.len < FW_ID_MAX ? name.len : FW_ID_MAX;
    static const char before[] = "Task ", after[] = " not found in cache or expired";
    memcpy(text, before, sizeof(before) - 1);
    if (len > 0)
        memcpy(text + sizeof(before) - 1, name.ptr, len);
    memcpy(text + sizeof(before) - 1 + len, after, sizeof(after) - 1);
    fw_buffer_json_string(out, (fw_span){text, sizeof(before) - 1 + len + sizeof(after) - 1});
}

void fw_json_write_query(fw_buffer *out, fw_found found, bool native, const fw_result_view *result)
{
    if (found == FW_FOUND || (found == FW_NOT_FINISHED && native)) {
        ADD(out, "{\"found\": true, \"result\": ");
        add_result(out, FW_REPLY_JSON, result, false);
        ADD(out, "}");
        return;
    }
    ADD(out, "{\"found\": false, \"error\": ");
    add_not_found(out, result);
    if (found == FW_NOT_FINISHED) {
        ADD(out, ", \"state\": \"");
        fw_buffer_text(out, fw_state_name(result->status));
        ADD(out, "\"");
    }
    ADD(out, "}");
}

void fw_json_write_cancel(fw_buffer *out, fw_span id, bool cancelled)
{
    if (cancelled)
        ADD(out, "{\"cancelled\": true, \"task_id\": ");
    else
        ADD(out, "{\"cancelled\": false, \"task_id\": ");
    fw_buffer_json_string(out, id);
    ADD(out, "}");
}

void fw_json_write_query_refusal(fw_buffer *out, fw_reply_form form, const char *error)
{
    FW_ASSERT(error != NULL && form != FW_REPLY_FRAME);
    if (form == FW_REPLY_PICKLE) {
        pickle_begin(out);
        pickle_false(out, "found");
        pickle_false(out, "cancelled");
        pickle_pair(out, "error", error);
        pickle_end(out);
        return;
    }
    if (strcmp(error, "Missing task_id") == 0)
        ADD(out, "{\"error\": ");
    else
        ADD(out, "{\"found\": false, \"cancelled\": false, \"error\": ");
    fw_buffer_json_string(out, (fw_span){error, strlen(error)});
    ADD(out, "}");
}

/* ---- Management port ---- */

void fw_json_write_registration(fw_buffer *out, fw_reply_form form, fw_span id, const char *error,
                                fw_span native)
{
    FW_ASSERT(form == FW_REPLY_JSON || error != NULL);
    if (form == FW_REPLY_PICKLE) {
        pickle_begin(out);
        pickle_pair(out, "status", "error");
        pickle_pair(out, "error", error);
        pickle_end(out);
        return;
    }
    if (error != NULL) {
        ADD(out, "{\"status\": \"error\", \"error\": ");
        fw_buffer_json_string(out, (fw_span){error, strlen(error)});
    } else {
        ADD(out, "{\"status\": \"registered\", \"subworker_id\": ");
        fw_buffer_json_string(out, id);
        if (native.len > 0) {
            ADD(out, ", \"native\": ");
            fw_buffer_add(out, native.ptr, native.len);
        }
    }
    ADD(out, "}");
}

/* ---- Callbacks ---- */

void fw_json_write_callback(fw_buffer *out, const fw_result_view *result)
{
    FW_ASSERT(result->status < FW_UNKNOWN);
    fw_json data = fw_json_get(fw_json_parse(result->callback), "data");
    ADD(out, "{\"task_id\": ");
    add_id(out, result->id, result->key);
    ADD(out, ", \"status\": \"");
    fw_buffer_text(out, fw_state_name(result->status));
    ADD(out, "\", \"result\": ");
    add_json(out, result->result);
    ADD(out, ", \"error\": ");
    add_error(out, result->error);
    ADD(out, ", \"started_at\": ");
    add_datetime(out, result->started_wall_ns, 'T');
    ADD(out, ", \"completed_at\": ");
    add_datetime(out, result->finished_wall_ns, 'T');
    ADD(out, ", \"callback_data\": ");
    add_json(out, data.text);
    ADD(out, "}");
}

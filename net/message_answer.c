/* net/message_answer.c - answers in JSON, read by a client or by a control plane from its Python
 * subworkers (protocol 4.3, 6.6, 7). What does not look like an answer is -FW_EPROTO: it belongs to
 * somebody else, or the peer speaks something else. SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/assert.h"
#include "net/message_fields.h"

enum { TASK_ID, STATUS, RESULT, ERROR, STARTED_AT, COMPLETED_AT, CALLBACK, NATIVE, FIELDS };

static const char *const names[FIELDS] = {
    "task_id", "status", "result", "error", "started_at", "completed_at", "callback", "native",
};

static bool read_moment(const fw_fields *fields, int64_t *out, const char *name, fw_json value)
{
    *out = 0;
    return value.type == FW_JSON_NULL || fw_field_datetime(fields, out, name, value);
}

static bool read_result(fw_result_view *out, bool *accepted, fw_scratch *scratch, fw_json object)
{
    fw_json values[FIELDS];
    fw_fields fields = {"result", 0, NULL, scratch};
    if (object.type != FW_JSON_OBJECT)
        return false;
    fw_fields_collect(values, object, names, FIELDS);
    fw_result_view view = {.status = FW_UNKNOWN};
    if (values[TASK_ID].type != FW_JSON_STRING || values[STATUS].type != FW_JSON_STRING ||
        !fw_field_text(&fields, &view.id, names[TASK_ID], values[TASK_ID]) ||
        !fw_field_status(&fields, &view.status, names[STATUS], values[STATUS]) ||
        !fw_field_text_or_null(&fields, &view.error, names[ERROR], values[ERROR]) ||
        !read_moment(&fields, &view.started_wall_ns, names[STARTED_AT], values[STARTED_AT]) ||
        !read_moment(&fields, &view.finished_wall_ns, names[COMPLETED_AT], values[COMPLETED_AT]) ||
        !fw_field_callback(&fields, &view.callback, names[CALLBACK], values[CALLBACK]))
        return false;
    if (view.id.len > 0 && view.id.len <= FW_ID_MAX)
        view.key = fw_key_from_text(view.id);
    if (values[RESULT].type != FW_JSON_NULL)
        view.result = values[RESULT].text;
    if (accepted != NULL)
        *accepted = fw_json_get(values[NATIVE], "accepted").type == FW_JSON_TRUE;
    *out = view;
    return true;
}

int fw_json_result_read(fw_result_view *out, bool *accepted, fw_scratch *scratch, fw_span message)
{
    FW_ASSERT(out != NULL && scratch != NULL);
    return read_result(out, accepted, scratch, fw_json_parse(message)) ? 0 : -FW_EPROTO;
}

int fw_json_query_answer_read(fw_result_view *out, fw_found *found, fw_scratch *scratch,
                              fw_span message)
{
    fw_json object = fw_json_parse(message);
    bool known;
    if (!fw_json_bool(fw_json_get(object, "found"), &known))
        return -FW_EPROTO;
    if (known) {
        if (!read_result(out, NULL, scratch, fw_json_get(object, "result")))
            return -FW_EPROTO;
        bool ended =
            out->status == FW_SUCCESS || out->status == FW_FAILURE || out->status == FW_CANCELLED;
        *found = ended ? FW_FOUND : FW_NOT_FINISHED;
        return 0;
    }
    /* A control plane of this project tells the state of what is not finished. */
    fw_fields fields = {"answer", 0, NULL, scratch};
    fw_json state = fw_json_get(object, "state");
    fw_state status = FW_UNKNOWN;
    *found = FW_NEVER_SEEN;
    if (state.type == FW_JSON_STRING && fw_field_status(&fields, &status, "state", state)) {
        *out = (fw_result_view){.status = status};
        *found = FW_NOT_FINISHED;
    }
    return 0;
}

int fw_json_cancel_answer_read(bool *cancelled, fw_span message)
{
    return fw_json_bool(fw_json_get(fw_json_parse(message), "cancelled"), cancelled) ? 0
                                                                                     : -FW_EPROTO;
}

int fw_json_batch_answer_read(fw_span *error, fw_scratch *scratch, fw_span message)
{
    fw_json object = fw_json_parse(message);
    fw_fields fields = {"answer", 0, NULL, scratch};
    bool accepted;
    if (!fw_json_bool(fw_json_get(object, "batch_accepted"), &accepted))
        return -FW_EPROTO;
    if (accepted)
        return 0;
    *error = (fw_span){"", 0};
    fw_field_text(&fields, error, "error", fw_json_get(object, "error"));
    return -FW_EINVAL;
}

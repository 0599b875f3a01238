/* net/message_task.c - Task and batch (protocol 4.1, 6.1, 6.6), read by a control plane.
 *
 * A message is parsed once, whole; then each Task's members are collected and read in the order of
 * the table. The id is read first, so that a complaint about another field can name it.
 * SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <string.h>

#include "base/assert.h"
#include "net/message_fields.h"

/* The order of Python's model; everything after CALLBACK is unknown to FastWorker 0.1.x. */
enum {
    ID,
    NAME,
    ARGS,
    KWARGS,
    PRIORITY,
    CREATED_AT,
    STARTED_AT,
    COMPLETED_AT,
    STATUS,
    RESULT,
    ERROR,
    CALLBACK,
    RETRY_COUNT,
    MAX_RETRIES,
    RETRY_DELAY,
    RETRY_BACKOFF,
    RETRY_BACKOFF_MAX,
    TIMEOUT,
    ETA,
    ASSIGNED_WORKER,
    NATIVE,
    OPTIONS,
    FIELDS
};

static const char *const names[FIELDS] = {
    "id",
    "name",
    "args",
    "kwargs",
    "priority",
    "created_at",
    "started_at",
    "completed_at",
    "status",
    "result",
    "error",
    "callback",
    "retry_count",
    "max_retries",
    "retry_delay",
    "retry_backoff",
    "retry_backoff_max",
    "timeout",
    "eta",
    "assigned_worker",
    "native",
    "options",
};

/* A missing or empty id is made up. */
static bool read_id(const fw_fields *fields, fw_submission *out, fw_json value)
{
    if (!fw_field_text(fields, &out->id, names[ID], value))
        return false;
    if (out->id.len > FW_ID_MAX)
        return fw_fields_complain(fields, names[ID], "at most 255 bytes long", value);
    if (out->id.len > 0) {
        out->key = fw_key_from_text(out->id);
        return true;
    }
    char *text = fw_scratch_take(fields->scratch, FW_UUID_TEXT);
    if (text == NULL)
        return fw_fields_complain_text(fields, "no memory");
    out->key = fw_key_random();
    fw_key_format(text, out->key);
    out->id = (fw_span){text, FW_UUID_TEXT};
    return true;
}

/* What Python requires of fields that nobody acts on. */
static bool check_ignored(const fw_fields *fields, const fw_json *values)
{
    int64_t when;
    fw_state status;
    fw_span text;
    if (!fw_field_datetime(fields, &when, names[CREATED_AT], values[CREATED_AT]) ||
        !fw_field_status(fields, &status, names[STATUS], values[STATUS]))
        return false;
    for (int i = STARTED_AT; i <= COMPLETED_AT; i++)
        if (values[i].type != FW_JSON_NULL &&
            !fw_field_datetime(fields, &when, names[i], values[i]))
            return false;
    return fw_field_text_or_null(fields, &text, names[ERROR], values[ERROR]) &&
           fw_field_text_or_null(fields, &text, names[ASSIGNED_WORKER], values[ASSIGNED_WORKER]);
}

/* Negative numbers and NaN, which Python takes and never acts on, mean none here. */
static double at_least_zero(double number)
{
    return number > 0 ? number : 0;
}

static bool read_retry(const fw_fields *fields, fw_submission *out, const fw_json *values)
{
    if (!fw_field_int(fields, &out->retry_count, names[RETRY_COUNT], values[RETRY_COUNT]) ||
        !fw_field_int(fields, &out->max_retries, names[MAX_RETRIES], values[MAX_RETRIES]) ||
        !fw_field_double(fields, &out->retry_delay_s, names[RETRY_DELAY], values[RETRY_DELAY]) ||
        !fw_field_double(fields, &out->retry_backoff, names[RETRY_BACKOFF],
                         values[RETRY_BACKOFF]) ||
        !fw_field_double(fields, &out->retry_backoff_max_s, names[RETRY_BACKOFF_MAX],
                         values[RETRY_BACKOFF_MAX]))
        return false;
    out->retry_count = out->retry_count > 0 ? out->retry_count : 0;
    out->max_retries = out->max_retries > 0 ? out->max_retries : 0;
    out->retry_delay_s = at_least_zero(out->retry_delay_s);
    out->retry_backoff = at_least_zero(out->retry_backoff);
    out->retry_backoff_max_s = at_least_zero(out->retry_backoff_max_s);
    return true;
}

static bool read_times(const fw_fields *fields, fw_submission *out, const fw_json *values)
{
    double timeout = 0;
    if (values[TIMEOUT].type != FW_JSON_NULL &&
        !fw_field_double(fields, &timeout, names[TIMEOUT], values[TIMEOUT]))
        return false;
    out->timeout_ns = fw_seconds_to_ns(timeout);
    /* Below zero the time is over at once; 0 means the default (13.2). */
    if (timeout < 0 || (timeout > 0 && out->timeout_ns == 0))
        out->timeout_ns = 1;
    if (values[ETA].type != FW_JSON_NULL &&
        !fw_field_datetime(fields, &out->eta_wall_ns, names[ETA], values[ETA]))
        return false;
    out->eta_wall_ns = fw_eta_in_range(out->eta_wall_ns);
    return true;
}

/* {"v": 1, "reply": "accepted"} (22.7); anything else is no business of ours. */
static bool asks_for_acceptance(fw_json native)
{
    fw_span text;
    char room[16];
    return fw_json_string(fw_json_get(native, "reply"), room, sizeof(room), &text) &&
           text.len == 8 && memcmp(text.ptr, "accepted", 8) == 0;
}

static bool is_legacy(const fw_json *values)
{
    for (int i = RETRY_COUNT; i < FIELDS; i++)
        if (values[i].type != FW_JSON_INVALID)
            return false;
    return true;
}

static bool read_task(const fw_fields *fields, fw_submission *out, fw_json task)
{
    fw_json values[FIELDS];
    if (task.type != FW_JSON_OBJECT)
        return fw_fields_complain_text(fields, "it must be a JSON object");
    fw_fields_collect(values, task, names, FIELDS);
    if (!read_id(fields, out, values[ID]))
        return false;
    if (values[ID].type != FW_JSON_INVALID && fields->complaint != NULL)
        fields->complaint->id = out->id;
    if (values[NAME].type == FW_JSON_INVALID)
        return fw_fields_complain(fields, names[NAME], "", values[NAME]);
    if (!fw_field_text(fields, &out->name, names[NAME], values[NAME]) ||
        !fw_field_raw(fields, &out->args, names[ARGS], values[ARGS], FW_JSON_ARRAY) ||
        !fw_field_raw(fields, &out->kwargs, names[KWARGS], values[KWARGS], FW_JSON_OBJECT) ||
        !fw_field_priority(fields, &out->level, names[PRIORITY], values[PRIORITY]) ||
        !fw_field_callback(fields, &out->callback, names[CALLBACK], values[CALLBACK]) ||
        !read_retry(fields, out, values) || !read_times(fields, out, values) ||
        !check_ignored(fields, values))
        return false;
    if (values[OPTIONS].type != FW_JSON_NULL &&
        !fw_field_raw(fields, &out->options, names[OPTIONS], values[OPTIONS], FW_JSON_OBJECT))
        return false;
    out->accept_only = asks_for_acceptance(values[NATIVE]);
    if (is_legacy(values))
        out->reply.form = FW_REPLY_JSON_LEGACY;
    return true;
}

/* {"action": "batch_submit", ...}. Nearly all messages are single Tasks: they show it by not having
 * the word in them at all. */
static bool is_batch(fw_json message)
{
    static const char word[] = "batch_submit";
    if (memchr(message.text.ptr, '\\', message.text.len) == NULL &&
        memmem(message.text.ptr, message.text.len, word, sizeof(word) - 1) == NULL)
        return false;
    fw_span text;
    char room[80];
    return fw_json_string(fw_json_get(message, "action"), room, sizeof(room), &text) &&
           text.len == 12 && memcmp(text.ptr, "batch_submit", 12) == 0;
}

int fw_json_tasks_open(fw_json_tasks *out, fw_scratch *scratch, fw_span message,
                       const fw_reply_to *reply)
{
    FW_ASSERT(reply != NULL && scratch != NULL);
    *out = (fw_json_tasks){.reply = *reply, .scratch = scratch};
    out->reply.form = FW_REPLY_JSON;
    out->reply.item = 0;
    out->reply.flags = 0;
    fw_fields fields = {"task", 0, &out->complaint, scratch};
    if (fw_pickle_is(message)) {
        out->reply.form = FW_REPLY_PICKLE;
        fw_complain_of_pickle(&out->complaint);
        return -FW_EINVAL;
    }
    out->task = fw_json_parse(message);
    if (out->task.type == FW_JSON_INVALID) {
        fw_fields_complain_text(&fields, "the message is not valid JSON");
        return -FW_EINVAL;
    }
    if (!is_batch(out->task)) {
        out->count = 1;
        return 0;
    }
    out->batch = true;
    fields.subject = "batch";
    fw_json tasks = fw_json_get(out->task, "tasks");
    if (tasks.type != FW_JSON_ARRAY) {
        fw_fields_complain(&fields, "tasks", "an array", tasks);
        return -FW_EINVAL;
    }
    out->cursor = fw_json_open(tasks);
    out->count = fw_json_count(tasks);
    return 0;
}

int fw_json_tasks_next(fw_json_tasks *tasks, fw_submission *out)
{
    FW_ASSERT(tasks->next <= tasks->count);
    if (tasks->next == tasks->count)
        return 0;
    fw_json task = tasks->task;
    if (tasks->batch) {
        bool more = fw_json_next(&tasks->cursor, &task);
        FW_ASSERT(more);
    }
    tasks->next++;
    tasks->complaint.id = (fw_span){NULL, 0};
    fw_fields fields = {"task", tasks->batch ? tasks->next : 0, &tasks->complaint, tasks->scratch};
    *out = (fw_submission){
        .args = {"[]", 2},
        .kwargs = {"{}", 2},
        .retry_delay_s = 60.0,
        .retry_backoff = 2.0,
        .retry_backoff_max_s = 3600.0,
        .level = FW_NORMAL,
        .reply = tasks->reply,
    };
    if (!read_task(&fields, out, task))
        return -FW_EINVAL;
    if (tasks->batch)
        out->reply.form = FW_REPLY_JSON;
    return 1;
}

bool fw_json_callback_read(fw_span *address, fw_span *data, fw_scratch *scratch, fw_span callback)
{
    static const char *const members[] = {"address", "data"};
    fw_json values[2], object = fw_json_parse(callback);
    fw_fields fields = {"callback", 0, NULL, scratch};
    if (object.type != FW_JSON_OBJECT)
        return false;
    fw_fields_collect(values, object, members, 2);
    *data = values[1].type == FW_JSON_OBJECT ? values[1].text : (fw_span){NULL, 0};
    return values[0].type == FW_JSON_STRING &&
           fw_field_text(&fields, address, members[0], values[0]) && address->len > 0;
}

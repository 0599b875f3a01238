/* net/message_request.c - requests in JSON, written by a client to a Python control plane or by a
 * control plane to a Python subworker (protocol 4.1, 6.1, 6.6, 7). All members of a Task are
 * written, in Python's order. SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "net/datetime.h"
#include "net/message_json.h"

#define ADD(out, literal) fw_buffer_add(out, literal, sizeof(literal) - 1)

static void add_id(fw_buffer *out, fw_span id, fw_key key)
{
    char text[FW_UUID_TEXT];
    if (id.len == 0) {
        FW_ASSERT(fw_key_is_uuid(key));
        fw_key_format(text, key);
        id = (fw_span){text, sizeof(text)};
    }
    fw_buffer_json_string(out, id);
}

static void add_datetime(fw_buffer *out, int64_t wall_ns)
{
    char text[FW_DATETIME_TEXT];
    size_t len = fw_datetime_format(text, wall_ns, ' ');
    ADD(out, "\"");
    fw_buffer_add(out, text, len);
    ADD(out, "\"");
}

/* Arguments may come from a binary frame, which nobody has looked into: what is not JSON must not
 * spoil the text around it. */
static bool is_json(fw_span text, fw_json_type type)
{
    return text.len == 0 || fw_json_parse(text).type == type;
}

static void add_retry(fw_buffer *out, const fw_submission *task)
{
    fw_buffer_format(out, ", \"retry_count\": %d, \"max_retries\": %d, \"retry_delay\": ",
                     (int)task->retry_count, (int)task->max_retries);
    fw_buffer_json_double(out, task->retry_delay_s);
    ADD(out, ", \"retry_backoff\": ");
    fw_buffer_json_double(out, task->retry_backoff);
    ADD(out, ", \"retry_backoff_max\": ");
    fw_buffer_json_double(out, task->retry_backoff_max_s);
}

static void add_times(fw_buffer *out, const fw_submission *task)
{
    ADD(out, ", \"timeout\": ");
    if (task->timeout_ns != 0)
        fw_buffer_json_double(out, (double)task->timeout_ns / 1e9);
    else
        ADD(out, "null");
    ADD(out, ", \"eta\": ");
    if (task->eta_wall_ns != 0)
        add_datetime(out, task->eta_wall_ns);
    else
        ADD(out, "null");
}

bool fw_json_write_task(fw_buffer *out, const fw_submission *task)
{
    FW_ASSERT(task->level < FW_LEVELS);
    if (!is_json(task->args, FW_JSON_ARRAY) || !is_json(task->kwargs, FW_JSON_OBJECT) ||
        !is_json(task->callback, FW_JSON_OBJECT))
        return false;
    ADD(out, "{\"id\": ");
    add_id(out, task->id, task->key);
    ADD(out, ", \"name\": ");
    fw_buffer_json_string(out, task->name);
    ADD(out, ", \"args\": ");
    fw_buffer_add(out, task->args.len > 0 ? task->args.ptr : "[]",
                  task->args.len > 0 ? task->args.len : 2);
    ADD(out, ", \"kwargs\": ");
    fw_buffer_add(out, task->kwargs.len > 0 ? task->kwargs.ptr : "{}",
                  task->kwargs.len > 0 ? task->kwargs.len : 2);
    ADD(out, ", \"priority\": \"");
    fw_buffer_text(out, fw_prio_name((fw_prio)task->level));
    ADD(out, "\", \"created_at\": ");
    add_datetime(out, fw_wall_ns());
    ADD(out, ", \"started_at\": null, \"completed_at\": null, \"status\": \"pending\", "
             "\"result\": null, \"error\": null, \"callback\": ");
    if (task->callback.len > 0)
        fw_buffer_add(out, task->callback.ptr, task->callback.len);
    else
        ADD(out, "null");
    add_retry(out, task);
    add_times(out, task);
    ADD(out, ", \"assigned_worker\": null");
    if (task->accept_only)
        ADD(out, ", \"native\": {\"v\": 1, \"reply\": \"accepted\"}");
    ADD(out, "}");
    return true;
}

bool fw_json_write_tasks(fw_buffer *out, const fw_submission *tasks, size_t count)
{
    FW_ASSERT(count == 0 || tasks != NULL);
    ADD(out, "{\"action\": \"batch_submit\", \"tasks\": [");
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            ADD(out, ", ");
        if (!fw_json_write_task(out, &tasks[i]))
            return false;
    }
    ADD(out, "]}");
    return true;
}

void fw_json_write_ask(fw_buffer *out, const fw_query *query)
{
    if (query->kind == FW_QUERY_CANCEL)
        ADD(out, "{\"action\": \"cancel\", \"task_id\": ");
    else if (query->kind == FW_QUERY_WAIT)
        ADD(out, "{\"action\": \"wait\", \"task_id\": ");
    else
        ADD(out, "{\"task_id\": ");
    add_id(out, query->id, query->key);
    if (query->kind == FW_QUERY_WAIT) {
        ADD(out, ", \"timeout\": ");
        fw_buffer_json_double(out, (double)query->wait_ns / 1e9);
    }
    if (query->native)
        ADD(out, ", \"native\": {\"v\": 1}");
    ADD(out, "}");
}

/* app/life/record.c - reading and writing a task's payload. SPDX-License-Identifier: Apache-2.0 */
#include "app/life/record.h"

#include <string.h>

#include "base/assert.h"

_Static_assert(sizeof(fw_record) % 8 == 0, "extras follow at once");

static bool has_extras(const fw_submission *s)
{
    return s->eta_wall_ns != 0 || s->result_ttl_ns != 0 || s->retry_count != 0 ||
           s->max_retries != 0 || s->options.len != 0;
}

/* Spelled-out defaults need no bytes. */
static size_t stored_len(fw_span text, const char *initial)
{
    return text.len == 2 && memcmp(text.ptr, initial, 2) == 0 ? 0 : text.len;
}

static size_t stored_id_len(const fw_submission *s)
{
    return fw_key_is_uuid(s->key) ? 0 : s->id.len;
}

size_t fw_record_size(const fw_submission *s)
{
    return sizeof(fw_record) + (has_extras(s) ? sizeof(fw_record_extras) : 0) +
           stored_len(s->args, "[]") + stored_len(s->kwargs, "{}") + s->callback.len +
           stored_id_len(s) + s->options.len;
}

fw_record *fw_record_of(fw_task *task)
{
    return (fw_record *)(void *)task->payload;
}

static char *texts_of(fw_task *task)
{
    size_t skip = fw_record_of(task)->has_extras ? sizeof(fw_record_extras) : 0;
    return (char *)task->payload + sizeof(fw_record) + skip;
}

/* Attempts are counted in sixteen bits. */
static int32_t at_most_retries(int32_t count)
{
    return count < 0 ? 0 : count < 60000 ? count : 60000;
}

static char *put(char *at, const char *bytes, size_t len)
{
    if (len > 0)
        memcpy(at, bytes, len);
    return at + len;
}

void fw_record_write(fw_task *task, const fw_submission *s, const fw_name *name,
                     int64_t created_wall_ns)
{
    FW_DEBUG_ASSERT(task->payload_bytes >= fw_record_size(s));
    fw_record *record = fw_record_of(task);
    *record = (fw_record){
        .first = s->reply,
        .args_len = (uint32_t)stored_len(s->args, "[]"),
        .kwargs_len = (uint32_t)stored_len(s->kwargs, "{}"),
        .callback_len = (uint32_t)s->callback.len,
        .id_len = (uint8_t)stored_id_len(s),
        .has_extras = has_extras(s),
        .accept_only = s->accept_only,
        .isolate = s->isolate,
    };
    if (record->has_extras) {
        fw_record_extras extras = {s->eta_wall_ns,
                                   s->result_ttl_ns,
                                   at_most_retries(s->retry_count),
                                   at_most_retries(s->max_retries),
                                   s->retry_delay_s,
                                   s->retry_backoff,
                                   s->retry_backoff_max_s,
                                   (uint32_t)s->options.len,
                                   NULL,
                                   0};
        memcpy(task->payload + sizeof *record, &extras, sizeof extras);
    }
    char *at = texts_of(task);
    at = put(at, s->args.ptr, record->args_len);
    at = put(at, s->kwargs.ptr, record->kwargs_len);
    at = put(at, s->callback.ptr, record->callback_len);
    at = put(at, s->id.ptr, record->id_len);
    at = put(at, s->options.ptr, s->options.len);
    FW_ASSERT(at <= (char *)task->payload + task->payload_bytes);
    task->key = s->key;
    task->level = s->level;
    task->created_wall_ns = created_wall_ns;
    /* Relaxed: published by admission. */
    fw_store_relaxed(&task->attempt, (uint16_t)(at_most_retries(s->retry_count) + 1));
    task->timeout_ns = s->timeout_ns;
    task->name = name->index;
}

void fw_record_note(fw_task *task, struct fw_node *node, int64_t begin_by_ns)
{
    FW_ASSERT(fw_record_of(task)->has_extras);
    fw_record_extras *extras = (fw_record_extras *)(void *)(task->payload + sizeof(fw_record));
    extras->node = node;
    extras->begin_by_ns = begin_by_ns;
}

fw_span fw_record_args(fw_task *task)
{
    size_t len = fw_record_of(task)->args_len;
    return len ? (fw_span){texts_of(task), len} : (fw_span){"[]", 2};
}

fw_span fw_record_kwargs(fw_task *task)
{
    const fw_record *record = fw_record_of(task);
    if (record->kwargs_len == 0)
        return (fw_span){"{}", 2};
    return (fw_span){texts_of(task) + record->args_len, record->kwargs_len};
}

fw_span fw_record_callback(fw_task *task)
{
    const fw_record *record = fw_record_of(task);
    return (fw_span){texts_of(task) + record->args_len + record->kwargs_len, record->callback_len};
}

fw_span fw_record_options(fw_task *task)
{
    const fw_record_extras *extras = fw_record_extras_of(task);
    if (!extras || extras->options_len == 0)
        return (fw_span){NULL, 0};
    const fw_record *record = fw_record_of(task);
    size_t before =
        (size_t)record->args_len + record->kwargs_len + record->callback_len + record->id_len;
    return (fw_span){texts_of(task) + before, extras->options_len};
}

fw_span fw_record_id(fw_task *task, char buffer[FW_UUID_TEXT])
{
    const fw_record *record = fw_record_of(task);
    if (record->id_len == 0) {
        fw_key_format(buffer, task->key);
        return (fw_span){buffer, FW_UUID_TEXT};
    }
    size_t before = (size_t)record->args_len + record->kwargs_len + record->callback_len;
    return (fw_span){texts_of(task) + before, record->id_len};
}

const fw_record_extras *fw_record_extras_of(fw_task *task)
{
    if (!fw_record_of(task)->has_extras)
        return NULL;
    return (const fw_record_extras *)(const void *)(task->payload + sizeof(fw_record));
}

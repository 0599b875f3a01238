/* app/life/record.c - reading and writing a task's payload. SPDX-License-Identifier: Apache-2.0 */
#include "app/life/record.h"

#include <string.h>

#include "base/assert.h"

/* Of texts that are not small, or rare. */
typedef struct fw_record_lengths {
    uint32_t args, kwargs, callback, id;
} fw_record_lengths;

_Static_assert(sizeof(fw_record) == 32, "every queued task has one");
_Static_assert(sizeof(fw_record_extras) % 8 == 0, "lengths follow at once");

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

static fw_record_lengths lengths_to_store(const fw_submission *s)
{
    return (fw_record_lengths){(uint32_t)stored_len(s->args, "[]"),
                               (uint32_t)stored_len(s->kwargs, "{}"), (uint32_t)s->callback.len,
                               (uint32_t)stored_id_len(s)};
}

static bool are_small(const fw_record_lengths *l)
{
    return l->args <= UINT8_MAX && l->kwargs <= UINT8_MAX && (l->callback | l->id) == 0;
}

size_t fw_record_size(const fw_submission *s)
{
    fw_record_lengths l = lengths_to_store(s);
    return sizeof(fw_record) + (has_extras(s) ? sizeof(fw_record_extras) : 0) +
           (are_small(&l) ? 0 : sizeof l) + (size_t)l.args + l.kwargs + l.callback + l.id +
           s->options.len;
}

static char *after_extras(fw_task *task)
{
    size_t skip = fw_record_of(task)->has_extras ? sizeof(fw_record_extras) : 0;
    return (char *)task->payload + sizeof(fw_record) + skip;
}

/* And where the texts begin. */
static inline fw_record_lengths lengths_of(fw_task *task, char **texts)
{
    const fw_record *record = fw_record_of(task);
    *texts = after_extras(task);
    if (FW_LIKELY(!record->has_lengths))
        return (fw_record_lengths){record->args_len, record->kwargs_len, 0, 0};
    fw_record_lengths l;
    memcpy(&l, *texts, sizeof l);
    *texts += sizeof l;
    return l;
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
    const fw_record_lengths l = lengths_to_store(s);
    bool small = are_small(&l);
    *record = (fw_record){
        .connection = s->reply.connection,
        .request = s->reply.request,
        .detour = s->reply.detour,
        .item = s->reply.item,
        .form = s->reply.form,
        .flags = s->reply.flags,
        .args_len = small ? (uint8_t)l.args : 0,
        .kwargs_len = small ? (uint8_t)l.kwargs : 0,
        .has_extras = has_extras(s),
        .has_lengths = !small,
        .has_id = l.id != 0,
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
    char *at = after_extras(task);
    if (!small)
        at = put(at, (const char *)&l, sizeof l);
    at = put(at, s->args.ptr, l.args);
    at = put(at, s->kwargs.ptr, l.kwargs);
    at = put(at, s->callback.ptr, l.callback);
    at = put(at, s->id.ptr, l.id);
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
    char *texts;
    fw_record_lengths l = lengths_of(task, &texts);
    return l.args ? (fw_span){texts, l.args} : (fw_span){"[]", 2};
}

fw_span fw_record_kwargs(fw_task *task)
{
    char *texts;
    fw_record_lengths l = lengths_of(task, &texts);
    return l.kwargs ? (fw_span){texts + l.args, l.kwargs} : (fw_span){"{}", 2};
}

fw_span fw_record_callback(fw_task *task)
{
    char *texts;
    fw_record_lengths l = lengths_of(task, &texts);
    return (fw_span){texts + l.args + l.kwargs, l.callback};
}

fw_span fw_record_options(fw_task *task)
{
    const fw_record_extras *extras = fw_record_extras_of(task);
    if (!extras || extras->options_len == 0)
        return (fw_span){NULL, 0};
    char *texts;
    fw_record_lengths l = lengths_of(task, &texts);
    size_t before = (size_t)l.args + l.kwargs + l.callback + l.id;
    return (fw_span){texts + before, extras->options_len};
}

fw_span fw_record_id(fw_task *task, char buffer[FW_UUID_TEXT])
{
    if (!fw_record_of(task)->has_id) {
        fw_key_format(buffer, task->key);
        return (fw_span){buffer, FW_UUID_TEXT};
    }
    char *texts;
    fw_record_lengths l = lengths_of(task, &texts);
    return (fw_span){texts + (size_t)l.args + l.kwargs + l.callback, l.id};
}

const fw_record_extras *fw_record_extras_of(fw_task *task)
{
    if (!fw_record_of(task)->has_extras)
        return NULL;
    return (const fw_record_extras *)(const void *)(task->payload + sizeof(fw_record));
}

/* app/http/long_poll.c - see app/http/long_poll.h. SPDX-License-Identifier: Apache-2.0 */
#include "app/http/long_poll.h"

#include <string.h>
#include <time.h>

#include "app/life/kept.h"
#include "app/life/lifecycle_parts.h"
#include "app/life/notes.h"
#include "base/clock.h"
#include "base/rcu.h"

static void add_name(fw_buffer *out, const char *name)
{
    fw_buffer_text(out, ", \"");
    fw_buffer_text(out, name);
    fw_buffer_text(out, "\": ");
}

/* RFC 3339 in UTC, or null. */
static void add_time(fw_buffer *out, const char *name, int64_t wall_ns)
{
    /* The last second that was written: in a list most are of the same few. */
    static _Thread_local time_t my_second = -1;
    static _Thread_local char my_text[32];
    time_t seconds = (time_t)(wall_ns / FW_NS_PER_S);
    add_name(out, name);
    if (wall_ns == 0) {
        fw_buffer_text(out, "null");
        return;
    }
    if (seconds != my_second) {
        struct tm parts;
        gmtime_r(&seconds, &parts);
        strftime(my_text, sizeof my_text, "\"%Y-%m-%dT%H:%M:%S.", &parts);
        my_second = seconds;
    }
    fw_buffer_text(out, my_text);
    fw_buffer_digits(out, (uint64_t)(wall_ns % FW_NS_PER_S / FW_NS_PER_US), 6);
    fw_buffer_text(out, "Z\"");
}

static void add_text(fw_buffer *out, const char *name, fw_span text)
{
    add_name(out, name);
    if (text.ptr)
        fw_buffer_json_string(out, text);
    else
        fw_buffer_text(out, "null");
}

/* task: what is known of a live one beside; NULL: it is over. */
static void write_item(fw_buffer *out, const fw_cache_item *item, fw_task *task, bool full)
{
    char id[FW_UUID_TEXT];
    fw_span text = item->id;
    if (text.len == 0) {
        fw_key_format(id, item->key);
        text = (fw_span){id, sizeof id};
    }
    fw_buffer_text(out, "{\"task_id\": ");
    fw_buffer_json_string(out, text);
    add_text(out, "name", item->name);
    fw_buffer_format(out, ", \"priority\": \"%s\", \"status\": \"%s\", \"attempt\": %u",
                     fw_prio_name((fw_prio)item->level), fw_state_name(item->status),
                     item->attempt);
    add_time(out, "created_at", item->created_wall_ns);
    add_time(out, "started_at", item->started_wall_ns);
    add_time(out, "completed_at", item->finished_wall_ns);
    fw_buffer_text(out, ", \"result\": ");
    if (item->result.len > 0)
        fw_buffer_add(out, item->result.ptr, item->result.len);
    else
        fw_buffer_text(out, "null");
    add_text(out, "error", item->error);
    if (task)
        fw_notes_write(out, task);
    if (full && task)
        fw_kept_write_args(out, task);
    else if (full)
        fw_buffer_add(out, item->request.ptr, item->request.len);
    fw_buffer_text(out, "}");
}

static void write_task(const fw_lifecycle *life, fw_buffer *out, fw_task *task, bool full)
{
    char buffer[FW_UUID_TEXT];
    fw_result_view view = fw_view_of_task(task, buffer);
    fw_cache_item item = {
        .key = task->key,
        .id = view.id,
        .status = view.status,
        .level = task->level,
        /* Relaxed: to be shown. */
        .attempt = fw_load_relaxed(&task->attempt),
        .created_wall_ns = task->created_wall_ns,
        .started_wall_ns = view.started_wall_ns,
        .name = fw_name_text(fw_names_at(life->names, task->name)),
    };
    write_item(out, &item, task, full);
}

/* An end that is not kept: no room, or the cache is off. */
static void write_end(const fw_lifecycle *life, fw_buffer *out, const fw_task *task,
                      const fw_result_view *view)
{
    fw_cache_item item = {
        .key = view->key,
        .id = view->id,
        .status = view->status,
        .level = task->level,
        /* Relaxed: to be shown. */
        .attempt = fw_load_relaxed(&task->attempt),
        .created_wall_ns = task->created_wall_ns,
        .started_wall_ns = view->started_wall_ns,
        .finished_wall_ns = view->finished_wall_ns,
        .name = fw_name_text(fw_names_at(life->names, task->name)),
        .result = view->result,
        .error = view->error,
    };
    write_item(out, &item, NULL, false);
}

typedef enum known { KNOWN_OVER, KNOWN_LIVE, KNOWN_EXPIRED, KNOWN_NEVER } known;

/* Inside a read section; view: the end that is being told just now. */
static known write_known(fw_lifecycle *life, fw_key key, fw_buffer *out, bool full,
                         const fw_result_view *view)
{
    fw_cache_item item;
    fw_task *task = fw_engine_find(life->engine, key);
    fw_cache_answer stored = fw_cache_get(life->cache, key, fw_now_ns(), false, &item);
    if (stored == FW_CACHE_FOUND)
        write_item(out, &item, NULL, full);
    else if (task && view)
        write_end(life, out, task, view);
    else if (task)
        write_task(life, out, task, full);
    else
        return stored == FW_CACHE_EXPIRED ? KNOWN_EXPIRED : KNOWN_NEVER;
    return stored == FW_CACHE_FOUND || view ? KNOWN_OVER : KNOWN_LIVE;
}

static void tell(fw_lifecycle *life, fw_key key, unsigned flags, const fw_result_view *view,
                 fw_web_answer *answer)
{
    char buffer[FW_UUID_TEXT];
    known what = write_known(life, key, &answer->body, flags & FW_POLL_FULL, view);
    if (what == KNOWN_EXPIRED)
        fw_web_problem(answer, 410, "expired-task", "the result of this task is no longer kept");
    else if (what == KNOWN_NEVER)
        fw_web_problem(answer, 404, "unknown-task", "no task of this id has been seen");
    if (what != KNOWN_LIVE || !(flags & FW_POLL_SUBMITTED))
        return;
    answer->status = 202;
    fw_task *task = fw_engine_find(life->engine, key);
    if (task)
        fw_web_location(answer, "/api/v1/tasks/", fw_record_id(task, buffer));
}

/* The flags go into the waiter's reply. => false: it has ended, or nobody else may wait. */
static bool wait_for(fw_lifecycle *life, fw_key key, int64_t wait_ns, const fw_web_ticket *ticket,
                     unsigned flags)
{
    const fw_reply_to nobody = {.form = FW_REPLY_NONE, .flags = (uint8_t)flags};
    fw_task *task = fw_engine_find(life->engine, key);
    if (!task)
        return false;
    fw_waiter *waiter =
        fw_waiter_create(&life->waiters, &nobody, key, fw_now_ns() + wait_ns, false);
    if (!waiter)
        return false;
    waiter->ticket = *ticket;
    return fw_waiters_attach(&life->waiters, task, waiter);
}

void fw_long_poll(fw_lifecycle *life, fw_span id, int64_t wait_ns, const fw_web_ticket *ticket,
                  unsigned flags, fw_web_answer *answer)
{
    if (id.len > FW_ID_MAX) {
        fw_web_problem(answer, 404, "unknown-task", "no task has an id of this length");
        return;
    }
    fw_key key = fw_key_from_text(id);
    fw_rcu_read_lock();
    answer->is_later = wait_ns > 0 && ticket->later && wait_for(life, key, wait_ns, ticket, flags);
    if (!answer->is_later)
        tell(life, key, flags, NULL, answer);
    fw_rcu_read_unlock();
}

bool fw_long_poll_show(fw_lifecycle *life, fw_key key, fw_buffer *out)
{
    fw_rcu_read_lock();
    known what = write_known(life, key, out, false, NULL);
    fw_rcu_read_unlock();
    return what == KNOWN_OVER || what == KNOWN_LIVE;
}

void fw_long_poll_answer(fw_lifecycle *life, const fw_waiter *waiter, const fw_result_view *view)
{
    fw_web_answer answer = fw_web_answer_begin();
    fw_rcu_read_lock();
    tell(life, waiter->key, waiter->reply.flags, view, &answer);
    fw_rcu_read_unlock();
    fw_web_answer_later(&waiter->ticket, &answer);
}

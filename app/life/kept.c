/* app/life/kept.c - see app/life/kept.h. Covered by tests/app/http_tasks_test.py.
 * SPDX-License-Identifier: Apache-2.0 */
#include "app/life/kept.h"

#include "app/events/event_posts.h"
#include "app/life/lifecycle_parts.h"
#include "app/life/notes.h"

#include <limits.h>
#include <string.h>

void fw_kept_write_args(fw_buffer *out, fw_task *task)
{
    fw_span args = fw_record_args(task), kwargs = fw_record_kwargs(task);
    fw_buffer_text(out, ", \"args\": ");
    fw_buffer_add(out, args.ptr, args.len);
    fw_buffer_text(out, ", \"kwargs\": ");
    fw_buffer_add(out, kwargs.ptr, kwargs.len);
}

static void write_attempts(fw_buffer *out, fw_task *task)
{
    size_t before = out->len;
    fw_buffer_text(out, ", \"attempts\": ");
    if (!fw_notes_write_attempts(out, task))
        out->len = before;
}

static void write_place(fw_buffer *out)
{
    const char *worker = fw_post_whose();
    if (worker) {
        fw_buffer_text(out, ", \"worker\": ");
        fw_buffer_json_string(out, (fw_span){worker, strlen(worker)});
    } else if (fw_my_run.thread != UINT_MAX) {
        fw_buffer_format(out, ", \"thread\": %u", fw_my_run.thread);
    }
}

void fw_kept_write(fw_buffer *out, const fw_lifecycle *life, fw_task *task,
                   const fw_cache_item *item, bool ran)
{
    if (item->attempt > 1)
        write_attempts(out, task);
    if (ran)
        write_place(out);
    size_t bytes = fw_record_args(task).len + fw_record_kwargs(task).len;
    if (fw_kept_args_wanted(life, item) && bytes <= life->keep_args_max)
        fw_kept_write_args(out, task);
}

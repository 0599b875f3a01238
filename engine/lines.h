/* engine/lines.h - tasks one behind the other, by order number: first in, first out.
 *
 * A line belongs to the dispatcher's duty and links tasks by their queue nodes. lines.c puts two
 * lines into one, and lines that came in any order into theirs. SPDX-License-Identifier:
 * Apache-2.0 */
#ifndef FW_ENGINE_LINES_H
#define FW_ENGINE_LINES_H

#include "base/atomic.h"
#include "engine/engine.h"

typedef struct fw_line {
    fw_task *first, *last;
    size_t count;
} fw_line;

/* A task's lease word: its order while it waits, its lease (top bit) while it is in hand; with the
 * second bit while the own pool has it and a limit counts it. */
#define FW_LEASE_BIT   (UINT64_C(1) << 63)
#define FW_COUNTED_BIT (UINT64_C(1) << 62)
static inline uint64_t fw_order_of(const fw_task *task)
{
    /* Relaxed: the duty's while the task waits. */
    return fw_load_relaxed(&task->lease);
}

static inline fw_task *fw_line_next(const fw_task *task)
{
    /* Relaxed: lines are the duty's. */
    return (fw_task *)(void *)fw_load_relaxed(&task->node.next);
}

static inline void fw_line_set_next(fw_task *task, fw_task *next)
{
    /* Relaxed: lines are the duty's. */
    fw_store_relaxed(&task->node.next, (fw_work_node *)(void *)next);
}

static inline void fw_line_append(fw_line *line, fw_task *task)
{
    fw_line_set_next(task, NULL);
    if (line->last)
        fw_line_set_next(line->last, task);
    else
        line->first = task;
    line->last = task;
    line->count++;
}

static inline fw_task *fw_line_take(fw_line *line)
{
    fw_task *task = line->first;
    line->first = fw_line_next(task);
    if (!line->first)
        line->last = NULL;
    line->count--;
    return task;
}

/* `more` comes behind the line, and is empty then. */
void fw_line_append_all(fw_line *line, fw_line *more);
/* Both in order; so is the outcome. Costs as much as the two overlap. */
void fw_line_merge(fw_line *line, fw_line *more);
void fw_line_sort(fw_line *tasks);

#endif

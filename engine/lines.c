/* engine/lines.c - see engine/lines.h. Covered by tests/engine/dispatch_test.c.
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/lines.h"

void fw_line_append_all(fw_line *line, fw_line *more)
{
    if (more->count == 0)
        return;
    if (line->last)
        fw_line_set_next(line->last, more->first);
    else
        line->first = more->first;
    line->last = more->last;
    line->count += more->count;
    *more = (fw_line){0};
}

void fw_line_merge(fw_line *line, fw_line *more)
{
    fw_line out = {0};
    while (line->count > 0 && more->count > 0) {
        if (fw_order_of(line->last) < fw_order_of(more->first)) {
            fw_line_append_all(&out, line);
        } else if (fw_order_of(more->last) < fw_order_of(line->first)) {
            fw_line_append_all(&out, more);
        } else {
            bool older = fw_order_of(line->first) < fw_order_of(more->first);
            fw_line_append(&out, fw_line_take(older ? line : more));
        }
    }
    fw_line_append_all(&out, line);
    fw_line_append_all(&out, more);
    *line = out;
}

/* By merging runs of 1, 2, 4, ... : runs[i] holds 2^i tasks or none. */
void fw_line_sort(fw_line *tasks)
{
    fw_line runs[64] = {0};
    while (tasks->count > 0) {
        fw_line run = {0};
        fw_line_append(&run, fw_line_take(tasks));
        unsigned i = 0;
        for (; runs[i].count > 0; i++)
            fw_line_merge(&run, &runs[i]);
        runs[i] = run;
    }
    for (unsigned i = 0; i < 64; i++)
        fw_line_merge(tasks, &runs[i]);
}

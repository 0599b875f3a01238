/* app/http/exec_metrics.c - see app/http/exec_metrics.h. The label pool is the task's name: those
 * of the configuration file. Covered by exec_test.py. SPDX-License-Identifier: Apache-2.0 */
#include "app/http/exec_metrics.h"

#include <inttypes.h>

static void add_label(fw_buffer *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '\\' || *text == '"')
            fw_buffer_add(out, "\\", 1);
        fw_buffer_add(out, text, 1);
    }
}

static void add(fw_buffer *out, const char *name, const char *pool, const char *label,
                const char *value, uint64_t count)
{
    fw_buffer_format(out, "%s{pool=\"", name);
    add_label(out, pool);
    fw_buffer_format(out, "\",%s=\"%s\"} %" PRIu64 "\n", label, value, count);
}

void fw_exec_metrics_write(const fw_exec *exec, fw_buffer *out)
{
    fw_exec_stats stats;
    if (!exec)
        return;
    fw_buffer_text(out, "# HELP fastworker_exec_children Processes of programs now.\n"
                        "# TYPE fastworker_exec_children gauge\n");
    for (size_t i = 0; i < fw_exec_count(exec); i++) {
        fw_exec_snapshot(exec, i, &stats);
        add(out, "fastworker_exec_children", stats.name, "state", "busy", stats.busy);
        if (stats.pool)
            add(out, "fastworker_exec_children", stats.name, "state", "idle", stats.idle);
    }
    fw_buffer_text(out, "# HELP fastworker_exec_exits_total Ends of processes, by how.\n"
                        "# TYPE fastworker_exec_exits_total counter\n");
    for (size_t i = 0; i < fw_exec_count(exec); i++) {
        fw_exec_snapshot(exec, i, &stats);
        for (int outcome = 0; outcome < FW_EXEC_OUTCOMES; outcome++) {
            if (stats.exits[outcome] > 0)
                add(out, "fastworker_exec_exits_total", stats.name, "outcome",
                    fw_exec_outcome_name((fw_exec_outcome)outcome), stats.exits[outcome]);
        }
    }
}

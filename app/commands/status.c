/* app/commands/status.c - what became of tasks. SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "app/commands/commands.h"
#include "app/commands/connect.h"
#include "app/commands/ids.h"
#include "app/commands/moment.h"
#include "app/commands/output.h"

static const char *sentence(fw_state state)
{
    static const char *const sentences[] = {
        [FW_PENDING] = "Task is still pending (not yet processed)",
        [FW_QUEUED] = "Task is waiting in the queue",
        [FW_SCHEDULED] = "Task is scheduled for later",
        [FW_ASSIGNED] = "Task is on its way to a worker",
        [FW_RUNNING] = "Task is currently being processed",
        [FW_RETRYING] = "Task has failed and will be tried again",
    };
    return (size_t)state < sizeof(sentences) / sizeof(sentences[0]) ? sentences[state] : NULL;
}

static void print_time(const char *name, int64_t unix_ns)
{
    char text[40];
    if (unix_ns == 0)
        return;
    fw_moment_write(text, sizeof(text), unix_ns);
    printf("%s at: %s\n", name, text);
}

static void print_progress(const fw_result *r)
{
    uint64_t done, total;
    const char *note;
    if (fw_result_progress(r, &done, &total, &note) < 0)
        return;
    printf("Progress: %" PRIu64, done);
    if (total > 0)
        printf(" of %" PRIu64 " (%.0f %%)", total, 100.0 * (double)done / (double)total);
    printf("%s%s\n", note[0] ? ", " : "", note);
}

static void print_for_people(const char *id, const fw_result *r)
{
    fw_state state = fw_result_state(r);
    const char *error = fw_result_error(r);
    printf("Task ID: %s\nStatus: %s\n", id, fw_state_name(state));
    if (state == FW_SUCCESS) {
        fw_buffer text = {.data = NULL};
        fw_output_python(&text, fw_result_json(r));
        printf("Result: %.*s\n", (int)text.len, text.len > 0 ? text.data : "");
        fw_buffer_fini(&text);
    } else if (state == FW_FAILURE) {
        printf("Error: %s\n", error == NULL ? "None" : error);
    } else if (state == FW_CANCELLED) {
        printf("Task was cancelled: %s\n", error == NULL ? "None" : error);
    } else if (sentence(state) != NULL) {
        printf("%s\n", sentence(state));
    }
    print_progress(r);
    print_time("Started", fw_result_started_ns(r));
    print_time("Completed", fw_result_finished_ns(r));
}

static void print_json(const char *id, const char *status, const fw_result *r)
{
    fw_buffer out = {.data = NULL};
    fw_output_json(&out, id, status, r, NULL);
    printf("%.*s\n", (int)out.len, out.len > 0 ? out.data : "");
    fw_buffer_fini(&out);
}

static int one_status(fw_client *c, const char *id, bool json)
{
    fw_result *r = NULL;
    int rc = fw_get(c, id, &r);
    bool expired = rc == -FW_EEXPIRED;
    int ends;
    if (rc < 0 && rc != -FW_EUNKNOWN && !expired)
        return fw_ends_saying(rc, fw_client_errmsg());
    if (rc < 0 && json) {
        print_json(id, expired ? "expired" : "unknown", NULL);
        ends = FW_ENDS_UNKNOWN;
    } else if (rc < 0) {
        printf(
            "Task ID %s not found or expired.\n%s\n", id,
            expired ? "It was known, but its result has expired."
            : fw_client_is_native(c)
                ? "Nobody has submitted a task with this id."
                : "The result may have expired from the cache or the task hasn't completed yet.");
        ends = FW_ENDS_UNKNOWN;
    } else {
        if (json)
            print_json(id, fw_state_name(fw_result_state(r)), r);
        else
            print_for_people(id, r);
        ends = fw_ends_of_state(fw_result_state(r));
    }
    fw_result_free(r);
    return ends;
}

int fw_command_status(int argc, char **argv)
{
    const fw_ids_command command = {
        .name = "status",
        .usage = "status ID... [options]",
        .examples = "  fastworker status --task-id 5f6e1c1e-7c3c-4a55-9c0b-0d2f1f2c8a11\n"
                    "  fastworker status --json ID | jq .status\n",
        .notes =
            "Exit status: 0 success, 3 failure, 6 cancelled, 4 unknown or expired, 5 not over\n",
        .one = one_status};
    return fw_ids_run(&command, argc, argv);
}

/* app/commands/submit.c - one task from the command line; `--stdin` is in submit_stdin.
 *
 * Without --non-blocking the task's id is printed as soon as it is on its way, its end when it is
 * there: the lines of FastWorker 0.3.0. SPDX-License-Identifier: Apache-2.0 */
#include "app/commands/submit.h"

#include <stdio.h>
#include <string.h>

#include "app/commands/commands.h"
#include "app/commands/connect.h"
#include "app/commands/moment.h"
#include "app/commands/output.h"
#include "base/clock.h"

typedef struct outcome {
    bool done;
    int err;
    const fw_submit_way *way;
    const char *id;
    fw_state state;
} outcome;

static void put_text(fw_buffer *out, const char *label, const char *text)
{
    fw_buffer_text(out, label);
    if (text == NULL)
        fw_buffer_text(out, "None");
    else
        fw_output_python_text(out, (fw_span){text, strlen(text)});
}

static void put_time(fw_buffer *out, const char *label, int64_t unix_ns)
{
    char text[40];
    int y, mo, d, h, mi, s, us = 0;
    fw_buffer_text(out, label);
    fw_moment_write(text, sizeof(text), unix_ns);
    if (unix_ns == 0 || sscanf(text, "%d-%d-%d %d:%d:%d.%d", &y, &mo, &d, &h, &mi, &s, &us) < 6)
        fw_buffer_text(out, "None");
    else
        fw_buffer_format(out, "datetime.datetime(%d, %d, %d, %d, %d, %d, %d)", y, mo, d, h, mi, s,
                         us);
}

/* The line that Python makes of a whole TaskResult. */
static void put_result_line(fw_buffer *out, const fw_result *r)
{
    const char *state = fw_state_name(fw_result_state(r));
    char upper[16];
    size_t n = strlen(state);
    fw_span json = fw_result_json(r);
    for (size_t i = 0; i <= n; i++)
        upper[i] = (char)(state[i] >= 'a' && state[i] <= 'z' ? state[i] - 'a' + 'A' : state[i]);
    fw_buffer_text(out, "Task result: ");
    put_text(out, "task_id=", fw_result_id(r));
    fw_buffer_format(out, " status=<TaskStatus.%s: '%s'> result=", upper, state);
    if (json.len > 1 && json.ptr[0] == '"') {
        fw_buffer bare = {.data = NULL};
        fw_output_python(&bare, json);
        fw_output_python_text(out, (fw_span){bare.data, bare.len});
        fw_buffer_fini(&bare);
    } else {
        fw_output_python(out, json);
    }
    put_text(out, " error=", fw_result_error(r));
    put_time(out, " started_at=", fw_result_started_ns(r));
    put_time(out, " completed_at=", fw_result_finished_ns(r));
    fw_buffer_text(out, " callback=None\n");
}

static void print_end(void *user, int err, const fw_result *r)
{
    outcome *end = user;
    fw_buffer out = {.data = NULL};
    end->done = true;
    end->err = err;
    if (err != 0)
        return;
    end->state = fw_result_state(r);
    if (end->way->json) {
        fw_output_json(&out, fw_result_id(r), fw_state_name(end->state), r, NULL);
        fw_buffer_text(&out, "\n");
    } else if (end->way->quiet) {
        if (end->state == FW_SUCCESS)
            fw_output_python(&out, fw_result_json(r));
        fw_buffer_text(&out, end->state == FW_SUCCESS ? "\n" : "");
    } else {
        const char *error = fw_result_error(r);
        put_result_line(&out, r);
        fw_buffer_text(&out, end->state == FW_SUCCESS ? "Result: " : "Error: ");
        if (end->state == FW_SUCCESS)
            fw_output_python(&out, fw_result_json(r));
        else
            fw_buffer_text(&out, error == NULL ? "None" : error);
        fw_buffer_text(&out, "\n");
    }
    fw_output_flush(&out);
    fw_buffer_fini(&out);
}

static int submit_and_leave(fw_client *c, const fw_submit_request *r)
{
    fw_id id;
    int rc = fw_send(c, &r->submit, &id);
    bool later = r->submit.countdown_ms > 0 || r->submit.eta_unix_ms > 0;
    if (rc < 0)
        return fw_ends_saying(rc, fw_client_errmsg());
    if (r->way.json)
        printf("{\"task_id\": \"%s\", \"status\": \"%s\"}\n", id.s, later ? "scheduled" : "queued");
    else if (r->way.quiet)
        printf("%s\n", id.s);
    else
        printf("Task submitted with ID: %s\nTask ID: %s\n", id.s, id.s);
    return FW_ENDS_WELL;
}

/* end outlives the client: closing it reports what is still open. */
static int submit_and_wait(fw_client *c, const fw_submit_request *r, outcome *end)
{
    fw_id id;
    int rc = fw_send_async(c, &r->submit, 0, print_end, end, &id);
    if (rc < 0)
        return fw_ends_saying(rc, fw_client_errmsg());
    fw_flush(c);
    if (!r->way.json && !r->way.quiet) {
        printf("Task submitted with ID: %s\nWaiting for result...\n", id.s);
        fflush(stdout);
    }
    int64_t deadline = fw_now_ns() + r->way.wait_ms * FW_NS_PER_MS;
    while (!end->done) {
        int64_t left = (deadline - fw_now_ns()) / FW_NS_PER_MS;
        if (left < 0)
            break;
        rc = fw_dispatch(c, left);
        if (rc < 0)
            return fw_ends_saying(rc, fw_client_errmsg());
    }
    if (!end->done) {
        fprintf(stderr,
                "fastworker: task %s is not over after %g s. It goes on; ask with 'fastworker "
                "status --task-id %s'.\n",
                id.s, (double)r->way.wait_ms / 1e3, id.s);
        return FW_ENDS_LATE;
    }
    if (end->err != 0)
        return fw_ends_saying(end->err, fw_client_errmsg());
    /* A Python control plane tells no more of a delayed task than that it has it. */
    return end->state == FW_SCHEDULED ? FW_ENDS_WELL : fw_ends_of_state(end->state);
}

static const char examples[] =
    "  fastworker submit --task-name add --args 5 3\n"
    "  fastworker submit add 5 3 --priority high --non-blocking\n"
    "  fastworker submit resize --kwargs '{\"width\": 640}' --countdown 30\n"
    "  fastworker submit --stdin --json --non-blocking < tasks.ndjson\n";
static const char notes[] =
    "Words of --args become booleans, integers, floats, else texts; k=v words are keyword "
    "arguments.\n"
    "A line for --stdin: {\"task\": NAME, \"args\": [], \"kwargs\": {}, \"id\", \"priority\", "
    "\"eta\",\n"
    "\"countdown\", \"timeout\", \"result_ttl\", \"max_retries\", \"callback\", \"options\"};\n"
    "all but task may be left away.\n"
    "Exit status: 0 success or accepted, 3 failure, 6 cancelled, 5 not over in time, 69 nobody "
    "there,\n75 refused for now; with --stdin 1 if any line did not end well.\n";

int fw_command_submit(int argc, char **argv)
{
    fw_option all[FW_SUBMIT_FLAGS];
    memcpy(all, fw_submit_flags, sizeof(all));
    fw_options options = {.command = "submit",
                          .usage = "submit TASK [ARG...] [k=v...] [options]",
                          .examples = examples,
                          .notes = notes,
                          .all = all,
                          .count = FW_SUBMIT_FLAGS};
    fw_parse parsed = fw_options_parse(&options, argc, argv);
    if (parsed != FW_PARSE_GO)
        return parsed == FW_PARSE_HELPED ? FW_ENDS_WELL : FW_ENDS_USAGE;
    fw_submit_request r;
    outcome end = {.way = &r.way};
    fw_client *c = NULL;
    int ends = FW_ENDS_USAGE;
    if (fw_submit_request_read(&options, &r)) {
        bool lines = fw_options_has(&options, "stdin");
        ends =
            lines ? fw_submit_lines(&options, &r.way, &r.submit) : fw_connect(&c, &options, 2, 0);
        if (c != NULL)
            ends = r.way.non_blocking ? submit_and_leave(c, &r) : submit_and_wait(c, &r, &end);
    }
    fw_client_close(c);
    fw_submit_request_fini(&r);
    fw_options_fini(&options);
    return fw_ends(ends);
}

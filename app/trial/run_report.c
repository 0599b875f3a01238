/* app/trial/run_report.c - see app/trial/run_report.h. Covered by tests/app/trial_test.py.
 * SPDX-License-Identifier: Apache-2.0 */
#include "app/trial/run_report.h"

#include <inttypes.h>
#include <string.h>

#include "base/clock.h"

static fw_span text_of(const char *text)
{
    return text ? (fw_span){text, strlen(text)} : (fw_span){"", 0};
}

/* "1:02:03.250", "0.002 s". */
static void put_time(fw_buffer *out, int64_t ns)
{
    int64_t ms = (ns + FW_NS_PER_MS / 2) / FW_NS_PER_MS, s = ms / 1000;
    if (s < 60)
        fw_buffer_format(out, "%" PRId64 ".%03d s", s, (int)(ms % 1000));
    else
        fw_buffer_format(out, "%" PRId64 ":%02d:%02d.%03d", s / 3600, (int)(s / 60 % 60),
                         (int)(s % 60), (int)(ms % 1000));
}

static void put_notes(fw_buffer *out, const fw_test_outcome *o, int attempt)
{
    for (size_t i = 0; i < o->note_count; i++) {
        const fw_test_note *n = &o->notes[i];
        if (n->attempt != attempt)
            continue;
        fw_buffer_text(out, "  at ");
        put_time(out, n->at_ns);
        fw_buffer_format(out, ": %" PRIu64, n->done);
        if (n->total > 0)
            fw_buffer_format(out, " of %" PRIu64, n->total);
        fw_buffer_format(out, "%s%s\n", n->note[0] ? ", " : "", n->note);
    }
}

void fw_run_report_lines(fw_buffer *out, const fw_test_outcome *o)
{
    for (size_t i = 0; i < o->attempt_count; i++) {
        const fw_test_attempt *a = &o->attempts[i];
        fw_buffer_format(out, "attempt %d at ", a->number);
        put_time(out, a->started_ns);
        if (a->ended_ns == 0) {
            fw_buffer_text(out, " is still running\n");
        } else {
            fw_buffer_text(out, a->error ? " failed after " : " succeeded after ");
            put_time(out, a->ended_ns - a->started_ns);
            fw_buffer_format(out, "%s%s", a->error ? ": " : "", a->error ? a->error : "");
        }
        if (a->wait_ns > 0) {
            fw_buffer_text(out, "; again after ");
            put_time(out, a->wait_ns);
        }
        if (a->ended_ns != 0)
            fw_buffer_text(out, "\n");
        put_notes(out, o, a->number);
    }
}

static void put_seconds(fw_buffer *out, const char *name, int64_t ns)
{
    fw_buffer_format(out, ", \"%s\": %.6f", name, (double)ns / 1e9);
}

static void put_error(fw_buffer *out, const char *error)
{
    if (!error)
        return;
    fw_buffer_text(out, ", \"error\": ");
    fw_buffer_json_string(out, text_of(error));
}

static void put_attempts(fw_buffer *out, const fw_test_outcome *o)
{
    fw_buffer_text(out, ", \"attempts\": [");
    for (size_t i = 0; i < o->attempt_count; i++) {
        const fw_test_attempt *a = &o->attempts[i];
        fw_buffer_format(out, "%s{\"attempt\": %d", i > 0 ? ", " : "", a->number);
        put_seconds(out, "started", a->started_ns);
        if (a->ended_ns != 0)
            put_seconds(out, "ended", a->ended_ns);
        put_error(out, a->error);
        if (a->wait_ns > 0)
            put_seconds(out, "again_after", a->wait_ns);
        fw_buffer_text(out, "}");
    }
    fw_buffer_text(out, "]");
}

static void put_progress(fw_buffer *out, const fw_test_outcome *o)
{
    fw_buffer_text(out, ", \"progress\": [");
    for (size_t i = 0; i < o->note_count; i++) {
        const fw_test_note *n = &o->notes[i];
        fw_buffer_format(
            out, "%s{\"attempt\": %d, \"done\": %" PRIu64 ", \"total\": %" PRIu64 ", \"note\": ",
            i > 0 ? ", " : "", n->attempt, n->done, n->total);
        fw_buffer_json_string(out, text_of(n->note));
        put_seconds(out, "at", n->at_ns);
        fw_buffer_text(out, "}");
    }
    fw_buffer_text(out, "]");
}

void fw_run_report_json(fw_buffer *out, const fw_test_outcome *o, const char *error)
{
    fw_buffer_text(out, "{\"task_id\": ");
    fw_buffer_json_string(out, text_of(o->id));
    fw_buffer_format(out, ", \"status\": \"%s\"", fw_state_name(o->state));
    if (o->state == FW_SUCCESS) {
        fw_buffer_text(out, ", \"result\": ");
        fw_buffer_add(out, o->result.ptr, o->result.len);
    }
    put_error(out, error ? error : o->error);
    put_attempts(out, o);
    put_progress(out, o);
    put_seconds(out, "took", o->ended_ns);
    fw_buffer_text(out, "}\n");
}

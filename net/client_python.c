/* net/client_python.c - the mode for a Python control plane: JSON, one request at a time per port.
 *
 * What a Python control plane is like shapes this mode (protocol 6 and 7):
 *   - the answer to a task is its result, there is no acceptance: a task counts as accepted when
 * its bytes have reached the other machine and were let settle, or when the result is there;
 *   - it may answer with another task's result: then the own one is asked for at the query port;
 *   - it never answers delayed tasks, and loses the results of batches;
 *   - it does not know a task that it sees twice, so what was sent is not sent again: after a
 * broken connection, too, the query port is asked. SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "net/client_line.h"
#include "net/message_json.h"

/* How long a task without a limit of its own may run on the other side, and what we add to any
 * limit. */
#define RUN_LIMIT_NS (300 * FW_NS_PER_S)
#define MARGIN_NS    (15 * FW_NS_PER_S)
#define POLL_LAST_NS (250 * FW_NS_PER_MS)

typedef struct fw_python {
    fw_lines ports;
    fw_scratch scratch;
} fw_python;

static fw_python *python_of(fw_client *c)
{
    FW_ASSERT(c->peer != NULL);
    return c->peer;
}

/* --- requests --- */

/* Puts the errand into its line. What can be sent now is sent by flush: callbacks must not run
 * here. */
static int enter_line(fw_client *c, fw_errand *errand, unsigned line, bool written)
{
    if (errand == NULL || errand->message.failed || !written) {
        bool no_memory = errand == NULL || errand->message.failed;
        if (errand != NULL)
            fw_errand_free(errand);
        return no_memory ? fw_client_fail(FW_ENOMEM, "out of memory")
                         : fw_client_fail(FW_EINVAL, "args or kwargs are not valid JSON");
    }
    FW_ASSERT(line < FW_LINES);
    c->in_flight += errand->answers;
    fw_line_append(&python_of(c)->ports.lines[line], errand);
    fw_client_alarm(c, fw_now_ns());
    return 0;
}

static int python_submit(fw_client *c, const fw_submission *items, size_t n, const fw_taker *taker)
{
    bool written = false;
    for (size_t i = 0; i < n; i++)
        if (items[i].options.len > 0)
            return fw_client_fail(FW_EPROTO, "a Python control plane knows no task options");
    fw_errand *errand =
        fw_errand_create(n > 1 ? FW_ERRAND_BATCH : FW_ERRAND_TASK, taker, items->key, items->id);
    if (errand != NULL) {
        int64_t run_ns = items->timeout_ns > 0 ? items->timeout_ns : RUN_LIMIT_NS;
        errand->answers = n;
        errand->accept_only = items->accept_only;
        errand->delayed = items->eta_wall_ns > fw_wall_ns();
        errand->limit_ns = n > 1 ? c->timeout_ns : run_ns + MARGIN_NS;
        written = n > 1 ? fw_json_write_tasks(&errand->message, items, n)
                        : fw_json_write_task(&errand->message, items);
    }
    return enter_line(c, errand, items->level, written);
}

static int python_query(fw_client *c, const fw_query *query, const fw_taker *taker)
{
    static const fw_errand_kind kinds[] = {[FW_QUERY_GET] = FW_ERRAND_GET,
                                           [FW_QUERY_CANCEL] = FW_ERRAND_CANCEL,
                                           [FW_QUERY_WAIT] = FW_ERRAND_POLL};
    fw_query plain = *query;
    fw_errand *errand = fw_errand_create(kinds[query->kind], taker, query->key, query->id);
    if (errand != NULL) {
        plain.kind = query->kind == FW_QUERY_CANCEL ? FW_QUERY_CANCEL : FW_QUERY_GET;
        plain.native = false;
        errand->limit_ns = c->timeout_ns;
        errand->until_ns = fw_now_ns() + query->wait_ns;
        fw_json_write_ask(&errand->message, &plain);
    }
    return enter_line(c, errand, FW_LINE_QUERY, true);
}

void fw_line_ask_later(fw_client *c, fw_lines *lines, fw_errand *errand)
{
    const fw_query query = {
        .kind = FW_QUERY_GET, .key = errand->key, .id = {errand->id, strlen(errand->id)}};
    errand->kind = FW_ERRAND_POLL;
    errand->is_lost_task = true;
    errand->tries = 0;
    errand->until_ns = errand->end_ns;
    errand->limit_ns = c->timeout_ns;
    errand->due_ns = 0;
    errand->message.len = FW_LINE_PREFIX;
    fw_json_write_ask(&errand->message, &query);
    fw_line_append(&lines->lines[FW_LINE_QUERY], errand);
    fw_client_alarm(c, fw_now_ns());
}

/* --- answers --- */

/* What a result that carries our id says. */
static void give_result(fw_client *c, fw_completions *out, fw_errand *errand,
                        const fw_result_view *view)
{
    static const char lost[] = "the task was executed, but the control plane lost its result";
    static const char mark[] = "Incorrect state";
    bool is_lost = view->status == FW_FAILURE && view->started_wall_ns == 0 &&
                   view->error.len == sizeof(mark) - 1 &&
                   memcmp(view->error.ptr, mark, sizeof(mark) - 1) == 0;
    fw_answer answer = {.view = view};
    if (is_lost && !errand->accept_only)
        answer = (fw_answer){.err = FW_EEXPIRED, .text = {lost, sizeof(lost) - 1}};
    fw_errand_answer(c, out, errand, answer);
}

static bool is_ours(const fw_errand *errand, fw_span id)
{
    return id.len == strlen(errand->id) && memcmp(id.ptr, errand->id, id.len) == 0;
}

static void give_error(fw_client *c, fw_completions *out, fw_errand *errand, int err,
                       const char *text)
{
    fw_errand_answer(c, out, errand, (fw_answer){.err = err, .text = {text, strlen(text)}});
}

/* Answer on a task port. True: the errand is over; false: it goes on to the query port. */
static bool take_task_answer(fw_client *c, fw_completions *out, fw_errand *errand, fw_span body)
{
    fw_result_view view;
    int rc = fw_json_result_read(&view, NULL, &python_of(c)->scratch, body);
    if (rc == 0 && is_ours(errand, view.id)) {
        give_result(c, out, errand, &view);
        return true;
    }
    /* Somebody else's result, or something strange: either way it was read, so it is accepted. */
    if (errand->accept_only || !fw_errand_is_wanted(errand)) {
        const fw_result_view accepted = {.status = FW_PENDING};
        fw_errand_answer(c, out, errand, (fw_answer){.view = &accepted});
        return true;
    }
    return false;
}

static void take_batch_answer(fw_client *c, fw_completions *out, fw_errand *errand, fw_span body)
{
    const fw_result_view accepted = {.status = FW_PENDING};
    fw_span error = {NULL, 0};
    int rc = fw_json_batch_answer_read(&error, &python_of(c)->scratch, body);
    if (rc == 0)
        fw_errand_answer(c, out, errand, (fw_answer){.view = &accepted});
    else
        fw_errand_answer(c, out, errand, (fw_answer){.err = -rc, .text = error});
}

/* Answer to a question. True: over; false: to be asked again. */
static bool take_query_answer(fw_client *c, fw_completions *out, fw_errand *errand, fw_span body)
{
    fw_result_view view = {.status = FW_UNKNOWN};
    fw_found found;
    if (fw_json_query_answer_read(&view, &found, &python_of(c)->scratch, body) < 0) {
        give_error(c, out, errand, FW_EPROTO, "an answer that is none to a query");
        return true;
    }
    int64_t now = fw_now_ns();
    if (found == FW_FOUND && is_ours(errand, view.id)) {
        give_result(c, out, errand, &view);
    } else if (errand->kind == FW_ERRAND_POLL && now < errand->until_ns &&
               fw_errand_is_wanted(errand)) {
        errand->due_ns = now + errand->pause_ns;
        errand->pause_ns =
            errand->pause_ns * 2 < POLL_LAST_NS ? errand->pause_ns * 2 : POLL_LAST_NS;
        if (errand->due_ns > errand->until_ns)
            errand->due_ns = errand->until_ns;
        return false;
    } else if (errand->is_lost_task) {
        give_error(c, out, errand, FW_ETIME, "the task's result did not come");
    } else if (errand->kind == FW_ERRAND_POLL) {
        const fw_result_view unknown = {.status = FW_UNKNOWN};
        fw_errand_answer(c, out, errand, (fw_answer){.view = &unknown});
    } else {
        give_error(c, out, errand, FW_EUNKNOWN, "not found: unknown, expired, or not over yet");
    }
    return true;
}

static void take_cancel_answer(fw_client *c, fw_completions *out, fw_errand *errand, fw_span body)
{
    bool cancelled = false;
    const fw_result_view view = {.status = FW_CANCELLED};
    if (fw_json_cancel_answer_read(&cancelled, body) < 0)
        give_error(c, out, errand, FW_EPROTO, "an answer that is none to a cancel");
    else if (cancelled)
        fw_errand_answer(c, out, errand, (fw_answer){.view = &view});
    else
        give_error(c, out, errand, FW_EUNKNOWN, "not found or already over");
}

bool fw_line_take_answer(fw_client *c, fw_completions *out, fw_lines *lines, fw_line *line,
                         fw_span body)
{
    fw_errand *errand = line->open;
    bool over = true;
    FW_ASSERT(errand != NULL);
    line->open = NULL;
    switch (errand->kind) {
    case FW_ERRAND_TASK:
        over = take_task_answer(c, out, errand, body);
        if (!over)
            fw_line_ask_later(c, lines, errand);
        break;
    case FW_ERRAND_BATCH:
        take_batch_answer(c, out, errand, body);
        break;
    case FW_ERRAND_CANCEL:
        take_cancel_answer(c, out, errand, body);
        break;
    default:
        over = take_query_answer(c, out, errand, body);
        if (!over)
            fw_line_append(line, errand);
        break;
    }
    if (over)
        fw_errand_free(errand);
    fw_client_run(c, out); /* texts may lie in the scratch */
    fw_scratch_reset(&python_of(c)->scratch);
    return true;
}

/* --- the mode --- */

static void python_turn(fw_client *c, fw_completions *out)
{
    fw_lines *ports = &python_of(c)->ports;
    for (int i = 0; i < FW_LINES; i++)
        fw_line_turn(c, out, ports, &ports->lines[i]);
}

static void python_pump(fw_client *c, fw_completions *out)
{
    fw_lines *ports = &python_of(c)->ports;
    for (int i = 0; i < FW_LINES; i++)
        fw_line_read(c, out, ports, &ports->lines[i]);
    python_turn(c, out);
}

/* Sending may end requests, so it is left to the alarm, which enter_line has set. */
static void python_flush(fw_client *c)
{
    (void)c;
}

static void python_abandon(fw_client *c, fw_waiter *waiter)
{
    for (int i = 0; i < FW_LINES; i++) {
        size_t dropped = fw_line_abandon(&python_of(c)->ports.lines[i], waiter);
        FW_ASSERT(c->in_flight >= dropped);
        c->in_flight -= dropped;
    }
}

static void end_line(fw_client *c, int err, fw_completions *out, fw_line *line)
{
    fw_errand *errand = line->open;
    fw_stream_close(&line->stream);
    if (errand != NULL)
        give_error(c, out, errand, err, fw_strerror(err));
    while ((errand = line->first) != NULL) {
        line->first = errand->next;
        line->last = line->first == NULL ? NULL : line->last;
        give_error(c, out, errand, err, fw_strerror(err));
        fw_errand_free(errand);
    }
    fw_line_fini(line);
}

static void python_end(fw_client *c, int err, fw_completions *out)
{
    for (int i = 0; i < FW_LINES; i++)
        end_line(c, err, out, &python_of(c)->ports.lines[i]);
    fw_client_run(c, out);
}

static void python_destroy(fw_client *c)
{
    fw_python *p = python_of(c);
    for (int i = 0; i < FW_LINES; i++)
        fw_line_fini(&p->ports.lines[i]);
    fw_scratch_fini(&p->scratch);
    free(p);
    c->peer = NULL;
}

const fw_client_mode fw_client_python_mode = {.submit = python_submit,
                                              .query = python_query,
                                              .flush = python_flush,
                                              .pump = python_pump,
                                              .tick = python_turn,
                                              .abandon = python_abandon,
                                              .end = python_end,
                                              .destroy = python_destroy};

int fw_client_python_open(fw_client *c, int64_t deadline_ns)
{
    const char *reason = "";
    fw_stream trial;
    fw_endpoint endpoint;
    fw_python *p = calloc(1, sizeof(*p));
    if (p == NULL)
        return fw_client_fail(FW_ENOMEM, "out of memory");
    for (unsigned i = 0; i < FW_LINES; i++) {
        fw_address at = c->address;
        at.port += i;
        if (fw_address_resolve(&endpoint, &reason, &at) < 0) {
            free(p);
            return fw_client_fail(FW_ENOCONN, "%s: %s", c->address_text, reason);
        }
        fw_line_init(&p->ports.lines[i], &at, &endpoint, c->tls);
    }
    /* One connection now, so that "nobody there" is said here and not by the first request. */
    fw_stream_init(&trial, p->ports.lines[FW_LINE_QUERY].stream.protocol, 1024);
    trial.tls = c->tls;
    int rc = fw_client_dial(&trial, &p->ports.lines[FW_LINE_QUERY].address, deadline_ns);
    fw_stream_close(&trial);
    if (rc < 0) {
        free(p);
        return rc;
    }
    c->peer = p;
    c->mode = &fw_client_python_mode;
    return 0;
}

/* net/client.c - the door of include/fastworker/client.h: arguments in, answers out.
 *
 * Every call enters (the lock, see turn-note in net/client_core.h), makes a submission or a query
 * out of its arguments, gives it to the mode, and either leaves or waits. SPDX-License-Identifier:
 * Apache-2.0 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/json.h"
#include "net/client_core.h"

enum { NAME_MAX_BYTES = 1024, CALLBACK_MAX_BYTES = 1024 * 1024 };
/* One wait on the server's side; longer ones are made of several. */
#define WAIT_SLICE_NS (20 * FW_NS_PER_S)

/* --- making requests --- */

/* A submission and what it needs until the mode has copied it. */
typedef struct fw_draft {
    fw_submission submission;
    fw_buffer callback;
} fw_draft;

static fw_span text_of(const char *text)
{
    return (fw_span){text, strlen(text)};
}

/* The first byte that counts is the one that opens such a value. */
static bool opens_with(fw_span json, char bracket)
{
    size_t at = 0;
    if (json.ptr[0] == bracket)
        return true;
    while (at < json.len && strchr(" \t\r\n", json.ptr[at]) != NULL)
        at++;
    return at < json.len && json.ptr[at] == bracket;
}

static int draft_id(fw_submission *out, const fw_submit *s)
{
    if (s->id == NULL) {
        out->key = fw_key_random();
        return 0;
    }
    out->id = text_of(s->id);
    if (out->id.len == 0 || out->id.len >= sizeof(fw_id))
        return fw_client_fail(FW_EINVAL, "an id has 1 to %zu bytes", sizeof(fw_id) - 1);
    out->key = fw_key_from_text(out->id);
    return 0;
}

static int draft_callback(fw_draft *draft, const fw_submit *s)
{
    fw_buffer *b = &draft->callback;
    if (s->callback_data.len > CALLBACK_MAX_BYTES || strlen(s->callback) > FW_ADDRESS_MAX)
        return fw_client_fail(FW_EBIG, "callback data is limited to %d bytes", CALLBACK_MAX_BYTES);
    if (s->callback_data.len > 0 && !opens_with(s->callback_data, '{'))
        return fw_client_fail(FW_EINVAL, "callback_data is no JSON object");
    fw_buffer_text(b, "{\"address\": ");
    fw_buffer_json_string(b, text_of(s->callback));
    fw_buffer_text(b, ", \"data\": ");
    fw_buffer_add(b, s->callback_data.len > 0 ? s->callback_data.ptr : "null",
                  s->callback_data.len > 0 ? s->callback_data.len : 4);
    fw_buffer_text(b, "}");
    draft->submission.callback = (fw_span){b->data, b->len};
    return b->failed ? fw_client_fail(FW_ENOMEM, "out of memory") : 0;
}

static int draft_checks(const fw_submit *s)
{
    if (s->size != sizeof(*s))
        return fw_client_fail(FW_EABI, "fw_submit of %zu bytes; this libfastworker has %zu",
                              s->size, sizeof(*s));
    if (s->task == NULL || s->task[0] == '\0' || strlen(s->task) > NAME_MAX_BYTES)
        return fw_client_fail(FW_EINVAL, "a task needs a name of 1 to %d bytes", NAME_MAX_BYTES);
    if (s->args.len > 0 && !opens_with(s->args, '['))
        return fw_client_fail(FW_EINVAL, "args of %s are no JSON array", s->task);
    if (s->kwargs.len > 0 && !opens_with(s->kwargs, '{'))
        return fw_client_fail(FW_EINVAL, "kwargs of %s are no JSON object", s->task);
    if (s->options.len > 0 && !opens_with(s->options, '{'))
        return fw_client_fail(FW_EINVAL, "options of %s are no JSON object", s->task);
    if (s->has_prio && (unsigned)s->prio >= FW_LEVELS)
        return fw_client_fail(FW_EINVAL, "priority %d of %s does not exist", (int)s->prio, s->task);
    if (s->countdown_ms < 0 || s->timeout_ms < 0 || s->result_ttl_ms < 0 || s->eta_unix_ms < 0 ||
        s->max_retries < 0 || (s->countdown_ms != 0 && s->eta_unix_ms != 0))
        return fw_client_fail(FW_EINVAL, "times of %s are negative, or it has two start times",
                              s->task);
    return 0;
}

static int draft_make(fw_draft *draft, const fw_submit *s, bool accept_only)
{
    int rc = draft_checks(s);
    draft->callback = (fw_buffer){.data = NULL};
    if (rc < 0)
        return rc;
    fw_submission *out = &draft->submission;
    *out = (fw_submission){.name = text_of(s->task),
                           .args = s->args.len > 0 ? s->args : (fw_span){"[]", 2},
                           .kwargs = s->kwargs.len > 0 ? s->kwargs : (fw_span){"{}", 2},
                           .options = s->options,
                           .timeout_ns = s->timeout_ms * FW_NS_PER_MS,
                           .result_ttl_ns = s->result_ttl_ms * FW_NS_PER_MS,
                           .max_retries = s->max_retries,
                           .retry_delay_s = 60,
                           .retry_backoff = 2,
                           .retry_backoff_max_s = 3600,
                           .level = (uint8_t)(s->has_prio ? s->prio : FW_NORMAL),
                           .accept_only = accept_only};
    if (s->countdown_ms > 0)
        out->eta_wall_ns = fw_wall_ns() + s->countdown_ms * FW_NS_PER_MS;
    else if (s->eta_unix_ms > 0)
        out->eta_wall_ns = s->eta_unix_ms * FW_NS_PER_MS;
    rc = draft_id(out, s);
    return rc < 0 || s->callback == NULL ? rc : draft_callback(draft, s);
}

static void draft_fini(fw_draft *draft)
{
    fw_buffer_fini(&draft->callback);
}

/* --- waiting --- */

static int64_t deadline_after(int64_t ns)
{
    int64_t now = fw_now_ns();
    return ns < 0 || ns > INT64_MAX - now ? INT64_MAX : now + ns;
}

/* What a finished waiter has to say. */
static int outcome(const fw_waiter *waiter)
{
    if (waiter->err == 0)
        return 0;
    const char *text = waiter->text[0] != '\0' ? waiter->text : fw_strerror(waiter->err);
    return fw_client_fail(waiter->err, "%s", text);
}

/* Sends, waits for the waiter's answers, and leaves the waiter unknown to everybody. */
static int await(fw_client *c, fw_waiter *waiter, int64_t deadline_ns)
{
    fw_until until = {.waiter = waiter};
    c->mode->flush(c);
    int rc = fw_client_wait(c, &until, deadline_ns);
    if (waiter->left == 0)
        return outcome(waiter);
    c->mode->abandon(c, waiter);
    return rc == -FW_ETIME ? fw_client_fail(FW_ETIME, "%s did not answer in time", c->address_text)
                           : fw_client_fail(FW_ECLOSED, "the client is being closed");
}

/* A blocking call does not fail because callbacks of others fill the window: it waits for room. */
static int await_room(fw_client *c, size_t n, int64_t deadline_ns)
{
    if (n > c->in_flight_max)
        return fw_client_fail(FW_EBIG, "%zu requests at once; in_flight allows %zu", n,
                              c->in_flight_max);
    if (c->in_flight + n <= c->in_flight_max)
        return 0;
    fw_until until = {.room = n};
    c->mode->flush(c);
    int rc = fw_client_wait(c, &until, deadline_ns);
    return rc == 0 ? 0 : fw_client_fail(rc, "%zu requests are unanswered", c->in_flight);
}

static int submit_and_wait(fw_client *c, const fw_submission *items, size_t n, fw_waiter *waiter,
                           int64_t deadline_ns)
{
    const fw_taker taker = {.waiter = waiter};
    int rc = fw_client_enter(c);
    if (rc < 0)
        return rc;
    rc = await_room(c, n, deadline_ns);
    if (rc == 0)
        rc = c->mode->submit(c, items, n, &taker);
    if (rc == 0)
        rc = await(c, waiter, deadline_ns);
    fw_client_leave(c);
    return rc;
}

/* --- submitting --- */

int fw_send(fw_client *c, const fw_submit *s, fw_id *id)
{
    return fw_send_many(c, s, 1, id);
}

/* Drafts of n submissions; on failure none. */
static int draft_all(fw_draft *drafts, fw_submission *items, const fw_submit *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int rc = draft_make(&drafts[i], &s[i], true);
        if (rc < 0) {
            for (size_t k = 0; k <= i; k++)
                draft_fini(&drafts[k]);
            return rc;
        }
        items[i] = drafts[i].submission;
    }
    return 0;
}

int fw_send_many(fw_client *c, const fw_submit *s, size_t n, fw_id *ids)
{
    fw_draft one_draft, *drafts = &one_draft;
    fw_submission one_item, *items = &one_item;
    if (n == 0)
        return 0;
    if (n > 1) {
        drafts = calloc(n, sizeof(*drafts));
        items = calloc(n, sizeof(*items));
    }
    int rc = drafts == NULL || items == NULL ? fw_client_fail(FW_ENOMEM, "out of memory")
                                             : draft_all(drafts, items, s, n);
    if (rc == 0) {
        fw_waiter waiter = {.left = n, .ids = ids, .batch = n > 1};
        for (size_t i = 0; i < n && ids != NULL; i++)
            fw_id_write(&ids[i], items[i].key, items[i].id);
        rc = submit_and_wait(c, items, n, &waiter, deadline_after(c->timeout_ns));
        for (size_t i = 0; i < n; i++)
            draft_fini(&drafts[i]);
    }
    if (n > 1) {
        free(drafts);
        free(items);
    }
    return rc;
}

int fw_call_task(fw_client *c, const fw_submit *s, int64_t wait_ms, fw_result **r)
{
    fw_draft draft;
    int64_t limit = wait_ms == 0 ? c->timeout_ns : wait_ms < 0 ? -1 : wait_ms * FW_NS_PER_MS;
    int rc = draft_make(&draft, s, false);
    if (rc == 0) {
        fw_waiter waiter = {.left = 1, .wants_result = true};
        rc = submit_and_wait(c, &draft.submission, 1, &waiter, deadline_after(limit));
        if (rc == 0)
            *r = waiter.result;
    }
    draft_fini(&draft);
    return rc;
}

static int add_argument(fw_buffer *args, char letter, va_list *values)
{
    switch (letter) {
    case 'i':
        fw_buffer_format(args, "%d", va_arg(*values, int));
        return 0;
    case 'I':
        fw_buffer_format(args, "%lld", (long long)va_arg(*values, int64_t));
        return 0;
    case 'd':
        fw_buffer_json_double(args, va_arg(*values, double));
        return 0;
    case 'b':
        fw_buffer_text(args, va_arg(*values, int) ? "true" : "false");
        return 0;
    case 's':
        fw_buffer_json_string(args, text_of(va_arg(*values, const char *)));
        return 0;
    case 'j':
        fw_buffer_text(args, va_arg(*values, const char *));
        return 0;
    default:
        return fw_client_fail(FW_EINVAL, "'%c' is no letter of fw_callf's format", letter);
    }
}

int fw_callf(fw_client *c, const char *task, fw_result **r, const char *format, ...)
{
    fw_buffer args = {.data = NULL};
    va_list values;
    int rc = 0;
    va_start(values, format);
    fw_buffer_text(&args, "[");
    for (const char *letter = format; *letter != '\0' && rc == 0; letter++) {
        if (letter != format)
            fw_buffer_text(&args, ", ");
        rc = add_argument(&args, *letter, &values);
    }
    fw_buffer_text(&args, "]");
    va_end(values);
    if (rc == 0 && args.failed)
        rc = fw_client_fail(FW_ENOMEM, "out of memory");
    if (rc == 0)
        rc = fw_call_task(c, FW_SUBMIT(task, .args = {args.data, args.len}), 0, r);
    fw_buffer_fini(&args);
    return rc;
}

/* --- callbacks --- */

int fw_send_async(fw_client *c, const fw_submit *s, int accept_only, fw_done_fn fn, void *user,
                  fw_id *id)
{
    fw_draft draft;
    const fw_taker taker = {.fn = fn, .user = user};
    FW_ASSERT(fn != NULL);
    int rc = draft_make(&draft, s, accept_only != 0);
    if (rc == 0 && (rc = fw_client_enter(c)) == 0) {
        if (c->in_flight < c->in_flight_max)
            rc = c->mode->submit(c, &draft.submission, 1, &taker);
        else
            rc = fw_client_fail(FW_EFULL, "%zu requests are unanswered: dispatch first",
                                c->in_flight);
        fw_client_leave(c);
    }
    if (rc == 0 && id != NULL)
        fw_id_write(id, draft.submission.key, draft.submission.id);
    draft_fini(&draft);
    return rc;
}

int fw_flush(fw_client *c)
{
    int rc = fw_client_enter(c);
    if (rc < 0)
        return rc;
    c->mode->flush(c);
    fw_client_leave(c);
    return 0;
}

int fw_fd(fw_client *c)
{
    return c->epoll;
}

int fw_dispatch(fw_client *c, int64_t wait_ms)
{
    fw_completions out;
    fw_until until = {.ran = 0};
    int rc = fw_client_enter(c);
    if (rc < 0)
        return rc;
    out.count = out.ran = 0;
    c->mode->flush(c);
    /* Under load the answers are there already; only then is a system call to sleep saved. */
    if (!c->led)
        c->mode->pump(c, &out);
    fw_client_run(c, &out);
    if (out.ran == 0) {
        int64_t limit = wait_ms < 0 ? INT64_MAX : deadline_after(wait_ms * FW_NS_PER_MS);
        rc = fw_client_wait(c, &until, limit);
    }
    fw_client_leave(c);
    size_t ran = out.ran + until.ran;
    if (ran > 0 || rc == -FW_ETIME)
        return ran > INT32_MAX ? INT32_MAX : (int)ran;
    return rc;
}

size_t fw_in_flight(fw_client *c)
{
    pthread_mutex_lock(&c->lock);
    size_t n = c->in_flight;
    pthread_mutex_unlock(&c->lock);
    return n;
}

/* --- asking and cancelling --- */

static int ask(fw_client *c, fw_query_kind kind, const char *id, int64_t wait_ns,
               int64_t deadline_ns, fw_result **r)
{
    fw_span text = id == NULL ? (fw_span){"", 0} : text_of(id);
    if (text.len == 0 || text.len > FW_ID_MAX)
        return fw_client_fail(FW_EINVAL, "a task id has 1 to %d bytes", FW_ID_MAX);
    const fw_query query = {.kind = kind,
                            .key = fw_key_from_text(text),
                            .id = text,
                            .wait_ns = wait_ns,
                            .native = true};
    fw_waiter waiter = {.left = 1, .wants_result = r != NULL};
    const fw_taker taker = {.waiter = &waiter};
    int rc = fw_client_enter(c);
    if (rc < 0)
        return rc;
    rc = await_room(c, 1, deadline_ns);
    if (rc == 0)
        rc = c->mode->query(c, &query, &taker);
    if (rc == 0)
        rc = await(c, &waiter, deadline_ns);
    fw_client_leave(c);
    if (rc == 0 && r != NULL && waiter.result == NULL)
        rc = fw_client_fail(FW_EPROTO, "%s answered without a state", c->address_text);
    else if (rc == 0 && r != NULL)
        *r = waiter.result;
    return rc;
}

int fw_get(fw_client *c, const char *id, fw_result **r)
{
    return ask(c, FW_QUERY_GET, id, 0, deadline_after(c->timeout_ns), r);
}

static bool is_over(fw_state state)
{
    return state == FW_SUCCESS || state == FW_FAILURE || state == FW_CANCELLED;
}

int fw_wait(fw_client *c, const char *id, int64_t wait_ms, fw_result **r)
{
    int64_t deadline = deadline_after(wait_ms < 0 ? -1 : wait_ms * FW_NS_PER_MS);
    *r = NULL;
    for (;;) {
        fw_result *now_state = NULL;
        int64_t left = deadline == INT64_MAX ? WAIT_SLICE_NS : deadline - fw_now_ns();
        int64_t slice = left < 0 ? 0 : left < WAIT_SLICE_NS ? left : WAIT_SLICE_NS;
        int rc =
            ask(c, FW_QUERY_WAIT, id, slice, deadline_after(slice + c->timeout_ns), &now_state);
        fw_result_free(*r);
        *r = now_state;
        if (rc < 0)
            return rc;
        if (is_over(now_state->state))
            return 0;
        if (fw_now_ns() >= deadline)
            return fw_client_fail(FW_ETIME, "the task is not over: it is %s",
                                  fw_state_name(now_state->state));
    }
}

int fw_cancel(fw_client *c, const char *id)
{
    return ask(c, FW_QUERY_CANCEL, id, 0, deadline_after(c->timeout_ns), NULL);
}

/* --- the client itself --- */

const char *fw_client_address(const fw_client *c)
{
    return c->address_text;
}

int fw_client_is_native(const fw_client *c)
{
    return c->mode == &fw_client_native_mode;
}

void fw_client_close(fw_client *c)
{
    if (c == NULL)
        return;
    pthread_mutex_lock(&c->lock);
    if (c->closing) {
        pthread_mutex_unlock(&c->lock);
        return;
    }
    c->users++;
    fw_client_shut(c);
    fw_client_leave(c);
}

/* engine/call.c - runs one task function and keeps what it says.
 *
 * The path of a small call allocates nothing and takes no lock: two resets, the function, two spans
 * out. SPDX-License-Identifier: Apache-2.0 */
#include "engine/call.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

/* This thread's last error text. */
static _Thread_local char errmsg[1024];

enum { ERROR_USUAL = 256 /* bytes that most error texts fit into */ };

static const char no_memory[] = "out of memory";

/* The longest beginning of at most max bytes that does not end inside a UTF-8 sequence. */
size_t fw_call_cut_text(const char *text, size_t len, size_t max)
{
    if (len <= max)
        return len;
    size_t cut = max;
    while (cut > 0 && ((unsigned char)text[cut] & 0xc0) == 0x80)
        cut--;
    return cut;
}

void fw_errmsg_set(const char *text, size_t len)
{
    size_t kept = fw_call_cut_text(text, len, sizeof errmsg - 1);
    if (kept > 0)
        memcpy(errmsg, text, kept);
    errmsg[kept] = '\0';
}

const char *fw_errmsg(void)
{
    return errmsg;
}

bool fw_call_thread_init(fw_call_thread *thread)
{
    thread->text = thread->aside = (fw_buffer){0};
    thread->running = thread->has_id = false;
    return fw_arena_init(&thread->arena);
}

void fw_call_thread_fini(fw_call_thread *thread)
{
    FW_ASSERT(!thread->running);
    fw_arena_fini(&thread->arena);
    fw_buffer_fini(&thread->text);
    fw_buffer_fini(&thread->aside);
}

static void forget_last_call(fw_call_thread *thread)
{
    fw_arena_reset(&thread->arena);
    if (FW_UNLIKELY(thread->text.capacity > FW_CALL_TEXT_KEEP || thread->text.failed)) {
        fw_buffer_fini(&thread->text);
        thread->text = (fw_buffer){0};
    }
    thread->text.len = 0;
    thread->has_id = false;
    errmsg[0] = '\0';
}

static fw_span failure_text(const fw_call *call, int rc)
{
    const fw_buffer *text = &call->thread->text;
    if (text->failed)
        return (fw_span){no_memory, sizeof no_memory - 1};
    if (call->outcome == FW_OUTCOME_ERROR)
        return (fw_span){text->len ? text->data : "", text->len};
    const char *known = errmsg[0] ? errmsg : fw_strerror(rc);
    return (fw_span){known, strlen(known)};
}

/* What `after` says goes aside: the run's own words stay. */
static void run_after(fw_call *call, int rc, const fw_call_output *output)
{
    fw_call_thread *thread = call->thread;
    fw_buffer own = thread->text;
    char error[sizeof errmsg];
    memcpy(error, errmsg, sizeof error);
    call->told = output->success ? output->result : output->error;
    thread->text = thread->aside;
    thread->text.len = 0;
    call->entry->module->after(call, rc);
    thread->aside = thread->text;
    thread->text = own;
    memcpy(errmsg, error, sizeof error);
}

/* The function, and what its module has around it. */
static void run(fw_call *call, fw_call_output *output)
{
    const fw_module *module = call->entry->module;
    fw_call_thread *thread = call->thread;
    int rc = module && module->before ? module->before(call) : 0;
    bool began = rc >= 0;
    if (began) {
        call->outcome = FW_OUTCOME_NONE;
        rc = call->entry->def->fn(call);
    }
    bool said = call->outcome == FW_OUTCOME_ERROR;
    bool success = rc >= 0 && !said && !thread->text.failed;
    *output = (fw_call_output){.success = success};
    if (!success) {
        output->error = failure_text(call, rc);
        output->again = said ? call->again : FW_AGAIN_USUAL;
        output->again_ms = call->again_ms;
    } else if (call->outcome == FW_OUTCOME_RESULT) {
        output->result = (fw_span){thread->text.data, thread->text.len};
    }
    if (began && module && module->after)
        run_after(call, success ? 0 : rc < 0 ? rc : -FW_EINVAL, output);
}

void fw_call_run(fw_call_thread *thread, fw_call_output *output, const fw_task_entry *entry,
                 void *state, void *tls, const fw_call_input *input)
{
    FW_ASSERT(thread->arena.block && !thread->running);
    FW_ASSERT(input->args.len == 0 || input->args.ptr[0] == '[');
    FW_ASSERT(input->kwargs.len == 0 || input->kwargs.ptr[0] == '{');
    fw_call call = {.input = input, .entry = entry, .state = state, .tls = tls, .thread = thread};
    forget_last_call(thread);
    thread->running = true;
    run(&call, output);
    thread->running = false;
    fw_bell_close(&thread->bell);
}

fw_buffer *fw_call_error_begin(fw_call *call)
{
    FW_ASSERT(call->thread->running);
    fw_buffer *text = &call->thread->text;
    text->len = 0;
    call->again = FW_AGAIN_USUAL;
    return text;
}

int fw_call_error_end(fw_call *call)
{
    fw_buffer *text = &call->thread->text;
    call->outcome = FW_OUTCOME_ERROR;
    if (text->failed) {
        fw_errmsg_set(no_memory, sizeof no_memory - 1);
        return -FW_EINVAL;
    }
    text->len = fw_call_cut_text(text->data, text->len, FW_CALL_ERROR_MAX);
    fw_errmsg_set(text->data, text->len);
    return -FW_EINVAL;
}

/* Arguments may be fw_errmsg's text, which is written last, but never the call's own: nobody is
 * given it. */
static int FW_FMT(2, 0) fail_with(fw_call *c, const char *format, va_list arguments)
{
    va_list again;
    va_copy(again, arguments);
    fw_buffer *text = fw_call_error_begin(c);
    fw_buffer_reserve(text, ERROR_USUAL);
    int n = vsnprintf(text->data, text->capacity, format, arguments);
    if (n >= 0 && (size_t)n < text->capacity)
        text->len = (size_t)n;
    else if (n >= 0 && fw_buffer_reserve(text, (size_t)n + 1))
        text->len = (size_t)vsnprintf(text->data, (size_t)n + 1, format, again);
    va_end(again);
    return fw_call_error_end(c);
}

int fw_fail(fw_call *c, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int rc = fail_with(c, format, arguments);
    va_end(arguments);
    return rc;
}

int fw_fail_final(fw_call *c, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int rc = fail_with(c, format, arguments);
    va_end(arguments);
    c->again = FW_AGAIN_NEVER;
    return rc;
}

int fw_retry(fw_call *c, int64_t delay_ms, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int rc = fail_with(c, format, arguments);
    va_end(arguments);
    if (delay_ms >= 0) {
        c->again = FW_AGAIN_AFTER;
        c->again_ms = delay_ms;
    }
    return rc;
}

static fw_buffer *result_begin(fw_call *c)
{
    FW_ASSERT(c->thread->running);
    c->outcome = FW_OUTCOME_RESULT;
    c->thread->text.len = 0;
    return &c->thread->text;
}

static int result_end(const fw_buffer *text)
{
    return FW_UNLIKELY(text->failed) ? -FW_ENOMEM : 0;
}

int fw_ret_int(fw_call *c, int64_t value)
{
    char digits[24], *at = digits + sizeof digits;
    uint64_t rest = value < 0 ? -(uint64_t)value : (uint64_t)value;
    do
        *--at = (char)('0' + rest % 10);
    while (rest /= 10);
    if (value < 0)
        *--at = '-';
    fw_buffer *text = result_begin(c);
    fw_buffer_add(text, at, (size_t)(digits + sizeof digits - at));
    return result_end(text);
}

int fw_ret_num(fw_call *c, double value)
{
    fw_buffer *text = result_begin(c);
    fw_buffer_json_double(text, value);
    return result_end(text);
}

int fw_ret_bool(fw_call *c, int value)
{
    fw_buffer *text = result_begin(c);
    fw_buffer_text(text, value ? "true" : "false");
    return result_end(text);
}

int fw_ret_str(fw_call *c, const char *string)
{
    fw_buffer *text = result_begin(c);
    if (string)
        fw_buffer_json_string(text, (fw_span){string, strlen(string)});
    else
        fw_buffer_text(text, "null");
    return result_end(text);
}

int fw_ret_json(fw_call *c, const char *json, size_t len)
{
    if (!json || fw_json_parse((fw_span){json, len}).type == FW_JSON_INVALID)
        return fw_fail(c, "%s() returned text that is not JSON", fw_call_name(c));
    fw_buffer *text = result_begin(c);
    fw_buffer_add(text, json, len);
    return result_end(text);
}

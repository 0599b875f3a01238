/* engine/call_ask.c - what a task may ask while it runs: who it is, how long it has, whether it is
 * still wanted; and what it tells, how far it is. Covered by tests/modules/call_words_test.c.
 * SPDX-License-Identifier: Apache-2.0 */
#include <limits.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "engine/call.h"

fw_span fw_args_json(const fw_call *c)
{
    return c->input->args.len ? c->input->args : (fw_span){"[]", 2};
}

fw_span fw_kwargs_json(const fw_call *c)
{
    return c->input->kwargs.len ? c->input->kwargs : (fw_span){"{}", 2};
}

const char *fw_call_id(const fw_call *c)
{
    fw_call_thread *thread = c->thread;
    if (!thread->has_id) {
        char buffer[FW_UUID_TEXT];
        fw_span id = fw_call_input_id(c->input, buffer);
        FW_ASSERT(id.len <= FW_ID_MAX);
        memcpy(thread->id, id.ptr, id.len);
        thread->id[id.len] = '\0';
        thread->has_id = true;
    }
    return thread->id;
}

const char *fw_call_name(const fw_call *c)
{
    return c->entry->def->name;
}

int fw_call_attempt(const fw_call *c)
{
    return c->input->attempt;
}

int64_t fw_call_left_ms(const fw_call *c)
{
    if (c->input->deadline_ns == 0)
        return INT64_MAX;
    int64_t left = c->input->deadline_ns - fw_now_ns();
    return left > 0 ? left / FW_NS_PER_MS : 0;
}

void *fw_call_alloc(fw_call *c, size_t n)
{
    FW_ASSERT(c->thread->running);
    return fw_arena_alloc(&c->thread->arena, n);
}

/* The owner's flag covers the deadline as well; who gives no flag has only the clock. */
int fw_cancelled(const fw_call *c)
{
    const fw_call_input *input = c->input;
    if (FW_LIKELY(input->cancelled != NULL))
        return input->cancelled(input->cancelled_context);
    return input->deadline_ns != 0 && fw_now_ns() >= input->deadline_ns;
}

void *fw_state_ptr(const fw_call *c)
{
    return c->state;
}

void *fw_tls_ptr(const fw_call *c)
{
    return c->tls;
}

int fw_cancel_fd(fw_call *c)
{
    const fw_call_input *input = c->input;
    return fw_bell_get(&c->thread->bell, input->deadline_ns, input->cancelled,
                       input->cancelled_context);
}

int fw_progress(fw_call *c, uint64_t done, uint64_t total, const char *note)
{
    const fw_call_input *input = c->input;
    if (!input->progress)
        return 0;
    fw_span text = {note, note ? strnlen(note, FW_CALL_NOTE_MAX + 1) : 0};
    text.len = fw_call_cut_text(text.ptr, text.len, FW_CALL_NOTE_MAX);
    return input->progress(input->progress_context, done, total, text);
}

fw_span fw_call_outcome(const fw_call *c)
{
    return c->told;
}

const char *fw_call_header(fw_call *c, const char *name)
{
    fw_json headers, value;
    fw_span text;
    if (!name || c->input->options.len == 0)
        return NULL;
    headers = fw_json_get(fw_json_parse(c->input->options), "headers");
    if (headers.type != FW_JSON_OBJECT)
        return NULL;
    value = fw_json_get(headers, name);
    /* Without its escapes a text is shorter than its JSON. */
    char *copy = value.type == FW_JSON_STRING ? fw_call_alloc(c, value.text.len + 1) : NULL;
    if (!copy || !fw_json_string(value, copy, value.text.len, &text) ||
        (text.len > 0 && memchr(text.ptr, 0, text.len)))
        return NULL;
    if (text.len > 0)
        memmove(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    return copy;
}

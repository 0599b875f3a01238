/* engine/exec_request.c - what a program is told: its input, its arguments, its environment.
 * Covered by tests/engine/exec_test.c. SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "engine/call.h"
#include "engine/exec_priv.h"

/* White space in JSON may be a newline; in a request that is one line it must not. */
static void add_json(fw_buffer *out, fw_span json, const char *initial)
{
    if (json.len == 0) {
        fw_buffer_text(out, initial);
        return;
    }
    size_t begin = out->len;
    fw_buffer_add(out, json.ptr, json.len);
    for (size_t i = begin; !out->failed && i < out->len; i++) {
        if (out->data[i] == '\n' || out->data[i] == '\r')
            out->data[i] = ' ';
    }
}

bool fw_exec_write_request(fw_buffer *out, const fw_call_input *input)
{
    char id[FW_UUID_TEXT];
    fw_buffer_text(out, "{\"id\": ");
    fw_buffer_json_string(out, fw_call_input_id(input, id));
    fw_buffer_text(out, ", \"name\": ");
    fw_buffer_json_string(out, input->name);
    fw_buffer_text(out, ", \"args\": ");
    add_json(out, input->args, "[]");
    fw_buffer_text(out, ", \"kwargs\": ");
    add_json(out, input->kwargs, "{}");
    fw_buffer_format(out, ", \"attempt\": %d, \"deadline\": ", input->attempt);
    if (input->deadline_ns == 0)
        fw_buffer_text(out, "null");
    else
        fw_buffer_format(out, "%.3f",
                         (double)(fw_machine_ns(fw_wall_ns()) + input->deadline_ns - fw_now_ns()) /
                             1e9);
    fw_buffer_text(out, "}\n");
    return !out->failed;
}

/* --- arguments --- */

static fw_json find_argument(const fw_exec_word *word, const fw_call_input *input)
{
    fw_json value = {0}, found = {0};
    if (word->kind == FW_WORD_NAME && input->kwargs.len > 0)
        return fw_json_get((fw_json){FW_JSON_OBJECT, input->kwargs}, word->text);
    if (word->kind != FW_WORD_PLACE || input->args.len == 0)
        return found;
    fw_json_cursor cursor = fw_json_open((fw_json){FW_JSON_ARRAY, input->args});
    for (unsigned i = 0; i <= word->place && fw_json_next(&cursor, &value); i++)
        found = i == word->place ? value : found;
    return found;
}

/* A string is its text, anything else its JSON. */
static bool add_argument(const fw_exec_word *word, fw_buffer *room, const fw_call_input *input,
                         char *why, size_t why_capacity)
{
    fw_span text;
    fw_json value = find_argument(word, input);
    if (value.type == FW_JSON_INVALID) {
        snprintf(why, why_capacity, "the argument {%s} is missing", word->text);
        return false;
    }
    text = value.text;
    size_t begin = room->len;
    if (!fw_buffer_reserve(room, value.text.len + 1)) {
        snprintf(why, why_capacity, "out of memory");
        return false;
    }
    if (value.type == FW_JSON_STRING)
        (void)fw_json_string(value, room->data + begin, value.text.len, &text);
    if (text.ptr != room->data + begin)
        memcpy(room->data + begin, text.ptr, text.len);
    if (memchr(room->data + begin, '\0', text.len)) {
        snprintf(why, why_capacity, "the argument {%s} has a NUL byte in it", word->text);
        return false;
    }
    room->len = begin + text.len;
    fw_buffer_add(room, "", 1);
    return true;
}

char **fw_exec_make_argv(const fw_exec_task *task, fw_buffer *room, const fw_call_input *input,
                         char *why, size_t why_capacity)
{
    char **argv = calloc(task->word_count + 1, sizeof *argv);
    size_t *begins = calloc(task->word_count + 1, sizeof *begins);
    bool good = argv && begins;
    snprintf(why, why_capacity, "out of memory");
    for (size_t i = 0; good && i < task->word_count; i++) {
        begins[i] = room->len;
        if (task->words[i].kind != FW_WORD_LITERAL)
            good = add_argument(&task->words[i], room, input, why, why_capacity);
    }
    good = good && !room->failed;
    /* The room may have moved while it grew. */
    for (size_t i = 0; good && i < task->word_count; i++)
        argv[i] =
            task->words[i].kind == FW_WORD_LITERAL ? task->words[i].text : room->data + begins[i];
    free(begins);
    if (good)
        return argv;
    free(argv);
    return NULL;
}

char **fw_exec_make_environment(const fw_exec_task *task, const fw_call_input *input)
{
    char buffer[FW_UUID_TEXT];
    fw_span id = input ? fw_call_input_id(input, buffer) : (fw_span){0};
    size_t count = task->environment_count;
    size_t room = strlen(task->plan.name) + id.len + 128;
    /* One allocation: the pointers, then our own texts. */
    char **all = malloc((count + FW_EXEC_OWN_VARIABLES + 1) * sizeof *all + room);
    if (!all)
        return NULL;
    memcpy(all, task->environment, count * sizeof *all);
    char *at = (char *)(all + count + FW_EXEC_OWN_VARIABLES + 1), *end = at + room;
    all[count++] = at;
    at += snprintf(at, (size_t)(end - at), "FASTWORKER_TASK_NAME=%s", task->plan.name) + 1;
    if (input) {
        all[count++] = at;
        at += snprintf(at, (size_t)(end - at), "FASTWORKER_TASK_ID=%.*s", (int)id.len, id.ptr) + 1;
        all[count++] = at;
        snprintf(at, (size_t)(end - at), "FASTWORKER_ATTEMPT=%d", input->attempt);
    }
    all[count] = NULL;
    return all;
}

/* net/client_result.c - see net/client_result.h. SPDX-License-Identifier: Apache-2.0 */
#include "net/client_result.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/json.h"

enum { TEXT_MAX = 1024 };
static _Thread_local char last_error[TEXT_MAX];

int fw_client_fail(int err, const char *format, ...)
{
    FW_ASSERT(err != 0);
    va_list args;
    va_start(args, format);
    vsnprintf(last_error, sizeof(last_error), format, args);
    va_end(args);
    return err < 0 ? err : -err;
}

const char *fw_client_errmsg(void)
{
    return last_error;
}

void fw_id_write(fw_id *out, fw_key key, fw_span id)
{
    if (id.len == 0) {
        fw_key_format(out->s, key);
        out->s[FW_UUID_TEXT] = '\0';
        return;
    }
    size_t n = id.len < sizeof(out->s) ? id.len : sizeof(out->s) - 1;
    memcpy(out->s, id.ptr, n);
    out->s[n] = '\0';
}

fw_result *fw_result_create(const fw_result_view *view, fw_key key, fw_span id)
{
    FW_ASSERT(id.len <= FW_ID_MAX);
    fw_span json = view->result.len > 0 ? view->result : (fw_span){"null", 4};
    size_t id_len = id.len > 0 ? id.len : FW_UUID_TEXT;
    size_t error_len = view->error.ptr == NULL ? 0 : view->error.len + 1;
    fw_span note = view->progress ? view->progress->note : (fw_span){0};
    size_t note_len = view->progress ? note.len + 1 : 0;
    fw_result *r = malloc(sizeof(*r) + id_len + 1 + json.len + error_len + note_len);
    if (r == NULL)
        return NULL;
    char *id_text = (char *)(r + 1);
    char *json_text = id_text + id_len + 1;
    char *error_text = json_text + json.len;
    if (id.len > 0)
        memcpy(id_text, id.ptr, id.len);
    else
        fw_key_format(id_text, key);
    id_text[id_len] = '\0';
    memcpy(json_text, json.ptr, json.len);
    if (error_len > 0) {
        memcpy(error_text, view->error.ptr, view->error.len);
        error_text[view->error.len] = '\0';
    }
    *r = (fw_result){.state = view->status,
                     .id = id_text,
                     .key = key,
                     .json = {json_text, json.len},
                     .error = error_len > 0 ? error_text : NULL,
                     .started_ns = view->started_wall_ns,
                     .finished_ns = view->finished_wall_ns};
    if (view->progress) {
        char *note_text = error_text + error_len;
        if (note.len > 0)
            memcpy(note_text, note.ptr, note.len);
        note_text[note.len] = '\0';
        r->note = note_text;
        r->done = view->progress->done;
        r->total = view->progress->total;
    }
    return r;
}

fw_state fw_result_state(const fw_result *r)
{
    return r->state;
}

const char *fw_result_id(const fw_result *r)
{
    /* Only a borrowed result is pending, and one thread alone sees it. */
    if (r->id_pending) {
        fw_key_format(r->id, r->key);
        r->id[FW_UUID_TEXT] = '\0';
    }
    return r->id;
}

fw_span fw_result_json(const fw_result *r)
{
    return r->json;
}

int fw_result_int(const fw_result *r, int64_t *v)
{
    if (r == NULL || r->state != FW_SUCCESS)
        return fw_client_fail(FW_EINVAL, "the task has no result: it is %s",
                              r == NULL ? "unknown" : fw_state_name(r->state));
    if (!fw_json_int(fw_json_parse(r->json), v))
        return fw_client_fail(FW_EINVAL, "the result is no 64-bit integer: %.*s",
                              (int)(r->json.len < 60 ? r->json.len : 60), r->json.ptr);
    return 0;
}

const char *fw_result_error(const fw_result *r)
{
    return r->error;
}

int64_t fw_result_started_ns(const fw_result *r)
{
    return r->started_ns;
}

int64_t fw_result_finished_ns(const fw_result *r)
{
    return r->finished_ns;
}

int fw_result_progress(const fw_result *r, uint64_t *done, uint64_t *total, const char **note)
{
    if (r->note == NULL)
        return fw_client_fail(FW_EUNKNOWN, "the task has told no progress");
    *done = r->done;
    *total = r->total;
    if (note != NULL)
        *note = r->note;
    return 0;
}

void fw_result_free(fw_result *r)
{
    free(r);
}

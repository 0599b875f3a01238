/* app/http/http_parts.c - see app/http/http_parts.h. Covered by http_manage_test.py.
 * SPDX-License-Identifier: Apache-2.0 */
#include "app/http/http_parts.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "app/commands/suggest.h"
#include "app/manage/manage.h"
#include "app/manage/manage_text.h"
#include "base/assert.h"

/* --- bodies --- */

enum { MEMBERS_MAX = 24, MEMBERS_TEXT = 256 };

/* Cuts text into its words. */
static size_t split(const char *words[MEMBERS_MAX], char *text)
{
    size_t count = 0;
    for (char *at = text, *end; *at; at = end) {
        FW_ASSERT(count < MEMBERS_MAX);
        words[count++] = at;
        end = at + strcspn(at, " ");
        if (*end)
            *end++ = '\0';
    }
    return count;
}

static void refuse_member(fw_span key, const char *members, const char *const *words, size_t count,
                          fw_web_answer *answer)
{
    char field[48], text[MEMBERS_TEXT + 160];
    fw_suggest_say(text, sizeof text, "", key, "is no member here", words, count);
    size_t len = strlen(text);
    if (members[0])
        snprintf(text + len, sizeof text - len, "; known: %s", members);
    snprintf(field, sizeof field, "%.*s", (int)(key.len < 40 ? key.len : 40), key.ptr);
    fw_web_problem_field(answer, 422, field, "%s", text);
}

bool fw_http_members(fw_json object, const char *members, fw_web_answer *answer)
{
    char text[MEMBERS_TEXT];
    const char *words[MEMBERS_MAX];
    fw_span key;
    fw_json value;
    if (object.type != FW_JSON_OBJECT)
        return true;
    FW_ASSERT(strlen(members) < sizeof text);
    snprintf(text, sizeof text, "%s", members);
    size_t count = split(words, text), i;
    fw_json_cursor cursor = fw_json_open(object);
    while (fw_json_next_member(&cursor, &key, &value)) {
        for (i = 0; i < count && !fw_json_key_is(key, words[i]); i++)
            ;
        if (i == count) {
            refuse_member(key, members, words, count, answer);
            return false;
        }
    }
    return true;
}

bool fw_http_object(const fw_web_request *request, const char *members, fw_json *out,
                    fw_web_answer *answer)
{
    fw_span text = request->body.len > 0 ? request->body : (fw_span){"{}", 2};
    *out = fw_json_parse(text);
    if (out->type == FW_JSON_OBJECT)
        return !members || fw_http_members(*out, members, answer);
    fw_web_problem(answer, 400, NULL, "the body is not %s",
                   out->type == FW_JSON_INVALID ? "valid JSON" : "a JSON object");
    return false;
}

/* --- ids --- */

bool fw_http_id(const fw_web_request *request, fw_key *out, fw_web_answer *answer)
{
    fw_span id = fw_web_param(request, "id");
    if (id.len <= FW_ID_MAX) {
        *out = fw_key_from_text(id);
        return true;
    }
    fw_web_problem(answer, 404, "unknown-task", "no task has an id of this length");
    return false;
}

/* --- actions of the management port --- */

/* The word before ": ", if the sentence begins with one. */
static bool field_of(fw_span sentence, char *out, size_t capacity)
{
    size_t len = 0;
    while (len < sentence.len && len + 1 < capacity &&
           (isalnum((unsigned char)sentence.ptr[len]) || sentence.ptr[len] == '_'))
        len++;
    if (len == 0 || len >= sentence.len || sentence.ptr[len] != ':')
        return false;
    memcpy(out, sentence.ptr, len);
    out[len] = '\0';
    return true;
}

static void tell_error(fw_json reply, fw_web_answer *answer)
{
    char room[1024], word[16], field[64];
    fw_span text = {"", 0}, code = {"", 0};
    fw_json_string(fw_json_get(reply, "error"), room, sizeof room, &text);
    fw_json_string(fw_json_get(reply, "code"), word, sizeof word, &code);
    if (fw_text_is(code, "unknown"))
        fw_web_problem(answer, 404, NULL, "%.*s", (int)text.len, text.ptr);
    else if (field_of(text, field, sizeof field))
        fw_web_problem_field(answer, 422, field, "%.*s", (int)text.len, text.ptr);
    else
        fw_web_problem(answer, 422, NULL, "%.*s", (int)text.len, text.ptr);
}

static bool is_error(fw_json reply)
{
    char word[16];
    fw_span status;
    return fw_json_string(fw_json_get(reply, "status"), word, sizeof word, &status) &&
           fw_text_is(status, "error");
}

/* {members of the object, the others} */
static void join(fw_buffer *out, fw_span object, const fw_http_member *more, size_t count)
{
    fw_json parsed = fw_json_parse(object);
    bool any = fw_json_count(parsed) > 0;
    fw_buffer_text(out, "{");
    if (any)
        fw_buffer_add(out, parsed.text.ptr + 1, parsed.text.len - 2);
    for (size_t i = 0; i < count; i++) {
        if (!more[i].text.ptr)
            continue;
        fw_buffer_format(out, "%s\"%s\": ", any ? ", " : "", more[i].name);
        if (more[i].raw)
            fw_buffer_add(out, more[i].text.ptr, more[i].text.len);
        else
            fw_buffer_json_string(out, more[i].text);
        any = true;
    }
    fw_buffer_text(out, "}");
}

void fw_http_manage(fw_control_plane *plane, const char *action, fw_span object,
                    const fw_http_member *more, size_t count, fw_web_answer *answer)
{
    fw_buffer request = {0}, reply = {0};
    join(&request, object.len > 0 ? object : (fw_span){"{}", 2}, more, count);
    if (!request.failed)
        fw_manage_answer(&plane->house.life, fw_text_span(action),
                         (fw_span){request.data, request.len}, &reply);
    fw_buffer_fini(&request);
    fw_json json = fw_json_parse((fw_span){reply.data ? reply.data : "", reply.len});
    if (request.failed || reply.failed) {
        fw_web_problem(answer, 500, NULL, "out of memory");
    } else if (is_error(json)) {
        tell_error(json, answer);
    } else {
        answer->body = reply;
        return;
    }
    fw_buffer_fini(&reply);
}

/* --- filters --- */

bool fw_http_filter_read(const fw_web_request *request, fw_http_filter *out, fw_web_answer *answer)
{
    fw_span status, priority;
    *out = (fw_http_filter){-1, -1, {NULL, 0}};
    fw_web_query(request, "name", &out->name);
    if (fw_web_query(request, "status", &status) && status.len > 0) {
        out->status = fw_state_parse(status);
        if (out->status < 0) {
            fw_web_problem_field(answer, 422, "status", "status: no such state");
            return false;
        }
    }
    if (fw_web_query(request, "priority", &priority) && priority.len > 0) {
        out->level = fw_prio_parse(priority);
        if (out->level < 0) {
            fw_web_problem_field(answer, 422, "priority",
                                 "priority: critical, high, normal or low");
            return false;
        }
    }
    return true;
}

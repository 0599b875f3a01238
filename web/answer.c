/* web/answer.c - what an answer says: headers, and errors in their two shapes.
 * SPDX-License-Identifier: Apache-2.0 */
#include "web/routes.h"

#include <stdio.h>
#include <string.h>

static const struct {
    int status;
    const char *reason, *type, *title;
} kinds[] = {
    {200, "OK", NULL, NULL},
    {201, "Created", NULL, NULL},
    {202, "Accepted", NULL, NULL},
    {204, "No Content", NULL, NULL},
    {304, "Not Modified", NULL, NULL},
    {400, "Bad Request", "bad-request", "The request is not understood"},
    {401, "Unauthorized", "unauthorized", "A key is needed"},
    {403, "Forbidden", "forbidden", "This is not permitted"},
    {404, "Not Found", "not-found", "There is no such thing"},
    {405, "Method Not Allowed", "method-not-allowed", "This cannot be done here"},
    {408, "Request Timeout", "timeout", "The request took too long"},
    {409, "Conflict", "conflict", "It does not fit what is there"},
    {410, "Gone", "gone", "It is no longer kept"},
    {412, "Precondition Failed", "precondition-failed", "It is not as it was expected to be"},
    {413, "Payload Too Large", "too-large", "The request is too large"},
    {414, "URI Too Long", "uri-too-long", "The path is too long"},
    {415, "Unsupported Media Type", "media-type", "The body is of another kind"},
    {421, "Misdirected Request", "misdirected", "This name is not ours"},
    {422, "Unprocessable Content", "invalid", "A part of the request is wrong"},
    {429, "Too Many Requests", "busy", "Too much waits already"},
    {431, "Request Header Fields Too Large", "headers-too-large", "The headers are too large"},
    {500, "Internal Server Error", "internal", "Something is wrong here"},
    {501, "Not Implemented", "not-implemented", "This is not there yet"},
    {503, "Service Unavailable", "unavailable", "Too many wait, or the program ends"},
};
enum { KINDS = sizeof kinds / sizeof kinds[0] };

/* Another status than these is an error of ours. */
static size_t kind_of(int status)
{
    for (size_t i = 0; i < KINDS; i++)
        if (kinds[i].status == status)
            return i;
    return kind_of(500);
}

const char *fw_web_reason(int status)
{
    return kinds[kind_of(status)].reason;
}

fw_web_answer fw_web_answer_begin(void)
{
    return (fw_web_answer){.status = 200, .content_type = FW_WEB_JSON, .is_problem = true};
}

void fw_web_answer_fini(fw_web_answer *answer)
{
    fw_buffer_fini(&answer->body);
    fw_buffer_fini(&answer->headers);
}

/* --- headers --- */

/* Kept as "name\0value\0" one behind the other. */
void fw_web_header(fw_web_answer *answer, const char *name, fw_span value)
{
    for (size_t i = 0; i < value.len; i++)
        if ((unsigned char)value.ptr[i] < 0x20 || value.ptr[i] == 0x7f)
            return;
    fw_buffer_add(&answer->headers, name, strlen(name) + 1);
    fw_buffer_add(&answer->headers, value.ptr, value.len);
    fw_buffer_add(&answer->headers, "", 1);
}

static bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("-._~", c) != NULL);
}

void fw_web_location(fw_web_answer *answer, const char *prefix, fw_span text)
{
    fw_buffer path = {0};
    fw_buffer_text(&path, prefix);
    for (size_t i = 0; i < text.len; i++) {
        if (is_plain(text.ptr[i]))
            fw_buffer_add(&path, text.ptr + i, 1);
        else
            fw_buffer_format(&path, "%%%02X", (unsigned)(unsigned char)text.ptr[i]);
    }
    if (!path.failed)
        fw_web_header(answer, "location", (fw_span){path.data, path.len});
    fw_buffer_fini(&path);
}

/* --- errors --- */

static void write_problem(fw_web_answer *answer, int status, const char *type, const char *field,
                          const char *detail)
{
    size_t kind = kind_of(status);
    fw_buffer *out = &answer->body;
    answer->status = kinds[kind].status;
    answer->content_type = answer->is_problem ? "application/problem+json" : FW_WEB_JSON;
    answer->fixed = (fw_span){NULL, 0};
    answer->etag = NULL;
    answer->is_later = false;
    answer->take = NULL;
    out->len = 0;
    const char *text = detail[0] ? detail : kinds[kind].title ? kinds[kind].title : "";
    if (!answer->is_problem) {
        fw_buffer_text(out, "{\"error\": ");
        fw_buffer_json_string(out, (fw_span){text, strlen(text)});
        fw_buffer_text(out, "}");
        return;
    }
    fw_buffer_format(out, "{\"type\": \"urn:fastworker:%s\", \"title\": \"%s\", \"status\": %d",
                     type ? type : kinds[kind].type, kinds[kind].title, answer->status);
    if (detail[0]) {
        fw_buffer_text(out, ", \"detail\": ");
        fw_buffer_json_string(out, (fw_span){detail, strlen(detail)});
    }
    if (field) {
        fw_buffer_text(out, ", \"field\": ");
        fw_buffer_json_string(out, (fw_span){field, strlen(field)});
    }
    fw_buffer_text(out, "}");
}

static void FW_FMT(3, 0) say(char *out, size_t capacity, const char *format, va_list arguments)
{
    out[0] = '\0';
    if (format)
        vsnprintf(out, capacity, format, arguments);
}

void fw_web_problem(fw_web_answer *answer, int status, const char *type, const char *detail, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, detail);
    say(text, sizeof text, detail, arguments);
    va_end(arguments);
    write_problem(answer, status, type, NULL, text);
}

void fw_web_problem_field(fw_web_answer *answer, int status, const char *field, const char *detail,
                          ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, detail);
    say(text, sizeof text, detail, arguments);
    va_end(arguments);
    write_problem(answer, status, NULL, field, text);
}

void fw_web_answer_settle(fw_web_answer *answer)
{
    if (answer->body.failed || answer->headers.failed) {
        fw_web_answer_fini(answer);
        answer->body = answer->headers = (fw_buffer){0};
        fw_web_problem(answer, 500, NULL, NULL);
    }
    if (answer->status == 401)
        fw_web_header(answer, "www-authenticate", (fw_span){"Bearer", 6});
}

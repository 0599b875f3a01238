/* app/http/http_parts.h - what the files app/http/http_*.c share: bodies, ids, and the management
 * port's actions over HTTP. Web thread. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_APP_HTTP_PARTS_H
#define FW_APP_HTTP_PARTS_H

#include "app/http/http.h"
#include "base/json.h"

/* The body as a JSON object; an empty one is {}. False: it is none, or has a member that is none of
 * `members`, and answer says so. members: names with a space between, "" for none; NULL: whoever
 * asks looks at every member. */
bool fw_http_object(const fw_web_request *request, const char *members, fw_json *out,
                    fw_web_answer *answer);
/* The same for an object inside; of anything else, whoever asks says what is wanted. A misspelt
 * member would be lost without a word, and the rest be done all the same. */
bool fw_http_members(fw_json object, const char *members, fw_web_answer *answer);
/* The parameter `id` as a key. False: no task has such an id, and answer says so. */
bool fw_http_id(const fw_web_request *request, fw_key *out, fw_web_answer *answer);

/* Something that names what is wanted, as "name: value" in JSON: added behind the members of the
 * body. */
typedef struct fw_http_member {
    const char *name;
    fw_span text; /* JSON if raw, otherwise plain text; ptr NULL: not there */
    bool raw;
} fw_http_member;
/* Does what the management port does for that action (app/manage/manage.h): one action, one
 * function. object: JSON text of an object, or empty. An error becomes a problem: 404 for what is
 * unknown, 422 that names the field otherwise. */
void fw_http_manage(fw_control_plane *plane, const char *action, fw_span object,
                    const fw_http_member *more, size_t count, fw_web_answer *answer);
/* The query's values as filters; empty: all. False: one of them is no such word, and answer says
 * so. */
typedef struct fw_http_filter {
    int status, level; /* fw_state, fw_prio; -1: all */
    fw_span name;
} fw_http_filter;
bool fw_http_filter_read(const fw_web_request *request, fw_http_filter *out, fw_web_answer *answer);

#endif

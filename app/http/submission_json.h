/* app/http/submission_json.h - a task as people write it in JSON, made into a submission.
 *
 *   {"task": "add", "args": [2, 3], "kwargs": {}, "id": "sum", "priority": "high",
 *    "countdown": 2.5, "eta": "2030-01-31T09:00:00Z", "timeout": "30s", "result_ttl": 3600,
 *    "max_retries": 3, "retry_delay": 60, "retry_backoff": 2, "retry_backoff_max": 3600,
 *    "callback": {"address": "tcp://...", "data": {}}, "options": {}}
 *
 * "name", as answers call it, is the same as "task". Strict: a member that nobody knows is an
 * error, because a misspelt one would silently be lost.
 * args, kwargs, options and the callback's data stay the text that they are. Pure.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_APP_SUBMISSION_JSON_H
#define FW_APP_SUBMISSION_JSON_H

#include "base/json.h"
#include "net/message.h"

enum { FW_SUBMISSION_FIELD = 32, FW_SUBMISSION_ERROR = 192 };

/* What is wrong: the member, and a sentence that begins with it. */
typedef struct fw_submission_error {
    char field[FW_SUBMISSION_FIELD], text[FW_SUBMISSION_ERROR];
} fw_submission_error;

/* object: a value that fw_json_parse returned, or one inside. room: where texts are decoded to and
 * made up; it moves on, and object's length plus 64 bytes of it are enough. out borrows from both.
 * A missing id is made up. Nobody is told the end (FW_REPLY_NONE). */
bool fw_submission_read(fw_submission *out, fw_submission_error *error, char **room, fw_json object,
                        int64_t now_wall_ns);

#endif

/* app/manage/manage_text.h - the few words that everybody who answers at the management port needs.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_APP_MANAGE_TEXT_H
#define FW_APP_MANAGE_TEXT_H

#include <string.h>

#include "base/json.h"

static inline fw_span fw_text_span(const char *text)
{
    return (fw_span){text, strlen(text)};
}

static inline bool fw_text_is(fw_span text, const char *word)
{
    return text.len == strlen(word) && memcmp(text.ptr, word, text.len) == 0;
}

/* The answer to a question that cannot be served. code: a word for programs. */
static inline void fw_manage_fail(fw_buffer *out, const char *code, const char *text)
{
    fw_buffer_text(out, "{\"status\": \"error\", \"error\": ");
    fw_buffer_json_string(out, fw_text_span(text));
    fw_buffer_format(out, ", \"code\": \"%s\"}", code);
}

#endif

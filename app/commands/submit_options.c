/* app/commands/submit_options.c - flags of `submit` that are members of its options
 * (docs/OPTIONS.md). Covered by tests/app/recipes_test.py. SPDX-License-Identifier:
 * Apache-2.0 */
#include <string.h>

#include "app/commands/moment.h"
#include "app/commands/submit.h"

typedef enum kind { TEXT, SECONDS, NUMBER, IDS, OBJECT } kind;

static const struct {
    const char *flag, *member;
    kind kind;
} flags[] = {
    {"after", "after", IDS},
    {"on-failure", "on_failure", TEXT},
    {"group", "group", TEXT},
    {"then", "then", OBJECT},
    {"unique", "unique", TEXT},
    {"unique-for", "unique_for", SECONDS},
    {"expires", "expires", SECONDS},
    {"key", "key", TEXT},
    {"retry-delay", "retry_delay", SECONDS},
    {"retry-backoff", "retry_backoff", NUMBER},
    {"retry-backoff-max", "retry_backoff_max", SECONDS},
    {"retry-jitter", "retry_jitter", NUMBER},
    {"unique-while", "unique_while", TEXT},
};

/* ID,ID as an array. */
static void put_ids(fw_buffer *out, const char *text)
{
    fw_buffer_text(out, "[");
    for (bool first = true; *text; first = false) {
        size_t len = strcspn(text, ",");
        fw_buffer_text(out, first ? "" : ", ");
        fw_buffer_json_string(out, (fw_span){text, len});
        text += text[len] ? len + 1 : len;
    }
    fw_buffer_text(out, "]");
}

static bool put(fw_options *options, fw_buffer *out, const char *flag, kind what, const char *text)
{
    int64_t ms = 0;
    fw_json value;
    switch (what) {
    case TEXT:
        fw_buffer_json_string(out, (fw_span){text, strlen(text)});
        return true;
    case IDS:
        put_ids(out, text);
        return true;
    case SECONDS:
        if (fw_duration_read(&ms, text)) {
            fw_buffer_json_double(out, (double)ms / 1e3);
            return true;
        }
        fw_options_wrong(options, "--%s needs a time such as 2.5, 250ms or 5m, not '%s'.", flag,
                         text);
        return false;
    case NUMBER:
        value = fw_json_parse((fw_span){text, strlen(text)});
        fw_buffer_add(out, value.text.ptr, value.text.len);
        if (value.type == FW_JSON_NUMBER)
            return true;
        fw_options_wrong(options, "--%s needs a number, not '%s'.", flag, text);
        return false;
    default:
        value = fw_json_parse((fw_span){text, strlen(text)});
        fw_buffer_add(out, value.text.ptr, value.text.len);
        if (value.type == FW_JSON_OBJECT)
            return true;
        fw_options_wrong(options, "--%s needs a JSON object such as '{\"task\": \"add\"}'.", flag);
        return false;
    }
}

bool fw_submit_options(fw_options *options, fw_buffer *out, fw_span json)
{
    bool any = false;
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        const char *text = fw_options_text(options, flags[i].flag);
        if (text == NULL)
            continue;
        /* What is said twice counts as said last. */
        if (!any && json.len > 0) {
            fw_buffer_add(out, json.ptr, json.len - 1);
            any = fw_json_count((fw_json){FW_JSON_OBJECT, json}) > 0;
        } else if (!any) {
            fw_buffer_text(out, "{");
        }
        fw_buffer_format(out, "%s\"%s\": ", any ? ", " : "", flags[i].member);
        if (!put(options, out, flags[i].flag, flags[i].kind, text))
            return false;
        any = true;
    }
    if (any)
        fw_buffer_text(out, "}");
    return !out->failed;
}

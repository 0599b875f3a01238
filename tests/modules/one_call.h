/* one_call.h - calls a C function as a task, without any module. SPDX-License-Identifier:
 * Apache-2.0 */
#ifndef FW_TESTS_ONE_CALL_H
#define FW_TESTS_ONE_CALL_H

#include <string.h>

#include "engine/call.h"

static inline fw_span span_of(const char *text)
{
    return (fw_span){text, strlen(text)};
}

static inline fw_call_input input_of(const char *args, const char *kwargs)
{
    return (fw_call_input){
        .id = {"an-id", 5}, .args = span_of(args), .kwargs = span_of(kwargs), .attempt = 1};
}

static inline fw_call_output one_call(fw_call_thread *thread, fw_task_fn function, const char *name,
                                      const fw_call_input *input)
{
    fw_task_def def = {.name = name, .fn = function};
    fw_task_entry entry = {.def = &def};
    fw_call_output output;
    fw_call_run(thread, &output, &entry, NULL, NULL, input);
    return output;
}

static inline bool span_is(fw_span span, const char *text)
{
    return span.len == strlen(text) && (span.len == 0 || memcmp(span.ptr, text, span.len) == 0);
}

#endif

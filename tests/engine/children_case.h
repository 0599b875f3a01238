/* children_case.h - calls to children that are the test program itself.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_TESTS_CHILDREN_CASE_H
#define FW_TESTS_CHILDREN_CASE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/key.h"
#include "engine/children.h"

enum { THREADS = 4 };

static const char *const usual_words[] = {"isolated", FW_CRASHING, NULL};

/* --- the child --- */

static inline int be_child(const char *module)
{
    fw_modules *modules;
    char error[512];
    if (fw_modules_create(&modules, 1) < 0)
        return 1;
    int rc = fw_modules_load(modules, error, sizeof error, module, NULL);
    if (rc < 0)
        fw_child_refuse(error);
    else
        rc = fw_child_serve(modules);
    fw_modules_destroy(modules);
    return rc < 0;
}

/* --- calls --- */

static inline fw_children *make(fw_children_config config)
{
    fw_children *children;
    config.threads = THREADS;
    if (!config.words)
        config.words = usual_words;
    assert_int_equal(fw_children_create(&children, &config), 0);
    return children;
}

static inline fw_call_input call_of(const char *name, const char *args)
{
    return (fw_call_input){.name = {name, strlen(name)},
                           .args = {args, strlen(args)},
                           .kwargs = {"{}", 2},
                           .key = fw_key_random(),
                           .attempt = 1};
}

static inline fw_call_output run(fw_children *children, const char *name, const char *args)
{
    fw_call_output output;
    fw_call_input input = call_of(name, args);
    fw_children_call(children, &input, &output);
    return output;
}

static inline bool has(fw_span text, const char *words)
{
    return text.ptr && memmem(text.ptr, text.len, words, strlen(words)) != NULL;
}

static inline void assert_span(fw_span text, const char *expected)
{
    assert_int_equal(text.len, strlen(expected));
    assert_memory_equal(text.ptr, expected, text.len);
}

#endif

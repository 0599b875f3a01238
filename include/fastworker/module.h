/* fastworker/module.h - writing tasks in C.
 *
 * A module is data: a shared object that exports one symbol, fastworker_module. Its ABI number and
 * struct sizes are checked before anything else is looked at, and `fastworker list` reads it
 * without running any of its code.
 *
 *     static int add(fw_call *c)
 *     {
 *         int64_t x, y;
 *         int rc = fw_args(c, "ii", "x", &x, "y", &y);      // add(5, 3) and add(x=5, y=3) from
 * Python return rc < 0 ? rc : fw_ret_int(c, x + y);
 *     }
 *     static const fw_task_def tasks[] = {FW_TASK("add", add, .doc = "Add two integers.")};
 *     FW_MODULE("mytasks", "1.0", tasks);
 *
 * OWNERSHIP  spans and strings handed out are borrowed until the task function returns.
 * THREADS    a call belongs to the thread that runs it, except functions marked [any].
 * ERRORS     a task function returns 0, or -FW_E...; the error text is fw_fail's, or fw_errmsg's.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FASTWORKER_MODULE_H
#define FASTWORKER_MODULE_H

#include "fastworker/types.h"

#ifdef __cplusplus
extern "C" {
#endif

#define FW_ABI 1u

typedef struct fw_call fw_call;
typedef int (*fw_task_fn)(fw_call *c);

/* Unpacks arguments, positional or by keyword. One letter, then a name and a pointer for each:
 * i int64_t*   d double*   b int*   s const char** (NUL-ended)   j fw_span* (raw JSON)
 * After '|' the rest is optional and keeps its value. Too many, unknown or missing ones fail with
 * Python's words. */
FW_API int fw_args(fw_call *c, const char *format, ...) FW_MUST;
FW_API fw_span fw_args_json(const fw_call *c); /* the whole args array, byte for byte */
FW_API fw_span fw_kwargs_json(const fw_call *c);

FW_API int fw_ret_int(fw_call *c, int64_t value);
FW_API int fw_ret_num(fw_call *c, double value);
FW_API int fw_ret_bool(fw_call *c, int value);
FW_API int fw_ret_str(fw_call *c, const char *text);              /* UTF-8; escaped */
FW_API int fw_ret_json(fw_call *c, const char *json, size_t len); /* copied; checked once */
/* Ends the task as failed with this text; to be returned: return fw_fail(c, "no file %s", path); */
FW_API int fw_fail(fw_call *c, const char *format, ...) FW_FMT(2, 3);
/* This thread's last error text. */
FW_API const char *fw_errmsg(void);

FW_API const char *fw_call_id(const fw_call *c);
FW_API const char *fw_call_name(const fw_call *c);
FW_API int fw_call_attempt(const fw_call *c);     /* 1, 2, ... */
FW_API int64_t fw_call_left_ms(const fw_call *c); /* to the deadline; INT64_MAX: none */
FW_API void *fw_call_alloc(fw_call *c, size_t n); /* gone when the task returns; NULL: no memory */
FW_API int fw_cancelled(const fw_call *c); /* [any] one load: cancelled, or past the deadline */

enum {
    FW_F_BLOCKING = 1, /* sleeps or waits for others: costs a thread, not a core */
    /* Runs in a supervised process of its own, where init and thread_init ran as well: a crash
     * there fails one attempt and nothing else, and one that does not listen can be ended. */
    FW_F_ISOLATE = 2
};

/* Plain data. Zero means default. */
typedef struct fw_task_def {
    const char *name;
    fw_task_fn fn;
    const char *doc;
    unsigned flags;
    int32_t max_retries;
    int64_t timeout_ms; /* 0: FASTWORKER_TASK_TIMEOUT */
    const char *cron;   /* five fields, or NULL */
    const char *repeat_until;
    int64_t every_ms;
    int32_t repeat_count;
    int32_t reserved;
} fw_task_def;

typedef struct fw_module {
    uint32_t abi, module_size, task_size, task_count;
    const char *name, *version;
    const fw_task_def *tasks;
    int (*init)(void **state); /* once per process; NULL: nothing to do */
    void (*fini)(void *state);
    int (*thread_init)(void **tls); /* once per task thread */
    void (*thread_fini)(void *tls);
} fw_module;
FW_API void *fw_state_ptr(const fw_call *c);
FW_API void *fw_tls_ptr(const fw_call *c);

#define FW_TASK(task_name, function, ...)                                                          \
    {                                                                                              \
        .name = (task_name), .fn = (function), __VA_ARGS__                                         \
    }
#define FW_MODULE_WITH(module_name, module_version, module_tasks, ...)                             \
    FW_API extern const fw_module fastworker_module;                                               \
    const fw_module fastworker_module = {                                                          \
        .abi = FW_ABI,                                                                             \
        .module_size = sizeof(fw_module),                                                          \
        .task_size = sizeof(fw_task_def),                                                          \
        .task_count = (uint32_t)(sizeof(module_tasks) / sizeof((module_tasks)[0])),                \
        .name = (module_name),                                                                     \
        .version = (module_version),                                                               \
        .tasks = (module_tasks),                                                                   \
        __VA_ARGS__}
#define FW_MODULE(module_name, module_version, module_tasks)                                       \
    FW_MODULE_WITH(module_name, module_version, module_tasks, .init = NULL)

#ifdef __cplusplus
}
#endif
#endif

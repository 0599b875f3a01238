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

#define FW_ABI 2u

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
/* Ends the run as failed with this text; to be returned: return fw_fail(c, "no file %s", path);
 * Another run follows while retries are left. */
FW_API int fw_fail(fw_call *c, const char *format, ...) FW_FMT(2, 3);
/* The same, and none follows: the arguments are wrong and will be wrong again. */
FW_API int fw_fail_final(fw_call *c, const char *format, ...) FW_FMT(2, 3);
/* The same as fw_fail, and the next run, if retries are left, begins after so many milliseconds;
 * -1: after the task's own delay. */
FW_API int fw_retry(fw_call *c, int64_t delay_ms, const char *format, ...) FW_FMT(3, 4);
/* This thread's last error text. */
FW_API const char *fw_errmsg(void);

FW_API const char *fw_call_id(const fw_call *c);
FW_API const char *fw_call_name(const fw_call *c);
FW_API int fw_call_attempt(const fw_call *c);     /* 1, 2, ... */
FW_API int64_t fw_call_left_ms(const fw_call *c); /* to the deadline; INT64_MAX: none */
FW_API void *fw_call_alloc(fw_call *c, size_t n); /* gone when the task returns; NULL: no memory */
FW_API int fw_cancelled(const fw_call *c); /* [any] one load: cancelled, or past the deadline */
/* [any] A descriptor that is readable when fw_cancelled is true, for code that waits in poll. It is
 * made at the first call and closed when the task returns: poll it, never read or close it.
 * -FW_EFULL: the process has no descriptor left. */
FW_API int fw_cancel_fd(fw_call *c);
/* [any] How far the task is: `done` of `total` (0: not known) and a note of up to 120 bytes (NULL:
 * none). The latest one is shown while the task runs, and counts as a sign of life. Cheap enough
 * for every item of a loop. 0, or -FW_ENOMEM: not shown. */
FW_API int fw_progress(fw_call *c, uint64_t done, uint64_t total, const char *note);
/* A header of the submission ("traceparent", your own), NUL-ended; NULL: it has none. */
FW_API const char *fw_call_header(fw_call *c, const char *name);
/* For `after`: the result as JSON, or the error text. Empty: null, or nothing yet. */
FW_API fw_span fw_call_outcome(const fw_call *c);

enum {
    FW_F_BLOCKING = 1, /* sleeps or waits for others: costs a thread, not a core */
    /* Runs in a supervised process of its own, where init and thread_init ran as well: a crash
     * there fails one attempt and nothing else, and one that does not listen can be ended. */
    FW_F_ISOLATE = 2
};

/* Of a schedule's run that is due while the one before is not over. */
enum {
    FW_SCHEDULE_DEFAULT = 0, /* FASTWORKER_OVERLAP */
    FW_SCHEDULE_SKIP,
    FW_SCHEDULE_QUEUE_ONE,
    FW_SCHEDULE_QUEUE_ALL,
    FW_SCHEDULE_CANCEL_OLD,
    FW_SCHEDULE_ALLOW
};
/* Of a schedule's times that were missed. */
enum {
    FW_MISSED_DEFAULT = 0, /* FASTWORKER_CATCHUP */
    FW_MISSED_NONE,
    FW_MISSED_ONE,
    FW_MISSED_ALL
};

/* Plain data. Zero means default. */
typedef struct fw_task_def {
    const char *name;
    fw_task_fn fn;
    const char *doc;
    unsigned flags;
    int32_t max_retries; /* unless the caller says how many */
    int64_t timeout_ms;  /* 0: FASTWORKER_TASK_TIMEOUT */
    const char *cron;    /* five or six fields, or NULL */
    const char *repeat_until;
    int64_t every_ms;
    int32_t repeat_count;
    int32_t max_running;      /* at once, over all workers; 0: any number */
    int64_t retry_delay_ms;   /* after the first failure; 0: 60000 */
    int64_t retry_max_ms;     /* the longest; 0: 3600000 */
    double retry_factor;      /* for each further failure; 0: 2 */
    double retry_jitter;      /* 0 to 1: that part of a delay is left to chance */
    double rate_per_s;        /* starts per second, over all workers; 0: no limit */
    const char *tz;           /* of cron and repeat_until; NULL: FASTWORKER_TZ */
    int32_t overlap, catchup; /* FW_SCHEDULE_..., FW_MISSED_... */
} fw_task_def;

typedef struct fw_module {
    uint32_t abi, module_size, task_size, task_count;
    const char *name, *version;
    const fw_task_def *tasks;
    int (*init)(void **state); /* once per process; NULL: nothing to do */
    void (*fini)(void *state);
    int (*thread_init)(void **tls); /* once per task thread */
    void (*thread_fini)(void *tls);
    /* Around every run of the module's tasks, on its thread. before: below 0 fails the run, as the
     * task itself would, and neither the task nor `after` is called. after: rc is 0, or below 0 if
     * the run failed; what it says changes nothing. */
    int (*before)(fw_call *c);
    void (*after)(fw_call *c, int rc);
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

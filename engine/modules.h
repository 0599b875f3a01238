/* engine/modules.h - task modules: shared objects that say what tasks there are.
 *
 * Two ways to look at one file. fw_module_read parses the ELF file and runs nothing of it, not even
 * a constructor: for listing and for checking. fw_modules_load checks it that way first, then opens
 * it for running. A program that loads modules links fw_module_host (modules/CMakeLists.txt), so
 * that they find fw_args and the others in it. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_ENGINE_MODULES_H
#define FW_ENGINE_MODULES_H

#include <stdbool.h>

#include "base/key.h"
#include "fastworker/module.h"

/* --- reading without running --- */
typedef struct fw_task_info {
    char *name, *doc, *cron, *repeat_until, *tz; /* NULL where the module has none */
    unsigned flags;
    int32_t max_retries, repeat_count, max_running, overlap, catchup;
    int64_t timeout_ms, every_ms, retry_delay_ms, retry_max_ms;
    double retry_factor, retry_jitter, rate_per_s;
} fw_task_info;
typedef struct fw_module_info {
    char *name, *version;
    const char *processor; /* "x86-64" or "aarch64" */
    bool native;           /* this program could load it */
    fw_task_info *tasks;
    size_t count;
} fw_module_info;
/* 0, or -FW_E... with a sentence in error: no file, not a module, other ABI, damaged. Any bytes are
 * safe. */
int fw_module_read(fw_module_info *out, char *error, size_t error_capacity, const char *path);
void fw_module_info_fini(fw_module_info *info);
/* The file that fw_modules_load would take for that name, as a path with a slash. 0, or -FW_E...
 * with a sentence that says where was looked. */
int fw_module_locate(char *path, size_t path_capacity, char *error, size_t error_capacity,
                     const char *name, const char *module_path);

/* --- running --- */
typedef struct fw_modules fw_modules;
int fw_modules_create(fw_modules **out, unsigned threads_max);
/* Loads one module: "name.so", a path, or "name" looked for in module_path (colon separated, may be
 * NULL). A module that is loaded already counts as loaded. Before threads start; after a failure
 * the others stay usable. */
int fw_modules_load(fw_modules *modules, char *error, size_t error_capacity, const char *name,
                    const char *module_path);
/* A module that is part of the program, or no code at all: tasks without a function, which somebody
 * else calls (engine/exec.h). It outlives the modules; `from` names it in errors. */
int fw_modules_add(fw_modules *modules, char *error, size_t error_capacity, const fw_module *module,
                   const char *from);
/* After the threads' thread_stop. */
void fw_modules_destroy(fw_modules *modules);

/* One task that can be run. Immutable after loading. */
typedef struct fw_task_entry {
    const fw_task_def *def;
    const fw_module *module;
    unsigned module_index;
    unsigned index; /* its place in fw_modules_at */
} fw_task_entry;
/* NULL: no such name. Any thread, no lock. */
const fw_task_entry *fw_modules_find(const fw_modules *modules, fw_span name);
size_t fw_modules_count(const fw_modules *modules);
const fw_task_entry *fw_modules_at(const fw_modules *modules, size_t index);
/* On each task thread, first and last. 0, or -FW_E... with fw_errmsg. thread < threads_max. */
int fw_modules_thread_start(fw_modules *modules, unsigned thread);
void fw_modules_thread_stop(fw_modules *modules, unsigned thread);

/* --- one call --- */
typedef struct fw_call_input {
    /* args and kwargs: a JSON array and object that were checked, without white space around; or
     * empty. id: empty when the key is the UUID; its text is made when the task asks for it. */
    fw_span id, name, args, kwargs;
    fw_key key;
    int attempt;
    int64_t deadline_ns;                   /* monotonic; 0: none */
    int (*cancelled)(const void *context); /* one load */
    const void *cancelled_context;
    fw_span options; /* a JSON object that was checked; the headers are in it. Or empty */
    /* What fw_progress says, by any thread of the task; NULL: nobody is interested. */
    int (*progress)(void *context, uint64_t done, uint64_t total, fw_span note);
    void *progress_context;
    unsigned thread;
} fw_call_input;
/* What a failed run wants to follow. */
typedef enum fw_again {
    FW_AGAIN_USUAL = 0, /* another run, if retries are left */
    FW_AGAIN_AFTER,     /* the same, after again_ms */
    FW_AGAIN_NEVER
} fw_again;
/* Borrowed until the next call on the same thread. */
typedef struct fw_call_output {
    bool success;
    fw_span result; /* JSON; empty: null */
    fw_span error;  /* text; ptr NULL: none */
    bool crashed;   /* isolated calls only: its process ended under it (children.h) */
    fw_again again; /* of a failure */
    int64_t again_ms;
} fw_call_output;
/* Runs a task function on this thread. */
void fw_modules_call(fw_modules *modules, const fw_task_entry *entry, const fw_call_input *input,
                     fw_call_output *output);
/* A call was cancelled: those that wait in poll are woken. Any thread. */
void fw_modules_wake(fw_modules *modules);
/* The same for a process with one task thread, from a signal handler. */
void fw_modules_wake_in_signal(fw_modules *modules);

#endif

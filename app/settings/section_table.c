/* app/settings/section_table.c - the keys of the sections [task "name"] and [schedule "name"].
 *
 * Like app/settings/setting_table.c: whatever lists them is made from here.
 * SPDX-License-Identifier: Apache-2.0 */
#include "app/settings/section_table.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

#define S_(s)    (INT64_C(1000000000) * (s))
#define MS_(s)   (INT64_C(1000000) * (s))
#define OF(f)    offsetof(fw_task_section, f)
#define OFS(f)   offsetof(fw_schedule_section, f)
#define MILLION_ 1000000.0

/* --- kinds that only sections have --- */

static bool parse_real(const fw_setting *setting, const char *text, void *target)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end || !isfinite(value) || value * MILLION_ < (double)setting->least ||
        value * MILLION_ > (double)setting->most)
        return false;
    *(double *)target = value;
    return true;
}

static void print_real(const fw_setting *setting, const void *target, char *out, size_t capacity)
{
    (void)setting;
    snprintf(out, capacity, "%.12g", *(const double *)target);
}

static bool parse_json(const fw_setting *setting, const char *text, void *target, fw_json_type type)
{
    return fw_json_parse((fw_span){text, strlen(text)}).type == type &&
           fw_kind_text.parse(setting, text, target);
}

static bool parse_array(const fw_setting *setting, const char *text, void *target)
{
    return parse_json(setting, text, target, FW_JSON_ARRAY);
}

static bool parse_object(const fw_setting *setting, const char *text, void *target)
{
    return parse_json(setting, text, target, FW_JSON_OBJECT);
}

static void print_json(const fw_setting *setting, const void *target, char *out, size_t capacity)
{
    fw_kind_text.print(setting, target, out, capacity);
}

const fw_setting_kind fw_kind_real = {parse_real, print_real};
const fw_setting_kind fw_kind_array = {parse_array, print_json};
const fw_setting_kind fw_kind_object = {parse_object, print_json};

/* --- [task "name"] --- */

static const fw_setting task_keys[] = {
    {"timeout", "0", &fw_kind_duration, OF(timeout_ns), 0, S_(31536000),
     .allowed = "a time up to 365d",
     .meaning = "Time limit where a submission sets none; 0: the module's, or task-timeout."},
    {"max-retries", "0", &fw_kind_number, OF(max_retries), 0, 60000, .allowed = "0 to 60000",
     .meaning = "Further tries after a failure where a submission asks for none."},
    {"retry-delay", "1s", &fw_kind_duration, OF(retry_delay_ns), 0, S_(31536000),
     .allowed = "a time up to 365d", .meaning = "Before the first of them."},
    {"retry-backoff", "2", &fw_kind_real, OF(retry_backoff), 1000000, INT64_C(1000000000),
     .allowed = "1 to 1000", .meaning = "So many times longer before each next one."},
    {"retry-backoff-max", "60s", &fw_kind_duration, OF(retry_backoff_max_ns), 0, S_(31536000),
     .allowed = "a time up to 365d", .meaning = "The longest wait."},
    {"max-running", "0", &fw_kind_number, OF(max_running), 0, 1000000, .allowed = "0 to 1000000",
     .meaning = "Most of them at once, over all subworkers; 0: any number."},
    {"rate", "0", &fw_kind_real, OF(rate), 0, INT64_C(1000000000000000),
     .allowed = "0 to 1000000000 a second", .meaning = "Most starts a second; 0: any number."},
    {"burst", "0", &fw_kind_number, OF(burst), 0, 1000000, .allowed = "0 to 1000000",
     .meaning = "Starts at once after a pause; 0: what comes in a tenth of a second."},
    {"per-key-running", "0", &fw_kind_number, OF(key_max_running), 0, 1000000,
     .allowed = "0 to 1000000", .meaning = "The same for those of one key (option key) each."},
    {"per-key-rate", "0", &fw_kind_real, OF(key_rate), 0, INT64_C(1000000000000000),
     .allowed = "0 to 1000000000 a second", .meaning = "The same."},
    {"per-key-burst", "0", &fw_kind_number, OF(key_burst), 0, 1000000, .allowed = "0 to 1000000",
     .meaning = "The same."},
    {"isolate", "false", &fw_kind_switch, OF(isolate), .allowed = "true or false",
     .meaning = "Run it in a process of its own, whatever its module says."},
    {"exec", NULL, &fw_kind_text, OF(exec), .allowed = "the path of a program and its arguments",
     .meaning = "The task is this program. {0} and {name} are replaced by arguments, each as one "
                "word; no shell."},
    {"mode", "oneshot", &fw_kind_choice, OF(mode), .words = "oneshot pool",
     .allowed = "oneshot or pool",
     .meaning = "A process for each run, or processes that stay and are given one run after the "
                "other, one JSON object a line."},
    {"pool-size", "auto", &fw_kind_number, OF(pool_size), 1, 256,
     .allowed = "auto (as many as threads), or 1 to 256",
     .meaning = "pool: most processes, each started when it is needed first. With fewer than "
                "threads, set max-running as well, so that the rest waits in the queue."},
    {"recycle-tasks", "0", &fw_kind_number, OF(recycle_tasks), 0, INT64_C(1000000000),
     .allowed = "0 to 1000000000", .meaning = "pool: a process ends after so many runs; 0: never."},
    {"recycle-rss", "0", &fw_kind_size, OF(recycle_rss), 0, INT64_C(1) << 42, .allowed = "a size",
     .meaning = "pool: a process that uses more memory ends; 0: never."},
    {"output", "auto", &fw_kind_choice, OF(output), .words = "auto json text",
     .allowed = "auto, json or text",
     .meaning = "oneshot: standard output is JSON if it can be read as such; always, or the run "
                "fails; or a string in any case."},
    {"result-max", "1M", &fw_kind_size, OF(result_max), 1 << 10, 256 << 20,
     .allowed = "a size, 1K to 256M", .meaning = "A run with a larger output fails."},
    {"stderr-max", "64K", &fw_kind_size, OF(stderr_max), 0, 64 << 20, .allowed = "a size up to 64M",
     .meaning = "What goes to the log of one run's standard error; the rest is dropped."},
    {"progress-fd", "0", &fw_kind_number, OF(progress_fd), 0, 9, .allowed = "0, or 3 to 9",
     .meaning = "oneshot: lines \"done total note\" to this descriptor are the task's progress; 0: "
                "none."},
    {"env-pass", "PATH LANG TZ", &fw_kind_text, OF(env_pass),
     .allowed = "names of variables, separated by spaces",
     .meaning = "All that the program gets of the environment, beside FASTWORKER_TASK_NAME, _ID "
                "and _ATTEMPT."},
    {"directory", "/", &fw_kind_text, OF(directory), .allowed = "a path",
     .meaning = "Where the program is started."},
    {"grace", "5s", &fw_kind_duration, OF(grace_ns), MS_(1), S_(3600),
     .allowed = "a time, 1ms to 1h",
     .meaning = "From SIGTERM, when the task is cancelled or out of time, to SIGKILL; both go to "
                "all processes it has started."},
    {"memory-max", "0", &fw_kind_size, OF(memory_max), 0, INT64_C(1) << 42, .allowed = "a size",
     .meaning = "Most address space of a process (RLIMIT_AS); 0: any."},
    {"cpu-max", "0", &fw_kind_duration, OF(cpu_max_ns), 0, S_(31536000),
     .allowed = "a time in whole seconds",
     .meaning = "Most CPU time of a process (RLIMIT_CPU), of a pool's over all its runs; 0: any."},
    {"files-max", "0", &fw_kind_number, OF(files_max), 0, 1 << 20, .allowed = "0, or from 8",
     .meaning = "Most open files of a process (RLIMIT_NOFILE); 0: as ours."},
};

/* --- [schedule "name"] --- */

static const fw_setting schedule_keys[] = {
    {"task", NULL, &fw_kind_text, OFS(task), .allowed = "the name of a task",
     .meaning = "What is run. Needed."},
    {"cron", NULL, &fw_kind_text, OFS(cron),
     .allowed = "five or six fields, or @daily and the like",
     .meaning = "When. This or every is needed."},
    {"every", NULL, &fw_kind_text, OFS(every), .allowed = "an interval such as 90s or 1h30m",
     .meaning = "Instead of cron: how often."},
    {"tz", NULL, &fw_kind_text, OFS(tz), .allowed = "the name of a zone",
     .meaning = "The clocks it goes by; otherwise those of the setting tz."},
    {"args", NULL, &fw_kind_array, OFS(args), .allowed = "a JSON array",
     .meaning = "Arguments of each run."},
    {"kwargs", NULL, &fw_kind_object, OFS(kwargs), .allowed = "a JSON object",
     .meaning = "Arguments by name."},
    {"priority", "normal", &fw_kind_choice, OFS(priority), .words = "critical high normal low",
     .allowed = "critical, high, normal or low", .meaning = "Of its runs."},
    {"overlap", "default", &fw_kind_choice, OFS(overlap),
     .words = "default skip queue_one queue_all cancel_old allow",
     .allowed = "skip, queue_one, queue_all, cancel_old or allow",
     .meaning = "When a run is not over; default: the setting overlap."},
    {"catchup", "default", &fw_kind_choice, OFS(catchup), .words = "default none one all",
     .allowed = "none, one or all",
     .meaning = "What becomes of missed times; default: the setting catchup."},
    {"catchup-window", "1h", &fw_kind_duration, OFS(window_ns), 0, S_(31536000),
     .allowed = "a time up to 365d", .meaning = "How far back all goes."},
    {"jitter", "0", &fw_kind_duration, OFS(jitter_ns), 0, S_(86400), .allowed = "a time up to 1d",
     .meaning = "Each run starts later by a random time up to this."},
    {"count", "unlimited", &fw_kind_number, OFS(count), 0, INT64_MAX, .words = "unlimited",
     .allowed = "unlimited, or a number", .meaning = "So many runs by the clock."},
    {"until", NULL, &fw_kind_text, OFS(until), .allowed = "a time such as 2026-12-31T18:00:00",
     .meaning = "None after it."},
    {"timeout", "0", &fw_kind_duration, OFS(timeout_ns), 0, S_(31536000),
     .allowed = "a time up to 365d", .meaning = "Time limit of each run; 0: the task's."},
    {"max-retries", "0", &fw_kind_number, OFS(max_retries), 0, 60000, .allowed = "0 to 60000",
     .meaning = "Further tries of a run that fails; 0: the task's."},
    {"retry-delay", "1s", &fw_kind_duration, OFS(retry_delay_ns), 0, S_(31536000),
     .allowed = "a time up to 365d", .meaning = "Before the first of them."},
    {"retry-backoff", "2", &fw_kind_real, OFS(retry_backoff), 1000000, INT64_C(1000000000),
     .allowed = "1 to 1000", .meaning = "So many times longer before each next one."},
    {"paused", "false", &fw_kind_switch, OFS(paused), .allowed = "true or false",
     .meaning = "A new one begins paused."},
};

#define COUNT_(table) (sizeof(table) / sizeof((table)[0]))

_Static_assert(COUNT_(task_keys) <= 64 && COUNT_(schedule_keys) <= 64, "a bit each");
_Static_assert(OF(head) == 0 && OFS(head) == 0, "the head is found without knowing the kind");

const fw_section_kind fw_section_kinds[] = {
    {"task", "thumbnail", task_keys, COUNT_(task_keys), sizeof(fw_task_section)},
    {"schedule", "nightly", schedule_keys, COUNT_(schedule_keys), sizeof(fw_schedule_section)},
};
const size_t fw_section_kind_count = COUNT_(fw_section_kinds);

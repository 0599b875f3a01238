/* app/settings/config_sections.h - the sections of the configuration file: what it says of single
 * tasks, and its schedules.
 *
 *   [task "thumbnail"]        keys that stand in for what a submission does not say, limits, and
 *                             what program it is (docs/EXEC.md)
 *   [schedule "nightly"]      as `fastworker schedule put` (docs/SCHEDULES.md)
 *
 * One table a kind lists the keys; errors, `config show` and docs/SETTINGS.md are made from it.
 * Sections of one name, also of several files, are one; the later key counts.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_APP_CONFIG_SECTIONS_H
#define FW_APP_CONFIG_SECTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "app/settings/config_file.h"

typedef enum fw_exec_mode_key { FW_EXEC_KEY_ONESHOT = 0, FW_EXEC_KEY_POOL } fw_exec_mode_key;

/* Which keys were given: bits by their place in the table. */
typedef struct fw_section_head {
    char *name, *path;
    unsigned line;
    uint64_t given;
} fw_section_head;

/* Texts are owned; NULL or the table's default where a key was not given. */
typedef struct fw_task_section {
    fw_section_head head;
    int64_t timeout_ns, max_retries, retry_delay_ns, retry_backoff_max_ns;
    double retry_backoff;
    int64_t max_running, burst;
    double rate;
    int64_t key_max_running, key_burst; /* of each key */
    double key_rate;
    int64_t isolate;
    /* exec */
    char *exec, *env_pass, *directory;
    int64_t mode, pool_size, output; /* fw_exec_mode_key; output: auto, json, text */
    int64_t recycle_tasks, recycle_rss, grace_ns, result_max, stderr_max, progress_fd;
    int64_t memory_max, cpu_max_ns, files_max;
} fw_task_section;

typedef struct fw_schedule_section {
    fw_section_head head;
    char *task, *cron, *every, *tz, *args, *kwargs, *until;
    int64_t priority, overlap, catchup; /* overlap, catchup: 0 the setting's, else one more */
    int64_t window_ns, jitter_ns, count, timeout_ns, max_retries, retry_delay_ns, paused;
    double retry_backoff;
} fw_schedule_section;

typedef struct fw_sections {
    fw_task_section **tasks;
    fw_schedule_section **schedules;
    size_t task_count, schedule_count;
} fw_sections;

/* Takes one line that stands in a section. False: error says file, line, key and what is wrong. */
bool fw_sections_take(fw_sections *sections, char *error, size_t error_capacity,
                      const fw_config_line *line);
/* When all is read: what several keys mean together. cron_style: fw_cron_style. */
bool fw_sections_check(const fw_sections *sections, char *error, size_t error_capacity,
                       int cron_style);
void fw_sections_fini(fw_sections *sections);

/* NULL: the file says nothing of that task. */
const fw_task_section *fw_sections_task(const fw_sections *sections, const char *name);
/* Whether the file gives that key. */
bool fw_task_section_has(const fw_task_section *section, const char *key);

/* For `config show`: what was given, one line a key. json: an object, as a member's value. */
void fw_sections_show(const fw_sections *sections, FILE *out, bool json);
/* The tables of docs/SETTINGS.md. */
void fw_sections_document(FILE *out);
/* Every key, commented out, as part of an example. */
void fw_sections_dump_default(FILE *out);

#endif

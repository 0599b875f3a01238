/* engine/module_file.c - reads a task module from its file; none of its code runs, not even a
 * constructor.
 *
 * The order is that of trust: is it a shared object (engine/elf), has it the symbol, is the ABI
 * ours, are the sizes ours; only then are pointers followed, and only inside the file. The file is
 * read into memory of our own rather than mapped: one that somebody rewrites meanwhile gives an
 * error, not SIGBUS. Crafted files cost time and memory in proportion to their size: tasks and
 * texts have limits. SPDX-License-Identifier: Apache-2.0 */
#include "engine/module_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/json.h"
#include "engine/elf.h"

_Static_assert(sizeof(void *) == 8, "pointers in the file are those of a 64-bit machine");
_Static_assert(offsetof(fw_module, task_count) == 12 && offsetof(fw_module, name) == 16,
               "four numbers stand first in every ABI");

/* One reading: the file, what it has told, and where to complain. */
typedef struct reading {
    fw_elf elf;
    const char *path;
    char *error;
    size_t error_capacity;
    size_t text_left; /* of FW_MODULE_TEXTS_MAX */
    fw_module_info info;
} reading;

#define REFUSE(r, code, ...) (snprintf((r)->error, (r)->error_capacity, __VA_ARGS__), -(code))

static uint64_t address_of(const void *pointer)
{
    return (uint64_t)(uintptr_t)pointer;
}

/* A name goes into messages, URLs and JSON: printable, no spaces, nothing that would need an
 * escape. */
bool fw_module_name_is_valid(fw_span name)
{
    char quoted[FW_MODULE_NAME_MAX + 2];
    if (name.len == 0 || name.len > FW_MODULE_NAME_MAX)
        return false;
    quoted[0] = '"';
    for (size_t i = 0; i < name.len; i++) {
        unsigned char byte = (unsigned char)name.ptr[i];
        if (byte <= ' ' || byte == 0x7f || byte == '"' || byte == '\\')
            return false;
        quoted[i + 1] = name.ptr[i];
    }
    quoted[name.len + 1] = '"';
    return fw_json_parse((fw_span){quoted, name.len + 2}).type == FW_JSON_STRING;
}

int fw_module_check_sizes(char *error, size_t error_capacity, const char *path,
                          const fw_module *module)
{
    FW_ASSERT(path && module);
    if (module->abi != FW_ABI) {
        snprintf(error, error_capacity,
                 "%s: the module is built for ABI %u and this program has ABI %u; "
                 "build it again with this version's fastworker/module.h",
                 path, module->abi, FW_ABI);
        return -FW_EABI;
    }
    if (module->module_size != sizeof(fw_module) || module->task_size != sizeof(fw_task_def)) {
        snprintf(error, error_capacity,
                 "%s: the module's structures have %u and %u bytes where this program has %zu and "
                 "%zu; build it again with this version's fastworker/module.h",
                 path, module->module_size, module->task_size, sizeof(fw_module),
                 sizeof(fw_task_def));
        return -FW_EABI;
    }
    if (module->task_count == 0 || module->task_count > FW_MODULE_TASKS_MAX) {
        snprintf(error, error_capacity, "%s: the module has %u tasks; 1 to %d are possible", path,
                 module->task_count, FW_MODULE_TASKS_MAX);
        return -FW_EINVAL;
    }
    return 0;
}

/* A text of the file as a string of our own; NULL stays NULL. */
static int read_text(reading *r, char **out, const char *pointer, const char *what)
{
    uint64_t address = address_of(pointer);
    fw_span text;
    *out = NULL;
    if (address == 0)
        return 0;
    if (!fw_elf_text(&r->elf, &text, address, FW_MODULE_TEXT_MAX))
        return REFUSE(r, FW_EINVAL, "%s: the module's %s is not a text in the file", r->path, what);
    if (text.len > r->text_left)
        return REFUSE(r, FW_EBIG, "%s: the module has more than %d bytes of text", r->path,
                      FW_MODULE_TEXTS_MAX);
    r->text_left -= text.len;
    *out = strndup(text.ptr, text.len);
    return *out ? 0 : REFUSE(r, FW_ENOMEM, "%s: out of memory", r->path);
}

static int read_name(reading *r, char **out, const char *pointer, const char *what)
{
    int rc = read_text(r, out, pointer, what);
    if (rc < 0)
        return rc;
    if (!*out || !fw_module_name_is_valid((fw_span){*out, strlen(*out)}))
        return REFUSE(r, FW_EINVAL,
                      "%s: a %s of the module is empty, longer than %d bytes, or has spaces, "
                      "quotes or control characters",
                      r->path, what, FW_MODULE_NAME_MAX);
    return 0;
}

/* Numbers that mean nothing are a slip of the module's author: better told now. */
static int check_numbers(reading *r, const fw_task_info *task)
{
    const char *wrong = NULL;
    if (task->max_retries < 0 || task->retry_delay_ms < 0 || task->retry_max_ms < 0)
        wrong = "a negative retry count or delay";
    else if (!(task->retry_factor >= 0 && task->retry_factor <= 1e6))
        wrong = "a retry_factor below 0 or above a million";
    else if (!(task->retry_jitter >= 0 && task->retry_jitter <= 1))
        wrong = "a retry_jitter that is not between 0 and 1";
    else if (task->max_running < 0 ||
             !(task->rate_per_s == 0 || (task->rate_per_s >= 1e-6 && task->rate_per_s <= 1e9)))
        wrong = "a negative max_running, or a rate_per_s that is not between 1e-6 and 1e9";
    else if (task->timeout_ms < 0)
        wrong = "a negative timeout_ms";
    else if (task->overlap < 0 || task->overlap > FW_SCHEDULE_ALLOW || task->catchup < 0 ||
             task->catchup > FW_MISSED_ALL)
        wrong = "an unknown word for overlap or catchup";
    if (wrong)
        return REFUSE(r, FW_EINVAL, "%s: task '%s' has %s", r->path, task->name, wrong);
    return 0;
}

static int read_task(reading *r, const fw_task_def *def)
{
    fw_task_info *task = &r->info.tasks[r->info.count++]; /* counted first: fini frees a part */
    *task = (fw_task_info){
        .flags = def->flags,
        .max_retries = def->max_retries,
        .repeat_count = def->repeat_count,
        .max_running = def->max_running,
        .overlap = def->overlap,
        .catchup = def->catchup,
        .timeout_ms = def->timeout_ms,
        .every_ms = def->every_ms,
        .retry_delay_ms = def->retry_delay_ms,
        .retry_max_ms = def->retry_max_ms,
        .retry_factor = def->retry_factor,
        .retry_jitter = def->retry_jitter,
        .rate_per_s = def->rate_per_s,
    };
    int rc = read_name(r, &task->name, def->name, "task name");
    if (rc == 0)
        rc = read_text(r, &task->doc, def->doc, "doc");
    if (rc == 0)
        rc = read_text(r, &task->cron, def->cron, "cron");
    if (rc == 0)
        rc = read_text(r, &task->repeat_until, def->repeat_until, "repeat_until");
    if (rc == 0)
        rc = read_text(r, &task->tz, def->tz, "tz");
    if (rc == 0)
        rc = check_numbers(r, task);
    if (rc == 0 && !def->fn)
        rc = REFUSE(r, FW_EINVAL, "%s: task '%s' has no function", r->path, task->name);
    return rc;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int check_distinct(reading *r)
{
    char **names = malloc(r->info.count * sizeof *names);
    if (!names)
        return REFUSE(r, FW_ENOMEM, "%s: out of memory", r->path);
    for (size_t i = 0; i < r->info.count; i++)
        names[i] = r->info.tasks[i].name;
    qsort(names, r->info.count, sizeof *names, compare_names);
    int rc = 0;
    for (size_t i = 1; i < r->info.count && rc == 0; i++) {
        if (strcmp(names[i - 1], names[i]) == 0)
            rc = REFUSE(r, FW_EDUP, "%s: the module has two tasks named '%s'; rename one", r->path,
                        names[i]);
    }
    free(names);
    return rc;
}

static int read_tasks(reading *r, const fw_module *module)
{
    size_t size = module->task_count * sizeof(fw_task_def);
    fw_task_def *defs = malloc(size);
    r->info.tasks = calloc(module->task_count, sizeof *r->info.tasks);
    int rc = 0;
    if (!defs || !r->info.tasks)
        rc = REFUSE(r, FW_ENOMEM, "%s: out of memory", r->path);
    else if (!fw_elf_copy(&r->elf, defs, address_of(module->tasks), size))
        rc = REFUSE(r, FW_EINVAL, "%s: the module's table of %u tasks is not in the file", r->path,
                    module->task_count);
    for (uint32_t i = 0; i < module->task_count && rc == 0; i++)
        rc = read_task(r, &defs[i]);
    free(defs);
    return rc < 0 ? rc : check_distinct(r);
}

static int read_module(reading *r)
{
    fw_elf_place place;
    fw_module module = {0};
    if (!fw_elf_find(&r->elf, &place, "fastworker_module"))
        return REFUSE(r, FW_EINVAL,
                      "%s: not a task module: it does not export fastworker_module; "
                      "end the source with FW_MODULE(name, version, tasks)",
                      r->path);
    size_t numbers = offsetof(fw_module, name);
    if (place.size < numbers || !fw_elf_copy(&r->elf, &module, place.address, numbers))
        return REFUSE(r, FW_EINVAL, "%s: fastworker_module is not data of a task module", r->path);
    int rc = fw_module_check_sizes(r->error, r->error_capacity, r->path, &module);
    if (rc < 0)
        return rc;
    r->info.processor = fw_elf_machine(&r->elf);
    r->info.native = fw_elf_is_native(&r->elf);
    if (place.size < sizeof module || !fw_elf_copy(&r->elf, &module, place.address, sizeof module))
        return REFUSE(r, FW_EINVAL, "%s: the module is damaged: fastworker_module is too small",
                      r->path);
    rc = fw_module_check_sizes(r->error, r->error_capacity, r->path, &module);
    if (rc == 0)
        rc = read_name(r, &r->info.name, module.name, "name");
    if (rc == 0)
        rc = read_text(r, &r->info.version, module.version, "version");
    return rc < 0 ? rc : read_tasks(r, &module);
}

int fw_module_parse(fw_module_info *out, char *error, size_t error_capacity, const char *path,
                    fw_span file)
{
    FW_ASSERT(out && path);
    reading r = {.path = path,
                 .error = error,
                 .error_capacity = error_capacity,
                 .text_left = FW_MODULE_TEXTS_MAX};
    const char *why = fw_elf_open(&r.elf, file);
    int rc = why ? REFUSE(&r, FW_EINVAL, "%s: not a task module: the file %s", path, why)
                 : read_module(&r);
    if (rc < 0)
        fw_module_info_fini(&r.info);
    else
        *out = r.info;
    return rc;
}

/* A module that anybody may list can also be one that nobody finished writing: short reads are
 * errors. */
static int read_file(reading *r, char **bytes, size_t *size)
{
    struct stat status;
    int fd = open(r->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 || fstat(fd, &status) < 0) {
        int code = errno == EACCES || errno == EPERM ? FW_EPERM : FW_EINVAL;
        int rc =
            REFUSE(r, code, "%s: the task module cannot be opened: %s", r->path, strerror(errno));
        if (fd >= 0)
            close(fd);
        return rc;
    }
    int rc = 0;
    *size = (size_t)status.st_size;
    if (!S_ISREG(status.st_mode))
        rc = REFUSE(r, FW_EINVAL, "%s: not a task module: not a regular file", r->path);
    else if (status.st_size == 0 || status.st_size > FW_MODULE_FILE_MAX)
        rc = REFUSE(r, status.st_size ? FW_EBIG : FW_EINVAL,
                    "%s: not a task module: the file has %lld bytes", r->path,
                    (long long)status.st_size);
    if (rc == 0) {
        *bytes = mmap(NULL, *size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (*bytes == MAP_FAILED)
            rc = REFUSE(r, FW_ENOMEM, "%s: out of memory for %zu bytes", r->path, *size);
    }
    for (size_t at = 0; rc == 0 && at < *size;) {
        ssize_t n = pread(fd, *bytes + at, *size - at, (off_t)at);
        if (n <= 0 && !(n < 0 && errno == EINTR)) {
            rc = REFUSE(r, FW_EINVAL, "%s: the task module cannot be read: %s", r->path,
                        n < 0 ? strerror(errno) : "it became shorter meanwhile");
            munmap(*bytes, *size);
        }
        at += n > 0 ? (size_t)n : 0;
    }
    close(fd);
    return rc;
}

int fw_module_read(fw_module_info *out, char *error, size_t error_capacity, const char *path)
{
    FW_ASSERT(out && path);
    reading r = {.path = path, .error = error, .error_capacity = error_capacity};
    char *bytes;
    size_t size;
    int rc = read_file(&r, &bytes, &size);
    if (rc < 0)
        return rc;
    rc = fw_module_parse(out, error, error_capacity, path, (fw_span){bytes, size});
    munmap(bytes, size);
    return rc;
}

void fw_module_info_fini(fw_module_info *info)
{
    for (size_t i = 0; i < info->count; i++) {
        fw_task_info *task = &info->tasks[i];
        free(task->name);
        free(task->doc);
        free(task->cron);
        free(task->repeat_until);
        free(task->tz);
    }
    free(info->tasks);
    free(info->name);
    free(info->version);
    *info = (fw_module_info){0};
}

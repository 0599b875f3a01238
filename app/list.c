/* app/list.c - see app/list.h. SPDX-License-Identifier: Apache-2.0 */
#include "app/list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/commands/commands.h"
#include "app/commands/options.h"
#include "base/json.h"
#include "engine/modules.h"

enum { MODULES_MAX = 256, PATH_BYTES = 4096, ERROR_BYTES = 512 };
#define MODULE_PATH_DEFAULT "/usr/lib/fastworker/modules"

typedef struct listing {
    fw_module_info modules[MODULES_MAX];
    size_t count;
} listing;

static bool is_periodic(const fw_task_info *task)
{
    return task->cron != NULL || task->every_ms > 0;
}

static bool is_isolated(const fw_task_info *task)
{
    return (task->flags & FW_F_ISOLATE) != 0;
}

/* repeat_interval=60s, or cron="0 3 * * *" */
static void print_schedule(const fw_task_info *task)
{
    if (task->cron != NULL)
        printf("cron=\"%s\"", task->cron);
    else
        printf("repeat_interval=%gs", (double)task->every_ms / 1e3);
}

static void print_periodic(const listing *all)
{
    bool any = false;
    for (size_t m = 0; m < all->count; m++)
        for (size_t t = 0; t < all->modules[m].count; t++) {
            const fw_task_info *task = &all->modules[m].tasks[t];
            bool until = task->repeat_until != NULL, count = task->repeat_count > 0;
            if (!is_periodic(task))
                continue;
            if (!any)
                printf("Periodic tasks:\n");
            any = true;
            printf("  - %s [", task->name);
            print_schedule(task);
            if (count || until)
                printf(" (");
            if (count)
                printf("count=%d%s", task->repeat_count, until ? ", " : "");
            if (until)
                printf("until=%s", task->repeat_until);
            printf("%s]\n", count || until ? ")" : "");
        }
    if (!any)
        printf("No periodic tasks registered.\n");
}

static int by_name(const void *a, const void *b)
{
    const fw_task_info *left = a, *right = b;
    return strcmp(left->name, right->name);
}

static void print_tree(listing *all)
{
    if (all->count == 0) {
        printf("No tasks registered.\n");
        return;
    }
    printf("Task tree:\n");
    for (size_t m = 0; m < all->count; m++) {
        fw_module_info *module = &all->modules[m];
        bool last = m + 1 == all->count;
        printf("%s%s\n", last ? "└── " : "├── ", module->name);
        qsort(module->tasks, module->count, sizeof(*module->tasks), by_name);
        for (size_t t = 0; t < module->count; t++) {
            const fw_task_info *task = &module->tasks[t];
            printf("%s%s%s", last ? "    " : "│   ", t + 1 == module->count ? "└── " : "├── ",
                   task->name);
            if (is_periodic(task)) {
                printf(" (");
                print_schedule(task);
                printf(")");
            }
            printf("%s\n", is_isolated(task) ? " [isolated]" : "");
        }
    }
}

static void print_names(const listing *all)
{
    printf("Available tasks:\n");
    for (size_t m = 0; m < all->count; m++)
        for (size_t t = 0; t < all->modules[m].count; t++) {
            const fw_task_info *task = &all->modules[m].tasks[t];
            printf("  - %s%s\n", task->name, is_isolated(task) ? " [isolated]" : "");
        }
}

static void add_text(fw_buffer *out, const char *name, const char *text)
{
    if (text == NULL)
        return;
    fw_buffer_format(out, ", \"%s\": ", name);
    fw_buffer_json_string(out, (fw_span){text, strlen(text)});
}

static void add_number(fw_buffer *out, const char *name, double number)
{
    if (number > 0)
        fw_buffer_format(out, ", \"%s\": %g", name, number);
}

static void print_json(const listing *all, bool only_periodic)
{
    fw_buffer out = {.data = NULL};
    for (size_t m = 0; m < all->count; m++)
        for (size_t t = 0; t < all->modules[m].count; t++) {
            const fw_task_info *task = &all->modules[m].tasks[t];
            if (only_periodic && !is_periodic(task))
                continue;
            fw_buffer_text(&out, "{\"name\": ");
            fw_buffer_json_string(&out, (fw_span){task->name, strlen(task->name)});
            add_text(&out, "module", all->modules[m].name);
            add_text(&out, "version", all->modules[m].version);
            add_text(&out, "doc", task->doc);
            add_text(&out, "cron", task->cron);
            if (task->every_ms > 0)
                fw_buffer_format(&out, ", \"repeat_interval\": %g", (double)task->every_ms / 1e3);
            if (task->repeat_count > 0)
                fw_buffer_format(&out, ", \"repeat_count\": %d", task->repeat_count);
            add_text(&out, "repeat_until", task->repeat_until);
            add_text(&out, "tz", task->tz);
            if (task->timeout_ms > 0)
                fw_buffer_format(&out, ", \"timeout\": %g", (double)task->timeout_ms / 1e3);
            if (task->max_retries > 0)
                fw_buffer_format(&out, ", \"max_retries\": %d", task->max_retries);
            add_number(&out, "retry_delay", (double)task->retry_delay_ms / 1e3);
            add_number(&out, "retry_jitter", task->retry_jitter);
            add_number(&out, "max_running", task->max_running);
            add_number(&out, "rate", task->rate_per_s);
            if (is_isolated(task))
                fw_buffer_text(&out, ", \"isolate\": true");
            fw_buffer_text(&out, "}\n");
        }
    fwrite(out.data, 1, out.len, stdout);
    fw_buffer_fini(&out);
}

/* One module by name or path. */
static bool read_module(listing *all, const char *name, const char *module_path)
{
    char path[PATH_BYTES], error[ERROR_BYTES] = "";
    if (all->count == MODULES_MAX) {
        fprintf(stderr, "fastworker list: more than %d modules\n", MODULES_MAX);
        return false;
    }
    if (fw_module_locate(path, sizeof(path), error, sizeof(error), name, module_path) == 0 &&
        fw_module_read(&all->modules[all->count], error, sizeof(error), path) == 0) {
        all->count++;
        return true;
    }
    fprintf(stderr, "fastworker list: %s\n", error);
    return false;
}

/* Names separated by commas or spaces. */
static bool read_modules(listing *all, const char *names, const char *module_path)
{
    char name[PATH_BYTES];
    for (const char *at = names + strspn(names, ", \t"); *at != '\0';) {
        size_t len = strcspn(at, ", \t");
        snprintf(name, sizeof(name), "%.*s", (int)(len < PATH_BYTES ? len : PATH_BYTES - 1), at);
        if (!read_module(all, name, module_path))
            return false;
        at += len;
        at += strspn(at, ", \t");
    }
    return true;
}

static int list(fw_options *options, listing *all)
{
    const fw_option *modules = fw_options_find(options, "task-modules");
    const char *path = fw_options_text(options, "module-path");
    const char *named = getenv("FASTWORKER_TASK_MODULES");
    bool periodic = fw_options_has(options, "list-periodic");
    if (path == NULL)
        path = getenv("FASTWORKER_MODULE_PATH");
    if (path == NULL)
        path = MODULE_PATH_DEFAULT;
    for (size_t i = 0; i < modules->count; i++)
        if (!read_modules(all, modules->words[i], path))
            return FW_ENDS_OTHERWISE;
    for (size_t i = 0; i < options->word_count; i++)
        if (!read_modules(all, options->words[i], path))
            return FW_ENDS_OTHERWISE;
    if (modules->count + options->word_count == 0 && named != NULL &&
        !read_modules(all, named, path))
        return FW_ENDS_OTHERWISE;
    if (fw_options_has(options, "json"))
        print_json(all, periodic);
    else if (periodic)
        print_periodic(all);
    else if (fw_options_has(options, "tree"))
        print_tree(all);
    else
        print_names(all);
    return FW_ENDS_WELL;
}

int fw_command_list(int argc, char **argv)
{
    fw_option all[] = {
        {.name = "task-modules",
         .kind = FW_OPTION_MANY,
         .value = "M...",
         .meaning = "modules: names or paths, separated by spaces or commas"},
        {.name = "module-path",
         .kind = FW_OPTION_VALUE,
         .value = "DIRS",
         .meaning = "where names are looked for (" MODULE_PATH_DEFAULT ")"},
        {.name = "list-periodic",
         .kind = FW_OPTION_FLAG,
         .meaning = "only periodic tasks, with their schedules"},
        {.name = "tree", .kind = FW_OPTION_FLAG, .meaning = "tasks by module"},
        {.name = "json", .kind = FW_OPTION_FLAG, .meaning = "one JSON object a task"},
    };
    fw_options options = {.command = "list",
                          .usage = "list --task-modules M... [options]",
                          .examples = "  fastworker list --task-modules ./mytasks.so\n"
                                      "  fastworker list --tree --task-modules ./a.so,./b.so\n",
                          .notes = "Files are read, not loaded: no code of a module runs.\n",
                          .all = all,
                          .count = sizeof(all) / sizeof(all[0])};
    fw_parse parsed = fw_options_parse(&options, argc, argv);
    if (parsed != FW_PARSE_GO)
        return parsed == FW_PARSE_HELPED ? FW_ENDS_WELL : FW_ENDS_USAGE;
    listing *found = calloc(1, sizeof(*found));
    int ends = found == NULL ? FW_ENDS_OTHERWISE : list(&options, found);
    for (size_t i = 0; found != NULL && i < found->count; i++)
        fw_module_info_fini(&found->modules[i]);
    free(found);
    fw_options_fini(&options);
    return ends;
}

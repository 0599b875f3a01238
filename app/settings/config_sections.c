/* app/settings/config_sections.c - see app/settings/config_sections.h: reading, checking, showing.
 *
 * A section is a struct with its head first; where a key lies in it is in the table. So taking,
 * showing and freeing do not know the kinds. SPDX-License-Identifier: Apache-2.0 */
#include "app/settings/config_sections.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "app/commands/suggest.h"
#include "app/life/names.h"
#include "app/settings/exec_words.h"
#include "app/settings/section_table.h"
#include "base/assert.h"
#include "base/json.h"
#include "engine/schedule.h"

typedef struct problem {
    char *text;
    size_t capacity;
} problem;

static bool fail(const problem *p, const char *format, ...) FW_FMT(2, 3);
static bool fail(const problem *p, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(p->text, p->capacity, format, arguments);
    va_end(arguments);
    return false;
}

static void *field(const fw_section_head *head, const fw_setting *key)
{
    return (char *)(uintptr_t)head + key->offset;
}

static bool has(const fw_section_head *head, size_t place)
{
    return (head->given >> place & 1) != 0;
}

/* --- the lists --- */

static fw_section_head *at(const fw_sections *sections, size_t kind, size_t place)
{
    return kind == FW_SECTION_TASK ? &sections->tasks[place]->head
                                   : &sections->schedules[place]->head;
}

static size_t count_of(const fw_sections *sections, size_t kind)
{
    return kind == FW_SECTION_TASK ? sections->task_count : sections->schedule_count;
}

static fw_section_head *find(const fw_sections *sections, size_t kind, const char *name)
{
    for (size_t i = 0; i < count_of(sections, kind); i++) {
        if (strcmp(at(sections, kind, i)->name, name) == 0)
            return at(sections, kind, i);
    }
    return NULL;
}

static bool is_text(const fw_setting *key)
{
    return key->kind == &fw_kind_text || key->kind == &fw_kind_array ||
           key->kind == &fw_kind_object;
}

static void free_section(fw_section_head *head, size_t kind)
{
    const fw_section_kind *k = &fw_section_kinds[kind];
    for (size_t i = 0; head && i < k->key_count; i++) {
        if (is_text(&k->keys[i]))
            free(*(char **)field(head, &k->keys[i]));
    }
    if (head) {
        free(head->name);
        free(head->path);
    }
    free(head);
}

/* With all defaults. NULL: no memory. */
static fw_section_head *new_section(size_t kind, const fw_config_line *line)
{
    const fw_section_kind *k = &fw_section_kinds[kind];
    fw_section_head *head = calloc(1, k->size);
    if (!head)
        return NULL;
    head->name = strdup(line->name);
    head->path = strdup(line->path);
    head->line = line->line;
    bool good = head->name && head->path;
    for (size_t i = 0; good && i < k->key_count; i++) {
        const fw_setting *key = &k->keys[i];
        good = !key->initial || key->kind->parse(key, key->initial, field(head, key));
    }
    if (good)
        return head;
    free_section(head, kind);
    return NULL;
}

static fw_section_head *add(fw_sections *sections, size_t kind, const fw_config_line *line)
{
    void **list = kind == FW_SECTION_TASK ? (void **)sections->tasks : (void **)sections->schedules;
    size_t count = count_of(sections, kind);
    fw_section_head *head = new_section(kind, line);
    void **more = head ? realloc(list, (count + 1) * sizeof *more) : NULL;
    if (!more) {
        free_section(head, kind);
        return NULL;
    }
    more[count] = head;
    if (kind == FW_SECTION_TASK) {
        sections->tasks = (fw_task_section **)more;
        sections->task_count++;
    } else {
        sections->schedules = (fw_schedule_section **)more;
        sections->schedule_count++;
    }
    return head;
}

void fw_sections_fini(fw_sections *sections)
{
    for (size_t kind = 0; kind < fw_section_kind_count; kind++) {
        for (size_t i = 0; i < count_of(sections, kind); i++)
            free_section(at(sections, kind, i), kind);
    }
    free(sections->tasks);
    free(sections->schedules);
    *sections = (fw_sections){0};
}

/* --- taking --- */

static bool unknown(const problem *p, const fw_config_line *line, const char *what,
                    const char *word, const char *near)
{
    return fail(p, "%s:%u: no %s '%s'%s%s%s", line->path, line->line, what, word,
                near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

static bool find_kind(const problem *p, const fw_config_line *line, size_t *kind)
{
    const char *words[8];
    FW_ASSERT(fw_section_kind_count <= 8);
    for (*kind = 0; *kind < fw_section_kind_count; ++*kind) {
        words[*kind] = fw_section_kinds[*kind].word;
        if (strcmp(words[*kind], line->kind) == 0)
            return true;
    }
    return unknown(p, line, "section", line->kind,
                   fw_suggest(line->kind, words, fw_section_kind_count));
}

static bool unknown_key(const problem *p, const fw_config_line *line, const fw_section_kind *kind)
{
    const char *words[64];
    for (size_t i = 0; i < kind->key_count; i++)
        words[i] = kind->keys[i].name;
    char what[64];
    snprintf(what, sizeof what, "key of a [%s]", kind->word);
    return unknown(p, line, what, line->key, fw_suggest(line->key, words, kind->key_count));
}

static bool take_key(const problem *p, const fw_config_line *line, size_t kind,
                     fw_section_head *head)
{
    const fw_section_kind *k = &fw_section_kinds[kind];
    for (size_t i = 0; i < k->key_count; i++) {
        const fw_setting *key = &k->keys[i];
        if (strcmp(key->name, line->key) != 0)
            continue;
        if (!key->kind->parse(key, line->value, field(head, key)))
            return fail(p, "%s:%u: %s is '%.200s': allowed is %s", line->path, line->line,
                        key->name, line->value, key->allowed);
        head->given |= UINT64_C(1) << i;
        return true;
    }
    return unknown_key(p, line, k);
}

bool fw_sections_take(fw_sections *sections, char *error, size_t error_capacity,
                      const fw_config_line *line)
{
    size_t kind;
    problem p = {error, error_capacity};
    if (!find_kind(&p, line, &kind))
        return false;
    if (!line->name[0])
        return fail(&p, "%s:%u: a section [%s \"%s\"] has a name", line->path, line->line,
                    line->kind, fw_section_kinds[kind].example);
    if (strlen(line->name) > FW_NAME_MAX)
        return fail(&p, "%s:%u: the name is longer than %d bytes", line->path, line->line,
                    FW_NAME_MAX);
    fw_section_head *head = find(sections, kind, line->name);
    if (!head)
        head = add(sections, kind, line);
    if (!head)
        return fail(&p, "out of memory");
    return !line->key || take_key(&p, line, kind, head);
}

/* --- checking --- */

static bool wrong(const problem *p, const fw_section_head *head, const char *kind, const char *key,
                  const char *text)
{
    return fail(p, "%s:%u: [%s \"%s\"] %s: %s", head->path, head->line, kind, head->name, key,
                text);
}

static bool check_command(const problem *p, const fw_task_section *task)
{
    const char *why;
    char **words = fw_exec_words(task->exec, &why);
    bool good = words && words[0] && words[0][0] == '/';
    free(words);
    if (!words)
        return wrong(p, &task->head, "task", "exec", why);
    return good ||
           wrong(p, &task->head, "task", "exec", "the program is wanted with its whole path");
}

static bool check_task(const problem *p, const fw_task_section *task)
{
    const fw_section_kind *kind = &fw_section_kinds[FW_SECTION_TASK];
    bool exec = false;
    for (size_t i = 0; i < kind->key_count; i++) {
        exec |= strcmp(kind->keys[i].name, "exec") == 0;
        if (exec && has(&task->head, i) && !task->exec)
            return wrong(p, &task->head, "task", kind->keys[i].name,
                         "only a task with exec = PROGRAM has this key");
    }
    if (!task->exec)
        return true;
    if (task->progress_fd == 1 || task->progress_fd == 2)
        return wrong(p, &task->head, "task", "progress-fd", "allowed is 0, or 3 to 9");
    if (task->files_max > 0 && task->files_max < 8)
        return wrong(p, &task->head, "task", "files-max", "allowed is 0, or from 8");
    return check_command(p, task);
}

static bool check_schedule(const problem *p, const fw_schedule_section *s, int cron_style)
{
    char text[FW_SCHEDULE_TEXT_MAX + 1], why[320];
    fw_schedule when;
    fw_zone *zone;
    if (!s->task)
        return wrong(p, &s->head, "schedule", "task", "the name of a task is wanted");
    if (!s->cron == !s->every)
        return wrong(p, &s->head, "schedule", s->cron ? "every" : "cron",
                     "one of cron and every is wanted");
    snprintf(text, sizeof text, "%s%s", s->cron ? "" : "@every ", s->cron ? s->cron : s->every);
    /* TZ= before the fields is the table's business. */
    if (strncmp(text, "TZ=", 3) != 0 && strncmp(text, "CRON_TZ=", 8) != 0 &&
        fw_schedule_parse(&when, why, sizeof why, (fw_span){text, strlen(text)},
                          (fw_cron_style)cron_style) < 0)
        return wrong(p, &s->head, "schedule", s->cron ? "cron" : "every", why);
    if (!s->tz)
        return true;
    if (fw_zone_load(&zone, why, sizeof why, (fw_span){s->tz, strlen(s->tz)}) < 0)
        return wrong(p, &s->head, "schedule", "tz", why);
    fw_zone_free(zone);
    return true;
}

bool fw_sections_check(const fw_sections *sections, char *error, size_t error_capacity,
                       int cron_style)
{
    problem p = {error, error_capacity};
    for (size_t i = 0; i < sections->task_count; i++) {
        if (!check_task(&p, sections->tasks[i]))
            return false;
    }
    for (size_t i = 0; i < sections->schedule_count; i++) {
        if (!check_schedule(&p, sections->schedules[i], cron_style))
            return false;
    }
    return true;
}

/* --- looking --- */

const fw_task_section *fw_sections_task(const fw_sections *sections, const char *name)
{
    return (const fw_task_section *)(const void *)find(sections, FW_SECTION_TASK, name);
}

bool fw_task_section_has(const fw_task_section *section, const char *key)
{
    const fw_section_kind *kind = &fw_section_kinds[FW_SECTION_TASK];
    for (size_t i = 0; i < kind->key_count; i++) {
        if (strcmp(kind->keys[i].name, key) == 0)
            return has(&section->head, i);
    }
    FW_ASSERT(!"a key of the table");
    return false;
}

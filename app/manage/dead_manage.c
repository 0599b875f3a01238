/* app/manage/dead_manage.c - see app/manage/dead_manage.h. SPDX-License-Identifier: Apache-2.0 */
#include "app/manage/dead_manage.h"

#include <string.h>

#include "app/compose/compose.h"
#include "app/life/task_options.h"
#include "app/manage/dead_choice.h"
#include "app/manage/manage_text.h"

enum { TIMEOUT_MAX_S = 366 * 86400 };

/* --- the list --- */

/* False: it is no count, and it was said. */
static bool read_limit(fw_json request, int64_t *limit, fw_buffer *out)
{
    fw_json value = fw_json_get(request, "limit");
    if (!fw_json_is_there(value) || (fw_json_int(value, limit) && *limit >= 0))
        return true;
    fw_manage_fail(out, "invalid", "limit: a count is wanted");
    return false;
}

typedef struct listing {
    fw_buffer *out;
    fw_dead_choice choice;
    size_t limit, total;
} listing;

static void add_text(fw_buffer *out, const char *before, fw_span text)
{
    fw_buffer_text(out, before);
    fw_buffer_json_string(out, text);
}

static void add_json(fw_buffer *out, const char *before, fw_span text, const char *absent)
{
    fw_buffer_text(out, before);
    if (text.len > 0)
        fw_buffer_add(out, text.ptr, text.len);
    else
        fw_buffer_text(out, absent);
}

static bool list_one(void *context, const fw_dead_task *d)
{
    listing *l = context;
    fw_buffer *out = l->out;
    if (!fw_dead_is_chosen(&l->choice, d) || l->total++ >= l->limit)
        return true;
    add_text(out, l->total > 1 ? ", {\"task_id\": " : "{\"task_id\": ", d->id);
    add_text(out, ", \"name\": ", d->name);
    add_json(out, ", \"args\": ", d->args, "[]");
    add_json(out, ", \"kwargs\": ", d->kwargs, "{}");
    if (d->options.len > 0)
        add_json(out, ", \"options\": ", d->options, "{}");
    fw_buffer_format(out, ", \"priority\": \"%s\", \"attempts\": %u, \"losses\": %u",
                     fw_prio_name((fw_prio)d->level), d->attempts, d->losses);
    fw_buffer_format(out, ", \"max_retries\": %d, \"retry_delay\": ", (int)d->max_retries);
    fw_buffer_json_double(out, d->retry_delay_s);
    if (d->timeout_ns > 0)
        fw_buffer_format(out, ", \"timeout\": %.3f", (double)d->timeout_ns / 1e9);
    add_text(out, ", \"error\": ", d->error);
    if (d->attempt_errors.len > 0) {
        fw_buffer_text(out, ", \"attempt_errors\": ");
        fw_buffer_add(out, d->attempt_errors.ptr, d->attempt_errors.len);
    }
    fw_buffer_format(out, ", \"created_unix\": %.3f, \"died_unix\": %.3f}",
                     (double)d->created_wall_ns / 1e9, (double)d->died_wall_ns / 1e9);
    return true;
}

void fw_dead_write_list(fw_lifecycle *life, fw_json request, fw_buffer *out)
{
    int64_t limit = 100;
    listing l = {.out = out};
    const char *wrong = fw_dead_choice_read(&l.choice, request);
    if (wrong) {
        fw_manage_fail(out, "invalid", wrong);
        return;
    }
    if (!read_limit(request, &limit, out))
        return;
    l.limit = (size_t)limit;
    fw_buffer_text(out, "{\"tasks\": [");
    fw_dead_each(life->dead, list_one, &l);
    fw_buffer_format(out, "], \"total\": %zu}", l.total);
}

/* --- again, or forgotten --- */

typedef struct change {
    fw_lifecycle *life;
    bool again, dry_run, filtered;
    size_t limit, matched;
    fw_buffer ids; /* keys and ids of those that match, for when the lock is free again */
    fw_dead_choice choice;
} change;

static bool collect(void *context, const fw_dead_task *d)
{
    change *c = context;
    if (fw_dead_is_chosen(&c->choice, d) && c->matched++ < c->limit) {
        fw_buffer_text(&c->ids, c->ids.len > 0 ? ", " : "[");
        fw_buffer_json_string(&c->ids, d->id);
    }
    return true;
}

static bool change_one(const change *c, fw_key key)
{
    return c->dry_run ? fw_dead_has(c->life->dead, key)
                      : fw_dead_change_one(c->life, key, c->again);
}

/* By a list of ids, as JSON. */
static void change_ids(change *c, fw_json ids, fw_buffer *out, fw_buffer *unknown)
{
    char text[6 * FW_ID_MAX + 2];
    fw_span id;
    fw_json value;
    size_t done = 0, missing = 0;
    fw_json_cursor cursor = fw_json_open(ids);
    while (fw_json_next(&cursor, &value)) {
        bool known =
            fw_json_string(value, text, sizeof text, &id) && id.len > 0 && id.len <= FW_ID_MAX;
        known = known && change_one(c, fw_key_from_text(id));
        size_t before = known ? done++ : missing++;
        if (known && c->dry_run)
            continue;
        fw_buffer *list = known ? out : unknown;
        fw_buffer_text(list, before ? ", " : "");
        fw_buffer_add(list, value.text.ptr, value.text.len);
    }
    if (!c->filtered)
        c->matched = done;
}

/* NULL: good. */
static const char *read_change(change *c, fw_json request, fw_json *ids)
{
    bool all = false;
    fw_json every = fw_json_get(request, "all"), dry = fw_json_get(request, "dry_run");
    const char *wrong = fw_dead_choice_read(&c->choice, request);
    *ids = fw_json_get(request, "task_ids");
    if (wrong)
        return wrong;
    if (fw_json_is_there(every) && !fw_json_bool(every, &all))
        return "all: true or false";
    if (fw_json_is_there(dry) && !fw_json_bool(dry, &c->dry_run))
        return "dry_run: true or false";
    if (fw_json_is_there(*ids) && ids->type != FW_JSON_ARRAY)
        return "task_ids: an array of ids is wanted";
    if (fw_json_is_there(*ids) + (c->choice.any || all) != 1)
        return "which ones: task_ids; or name, error, priority, older_than; or all";
    return NULL;
}

void fw_dead_change(fw_lifecycle *life, fw_json request, bool again, fw_buffer *out)
{
    fw_json ids;
    int64_t limit = FW_DEAD_CHANGES_MAX;
    fw_buffer unknown = {0};
    change c = {.life = life, .again = again};
    const char *wrong = read_change(&c, request, &ids);
    if (wrong) {
        fw_manage_fail(out, "invalid", wrong);
        return;
    }
    if (!read_limit(request, &limit, out))
        return;
    c.limit = limit < FW_DEAD_CHANGES_MAX ? (size_t)limit : FW_DEAD_CHANGES_MAX;
    c.filtered = ids.type != FW_JSON_ARRAY;
    if (c.filtered) {
        fw_dead_each(life->dead, collect, &c);
        fw_buffer_text(&c.ids, c.ids.len > 0 ? "]" : "[]");
        ids = fw_json_parse((fw_span){c.ids.data, c.ids.failed ? 0 : c.ids.len});
    }
    fw_buffer_text(out, "{\"done\": [");
    if (ids.type == FW_JSON_ARRAY && !(c.filtered && c.dry_run))
        change_ids(&c, ids, out, &unknown);
    fw_buffer_text(out, "], \"unknown\": [");
    if (unknown.len > 0)
        fw_buffer_add(out, unknown.data, unknown.len);
    fw_buffer_text(out, "]");
    if (c.filtered || c.dry_run)
        fw_buffer_format(out, ", \"matched\": %zu, \"dry_run\": %s", c.matched,
                         c.dry_run ? "true" : "false");
    fw_buffer_text(out, "}");
    fw_buffer_fini(&unknown);
    fw_buffer_fini(&c.ids);
}

/* --- changed --- */

typedef struct edition {
    fw_lifecycle *life;
    fw_json request;
    const char *wrong; /* NULL: good */
    char task[FW_DEAD_TEXT_ROOM], options_error[FW_TASK_OPTIONS_ERROR];
} edition;

static bool take_json(fw_span *out, fw_json value, fw_json_type type)
{
    if (fw_json_is_there(value) && value.type == type)
        *out = value.text;
    return !fw_json_is_there(value) || value.type == type;
}

static const char *edit_what(edition *e, fw_dead_task *d)
{
    fw_task_options options;
    fw_json task = fw_json_get(e->request, "task"), wishes = fw_json_get(e->request, "options");
    if (fw_json_is_there(task) && (!fw_json_string(task, e->task, sizeof e->task, &d->name) ||
                                   d->name.len == 0 || d->name.len > FW_NAME_MAX))
        return "task: a name of 1 to 255 bytes";
    if (!take_json(&d->args, fw_json_get(e->request, "args"), FW_JSON_ARRAY))
        return "args: an array is wanted";
    if (!take_json(&d->kwargs, fw_json_get(e->request, "kwargs"), FW_JSON_OBJECT))
        return "kwargs: an object is wanted";
    if (!take_json(&d->options, wishes, FW_JSON_OBJECT))
        return "options: an object is wanted";
    /* What intake would refuse may not come back from there. */
    const fw_submission s = {.key = d->key, .id = d->id};
    if (fw_json_is_there(wishes) &&
        (!fw_task_options_read(&options, d->options, e->options_error) ||
         !fw_options_agree(e->life, &options, &s, e->options_error)))
        return e->options_error;
    return NULL;
}

static const char *edit_how(const edition *e, fw_dead_task *d)
{
    char word[16];
    fw_span text;
    double seconds;
    int64_t count;
    fw_json level = fw_json_get(e->request, "priority");
    fw_json timeout = fw_json_get(e->request, "timeout");
    fw_json retries = fw_json_get(e->request, "max_retries");
    fw_json delay = fw_json_get(e->request, "retry_delay");
    if (fw_json_is_there(level)) {
        int prio = fw_json_string(level, word, sizeof word, &text) ? fw_prio_parse(text) : -1;
        if (prio < 0)
            return "priority: critical, high, normal or low";
        d->level = (uint8_t)prio;
    }
    if (fw_json_is_there(timeout)) {
        if (!fw_json_double(timeout, &seconds) || !(seconds >= 0 && seconds <= TIMEOUT_MAX_S))
            return "timeout: seconds, 0 for the default";
        d->timeout_ns = (int64_t)(seconds * 1e9);
    }
    if (fw_json_is_there(retries)) {
        if (!fw_json_int(retries, &count) || count < 0 || count > 1000000)
            return "max_retries: a count is wanted";
        d->max_retries = (int32_t)count;
        if (d->retry_backoff <= 0) { /* it had none: as the wire has it */
            d->retry_backoff = 2;
            d->retry_backoff_max_s = 3600;
            d->retry_delay_s = 60;
        }
    }
    if (fw_json_is_there(delay)) {
        if (!fw_json_double(delay, &seconds) || !(seconds >= 0 && seconds <= TIMEOUT_MAX_S))
            return "retry_delay: seconds are wanted";
        d->retry_delay_s = seconds;
    }
    return NULL;
}

/* Whether anything is said that would be done. */
static bool says_what(fw_json request)
{
    static const char *const members[] = {"task",        "args",        "kwargs",
                                          "options",     "priority",    "timeout",
                                          "max_retries", "retry_delay", "retry"};
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++)
        if (fw_json_is_there(fw_json_get(request, members[i])))
            return true;
    return false;
}

static bool edit(void *context, fw_dead_task *d)
{
    edition *e = context;
    e->wrong = edit_what(e, d);
    if (!e->wrong)
        e->wrong = edit_how(e, d);
    return !e->wrong;
}

void fw_dead_edit_one(fw_lifecycle *life, fw_json request, fw_buffer *out)
{
    char text[6 * FW_ID_MAX + 2];
    fw_span id;
    bool retry = false;
    edition e = {.life = life, .request = request};
    fw_json again = fw_json_get(request, "retry");
    if (!fw_json_string(fw_json_get(request, "task_id"), text, sizeof text, &id) || id.len == 0 ||
        id.len > FW_ID_MAX || (fw_json_is_there(again) && !fw_json_bool(again, &retry))) {
        fw_manage_fail(out, "invalid", "task_id: the id of a dead task; retry: true or false");
        return;
    }
    if (!says_what(request)) {
        fw_manage_fail(out, "invalid",
                       "nothing is to be changed: say task, args, kwargs, options, priority, "
                       "timeout, max_retries, retry_delay or retry");
        return;
    }
    fw_key key = fw_key_from_text(id);
    int rc = fw_dead_edit(life->dead, key, edit, &e);
    if (rc == -FW_EUNKNOWN) {
        fw_manage_fail(out, "unknown", "no dead task has this id");
    } else if (rc < 0) {
        fw_manage_fail(out, "invalid",
                       e.wrong ? e.wrong : "no room for it among the dead (dead-bytes)");
    } else {
        bool retried = retry && fw_lifecycle_revive(life, key);
        add_text(out, "{\"task_id\": ", id);
        fw_buffer_format(out, ", \"retried\": %s}", retried ? "true" : "false");
    }
}

bool fw_dead_answer(fw_lifecycle *life, fw_span action, fw_json request, fw_buffer *out)
{
    if (fw_text_is(action, "dead"))
        fw_dead_write_list(life, request, out);
    else if (fw_text_is(action, "dead_retry") || fw_text_is(action, "dead_delete"))
        fw_dead_change(life, request, fw_text_is(action, "dead_retry"), out);
    else if (fw_text_is(action, "dead_edit"))
        fw_dead_edit_one(life, request, out);
    else
        return false;
    return true;
}

/* app/manage/dead_choice.c - see app/manage/dead_choice.h. Covered by tests/app/dead_manage_test.py
 * and tests/app/http_tasks_test.py. SPDX-License-Identifier: Apache-2.0 */
#include "app/manage/dead_choice.h"

#include <string.h>

#include "base/clock.h"

const char *fw_dead_choice_read(fw_dead_choice *c, fw_json object)
{
    char word[16];
    fw_span text;
    double seconds;
    fw_json name = fw_json_get(object, "name"), error = fw_json_get(object, "error");
    fw_json level = fw_json_get(object, "priority"), age = fw_json_get(object, "older_than");
    c->level = -1;
    c->any = fw_json_is_there(name) || fw_json_is_there(error) || fw_json_is_there(level) ||
             fw_json_is_there(age);
    if (fw_json_is_there(name) &&
        !fw_json_string(name, c->name_room, sizeof c->name_room, &c->name))
        return "name: the name of a task is wanted";
    if (fw_json_is_there(error) &&
        !fw_json_string(error, c->error_room, sizeof c->error_room, &c->error))
        return "error: a part of the error is wanted";
    if (fw_json_is_there(level)) {
        c->level = fw_json_string(level, word, sizeof word, &text) ? fw_prio_parse(text) : -1;
        if (c->level < 0)
            return "priority: critical, high, normal or low";
    }
    if (fw_json_is_there(age)) {
        if (!fw_json_double(age, &seconds) || !(seconds >= 0 && seconds < 1e9))
            return "older_than: seconds are wanted";
        c->died_before_ns = fw_wall_ns() - (int64_t)(seconds * 1e9);
    }
    return NULL;
}

bool fw_dead_is_chosen(const fw_dead_choice *c, const fw_dead_task *d)
{
    if (c->level >= 0 && c->level != d->level)
        return false;
    if (c->died_before_ns > 0 && d->died_wall_ns >= c->died_before_ns)
        return false;
    if (c->name.len > 0 &&
        (c->name.len != d->name.len || memcmp(c->name.ptr, d->name.ptr, c->name.len) != 0))
        return false;
    return c->error.len == 0 ||
           (d->error.len > 0 && memmem(d->error.ptr, d->error.len, c->error.ptr, c->error.len));
}

static void forget(void *context, const fw_dead_task *task)
{
    (void)context;
    (void)task;
}

bool fw_dead_change_one(fw_lifecycle *life, fw_key key, bool again)
{
    return again ? fw_lifecycle_revive(life, key) : fw_dead_take(life->dead, key, forget, NULL);
}

/* app/manage/dead_choice.h - which of the dead are meant: by name, error, priority and age; and
 * what can be done to one of them. For the management port and for HTTP. Any thread.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_APP_DEAD_CHOICE_H
#define FW_APP_DEAD_CHOICE_H

#include "app/life/lifecycle.h"
#include "base/json.h"

enum { FW_DEAD_CHANGES_MAX = 10000, FW_DEAD_TEXT_ROOM = 1024 };

/* Spans are borrowed, or from the rooms: do not copy one that was read. */
typedef struct fw_dead_choice {
    fw_span name, error; /* empty: all; error: a part of it */
    int level;           /* -1: all */
    int64_t died_before_ns;
    bool any; /* something was said */
    char name_room[FW_DEAD_TEXT_ROOM], error_room[FW_DEAD_TEXT_ROOM];
} fw_dead_choice;

/* The members name, error, priority, older_than (seconds since death) of an object; null is absent.
 * NULL, or what is wrong: "name: the name of a task is wanted". */
const char *fw_dead_choice_read(fw_dead_choice *out, fw_json object);
bool fw_dead_is_chosen(const fw_dead_choice *choice, const fw_dead_task *task);
/* Runs one again, or forgets it. False: it is not there, or does not run. */
bool fw_dead_change_one(fw_lifecycle *life, fw_key key, bool again);

#endif

/* app/life/task_options.h - the rarer wishes of a task: one JSON object, read here and nowhere
 * else.
 *
 * On every way in (both wires, HTTP, the command line) they are the member `options` of the task,
 * opaque to the network. A submission with options that cannot be read is refused with a sentence
 * that names the member; what was admitted is therefore good, and may be read again from the task's
 * record whenever somebody needs it. A new wish is a member of the struct, a line in the table of
 * task_options.c, and a line in docs/OPTIONS.md. Pure. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_APP_TASK_OPTIONS_H
#define FW_APP_TASK_OPTIONS_H

#include <stdbool.h>

#include "base/json.h"

enum {
    FW_TASK_OPTIONS_MAX = 64 * 1024, /* bytes of the object */
    FW_TASK_OPTIONS_ROOM = 2048,     /* of its texts that are written with escapes */
    FW_TASK_OPTIONS_ERROR = 160
};

typedef enum fw_after_failure {
    FW_AFTER_UNSAID = 0,
    FW_AFTER_FAIL, /* fails as well */
    FW_AFTER_SKIP, /* is cancelled */
    FW_AFTER_RUN   /* runs anyway */
} fw_after_failure;

/* How long a unique key is taken. */
typedef enum fw_unique_while {
    FW_UNIQUE_LIVE = 0, /* until its task is over */
    FW_UNIQUE_QUEUED,   /* until it begins: one runs while the next one waits */
    FW_UNIQUE_TIME      /* for unique_ns, whatever becomes of it */
} fw_unique_while;

/* Absent members are empty or 0. Spans are borrowed from the text or from `room`: do not copy the
 * struct. */
typedef struct fw_task_options {
    fw_span key;       /* what limits per key go by; 1 to 255 bytes */
    fw_span unique;    /* at most one live task of this key; 1 to 255 bytes */
    int64_t unique_ns; /* the key stays taken so long after the submission at least */
    fw_unique_while unique_while;
    fw_span group;               /* 1 to 255 bytes */
    fw_span after;               /* JSON array of ids, each a string */
    fw_span then;                /* JSON object: a task, when the whole group is over */
    fw_after_failure on_failure; /* of one in `after`, or of the group */
    fw_span webhook;             /* http:// or https:// */
    fw_span headers;             /* JSON object of strings: traceparent, and the caller's own */
    double retry_jitter;         /* 0 to 1: part of the wait that is left to chance */
    /* Before the first retry, and at most; seconds. 0 that was said is the least that is more. */
    double retry_delay_s, retry_backoff_max_s;
    double retry_backoff; /* how the wait grows with each */
    int64_t expires_ns;   /* not started so long after the submission: fails */
    char room[FW_TASK_OPTIONS_ROOM];
    size_t room_used;
} fw_task_options;

/* False: error has a sentence, "options: 'kay' is not known, did you mean 'key'?". Empty text: all
 * absent. */
bool fw_task_options_read(fw_task_options *out, fw_span text, char error[FW_TASK_OPTIONS_ERROR]);

#endif

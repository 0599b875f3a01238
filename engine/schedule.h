/* engine/schedule.h - when something is due again: cron expressions and intervals.
 *
 * Pure: time and zone are arguments. Immutable after parsing, so any thread may ask.
 *
 * Expressions:
 *   five fields: minute, hour, day of month, month, day of week; six: seconds before them.
 *   A field is a list of parts: a star, 5, 1-5, each with a step behind a slash; 5/10 is 5, 15,
 *   25, ...; months and weekdays also by their first three letters; Sunday is 0 and 7. A day
 *   matches by either of its fields when both are restricted, as POSIX has it.
 *   @yearly @annually @monthly @weekly @daily @midnight @hourly; @every 90s, 1h30m, 250ms, 2d;
 *   @reboot.
 *
 * Where clocks are changed: a time that clocks jump over is run at the first moment after the jump,
 * once, however many it are; a time that they show twice is run the first time only. Schedules
 * whose hours are unrestricted go by what has passed: nothing is made up for, and each of the two
 * hours has its runs; those whose minutes are unrestricted run in each real minute of both.
 *
 * The style python-0.3 reads five fields as FastWorker 0.3.0 does: Monday is 0, both day fields
 * must match, values out of range are dropped, 5/10 is 5, no names, no @ but @every and @reboot;
 * what does not come within 730 days does not come. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_ENGINE_SCHEDULE_H
#define FW_ENGINE_SCHEDULE_H

#include "engine/zone.h"

typedef enum fw_cron_style { FW_CRON_POSIX = 0, FW_CRON_PYTHON } fw_cron_style;
typedef enum fw_schedule_kind {
    FW_SCHEDULE_CRON = 0,
    FW_SCHEDULE_EVERY,
    FW_SCHEDULE_REBOOT
} fw_schedule_kind;

typedef struct fw_schedule {
    fw_schedule_kind kind;
    int64_t every_ns; /* EVERY */
    /* CRON: a bit for each value. */
    uint64_t seconds, minutes;
    uint32_t hours, days, months, weekdays; /* Sunday is 0 */
    bool both_days;                         /* a day has to match by both fields */
    bool each_hour, each_minute;            /* hours, or minutes, are unrestricted */
    int horizon_days;
} fw_schedule;

enum { FW_SCHEDULE_TEXT_MAX = 255 };
#define FW_SCHEDULE_NEVER INT64_MAX

/* 0, or -FW_EINVAL with a sentence in error that names the field. */
int fw_schedule_parse(fw_schedule *out, char *error, size_t error_capacity, fw_span text,
                      fw_cron_style style);
/* "90s", "1h30m", "250ms", "2d", a plain number of seconds; 10 ms to 10 years. False: it is none.
 */
bool fw_interval_parse(int64_t *out_ns, fw_span text);

/* The first moment due after that one, both in Unix nanoseconds, or FW_SCHEDULE_NEVER. Intervals
 * are counted from anchor_ns, which is due itself; REBOOT is never due. */
int64_t fw_schedule_next(const fw_schedule *schedule, const fw_zone *zone, int64_t after_ns,
                         int64_t anchor_ns);

#endif

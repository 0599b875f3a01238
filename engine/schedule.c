/* engine/schedule.c - see engine/schedule.h: the next time due. Reading is in cron_text.c.
 *
 * Time is walked in stretches in which the offset of the zone does not change: inside of one, local
 * times are as regular as in UTC. SPDX-License-Identifier: Apache-2.0 */
#include "engine/schedule.h"

#include "base/clock.h"
#include "engine/civil.h"

/* --- in local time --- */

/* The lowest bit of a set at or above a place; -1: none. */
static int bit_from(uint64_t set, int place)
{
    if (place >= 64)
        return -1;
    set = set >> place << place;
    return set ? __builtin_ctzll(set) : -1;
}

static bool has_day(const fw_schedule *s, int64_t days, int day)
{
    bool by_date = s->days >> day & 1, by_weekday = s->weekdays >> fw_weekday_of(days) & 1;
    return s->both_days ? by_date && by_weekday : by_date || by_weekday;
}

/* The first matching second of a day at or after one; -1: none. */
static int second_of_day(const fw_schedule *s, int from)
{
    int from_hour = from / 3600, from_minute = from / 60 % 60, from_second = from % 60;
    int hour = bit_from(s->hours, from_hour);
    if (hour == from_hour) {
        int minute = bit_from(s->minutes, from_minute);
        if (minute == from_minute) {
            int second = bit_from(s->seconds, from_second);
            if (second >= 0)
                return hour * 3600 + minute * 60 + second;
            minute = bit_from(s->minutes, from_minute + 1);
        }
        if (minute >= 0)
            return hour * 3600 + minute * 60 + bit_from(s->seconds, 0);
        hour = bit_from(s->hours, from_hour + 1);
    }
    if (hour < 0)
        return -1;
    return hour * 3600 + bit_from(s->minutes, 0) * 60 + bit_from(s->seconds, 0);
}

/* The first matching local second at or after one and before the end; NEVER: none. */
static int64_t next_local(const fw_schedule *s, int64_t local_s, int64_t end_s)
{
    int64_t days = fw_floor_div(local_s, FW_DAY_S);
    int from = (int)(local_s - days * FW_DAY_S);
    fw_date date = fw_date_of(days);
    if (s->seconds == 0 || s->minutes == 0 || s->hours == 0)
        return FW_SCHEDULE_NEVER;
    while (days * FW_DAY_S < end_s) {
        if ((s->months >> date.month & 1) && has_day(s, days, date.day)) {
            int second = second_of_day(s, from);
            if (second >= 0)
                return days * FW_DAY_S + second;
        }
        from = 0;
        days++;
        if (++date.day > fw_days_in_month(date.year, date.month)) {
            date.day = 1;
            date.year += date.month == 12;
            date.month = date.month % 12 + 1;
        }
    }
    return FW_SCHEDULE_NEVER;
}

/* --- in a zone --- */

static bool is_repeated(const fw_schedule *s, const fw_zone *zone, int64_t unix_s, int64_t local_s)
{
    int64_t found[2];
    if (s->each_hour || s->each_minute)
        return false;
    return fw_zone_find(zone, found, local_s) > 0 && found[0] != unix_s;
}

static int64_t next_cron(const fw_schedule *s, const fw_zone *zone, int64_t after_s)
{
    int64_t at_s = after_s + 1;
    int64_t horizon_s = after_s + (int64_t)s->horizon_days * FW_DAY_S;
    int64_t end_s = fw_zone_next_change(zone, after_s);
    int64_t offset_s = fw_zone_offset(zone, after_s);
    for (;;) {
        int64_t limit_s = end_s <= horizon_s ? end_s : horizon_s + 1;
        while (at_s < limit_s) {
            int64_t local_s = next_local(s, at_s + offset_s, limit_s + offset_s);
            if (local_s == FW_SCHEDULE_NEVER || local_s - offset_s >= limit_s)
                break;
            at_s = local_s - offset_s;
            if (!is_repeated(s, zone, at_s, local_s))
                return at_s;
            at_s++;
        }
        if (end_s > horizon_s)
            return FW_SCHEDULE_NEVER;
        int64_t jump_s = fw_zone_offset(zone, end_s) - offset_s;
        if (jump_s > 0 && !s->each_hour) {
            int64_t local_s = end_s + offset_s;
            if (next_local(s, local_s, local_s + jump_s) < local_s + jump_s)
                return end_s;
        }
        at_s = end_s;
        offset_s += jump_s;
        end_s = fw_zone_next_change(zone, at_s);
    }
}

int64_t fw_schedule_next(const fw_schedule *schedule, const fw_zone *zone, int64_t after_ns,
                         int64_t anchor_ns)
{
    if (schedule->kind == FW_SCHEDULE_REBOOT)
        return FW_SCHEDULE_NEVER;
    if (schedule->kind == FW_SCHEDULE_EVERY) {
        if (after_ns < anchor_ns)
            return anchor_ns;
        int64_t passed_ns = (after_ns - anchor_ns) % schedule->every_ns;
        int64_t left_ns = schedule->every_ns - passed_ns;
        return after_ns > INT64_MAX - left_ns ? FW_SCHEDULE_NEVER : after_ns + left_ns;
    }
    int64_t next_s = next_cron(schedule, zone, fw_floor_div(after_ns, FW_NS_PER_S));
    return next_s > INT64_MAX / FW_NS_PER_S ? FW_SCHEDULE_NEVER : next_s * FW_NS_PER_S;
}

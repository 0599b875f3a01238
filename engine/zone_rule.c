/* engine/zone_rule.c - see engine/zone_rule.h. Covered by zone_test.c.
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/zone_rule.h"

#include "engine/civil.h"

enum { EVENTS = 8, HOURS_MAX = 167 };

/* --- reading --- */

typedef struct reader {
    const char *at, *end;
} reader;

static bool take(reader *r, char c)
{
    if (r->at == r->end || *r->at != c)
        return false;
    r->at++;
    return true;
}

static bool is_digit(const reader *r)
{
    return r->at < r->end && *r->at >= '0' && *r->at <= '9';
}

static bool take_number(reader *r, int *out, int least, int most)
{
    int value = 0;
    if (!is_digit(r))
        return false;
    for (int digits = 0; is_digit(r); r->at++) {
        if (++digits > 3)
            return false;
        value = value * 10 + (*r->at - '0');
    }
    *out = value;
    return value >= least && value <= most;
}

/* Three letters or more, or anything of the kind in angle brackets. */
static bool take_name(reader *r)
{
    bool quoted = take(r, '<');
    int count = 0;
    for (; r->at < r->end; r->at++, count++) {
        char c = *r->at, lower = (char)(c | 0x20);
        bool letter = lower >= 'a' && lower <= 'z';
        if (!letter && !(quoted && (is_digit(r) || c == '+' || c == '-')))
            break;
    }
    return count >= 3 && (!quoted || take(r, '>'));
}

/* [+-]hh[:mm[:ss]] */
static bool take_time(reader *r, int32_t *out, int hours_max)
{
    int hours, minutes = 0, seconds = 0;
    bool negative = take(r, '-');
    if (!negative)
        (void)take(r, '+');
    if (!take_number(r, &hours, 0, hours_max))
        return false;
    if (take(r, ':') && !take_number(r, &minutes, 0, 59))
        return false;
    if (take(r, ':') && !take_number(r, &seconds, 0, 59))
        return false;
    int32_t value = hours * 3600 + minutes * 60 + seconds;
    *out = negative ? -value : value;
    return true;
}

static bool take_change(reader *r, fw_rule_change *out)
{
    *out = (fw_rule_change){.time_s = 2 * 3600};
    bool good;
    if (take(r, 'M')) {
        out->kind = FW_RULE_MONTH;
        good = take_number(r, &out->month, 1, 12) && take(r, '.') &&
               take_number(r, &out->week, 1, 5) && take(r, '.') && take_number(r, &out->day, 0, 6);
    } else if (take(r, 'J')) {
        out->kind = FW_RULE_JULIAN;
        good = take_number(r, &out->day, 1, 365);
    } else {
        out->kind = FW_RULE_ZERO_DAY;
        good = take_number(r, &out->day, 0, 365);
    }
    return good && (!take(r, '/') || take_time(r, &out->time_s, HOURS_MAX));
}

bool fw_zone_rule_parse(fw_zone_rule *out, fw_span text)
{
    reader r = {text.ptr, text.ptr + text.len};
    fw_zone_rule rule = {0};
    int32_t west;
    if (!take_name(&r) || !take_time(&r, &west, 24))
        return false;
    rule.standard_s = rule.summer_s = -west;
    if (r.at < r.end) {
        rule.has_summer = true;
        rule.summer_s = rule.standard_s + 3600;
        if (!take_name(&r))
            return false;
        if (r.at < r.end && *r.at != ',') {
            if (!take_time(&r, &west, 24))
                return false;
            rule.summer_s = -west;
        }
        if (!take(&r, ',') || !take_change(&r, &rule.start) || !take(&r, ',') ||
            !take_change(&r, &rule.end))
            return false;
    }
    if (r.at != r.end)
        return false;
    *out = rule;
    return true;
}

/* --- telling --- */

static int64_t day_of(const fw_rule_change *change, int64_t year)
{
    if (change->kind == FW_RULE_ZERO_DAY)
        return fw_days_of(year, 1, 1) + change->day;
    if (change->kind == FW_RULE_JULIAN)
        return fw_days_of(year, 1, 1) + change->day - 1 +
               (change->day >= 60 && fw_is_leap_year(year));
    int64_t first = fw_days_of(year, change->month, 1);
    int day = (change->day - fw_weekday_of(first) + 7) % 7 + (change->week - 1) * 7;
    if (day >= fw_days_in_month(year, change->month))
        day -= 7;
    return first + day;
}

typedef struct event {
    int64_t at;
    bool summer; /* from then on */
} event;

/* The changes of last year to the next but one, by time; of two at once the beginning comes last,
 * so that a summer that never ends is one. */
static void list(const fw_zone_rule *rule, int64_t unix_s, event out[EVENTS])
{
    int64_t year = fw_date_of(fw_floor_div(unix_s + rule->standard_s, FW_DAY_S)).year;
    int count = 0;
    for (int64_t y = year - 1; y <= year + 2; y++) {
        event both[] = {
            {day_of(&rule->start, y) * FW_DAY_S + rule->start.time_s - rule->standard_s, true},
            {day_of(&rule->end, y) * FW_DAY_S + rule->end.time_s - rule->summer_s, false},
        };
        for (int i = 0; i < 2; i++) {
            int place = count++;
            while (place > 0 && (out[place - 1].at > both[i].at ||
                                 (out[place - 1].at == both[i].at && out[place - 1].summer))) {
                out[place] = out[place - 1];
                place--;
            }
            out[place] = both[i];
        }
    }
}

static bool is_summer(const event events[EVENTS], int64_t unix_s)
{
    bool summer = !events[0].summer;
    for (int i = 0; i < EVENTS && events[i].at <= unix_s; i++)
        summer = events[i].summer;
    return summer;
}

int32_t fw_zone_rule_offset(const fw_zone_rule *rule, int64_t unix_s)
{
    event events[EVENTS];
    if (!rule->has_summer)
        return rule->standard_s;
    list(rule, unix_s, events);
    return is_summer(events, unix_s) ? rule->summer_s : rule->standard_s;
}

int64_t fw_zone_rule_next(const fw_zone_rule *rule, int64_t unix_s)
{
    event events[EVENTS];
    if (!rule->has_summer || rule->standard_s == rule->summer_s)
        return INT64_MAX;
    list(rule, unix_s, events);
    bool now = is_summer(events, unix_s);
    /* What follows the last one at the same moment is not known. */
    for (int i = 0; i < EVENTS - 1; i++) {
        if (events[i].at > unix_s && is_summer(events, events[i].at) != now)
            return events[i].at;
    }
    return INT64_MAX;
}

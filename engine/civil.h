/* engine/civil.h - days and dates of the Gregorian calendar, as it is reckoned backwards and
 * forwards without end. Pure; any thread.
 *
 * Days count from 1970-01-01. A year is taken to begin in March here, so that the day that comes
 * and goes is its last. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_ENGINE_CIVIL_H
#define FW_ENGINE_CIVIL_H

#include <stdbool.h>
#include <stdint.h>

enum { FW_DAY_S = 86400, FW_EPOCH_WEEKDAY = 4 /* a Thursday; Sunday is 0 */ };

typedef struct fw_date {
    int64_t year;
    int month, day; /* 1 to 12, 1 to 31 */
} fw_date;

static inline int64_t fw_floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

static inline int64_t fw_days_of(int64_t year, int month, int day)
{
    int64_t y = month > 2 ? year : year - 1;
    int64_t era = fw_floor_div(y, 400), in_era = y - era * 400;
    int64_t in_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + in_era * 365 + in_era / 4 - in_era / 100 + in_year - 719468;
}

static inline fw_date fw_date_of(int64_t days)
{
    int64_t z = days + 719468;
    int64_t era = fw_floor_div(z, 146097), in_era = z - era * 146097;
    int64_t y = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
    int64_t in_year = in_era - (365 * y + y / 4 - y / 100);
    int64_t m = (5 * in_year + 2) / 153;
    int month = (int)(m < 10 ? m + 3 : m - 9);
    return (fw_date){era * 400 + y + (month <= 2), month, (int)(in_year - (153 * m + 2) / 5) + 1};
}

static inline bool fw_is_leap_year(int64_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static inline int fw_days_in_month(int64_t year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return days[month - 1] + (month == 2 && fw_is_leap_year(year));
}

/* Sunday is 0. */
static inline int fw_weekday_of(int64_t days)
{
    return (int)((days % 7 + 7 + FW_EPOCH_WEEKDAY) % 7);
}

#endif

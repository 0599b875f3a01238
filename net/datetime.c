/* net/datetime.c - calendar arithmetic, and the local offset.
 *
 * Offsets change at whole quarters of an hour of UTC, so that one look-up per thread and quarter is
 * enough. SPDX-License-Identifier: Apache-2.0 */
#include "net/datetime.h"

#include <math.h>
#include <string.h>
#include <time.h>

#include "base/assert.h"

#define NS_PER_S INT64_C(1000000000)

enum { DAY_S = 86400, QUARTER_S = 900, MICROSECONDS = 1000000, PLACES = 32 };

/* ---- Days ---- */

/* Days since 1970-01-01 of a date in the Gregorian calendar; years start in March, so that the day
 * that comes and goes is the last. */
static int64_t days_of(int year, int month, int day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year -
           719468;
}

static void date_of(int64_t days, int *year, int *month, int *day)
{
    int64_t z = days + 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t day_of_era = z - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t shifted = (5 * day_of_year + 2) / 153;
    *day = (int)(day_of_year - (153 * shifted + 2) / 5 + 1);
    *month = (int)(shifted < 10 ? shifted + 3 : shifted - 9);
    *year = (int)(year_of_era + era * 400 + (*month <= 2 ? 1 : 0));
}

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0 ? 1 : 0);
}

/* ---- The local offset ---- */

/* Seconds that local time is ahead of UTC at that moment. */
static int64_t offset_at(int64_t utc_s)
{
    /* Several places: reading a local time looks at the quarters an offset and a day away as well.
     */
    static _Thread_local struct {
        int64_t quarter, offset;
        bool known;
    } places[PLACES];
    int64_t quarter = floor_div(utc_s, QUARTER_S);
    unsigned place = (unsigned)((uint64_t)quarter * UINT64_C(0x9e3779b97f4a7c15) >> 59);
    if (FW_UNLIKELY(!places[place].known || places[place].quarter != quarter)) {
        time_t moment = (time_t)utc_s;
        struct tm local;
        if (localtime_r(&moment, &local) == NULL)
            return 0;
        places[place].quarter = quarter;
        places[place].offset = local.tm_gmtoff;
        places[place].known = true;
    }
    return places[place].offset;
}

static int64_t local_of(int64_t utc_s)
{
    return utc_s + offset_at(utc_s);
}

/* UTC of a naive local time as datetime.timestamp() has it: of the two moments in an hour that
 * repeats the first; in an hour that is missing, as if the clock had not been set. */
static int64_t utc_of(int64_t local_s)
{
    int64_t ahead = offset_at(local_s), other;
    int64_t first = local_s - ahead;
    if (local_of(first) == local_s) {
        other = offset_at(first - DAY_S);
        if (other == ahead)
            return first;
    } else {
        other = local_of(first) - first;
    }
    int64_t second = local_s - other;
    if (local_of(second) == local_s)
        return second;
    if (local_of(first) == local_s)
        return first;
    return first > second ? first : second;
}

/* ---- Writing ---- */

static char *put2(char *out, int value)
{
    out[0] = (char)('0' + value / 10);
    out[1] = (char)('0' + value % 10);
    return out + 2;
}

size_t fw_datetime_format(char out[FW_DATETIME_TEXT], int64_t wall_ns, char separator)
{
    int64_t utc_s = floor_div(wall_ns, NS_PER_S);
    int64_t rest = wall_ns % NS_PER_S;
    int micro = (int)((rest < 0 ? rest + NS_PER_S : rest) / 1000);
    int64_t local_s = local_of(utc_s);
    int64_t days = floor_div(local_s, DAY_S);
    int second = (int)(local_s - days * DAY_S);
    int year, month, day;
    date_of(days, &year, &month, &day);
    FW_ASSERT(year > 0 && year <= 9999 && second >= 0 && second < DAY_S);
    char *at = put2(put2(out, year / 100), year % 100);
    *at++ = '-';
    at = put2(at, month);
    *at++ = '-';
    at = put2(at, day);
    *at++ = separator;
    at = put2(at, second / 3600);
    *at++ = ':';
    at = put2(at, second / 60 % 60);
    *at++ = ':';
    at = put2(at, second % 60);
    if (micro != 0) {
        *at++ = '.';
        at = put2(put2(put2(at, micro / 10000), micro / 100 % 100), micro % 100);
    }
    FW_ASSERT(at - out <= FW_DATETIME_TEXT);
    return (size_t)(at - out);
}

/* ---- Reading ---- */

static int64_t saturated_ns(int64_t seconds, int64_t nanoseconds)
{
    int64_t ns;
    if (__builtin_mul_overflow(seconds, NS_PER_S, &ns) ||
        __builtin_add_overflow(ns, nanoseconds, &ns))
        return seconds < 0 ? INT64_MIN : INT64_MAX;
    return ns;
}

bool fw_datetime_from_number(int64_t *wall_ns, double number)
{
    if (!isfinite(number))
        return false;
    double micro = fabs(number) > 2e10 ? number * 1e3 : number * 1e6;
    /* The first moments of the years 10000 and 1. */
    if (micro >= 253402300800e6 || micro < -62135596800e6)
        return false;
    int64_t whole = (int64_t)nearbyint(micro);
    int64_t seconds = floor_div(whole, MICROSECONDS);
    *wall_ns = saturated_ns(seconds, (whole - seconds * MICROSECONDS) * 1000);
    return true;
}

typedef struct reader {
    const char *at, *end;
} reader;

/* Exactly count digits; -1: not so. */
static int take_digits(reader *r, int count)
{
    int value = 0;
    if (r->end - r->at < count)
        return -1;
    for (int i = 0; i < count; i++, r->at++) {
        if (*r->at < '0' || *r->at > '9')
            return -1;
        value = value * 10 + (*r->at - '0');
    }
    return value;
}

static bool take_char(reader *r, const char *any)
{
    if (r->at == r->end || *r->at == '\0' || strchr(any, *r->at) == NULL)
        return false;
    r->at++;
    return true;
}

static bool take_date(reader *r, int64_t *days)
{
    static const unsigned char lengths[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int year = take_digits(r, 4);
    if (year < 1 || !take_char(r, "-"))
        return false;
    int month = take_digits(r, 2);
    if (month < 1 || month > 12 || !take_char(r, "-"))
        return false;
    int day = take_digits(r, 2);
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    if (day < 1 || day > lengths[month - 1] || (month == 2 && day == 29 && !leap))
        return false;
    *days = days_of(year, month, day);
    return true;
}

/* Hours and minutes, then seconds and a fraction if they are there. */
static bool take_time(reader *r, int64_t *seconds, int64_t *nanoseconds)
{
    int hour = take_digits(r, 2);
    if (hour < 0 || hour > 23 || !take_char(r, ":"))
        return false;
    int minute = take_digits(r, 2), second = 0;
    if (minute < 0 || minute > 59)
        return false;
    *nanoseconds = 0;
    if (take_char(r, ":")) {
        second = take_digits(r, 2);
        if (second < 0 || second > 59)
            return false;
        if (take_char(r, ".,")) {
            int64_t unit = 100 * 1000 * 1000;
            const char *start = r->at;
            for (int digit; (digit = take_digits(r, 1)) >= 0; unit /= 10)
                *nanoseconds += unit >= 1000 ? digit * unit : 0;
            if (r->at == start)
                return false;
        }
    }
    *seconds = hour * 3600 + minute * 60 + second;
    return true;
}

/* Nothing, Z, or an offset (the minus may be U+2212). 1: an offset; 0: none; -1: something else. */
static int take_offset(reader *r, int64_t *offset)
{
    if (r->at == r->end)
        return 0;
    *offset = 0;
    if (take_char(r, "Zz"))
        return r->at == r->end ? 1 : -1;
    int sign = 1;
    if (r->end - r->at >= 3 && memcmp(r->at, "\xe2\x88\x92", 3) == 0) {
        sign = -1;
        r->at += 3;
    } else if (take_char(r, "-")) {
        sign = -1;
    } else if (!take_char(r, "+")) {
        return -1;
    }
    int hour = take_digits(r, 2);
    if (hour < 0 || hour > 23)
        return -1;
    take_char(r, ":");
    int minute = take_digits(r, 2);
    if (minute < 0 || minute > 59 || r->at != r->end)
        return -1;
    *offset = sign * (hour * 3600 + minute * 60);
    return 1;
}

/* "1700000000.5", "-3", "+5.", ".5": digits with at most one point. */
static bool number_of(double *number, fw_span text)
{
    size_t at = text.len > 0 && (text.ptr[0] == '-' || text.ptr[0] == '+') ? 1 : 0;
    double value = 0, scale = 1;
    bool point = false, digits = false;
    for (; at < text.len; at++) {
        char c = text.ptr[at];
        if (c == '.' && !point) {
            point = true;
        } else if (c >= '0' && c <= '9') {
            digits = true;
            value = value * 10 + (c - '0');
            if (point)
                scale *= 10;
        } else {
            return false;
        }
    }
    *number = text.len > 0 && text.ptr[0] == '-' ? -value / scale : value / scale;
    return digits;
}

bool fw_datetime_parse(int64_t *wall_ns, fw_span text)
{
    double number;
    if (number_of(&number, text))
        return fw_datetime_from_number(wall_ns, number);
    reader r = {text.ptr, text.ptr + text.len};
    int64_t days, seconds = 0, nanoseconds = 0, offset = 0;
    if (!take_date(&r, &days))
        return false;
    int zone = 0;
    if (r.at != r.end) {
        if (!take_char(&r, " Tt_") || !take_time(&r, &seconds, &nanoseconds))
            return false;
        zone = take_offset(&r, &offset);
        if (zone < 0)
            return false;
    }
    seconds += days * DAY_S;
    seconds = zone > 0 ? seconds - offset : utc_of(seconds);
    *wall_ns = saturated_ns(seconds, nanoseconds);
    return true;
}

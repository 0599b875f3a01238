/* app/commands/moment.c - see app/commands/moment.h. SPDX-License-Identifier: Apache-2.0 */
#include "app/commands/moment.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"

bool fw_duration_read(int64_t *out_ms, const char *text)
{
    static const struct {
        const char *unit;
        double ms;
    } units[] = {{"", 1e3},   {"s", 1e3},   {"ms", 1},     {"m", 60e3},
                 {"h", 36e5}, {"d", 864e5}, {"min", 60e3}, {"sec", 1e3}};
    char *end;
    double number = strtod(text, &end);
    if (end == text || isspace((unsigned char)*text) || !(number >= 0 && number <= 1e9))
        return false;
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
        if (strcmp(end, units[i].unit) == 0) {
            double ms = number * units[i].ms;
            *out_ms = ms > 0 && ms < 1 ? 1 : (int64_t)ms; /* 0 may mean: without */
            return true;
        }
    return false;
}

/* "Z", "+01:00", "-0330" in seconds east. */
static bool read_offset(const char *text, long *seconds)
{
    int hours, minutes, used = 0;
    if (strcmp(text, "Z") == 0) {
        *seconds = 0;
        return true;
    }
    if ((sscanf(text, "%*[+-]%2d:%2d%n", &hours, &minutes, &used) != 2 &&
         sscanf(text, "%*[+-]%2d%2d%n", &hours, &minutes, &used) != 2) ||
        text[used] != '\0' || hours > 23 || minutes > 59)
        return false;
    *seconds = (hours * 60L + minutes) * 60L * (text[0] == '-' ? -1 : 1);
    return true;
}

/* strptime takes the 30th of February and the second 60, and mktime makes another time of them. */
static bool is_on_calendar(const struct tm *parts)
{
    static const unsigned char lengths[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int year = parts->tm_year + 1900;
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return parts->tm_sec < 60 && parts->tm_mday <= lengths[parts->tm_mon] &&
           (parts->tm_mon != 1 || parts->tm_mday < 29 || leap);
}

bool fw_moment_read(int64_t *out_unix_ms, const char *text)
{
    struct tm parts = {.tm_isdst = -1};
    const char *rest = strptime(text, "%Y-%m-%d", &parts);
    double fraction = 0;
    long offset;
    if (rest == NULL) {
        char *end;
        double seconds = strtod(text, &end);
        *out_unix_ms = (int64_t)(seconds * 1e3);
        return end != text && *end == '\0' && seconds > 0 && seconds < 1e11;
    }
    if (*rest == 'T' || *rest == ' ') {
        const char *time = rest + 1;
        rest = strptime(time, "%H:%M:%S", &parts);
        if (rest == NULL)
            rest = strptime(time, "%H:%M", &parts);
        if (rest == NULL)
            return false;
        if (*rest == '.' && isdigit((unsigned char)rest[1])) {
            char *end;
            fraction = strtod(rest, &end);
            rest = end;
        }
    }
    if (!is_on_calendar(&parts))
        return false;
    time_t seconds;
    if (*rest == '\0')
        seconds = mktime(&parts);
    else if (read_offset(rest, &offset))
        seconds = timegm(&parts) - offset;
    else
        return false;
    *out_unix_ms = (int64_t)seconds * 1000 + (int64_t)(fraction * 1000);
    return seconds > 0;
}

void fw_moment_write(char *out, size_t capacity, int64_t unix_ns)
{
    time_t seconds = (time_t)(unix_ns / FW_NS_PER_S);
    int micros = (int)(unix_ns % FW_NS_PER_S / 1000);
    struct tm parts;
    localtime_r(&seconds, &parts);
    size_t n = strftime(out, capacity, "%Y-%m-%d %H:%M:%S", &parts);
    if (micros != 0)
        snprintf(out + n, capacity - n, ".%06d", micros);
}

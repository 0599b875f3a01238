/* engine/cron_text.c - reading cron expressions and intervals (engine/schedule.h). Covered by
 * schedule_test.c. SPDX-License-Identifier: Apache-2.0 */
#include "engine/schedule.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"

/* Eight years may pass from one 29 February to the next, and a margin. */
enum { HORIZON_DAYS = 9 * 366, PYTHON_HORIZON_DAYS = 730, NUMBER_MAX = 1000000 };
static const int64_t every_least_ns = 10 * FW_NS_PER_MS;
static const int64_t every_most_ns = 3660 * INT64_C(86400) * FW_NS_PER_S;

typedef struct field {
    const char *name;
    int least, most;
    const char *const *words; /* for least, least + 1, ...; NULL: none */
} field;

static const char *const month_names[] = {"jan", "feb", "mar", "apr", "may", "jun", "jul",
                                          "aug", "sep", "oct", "nov", "dec", NULL};
static const char *const day_names[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat", NULL};

enum { SECOND, MINUTE, HOUR, DAY, MONTH, WEEKDAY, FIELDS };
static const field fields[FIELDS] = {
    {"second", 0, 59, NULL},       {"minute", 0, 59, NULL},       {"hour", 0, 23, NULL},
    {"day of month", 1, 31, NULL}, {"month", 1, 12, month_names}, {"day of week", 0, 7, day_names},
};

typedef struct reader {
    char *error;
    size_t error_capacity;
    fw_cron_style style;
    const field *field;
    fw_span text; /* of the field */
} reader;

static bool wrong(const reader *r, const char *format, ...) FW_FMT(2, 3);
static bool wrong(const reader *r, const char *format, ...)
{
    va_list list;
    int len = snprintf(r->error, r->error_capacity, "%s \"%.*s\": ", r->field->name,
                       (int)r->text.len, r->text.ptr);
    va_start(list, format);
    if (len >= 0 && (size_t)len < r->error_capacity)
        vsnprintf(r->error + len, r->error_capacity - (size_t)len, format, list);
    va_end(list);
    return false;
}

/* --- pieces of text --- */

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* The next piece up to the mark; false: there was none left. */
static bool next_piece(fw_span *rest, char mark, fw_span *piece)
{
    if (!rest->ptr)
        return false;
    const char *end = memchr(rest->ptr, mark, rest->len);
    *piece = (fw_span){rest->ptr, end ? (size_t)(end - rest->ptr) : rest->len};
    *rest = end ? (fw_span){end + 1, rest->len - piece->len - 1} : (fw_span){0};
    return true;
}

static bool next_word(fw_span *rest, fw_span *word)
{
    while (rest->len > 0 && is_space(*rest->ptr))
        *rest = (fw_span){rest->ptr + 1, rest->len - 1};
    size_t len = 0;
    while (len < rest->len && !is_space(rest->ptr[len]))
        len++;
    *word = (fw_span){rest->ptr, len};
    *rest = (fw_span){rest->ptr + len, rest->len - len};
    return len > 0;
}

static bool equal(fw_span text, const char *word)
{
    if (text.len != strlen(word))
        return false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if ((c >= 'A' && c <= 'Z' ? c | 0x20 : c) != word[i])
            return false;
    }
    return true;
}

static bool read_number(fw_span text, int *out)
{
    int value = 0;
    if (text.len == 0)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9' || value > NUMBER_MAX)
            return false;
        value = value * 10 + (text.ptr[i] - '0');
    }
    *out = value;
    return true;
}

/* A number or a name; its range is not looked at. */
static bool read_value(const reader *r, fw_span text, int *out)
{
    if (read_number(text, out))
        return true;
    for (int i = 0; r->style == FW_CRON_POSIX && r->field->words && r->field->words[i]; i++) {
        if (equal(text, r->field->words[i])) {
            *out = r->field->least + i;
            return true;
        }
    }
    return wrong(r, "\"%.*s\" is no %s", (int)text.len, text.ptr,
                 r->field->words && r->style == FW_CRON_POSIX ? "number or name" : "number");
}

/* --- fields --- */

typedef struct range {
    int first, last, step;
} range;

static bool check_range(const reader *r, range *g)
{
    const field *f = r->field;
    /* "fri-sun", "5-0": the Sunday at the week's end. */
    if (f == &fields[WEEKDAY] && g->last == 0 && g->first > 0)
        g->last = 7;
    if (g->first < f->least || g->first > f->most || g->last > f->most)
        return wrong(r, "%d is not in %d to %d",
                     g->first < f->least || g->first > f->most ? g->first : g->last, f->least,
                     f->most);
    if (g->last < g->first)
        return wrong(r, "the range ends before it begins");
    if (g->step == 0)
        return wrong(r, "the step must be 1 or more");
    if (g->step > f->most - f->least)
        return wrong(r, "a step of %d is longer than the whole range", g->step);
    return true;
}

static bool read_part(const reader *r, fw_span part, uint64_t *set)
{
    fw_span rest = part, what, step, ends;
    range g = {r->field->least, r->field->most, 1};
    bool python = r->style == FW_CRON_PYTHON;
    (void)next_piece(&rest, '/', &what);
    bool stepped = next_piece(&rest, '/', &step);
    if (stepped && (rest.ptr || !read_number(step, &g.step)))
        return wrong(r, "a step is a number behind one \"/\"");
    if (!equal(what, "*")) {
        ends = what;
        (void)next_piece(&ends, '-', &what);
        if (!read_value(r, what, &g.first))
            return false;
        g.last = stepped && !python ? r->field->most : g.first;
        if (ends.ptr && !read_value(r, ends, &g.last))
            return false;
    } else if (r->field == &fields[WEEKDAY]) {
        g.last = 6; /* seven days: Sunday once */
    }
    if (python ? g.step == 0 : !check_range(r, &g))
        return python ? wrong(r, "the step must be 1 or more") : false;
    for (int i = g.first; i <= g.last && i <= r->field->most; i += g.step) {
        if (i >= r->field->least)
            *set |= UINT64_C(1) << i;
    }
    return true;
}

static bool read_field(reader *r, int which, fw_span text, uint64_t *set)
{
    fw_span rest = text, part;
    r->field = &fields[which];
    r->text = text;
    *set = 0;
    while (next_piece(&rest, ',', &part)) {
        if (part.len == 0)
            return wrong(r, "a part is empty");
        if (!read_part(r, part, set))
            return false;
    }
    if (which == WEEKDAY && r->style == FW_CRON_PYTHON) /* Monday is 0 there */
        *set = (*set << 1 & 0x7e) | (*set >> 6 & 1);
    else if (which == WEEKDAY)
        *set = (*set & 0x7f) | (*set >> 7 & 1);
    return true;
}

/* --- expressions --- */

static bool read_fields(reader *r, fw_schedule *out, const fw_span *words, int count)
{
    static const fw_span zero = {"0", 1}, star = {"*", 1};
    uint64_t sets[FIELDS];
    for (int i = 0; i < FIELDS; i++) {
        int word = i - (FIELDS - count);
        if (!read_field(r, i, word >= 0 ? words[word] : zero, &sets[i]))
            return false;
    }
    const fw_span *day = &words[count - 3], *weekday = &words[count - 1];
    bool any_day = day->ptr[0] == star.ptr[0] && sets[DAY] == UINT64_C(0xfffffffe);
    bool any_weekday = weekday->ptr[0] == star.ptr[0] && sets[WEEKDAY] == 0x7f;
    *out = (fw_schedule){
        .kind = FW_SCHEDULE_CRON,
        .seconds = sets[SECOND],
        .minutes = sets[MINUTE],
        .hours = (uint32_t)sets[HOUR],
        .days = (uint32_t)sets[DAY],
        .months = (uint32_t)sets[MONTH],
        .weekdays = (uint32_t)sets[WEEKDAY],
        .both_days = r->style == FW_CRON_PYTHON || any_day || any_weekday,
        .each_hour = sets[HOUR] == 0xffffff,
        .each_minute = sets[MINUTE] == UINT64_C(0xfffffffffffffff),
        .horizon_days = r->style == FW_CRON_PYTHON ? PYTHON_HORIZON_DAYS : HORIZON_DAYS,
    };
    return true;
}

static bool read_macro(reader *r, fw_schedule *out, fw_span word, fw_span rest)
{
    static const struct {
        const char *name, *fields;
    } macros[] = {
        {"@yearly", "0 0 1 1 *"}, {"@annually", "0 0 1 1 *"}, {"@monthly", "0 0 1 * *"},
        {"@weekly", "0 0 * * 0"}, {"@daily", "0 0 * * *"},    {"@midnight", "0 0 * * *"},
        {"@hourly", "0 * * * *"},
    };
    fw_span more;
    if (equal(word, "@every")) {
        fw_schedule every = {.kind = FW_SCHEDULE_EVERY};
        if (next_word(&rest, &word) && !next_word(&rest, &more) &&
            fw_interval_parse(&every.every_ns, word)) {
            *out = every;
            return true;
        }
        snprintf(r->error, r->error_capacity,
                 "@every takes one time such as 90s or 1h30m, 10ms to 3660d");
        return false;
    }
    bool alone = !next_word(&rest, &more);
    if (equal(word, "@reboot") && alone) {
        *out = (fw_schedule){.kind = FW_SCHEDULE_REBOOT};
        return true;
    }
    for (size_t i = 0; alone && r->style == FW_CRON_POSIX && i < sizeof macros / sizeof macros[0];
         i++) {
        if (equal(word, macros[i].name)) {
            fw_span text = {macros[i].fields, strlen(macros[i].fields)}, words[5];
            for (int k = 0; k < 5; k++)
                (void)next_word(&text, &words[k]);
            return read_fields(r, out, words, 5);
        }
    }
    snprintf(r->error, r->error_capacity,
             "\"%.*s\": known are @yearly, @monthly, @weekly, @daily, @hourly, @every TIME and "
             "@reboot, with nothing behind them",
             (int)(word.len < 32 ? word.len : 32), word.ptr);
    return false;
}

int fw_schedule_parse(fw_schedule *out, char *error, size_t error_capacity, fw_span text,
                      fw_cron_style style)
{
    reader r = {.error = error, .error_capacity = error_capacity, .style = style};
    fw_span rest = text, words[FIELDS], word;
    int count = 0, most = style == FW_CRON_PYTHON ? FIELDS - 1 : FIELDS;
    if (text.len > FW_SCHEDULE_TEXT_MAX) {
        snprintf(error, error_capacity, "an expression has at most %d bytes", FW_SCHEDULE_TEXT_MAX);
        return -FW_EINVAL;
    }
    while (next_word(&rest, &word)) {
        if (count == 0 && word.ptr[0] == '@')
            return read_macro(&r, out, word, rest) ? 0 : -FW_EINVAL;
        if (count < FIELDS)
            words[count] = word;
        count++;
    }
    if (count < FIELDS - 1 || count > most) {
        snprintf(error, error_capacity,
                 "%d field%s: an expression has %s (minute, hour, day of month, month, day of "
                 "week)",
                 count, count == 1 ? "" : "s",
                 most == FIELDS ? "five, or six with the seconds first" : "five");
        return -FW_EINVAL;
    }
    return read_fields(&r, out, words, count) ? 0 : -FW_EINVAL;
}

/* --- intervals --- */

bool fw_interval_parse(int64_t *out_ns, fw_span text)
{
    static const struct {
        const char *name;
        double seconds;
    } units[] = {{"ms", 1e-3}, {"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}};
    double seconds = 0;
    size_t at = 0;
    while (at < text.len) {
        double number = 0, digit = 1;
        size_t begin = at, points = 0;
        for (; at < text.len && ((text.ptr[at] >= '0' && text.ptr[at] <= '9') ||
                                 (text.ptr[at] == '.' && points == 0));
             at++) {
            if (text.ptr[at] == '.') {
                points++;
                continue;
            }
            if (points)
                number += (text.ptr[at] - '0') * (digit /= 10);
            else
                number = number * 10 + (text.ptr[at] - '0');
        }
        if (at - begin == points || number > 1e12)
            return false;
        size_t unit = 0, count = sizeof units / sizeof units[0], len = 0;
        while (at + len < text.len && text.ptr[at + len] >= 'a' && text.ptr[at + len] <= 'z')
            len++;
        while (unit < count && !equal((fw_span){text.ptr + at, len}, units[unit].name))
            unit++;
        if (len == 0 && begin == 0 && at == text.len)
            unit = 1;
        if (unit == count)
            return false;
        seconds += number * units[unit].seconds;
        at += len;
    }
    /* Beyond the bounds before it is a number of nanoseconds. */
    if (!(seconds * 1e9 >= (double)every_least_ns && seconds * 1e9 <= (double)every_most_ns))
        return false;
    *out_ns = (int64_t)(seconds * 1e9 + 0.5);
    return true;
}

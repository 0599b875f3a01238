/* base/log.c - one event, one line.
 *
 * Roles: any thread formats into its own stack and writes the line with one write(2); a small table
 * of event names under a mutex counts how many lines each had in the present ten seconds.
 * SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/clock.h"
#include "base/json.h"

enum { EVENTS_MAX = 64, LINES_PER_WINDOW = 10, LINE_MAX_BYTES = 2048 };
static const int64_t window_ns = 10 * FW_NS_PER_S;

typedef enum line_form { FORM_TEXT, FORM_LOGFMT, FORM_JSON, FORM_JOURNAL } line_form;

static const char *const level_words[] = {"error", "warn", "info", "debug", "trace"};
static const int syslog_numbers[] = {3, 4, 6, 7, 7};

static fw_atomic(int) level_now = FW_LOG_INFO;
static fw_atomic(int) form_now = -1;

typedef struct event_rate {
    const char *event; /* fixed text, compared by content */
    int64_t window_start_ns;
    unsigned lines, held_back;
} event_rate;
static pthread_mutex_t rate_lock = PTHREAD_MUTEX_INITIALIZER;
static event_rate rates[EVENTS_MAX];

static line_form choose_form(fw_log_format format)
{
    struct stat status;
    if (format == FW_LOG_JSON)
        return FORM_JSON;
    if (format == FW_LOG_LOGFMT)
        return FORM_LOGFMT;
    if (format == FW_LOG_TEXT)
        return FORM_TEXT;
    const char *journal = getenv("JOURNAL_STREAM");
    if (journal && fstat(STDERR_FILENO, &status) == 0) {
        char mine[64];
        snprintf(mine, sizeof mine, "%llu:%llu", (unsigned long long)status.st_dev,
                 (unsigned long long)status.st_ino);
        if (strcmp(mine, journal) == 0)
            return FORM_JOURNAL;
    }
    return isatty(STDERR_FILENO) ? FORM_TEXT : FORM_LOGFMT;
}

void fw_log_configure(fw_log_level level, fw_log_format format)
{
    /* Relaxed: set at start; later readers may see the change a line late. */
    fw_store_relaxed(&level_now, (int)level);
    fw_store_relaxed(&form_now, (int)choose_form(format));
}

int fw_log_enabled(fw_log_level level)
{
    /* Relaxed: see fw_log_configure. */
    return (int)level <= fw_load_relaxed(&level_now);
}

/* => lines that were held back before this one, or -1: hold this one back too. */
static int take_turn(const char *event)
{
    int64_t now = fw_now_ns();
    int answer = 0;
    pthread_mutex_lock(&rate_lock);
    event_rate *rate = NULL;
    for (int i = 0; i < EVENTS_MAX && !rate; i++) {
        if (!rates[i].event)
            rates[i].event = event;
        if (strcmp(rates[i].event, event) == 0)
            rate = &rates[i];
    }
    if (rate) {
        if (rate->lines == 0 || now - rate->window_start_ns > window_ns) {
            answer = (int)rate->held_back;
            *rate = (event_rate){.event = rate->event, .window_start_ns = now};
        }
        if (++rate->lines > LINES_PER_WINDOW) {
            rate->held_back++;
            answer = -1;
        }
    }
    pthread_mutex_unlock(&rate_lock);
    return answer;
}

static void stamp(char *out, size_t capacity, bool local)
{
    int64_t wall = fw_wall_ns();
    time_t seconds = (time_t)(wall / FW_NS_PER_S);
    struct tm parts;
    char whole[32];
    if (local)
        localtime_r(&seconds, &parts);
    else
        gmtime_r(&seconds, &parts);
    strftime(whole, sizeof whole, local ? "%H:%M:%S" : "%Y-%m-%dT%H:%M:%S", &parts);
    int micros = (int)(wall % FW_NS_PER_S / FW_NS_PER_US);
    snprintf(out, capacity, local ? "%s.%03d" : "%s.%06dZ", whole, local ? micros / 1000 : micros);
}

static void write_line(fw_log_level level, const char *event, const char *message)
{
    char when[64];
    fw_buffer line = {0};
    /* Relaxed: see fw_log_configure. */
    int form = fw_load_relaxed(&form_now);
    if (form < 0)
        form = (int)choose_form(FW_LOG_AUTO);
    fw_span text = {message, strlen(message)};
    if (form == FORM_TEXT) {
        stamp(when, sizeof when, true);
        fw_buffer_format(&line, "%s %-5s %s: %s\n", when, level_words[level], event, message);
    } else if (form == FORM_JOURNAL) {
        fw_buffer_format(&line, "<%d>event=%s %s\n", syslog_numbers[level], event, message);
    } else {
        stamp(when, sizeof when, false);
        const char *shape = form == FORM_JSON
                                ? "{\"ts\": \"%s\", \"level\": \"%s\", \"event\": \"%s\", \"msg\": "
                                : "ts=%s level=%s event=%s msg=";
        char head[192];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(head, sizeof head, shape, when, level_words[level], event);
#pragma GCC diagnostic pop
        fw_buffer_text(&line, head);
        fw_buffer_json_string(&line, text);
        fw_buffer_text(&line, form == FORM_JSON ? "}\n" : "\n");
    }
    if (!line.failed) {
        ssize_t written = write(STDERR_FILENO, line.data, line.len);
        (void)written; /* nowhere to report that standard error is gone */
    }
    fw_buffer_fini(&line);
}

void fw_log(fw_log_level level, const char *event, const char *format, ...)
{
    char message[LINE_MAX_BYTES];
    if (!fw_log_enabled(level))
        return;
    int held_back = take_turn(event);
    if (held_back < 0)
        return;
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    if (held_back > 0 && length >= 0 && (size_t)length < sizeof message)
        snprintf(message + length, sizeof message - (size_t)length,
                 " (%d more like this held back)", held_back);
    int saved = errno;
    write_line(level, event, message);
    errno = saved;
}

void fw_log_each(fw_log_level level, const char *event, const char *format, ...)
{
    char message[LINE_MAX_BYTES];
    if (!fw_log_enabled(level))
        return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    int saved = errno;
    write_line(level, event, message);
    errno = saved;
}

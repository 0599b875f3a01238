/* base/log.h - one event, one line, to stderr: logfmt, journald prefix, or text for people.
 *
 * Keys and values are given as in printf; the event name is fixed text. At most ten lines per event
 * name in ten seconds, then a count. Any thread; a line is one write(2). Not for hot paths.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_BASE_LOG_H
#define FW_BASE_LOG_H

#include "fastworker/types.h"

typedef enum fw_log_level {
    FW_LOG_ERROR = 0,
    FW_LOG_WARN,
    FW_LOG_INFO,
    FW_LOG_DEBUG,
    FW_LOG_TRACE
} fw_log_level;
typedef enum fw_log_format {
    FW_LOG_AUTO = 0,
    FW_LOG_TEXT,
    FW_LOG_LOGFMT,
    FW_LOG_JSON
} fw_log_format;

/* At start, or later by the main thread: the others follow within a line. */
void fw_log_configure(fw_log_level level, fw_log_format format);
int fw_log_enabled(fw_log_level level);
/* fw_log(FW_LOG_WARN, "task.retry", "task failed, retry %d of %d", 2, 5) */
void fw_log(fw_log_level level, const char *event, const char *format, ...) FW_FMT(3, 4);
/* For what has to be there line by line, such as who did what: none is held back. */
void fw_log_each(fw_log_level level, const char *event, const char *format, ...) FW_FMT(3, 4);

#endif

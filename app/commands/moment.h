/* app/commands/moment.h - times and durations on the command line.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_APP_COMMANDS_MOMENT_H
#define FW_APP_COMMANDS_MOMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* "2.5", "250ms", "30s", "5m", "2h", "7d" in ms; a plain number is seconds. */
bool fw_duration_read(int64_t *out_ms, const char *text);
/* "2026-11-24T09:00:00" local, with Z or +01:00 absolute, or a Unix time in seconds; in Unix ms. */
bool fw_moment_read(int64_t *out_unix_ms, const char *text);
/* As Python prints a naive local datetime: "2026-11-24 09:00:00.000500". */
void fw_moment_write(char *out, size_t capacity, int64_t unix_ns);

#endif

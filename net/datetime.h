/* net/datetime.h - times as Python writes and reads them.
 *
 * A text without an offset is local time of this host; outside, times are nanoseconds since 1970
 * UTC. Times beyond what 64 bits of nanoseconds hold (years 1678 to 2261) become the nearest that
 * they do. Any thread; the local offset is remembered per thread, so that a stamp costs no look
 * into the zone tables. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_NET_DATETIME_H
#define FW_NET_DATETIME_H

#include <stdbool.h>
#include <stdint.h>

#include "fastworker/types.h"

enum { FW_DATETIME_TEXT = 26 };

/* Naive local time, "2026-01-02 03:04:05.000600", without the fraction when it is zero, as str()
 * and isoformat() do. Writes at most FW_DATETIME_TEXT characters, no NUL; returns how many. */
size_t fw_datetime_format(char out[FW_DATETIME_TEXT], int64_t wall_ns, char separator);

/* The texts that pydantic takes: date and time with a space, T or _; seconds optional; a fraction
 * (cut after microseconds); Z or an offset; a date alone; or digits, see fw_datetime_from_number.
 */
bool fw_datetime_parse(int64_t *wall_ns, fw_span text);
/* Unix time in seconds, or in milliseconds beyond 2e10. False: not finite, or after the year 9999.
 */
bool fw_datetime_from_number(int64_t *wall_ns, double number);

#endif

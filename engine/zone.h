/* engine/zone.h - time zones: what the clocks of a place show, read from the system's zone files.
 *
 * A zone is immutable: loaded once, asked by any thread. The process's own zone (TZ, tzset) is
 * neither looked at nor touched, but by fw_zone_load for the name "local". Files are TZif of any
 * version, with the rule for the years after their table; any bytes are safe. Times are Unix
 * seconds; local times are written as the Unix seconds that the same reading would be in UTC. What
 * lies outside the years 1 to 9999 counts as their edge. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_ENGINE_ZONE_H
#define FW_ENGINE_ZONE_H

#include <stdbool.h>
#include <stdint.h>

#include "fastworker/types.h"

typedef struct fw_zone fw_zone;

enum { FW_ZONE_NAME_MAX = 63 };

/* "Europe/Berlin"; "UTC", which needs no file; "local", the system's: what TZ says, or
 * /etc/localtime, or UTC. 0, or -FW_E... with a sentence in error. */
int fw_zone_load(fw_zone **out, char *error, size_t error_capacity, fw_span name);
/* The content of a zone file. 0, -FW_EPROTO: it is none, or -FW_ENOMEM. */
int fw_zone_parse(fw_zone **out, fw_span file);
void fw_zone_free(fw_zone *zone);

/* Seconds east of Greenwich at that moment. */
int32_t fw_zone_offset(const fw_zone *zone, int64_t unix_s);
/* The first moment after that at which the offset changes; INT64_MAX: none. */
int64_t fw_zone_next_change(const fw_zone *zone, int64_t unix_s);
/* The moments at which clocks show that, in order: one; two when they are set back over it, or
 * (once in decades) more, of which the first two are given; 0 when they jump over it: then out[0]
 * is the first moment after the jump. */
int fw_zone_find(const fw_zone *zone, int64_t out[2], int64_t local_s);

/* "2026-01-31T09:00:00", also with a space, without seconds, with a fraction, a date alone: by this
 * zone's clocks unless Z or an offset such as +01:00 follows. Of two such moments the first; of
 * none, the first after. Unix nanoseconds; years 1678 to 2261. */
bool fw_zone_read_time(const fw_zone *zone, int64_t *out_ns, fw_span text);

#endif

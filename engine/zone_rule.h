/* engine/zone_rule.h - the POSIX rule at the end of a zone file: "CET-1CEST,M3.5.0,M10.5.0/3".
 *
 * Says for all years to come when summer time begins and ends. Pure; any thread; any text is safe.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_ENGINE_ZONE_RULE_H
#define FW_ENGINE_ZONE_RULE_H

#include <stdbool.h>
#include <stdint.h>

#include "fastworker/types.h"

typedef enum fw_rule_day {
    FW_RULE_JULIAN,   /* Jn: the n-th day, 1 to 365, of a year without a 29 February */
    FW_RULE_ZERO_DAY, /* n: the day 0 to 365 */
    FW_RULE_MONTH     /* Mm.w.d: the w-th weekday d of the month m; w 5 is the last */
} fw_rule_day;

typedef struct fw_rule_change {
    fw_rule_day kind;
    int day, month, week; /* day: of the year, or the weekday */
    int32_t time_s;       /* by the clock before it; may be negative or beyond 24 hours */
} fw_rule_change;

typedef struct fw_zone_rule {
    int32_t standard_s, summer_s; /* east of Greenwich */
    bool has_summer;
    fw_rule_change start, end;
} fw_zone_rule;

/* False: the text is no such rule. */
bool fw_zone_rule_parse(fw_zone_rule *out, fw_span text);
/* Unix seconds; the year must have at most six digits. */
int32_t fw_zone_rule_offset(const fw_zone_rule *rule, int64_t unix_s);
/* The first moment after that at which the offset changes; INT64_MAX: never. */
int64_t fw_zone_rule_next(const fw_zone_rule *rule, int64_t unix_s);

#endif

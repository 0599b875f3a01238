/* app/http/http_stats.h - the figures of each second: measured once for all who look.
 *
 * The web thread measures every second, whether somebody looks or not, so that who comes sees what
 * was before; it reads counters, takes no lock, and is the only one who touches what is kept.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_APP_HTTP_STATS_H
#define FW_APP_HTTP_STATS_H

#include "app/control_plane.h"

typedef struct fw_http_stats fw_http_stats;

/* NULL: no memory. plane outlives it. */
fw_http_stats *fw_http_stats_create(fw_control_plane *plane);
/* The web thread has ended. */
void fw_http_stats_destroy(fw_http_stats *stats);
/* fw_web_config.second; context is the fw_http_stats. */
void fw_http_stats_second(void *context);
/* /api/v1/stats, /api/v1/stats/history, /api/v1/settings */
fw_web_table fw_http_stats_table(fw_http_stats *stats);

#endif

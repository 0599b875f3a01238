/* app/http/http.h - what is served over HTTP: the tables of routes, one per file app/http/http_*.c.
 *
 * Handlers run on the web thread (web/web.h): none of them blocks. SPDX-License-Identifier:
 * Apache-2.0 */
#ifndef FW_APP_HTTP_H
#define FW_APP_HTTP_H

#include "app/control_plane.h"

/* Of one file each; plane outlives the server. */
fw_web_table fw_http_upstream(fw_control_plane *plane); /* /api, /metrics, /livez, /readyz */
fw_web_table fw_http_submit(fw_control_plane *plane);   /* POST /api/v1/tasks, tasks:batch */
fw_web_table fw_http_tasks(fw_control_plane *plane);    /* /api/v1/tasks otherwise */
fw_web_table fw_http_dead(fw_control_plane *plane);     /* /api/v1/dead */
fw_web_table fw_http_actions(fw_control_plane *plane);  /* queues, limits, schedules, workers */
fw_web_table fw_http_worker(fw_control_plane *plane);   /* /api/v1/worker */

/* All of them; plane->stats has been made. */
enum { FW_HTTP_TABLES = 16 };
size_t fw_http_tables(fw_control_plane *plane, fw_web_table out[FW_HTTP_TABLES]);
/* Starts the dashboard's server with all of them: plane->web. 0, or -FW_E... with a sentence. */
int fw_http_start(fw_control_plane *plane, char *error, size_t error_capacity);
/* Its files of TLS are read again, after SIGHUP; a line in the log says how that went. */
void fw_http_renew(fw_control_plane *plane);

#endif

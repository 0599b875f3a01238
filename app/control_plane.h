/* app/control_plane.h - the control plane, composed: built in order, torn down in reverse.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_APP_CONTROL_PLANE_H
#define FW_APP_CONTROL_PLANE_H

#include "app/house.h"
#include "app/manage/overview.h"
#include "app/supervisor.h"
#include "app/workers/workers.h"
#include "web/web.h"

typedef struct fw_control_plane {
    fw_house house;
    fw_workers *workers;
    fw_web *web; /* NULL: no dashboard */
    struct fw_http_stats *stats;
    bool followed;        /* somebody at it hears of tasks */
    fw_supervisor *local; /* NULL: no subworkers of our own */
} fw_control_plane;

/* Builds, serves until SIGTERM or SIGINT, drains. The exit code. All signals are blocked by the
 * caller before any thread exists. */
int fw_control_plane_run(const fw_settings *settings);

/* Everything but network and dashboard, after fw_house_begin; 0 or an exit code. And what takes all
 * of it down, however much of it stands: for who tries tasks without a network (app/trial). */
int fw_control_plane_build_engine(fw_control_plane *plane);
/* Whether a control plane would start: modules, programs, schedules, threads; nothing listens, and
 * nothing runs. What is wrong is logged. => the exit status. */
int fw_control_plane_check(const fw_settings *settings);
void fw_control_plane_tear_down(fw_control_plane *plane);

/* See fw_overview_queues. */
void fw_control_plane_queues(const fw_control_plane *plane, fw_queue_view out[FW_LEVELS]);

/* The Prometheus text; context is the fw_control_plane. */
void fw_metrics_write(void *context, fw_buffer *out);

#endif

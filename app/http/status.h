/* app/http/status.h - the bodies of upstream's GET routes, written from snapshots. Any thread;
 * blocks nobody. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_APP_STATUS_H
#define FW_APP_STATUS_H

#include "app/control_plane.h"

typedef struct fw_task_filter {
    size_t limit, offset;
    fw_span status, name, priority; /* empty: all */
} fw_task_filter;

void fw_show_status(const fw_control_plane *plane, fw_buffer *out);
void fw_show_workers(const fw_control_plane *plane, fw_buffer *out);
void fw_show_tasks(const fw_control_plane *plane, const fw_task_filter *filter, fw_buffer *out);
void fw_show_queues(const fw_control_plane *plane, fw_buffer *out);
void fw_show_cache(const fw_control_plane *plane, fw_buffer *out);
void fw_show_registered(const fw_control_plane *plane, fw_buffer *out);

#endif

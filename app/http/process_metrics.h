/* app/http/process_metrics.h - the process in the Prometheus text, by the names that all exporters
 * have for it, and the CPU time of its threads. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_APP_PROCESS_METRICS_H
#define FW_APP_PROCESS_METRICS_H

#include "base/json.h"

/* Reads some small files of /proc: about 50 us, and 20 us a thread. What cannot be read is left
 * out. started_wall_ns: of the process. Any thread. */
void fw_process_metrics_write(fw_buffer *out, int64_t started_wall_ns);

#endif

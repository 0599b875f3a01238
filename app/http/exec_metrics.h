/* app/http/exec_metrics.h - processes of exec tasks in the Prometheus text.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_APP_EXEC_METRICS_H
#define FW_APP_EXEC_METRICS_H

#include "base/json.h"
#include "engine/exec.h"

/* exec: NULL: nothing is written. */
void fw_exec_metrics_write(const fw_exec *exec, fw_buffer *out);

#endif

/* app/trial/run_report.h - what became of a task that was tried, for people and for programs.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_APP_RUN_REPORT_H
#define FW_APP_RUN_REPORT_H

#include "base/json.h"
#include "fastworker/test.h"

/* A line for each run and each word of progress, in their order. */
void fw_run_report_lines(fw_buffer *out, const fw_test_outcome *o);
/* One object, with a line end. error: instead of the outcome's; may be NULL. */
void fw_run_report_json(fw_buffer *out, const fw_test_outcome *o, const char *error);

#endif

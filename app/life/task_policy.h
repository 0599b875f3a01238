/* app/life/task_policy.h - what the configuration file says of the tasks of one name, ready for
 * use: a name points to it (app/life/names.h). Immutable; replaced by a reload, and kept until the
 * end, so that whoever reads it needs no lock. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_APP_TASK_POLICY_H
#define FW_APP_TASK_POLICY_H

#include <stdbool.h>
#include <stdint.h>

typedef struct fw_task_policy {
    int64_t timeout_ns;  /* 0: none of its own */
    int32_t max_retries; /* where the submission asks for none */
    double retry_delay_s, retry_backoff, retry_backoff_max_s;
    bool isolate, program;
    uint32_t max_running, burst;
    double rate;
    uint32_t key_max_running, key_burst; /* of each key */
    double key_rate;
    struct fw_task_policy *before; /* the list of all */
} fw_task_policy;

#endif

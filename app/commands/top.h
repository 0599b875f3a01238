/* app/commands/top.h - the parts of `fastworker top`: a sample of a control plane's counters, and
 * two samples as text. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_APP_COMMANDS_TOP_H
#define FW_APP_COMMANDS_TOP_H

#include <stdbool.h>

#include "base/json.h"

/* The answer to {"action": "stats"}, and of {"action": "workers"} if there are any. */
typedef struct fw_top_sample {
    char *stats, *workers; /* own their memory; workers may be NULL */
    fw_json object;        /* in stats */
    double answer_ms;      /* how long the first answer took */
} fw_top_sample;

void fw_top_sample_fini(fw_top_sample *sample);

/* Lines for people, each ended by LF. before: an earlier sample of the same control plane; without
 * one (its stats NULL) rates are since the start of its process. address: shown. */
void fw_top_write(fw_buffer *out, const char *address, const fw_top_sample *before,
                  const fw_top_sample *now);
/* The first rows and columns of the text, as escape sequences for a terminal: no line is longer, no
 * rest of an older screen stays. ASCII is expected. */
void fw_top_fit(fw_buffer *out, const fw_buffer *text, int rows, int columns);

#endif

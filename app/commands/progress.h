/* app/commands/progress.h - says on standard error how a long command gets on.
 *
 * On a terminal one line, drawn again five times a second; otherwise a line every ten seconds.
 * Nothing in the first second. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_APP_COMMANDS_PROGRESS_H
#define FW_APP_COMMANDS_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct fw_progress {
    bool quiet, terminal, drawn;
    int64_t started_ns, due_ns;
    uint64_t bytes_total; /* 0: not known */
} fw_progress;

void fw_progress_begin(fw_progress *progress, bool quiet, uint64_t bytes_total);
/* Cheap; draws only when it is time. bytes: of the input, read so far. */
void fw_progress_show(fw_progress *progress, uint64_t count, uint64_t bytes, int64_t now_ns);
/* Takes the line away. */
void fw_progress_end(fw_progress *progress);

#endif

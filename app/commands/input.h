/* app/commands/input.h - lines of standard input, a big read at a time.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_APP_COMMANDS_INPUT_H
#define FW_APP_COMMANDS_INPUT_H

#include "fastworker/types.h"

#include <stdbool.h>

enum { FW_LINE_MAX = 16 * 1024 * 1024 };

typedef struct fw_input {
    int fd;
    char *data;
    size_t at, end, capacity;
    bool over;       /* nothing more to read */
    uint64_t bytes;  /* read so far */
    uint64_t number; /* of the line given out last, from 1 */
} fw_input;

void fw_input_init(fw_input *input, int fd);
void fw_input_fini(fw_input *input);
/* The next line without its end; the last one needs none. False: read more first, or it is over.
 * Borrowed until the next fill. */
bool fw_input_next(fw_input *input, fw_span *line);
/* Reads once; may block. False: a line is longer than FW_LINE_MAX, no memory, or a read error
 * (errno). */
bool fw_input_fill(fw_input *input);

#endif

/* app/commands/suggest.h - "did you mean": the nearest of the words that exist.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_APP_COMMANDS_SUGGEST_H
#define FW_APP_COMMANDS_SUGGEST_H

#include <stddef.h>

#include "fastworker/types.h"

/* The candidate with the fewest edits (at most 2: insert, delete, replace, swap neighbours), or
 * NULL. Any thread. */
const char *fw_suggest(const char *word, const char *const *candidates, size_t count);
/* "<before>'<word>' <what>", and ", did you mean '...'?" where something is near. */
void fw_suggest_say(char *out, size_t capacity, const char *before, fw_span word, const char *what,
                    const char *const *candidates, size_t count);

#endif

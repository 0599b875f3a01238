/* app/settings/exec_words.h - the words of a command, as the configuration file gives them:
 * separated by white space; '...' keeps everything; in "..." and outside, \ keeps the next
 * character. Nothing is expanded. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_APP_EXEC_WORDS_H
#define FW_APP_EXEC_WORDS_H

#include <stdbool.h>
#include <stddef.h>

/* NULL-ended; one allocation, to be freed. NULL: *why says what is wrong. */
char **fw_exec_words(const char *text, const char **why);

#endif

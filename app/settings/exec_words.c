/* app/settings/exec_words.c - see app/settings/exec_words.h. Covered by config_sections_test.c.
 * SPDX-License-Identifier: Apache-2.0 */
#include "app/settings/exec_words.h"

#include <stdlib.h>
#include <string.h>

static const char space[] = " \t\r\n";

/* One word to *out, which is moved on. NULL: a quote is not closed. */
static const char *take_word(const char *at, char **out)
{
    char *to = *out;
    char quote = '\0';
    for (; *at && (quote || !strchr(space, *at)); at++) {
        if (quote ? *at == quote : *at == '"' || *at == '\'')
            quote = quote ? '\0' : *at;
        else if (*at == '\\' && quote != '\'' && at[1])
            *to++ = *++at;
        else
            *to++ = *at;
    }
    *to++ = '\0';
    *out = to;
    return quote ? NULL : at;
}

char **fw_exec_words(const char *text, const char **why)
{
    size_t len = strlen(text), most = len / 2 + 2, count = 0;
    char **words = calloc(1, most * sizeof *words + len + 1);
    *why = "out of memory";
    if (!words)
        return NULL;
    char *to = (char *)(words + most);
    for (const char *at = text + strspn(text, space); *at; at += strspn(at, space)) {
        words[count++] = to;
        at = take_word(at, &to);
        if (!at) {
            *why = "a quote is not closed";
            free(words);
            return NULL;
        }
    }
    return words;
}

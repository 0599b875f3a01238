/* app/commands/suggest.c - optimal string alignment distance over short words.
 * SPDX-License-Identifier: Apache-2.0 */
#include "app/commands/suggest.h"

#include <stdio.h>
#include <string.h>

enum { WORD_MAX = 40, EDITS_MAX = 2 };

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

static unsigned distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
    unsigned rows[WORD_MAX + 1][WORD_MAX + 1];
    for (size_t i = 0; i <= a_len; i++)
        rows[i][0] = (unsigned)i;
    for (size_t j = 0; j <= b_len; j++)
        rows[0][j] = (unsigned)j;
    for (size_t i = 1; i <= a_len; i++) {
        for (size_t j = 1; j <= b_len; j++) {
            unsigned replace = rows[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            rows[i][j] = least(replace, least(rows[i - 1][j], rows[i][j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                rows[i][j] = least(rows[i][j], rows[i - 2][j - 2] + 1);
        }
    }
    return rows[a_len][b_len];
}

const char *fw_suggest(const char *word, const char *const *candidates, size_t count)
{
    const char *nearest = NULL;
    unsigned fewest = EDITS_MAX + 1;
    size_t len = strlen(word);
    if (len < 2 || len > WORD_MAX)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        size_t other = strlen(candidates[i]);
        if (other > WORD_MAX)
            continue;
        unsigned edits = distance(word, len, candidates[i], other);
        /* Two edits in a very short word make another word. */
        if (edits < fewest && edits < len && edits < other) {
            fewest = edits;
            nearest = candidates[i];
        }
    }
    return nearest;
}

void fw_suggest_say(char *out, size_t capacity, const char *before, fw_span word, const char *what,
                    const char *const *candidates, size_t count)
{
    char name[48];
    snprintf(name, sizeof name, "%.*s", (int)(word.len < 40 ? word.len : 40), word.ptr);
    const char *near = fw_suggest(name, candidates, count);
    snprintf(out, capacity, "%s'%s' %s%s%s%s", before, name, what, near ? ", did you mean '" : "",
             near ? near : "", near ? "'?" : "");
}

/* app/settings/config_file.c - see app/settings/config_file.h.
 *
 * A reader of our own, because a key of a section holds JSON or the words of a command, and the
 * name of a section is a task's: libraries for this format cut lines after 200 bytes and names of
 * sections after 49, and do not tell the number of a line. Covered by config_sections_test.c.
 * SPDX-License-Identifier: Apache-2.0 */
#include "app/settings/config_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fastworker/types.h"

enum { LINE_MAX_BYTES = 64 << 10, KIND_MAX = 64, NAME_MAX_BYTES = 1024 };

typedef struct reading {
    const char *path;
    FILE *file;
    unsigned read; /* lines so far */
    char *text;    /* LINE_MAX_BYTES */
    char kind[KIND_MAX], name[NAME_MAX_BYTES];
    char *error;
    size_t error_capacity;
} reading;

static int fail(const reading *r, unsigned line, const char *text)
{
    snprintf(r->error, r->error_capacity, "%s:%u: %s", r->path, line, text);
    return -FW_EINVAL;
}

static char *trim(char *text)
{
    text += strspn(text, " \t\r\n");
    size_t len = strlen(text);
    while (len > 0 && strchr(" \t\r\n", text[len - 1]))
        len--;
    text[len] = '\0';
    return text;
}

/* One line with those that it goes on in. 1, 0 at the end, or -FW_EINVAL. */
static int next_line(reading *r, unsigned *line)
{
    size_t len = 0;
    *line = r->read + 1;
    while (fgets(r->text + len, (int)(LINE_MAX_BYTES - len), r->file)) {
        r->read++;
        len += strlen(r->text + len);
        bool whole = len > 0 && r->text[len - 1] == '\n';
        if (!whole && len + 1 >= LINE_MAX_BYTES)
            return fail(r, *line, "the line is longer than 64 KiB");
        while (len > 0 && (r->text[len - 1] == '\n' || r->text[len - 1] == '\r'))
            len--;
        r->text[len] = '\0';
        if (len == 0 || r->text[len - 1] != '\\' || r->text[strspn(r->text, " \t")] == '#')
            return 1;
        r->text[len - 1] = ' ';
    }
    return len > 0;
}

/* A comment behind a value: a mark after white space, outside of quotes. */
static void cut_comment(char *value)
{
    char quote = '\0';
    for (char *at = value; *at; at++) {
        if (quote) {
            if (*at == '\\' && at[1])
                at++;
            else if (*at == quote)
                quote = '\0';
        } else if (*at == '"' || *at == '\'') {
            /* An apostrophe inside of a word is none. */
            bool begins = at == value || *at == '"' || strchr(" \t=[{(,:", at[-1]);
            quote = begins ? *at : '\0';
        } else if (*at == ';' && at > value && strchr(" \t", at[-1])) {
            *at = '\0';
            return;
        }
    }
}

/* What stands between the brackets. */
static int begin_section(reading *r, unsigned line, char *text)
{
    size_t len = strcspn(text, " \t\"");
    if (len == 0 || len >= KIND_MAX)
        return fail(r, line, "a section is [kind \"name\"]");
    memcpy(r->kind, text, len);
    r->kind[len] = r->name[0] = '\0';
    char *at = trim(text + len);
    if (!*at)
        return 0;
    size_t used = 0;
    if (*at++ != '"')
        return fail(r, line, "the name of a section stands in double quotes");
    for (; *at && *at != '"'; at++) {
        if (*at == '\\' && at[1])
            at++;
        if (used + 1 >= NAME_MAX_BYTES)
            return fail(r, line, "the name of the section is too long");
        r->name[used++] = *at;
    }
    r->name[used] = '\0';
    if (*at != '"' || at[1])
        return fail(r, line, "the name of a section stands in double quotes");
    return 0;
}

static int parse_line(reading *r, fw_config_line *out)
{
    char *text = trim(r->text);
    *out = (fw_config_line){r->path, out->line, r->kind, r->name, NULL, NULL};
    if (*text == '[') {
        cut_comment(text);
        text = trim(text);
        size_t len = strlen(text);
        if (text[len - 1] != ']')
            return fail(r, out->line, "the section has no ]");
        text[len - 1] = '\0';
        return begin_section(r, out->line, trim(text + 1));
    }
    char *sign = strpbrk(text, "=:");
    if (!sign || sign == text)
        return fail(r, out->line, "not a line of the form key = value");
    *sign = '\0';
    char *value = sign + 1 + strspn(sign + 1, " \t");
    if (*value == ';')
        *value = '\0';
    cut_comment(value);
    out->key = trim(text);
    out->value = trim(value);
    return 0;
}

static int read_all(reading *r, bool (*take)(void *context, const fw_config_line *line),
                    void *context)
{
    fw_config_line line;
    for (;;) {
        int rc = next_line(r, &line.line);
        if (rc <= 0)
            return rc;
        if (r->read == 1 && memcmp(r->text, "\xef\xbb\xbf", 3) == 0)
            memset(r->text, ' ', 3);
        char first = r->text[strspn(r->text, " \t")];
        if (first == '\0' || first == '#' || first == ';')
            continue;
        rc = parse_line(r, &line);
        if (rc < 0)
            return rc;
        if (!take(context, &line))
            return 0;
    }
}

int fw_config_file_read(char *error, size_t error_capacity, const char *path,
                        bool (*take)(void *context, const fw_config_line *line), void *context)
{
    reading r = {.path = path, .error = error, .error_capacity = error_capacity};
    r.file = fopen(path, "re");
    r.text = malloc(LINE_MAX_BYTES);
    int rc = -FW_EINVAL;
    if (!r.file || !r.text)
        snprintf(error, error_capacity, "cannot read %s: %s", path, strerror(errno));
    else
        rc = read_all(&r, take, context);
    if (rc == 0 && ferror(r.file)) {
        snprintf(error, error_capacity, "cannot read %s: %s", path, strerror(errno));
        rc = -FW_EINVAL;
    }
    if (r.file)
        fclose(r.file);
    free(r.text);
    return rc;
}

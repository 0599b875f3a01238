/* app/settings/config_file.h - the lines of a configuration file: sections, keys and values.
 *
 *   key = value              also key: value; white space around is no part of it
 *   [kind "name"]            or [kind]; in the name, \" and \\ stand for " and \
 *   # and ; begin a comment; ; also behind a value, after white space and outside of quotes
 *   a line that ends in \ goes on in the next one
 *
 * Nothing is cut: a line may have 64 KiB. Keys may be indented. Any thread.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_APP_CONFIG_FILE_H
#define FW_APP_CONFIG_FILE_H

#include <stdbool.h>
#include <stddef.h>

typedef struct fw_config_line {
    const char *path;
    unsigned line;    /* from 1; of the first one, when it goes on */
    const char *kind; /* of the section; "" before the first one */
    const char *name; /* "" where the section has none */
    const char *key;  /* NULL: a section begins here */
    const char *value;
} fw_config_line;

/* Calls take for each section and key until it returns false. 0, or -FW_EINVAL with a sentence that
 * begins with "PATH:LINE: " or names the file that cannot be read. False of take is no failure. */
int fw_config_file_read(char *error, size_t error_capacity, const char *path,
                        bool (*take)(void *context, const fw_config_line *line), void *context);

#endif

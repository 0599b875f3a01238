/* app/commands/options.h - flags of a command, from one table that also makes its help.
 *
 * Flags may stand anywhere, as --name VALUE, --name=VALUE or by a unique beginning of the name, as
 * Python's argparse takes them. A flag that takes MANY takes every word up to the next flag; "-5"
 * is a word, and so is everything after "--". SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_APP_COMMANDS_OPTIONS_H
#define FW_APP_COMMANDS_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

typedef enum fw_option_kind { FW_OPTION_FLAG, FW_OPTION_VALUE, FW_OPTION_MANY } fw_option_kind;

typedef struct fw_option {
    const char *name; /* without dashes */
    char letter;      /* 0: none */
    fw_option_kind kind;
    const char *value; /* its name in the help */
    const char *meaning;
    /* found */
    bool given;
    const char *text;   /* VALUE: the last one */
    const char **words; /* MANY: all of them; room for argc, owned by fw_options */
    size_t count;
} fw_option;

typedef struct fw_options {
    const char *command;
    const char *usage;    /* "submit TASK [ARG...] [options]" */
    const char *examples; /* lines */
    const char *notes;    /* lines after the options; may be NULL */
    fw_option *all;
    size_t count;
    const char **words; /* what is no flag and belongs to none */
    size_t word_count;
} fw_options;

typedef enum fw_parse { FW_PARSE_GO, FW_PARSE_HELPED, FW_PARSE_WRONG } fw_parse;
/* HELPED: the help was printed. WRONG: what is wrong was printed, with what might be meant. Frees
 * itself but on GO. */
fw_parse fw_options_parse(fw_options *options, int argc, char **argv);
void fw_options_fini(fw_options *options);
fw_option *fw_options_find(fw_options *options, const char *name);
/* Text of a VALUE, or NULL. */
const char *fw_options_text(fw_options *options, const char *name);
bool fw_options_has(fw_options *options, const char *name);
/* Prints "fastworker COMMAND: ..." and the way to the help; returns FW_ENDS_USAGE. */
int fw_options_wrong(const fw_options *options, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif

/* app/commands/options.c - see app/commands/options.h. SPDX-License-Identifier: Apache-2.0 */
#include "app/commands/options.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/commands/commands.h"
#include "app/commands/suggest.h"

enum { OPTIONS_MAX = 48, HELP_COLUMN = 30 };

int fw_options_wrong(const fw_options *options, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "fastworker %s: ", options->command);
    vfprintf(stderr, format, args);
    fprintf(stderr, " 'fastworker %s --help' says more.\n", options->command);
    va_end(args);
    return FW_ENDS_USAGE;
}

fw_option *fw_options_find(fw_options *options, const char *name)
{
    for (size_t i = 0; i < options->count; i++)
        if (strcmp(options->all[i].name, name) == 0)
            return &options->all[i];
    return NULL;
}

const char *fw_options_text(fw_options *options, const char *name)
{
    const fw_option *option = fw_options_find(options, name);
    return option == NULL ? NULL : option->text;
}

bool fw_options_has(fw_options *options, const char *name)
{
    const fw_option *option = fw_options_find(options, name);
    return option != NULL && option->given;
}

void fw_options_fini(fw_options *options)
{
    for (size_t i = 0; i < options->count; i++) {
        free(options->all[i].words);
        options->all[i].words = NULL;
    }
    free(options->words);
    options->words = NULL;
}

static void print_option(const fw_option *option)
{
    char flag[64];
    const char *before = option->value == NULL ? "" : " ";
    const char *value = option->value == NULL ? "" : option->value;
    if (option->letter != 0)
        snprintf(flag, sizeof(flag), "-%c, --%s%s%s", option->letter, option->name, before, value);
    else
        snprintf(flag, sizeof(flag), "    --%s%s%s", option->name, before, value);
    if (strlen(flag) >= HELP_COLUMN)
        printf("  %s\n  %*s%s\n", flag, HELP_COLUMN, "", option->meaning);
    else
        printf("  %-*s%s\n", HELP_COLUMN, flag, option->meaning);
}

static void print_help(const fw_options *options)
{
    printf("Usage: fastworker %s\n\nExamples:\n%s\nOptions:\n", options->usage, options->examples);
    for (size_t i = 0; i < options->count; i++)
        print_option(&options->all[i]);
    print_option(&(fw_option){.name = "help", .letter = 'h', .meaning = "this text"});
    if (options->notes != NULL)
        printf("\n%s", options->notes);
    printf("\nAll commands and exit statuses: docs/COMMANDS.md\n");
}

/* Like argparse: a number below zero is a word, as is anything with a space in it. */
static bool is_word(const char *text)
{
    if (text[0] != '-' || text[1] == '\0' || strchr(text, ' ') != NULL)
        return true;
    return isdigit((unsigned char)text[1]) || (text[1] == '.' && isdigit((unsigned char)text[2]));
}

/* The flag of that name, or the only one that begins so. */
static fw_option *match_long(fw_options *options, const char *name, size_t len, bool *ambiguous)
{
    fw_option *found = NULL;
    for (size_t i = 0; i < options->count; i++) {
        fw_option *option = &options->all[i];
        if (strncmp(option->name, name, len) != 0)
            continue;
        if (option->name[len] == '\0')
            return option;
        *ambiguous = found != NULL;
        found = option;
    }
    return found;
}

static fw_option *match_letter(fw_options *options, char letter)
{
    for (size_t i = 0; i < options->count; i++)
        if (options->all[i].letter == letter)
            return &options->all[i];
    return NULL;
}

static void unknown_flag(const fw_options *options, const char *flag, size_t len)
{
    const char *names[OPTIONS_MAX];
    char word[64];
    for (size_t i = 0; i < options->count && i < OPTIONS_MAX; i++)
        names[i] = options->all[i].name;
    const char *dashless = flag + strspn(flag, "-");
    snprintf(word, sizeof(word), "%.*s", (int)(len - (size_t)(dashless - flag)), dashless);
    const char *near = fw_suggest(word, names, options->count);
    if (near != NULL)
        fw_options_wrong(options, "there is no flag %.*s; did you mean --%s?", (int)len, flag,
                         near);
    else
        fw_options_wrong(options, "there is no flag %.*s.", (int)len, flag);
}

/* Takes the flag at argv[at] with its values. How many words it took; 0: wrong, and said so. */
static int take_flag(fw_options *options, int argc, char **argv, int at)
{
    const char *flag = argv[at];
    bool is_long = flag[1] == '-', ambiguous = false;
    const char *equals = is_long ? strchr(flag, '=') : NULL;
    size_t len = equals == NULL ? strlen(flag) : (size_t)(equals - flag);
    fw_option *option = is_long        ? match_long(options, flag + 2, len - 2, &ambiguous)
                        : flag[2] == 0 ? match_letter(options, flag[1])
                                       : NULL;
    if (option == NULL || ambiguous) {
        unknown_flag(options, flag, len);
        return 0;
    }
    option->given = true;
    if (option->kind == FW_OPTION_FLAG && equals != NULL) {
        fw_options_wrong(options, "--%s takes no value.", option->name);
        return 0;
    }
    if (option->kind == FW_OPTION_FLAG)
        return 1;
    if (option->kind == FW_OPTION_VALUE) {
        bool next = equals == NULL && at + 1 < argc && is_word(argv[at + 1]);
        option->text = equals != NULL ? equals + 1 : next ? argv[at + 1] : NULL;
        if (option->text == NULL)
            fw_options_wrong(options, "--%s needs a value: %s.", option->name, option->value);
        return option->text == NULL ? 0 : equals != NULL ? 1 : 2;
    }
    int taken = 1;
    if (equals != NULL)
        option->words[option->count++] = equals + 1;
    while (equals == NULL && at + taken < argc && is_word(argv[at + taken]))
        option->words[option->count++] = argv[at + taken++];
    return taken;
}

static bool make_room(fw_options *options, int argc)
{
    bool good = (options->words = calloc((size_t)argc + 1, sizeof(*options->words))) != NULL;
    for (size_t i = 0; i < options->count; i++)
        if (options->all[i].kind == FW_OPTION_MANY) {
            options->all[i].words = calloc((size_t)argc + 1, sizeof(*options->all[i].words));
            good = good && options->all[i].words != NULL;
        }
    return good;
}

static bool wants_help(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "-h") == 0 || strcmp(argv[i], "--help") == 0)
            return true;
    return false;
}

fw_parse fw_options_parse(fw_options *options, int argc, char **argv)
{
    bool only_words = false;
    if (wants_help(argc, argv)) {
        print_help(options);
        return FW_PARSE_HELPED;
    }
    if (!make_room(options, argc)) {
        fw_options_fini(options);
        fprintf(stderr, "fastworker: out of memory\n");
        return FW_PARSE_WRONG;
    }
    for (int at = 1, taken; at < argc; at += taken) {
        taken = 1;
        if (!only_words && strcmp(argv[at], "--") == 0) {
            only_words = true;
        } else if (only_words || is_word(argv[at])) {
            options->words[options->word_count++] = argv[at];
        } else if ((taken = take_flag(options, argc, argv, at)) == 0) {
            fw_options_fini(options);
            return FW_PARSE_WRONG;
        }
    }
    return FW_PARSE_GO;
}

/* app/settings/settings.c - the table of settings, and the four places their values come from.
 *
 * Key invariant: a value is applied only if it came from the same or a stronger place than the
 * present one, so the order of reading does not matter: flag over environment over file over
 * default. SPDX-License-Identifier: Apache-2.0 */
#include "app/settings/settings.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/commands/suggest.h"
#include "app/settings/setting_kinds.h"
#include "app/settings/setting_table.h"
#include "base/assert.h"
#include "base/log.h"

extern char **environ;

static const char *const origin_words[FW_ORIGINS] = {"default", "file", "environment", "flag"};

/* Variables that other parts of the program read. */
static const char *const foreign_variables[] = {
    "CONFIG", "TIMEOUT",           "RETRIES",      "CLI_COMPAT_EXIT", "NO_COLOR",
    "BIN",    "TELEMETRY_ENABLED", "SOAK_SECONDS", "STRESS_SECONDS",
};

static bool fail(fw_settings_error *error, int code, const char *format, ...) FW_FMT(3, 4);
static bool fail(fw_settings_error *error, int code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error->text, sizeof error->text, format, arguments);
    va_end(arguments);
    error->exit_code = code;
    return false;
}

static const fw_setting *find_setting(const char *name)
{
    if (strcmp(name, "concurrency") == 0)
        name = "worker-concurrency";
    for (size_t i = 0; i < fw_setting_count; i++) {
        if (strcmp(fw_setting_table[i].name, name) == 0)
            return &fw_setting_table[i];
    }
    return NULL;
}

const char *fw_settings_suggest(const char *name)
{
    const char *names[128];
    FW_ASSERT(fw_setting_count < 128);
    for (size_t i = 0; i < fw_setting_count; i++)
        names[i] = fw_setting_table[i].name;
    return fw_suggest(name, names, fw_setting_count);
}

static void *target_of(fw_settings *settings, const fw_setting *setting)
{
    return (char *)settings + setting->offset;
}

static bool apply(fw_settings *settings, fw_settings_error *error, const fw_setting *setting,
                  const char *text, fw_origin origin, const char *where)
{
    size_t place = (size_t)(setting - fw_setting_table);
    if (origin < settings->origins[place])
        return true;
    if (!setting->kind->parse(setting, text, target_of(settings, setting))) {
        bool pickle = strcmp(setting->name, "serialization-format") == 0;
        return fail(error, pickle ? FW_EXIT_USAGE : FW_EXIT_CONFIG, "%s is '%s': allowed is %s",
                    where, setting->secret ? "(hidden)" : text, setting->allowed);
    }
    settings->origins[place] = origin;
    return true;
}

static bool load_defaults(fw_settings *settings, fw_settings_error *error)
{
    FW_ASSERT(fw_setting_count <= sizeof settings->origins / sizeof settings->origins[0]);
    for (size_t i = 0; i < fw_setting_count; i++) {
        const fw_setting *setting = &fw_setting_table[i];
        if (setting->initial &&
            !apply(settings, error, setting, setting->initial, FW_FROM_DEFAULT, setting->name))
            return false;
    }
    return true;
}

/* --- the file --- */

typedef struct file_reading {
    fw_settings *settings;
    fw_settings_error *error;
    bool failed;
} file_reading;

static bool take_setting(fw_settings *settings, fw_settings_error *error,
                         const fw_config_line *line)
{
    char where[256];
    snprintf(where, sizeof where, "%s:%u: %s", line->path, line->line, line->key);
    const fw_setting *setting = find_setting(line->key);
    if (setting)
        return apply(settings, error, setting, line->value, FW_FROM_FILE, where);
    const char *near = fw_settings_suggest(line->key);
    return fail(error, FW_EXIT_CONFIG, "%s: no setting of that name%s%s%s", where,
                near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

static bool take_line(void *context, const fw_config_line *line)
{
    file_reading *reading = context;
    fw_settings_error *error = reading->error;
    reading->failed = line->kind[0] ? !fw_sections_take(&reading->settings->sections, error->text,
                                                        sizeof error->text, line)
                                    : !take_setting(reading->settings, error, line);
    if (reading->failed)
        error->exit_code = FW_EXIT_CONFIG;
    return !reading->failed;
}

static bool load_file(fw_settings *settings, fw_settings_error *error, const char *path, bool asked)
{
    file_reading reading = {settings, error, false};
    if (!asked && access(path, R_OK) != 0)
        return true;
    if (fw_config_file_read(error->text, sizeof error->text, path, take_line, &reading) < 0) {
        error->exit_code = FW_EXIT_CONFIG;
        return false;
    }
    return !reading.failed;
}

static bool load_files(fw_settings *settings, fw_settings_error *error, const char *flag)
{
    char path[512];
    const char *asked = flag ? flag : getenv("FASTWORKER_CONFIG");
    if (asked)
        return load_file(settings, error, asked, true);
    const char *home = getenv("XDG_CONFIG_HOME");
    if (!load_file(settings, error, "/etc/fastworker/fastworker.conf", false))
        return false;
    if (!home)
        return true;
    snprintf(path, sizeof path, "%s/fastworker/fastworker.conf", home);
    return load_file(settings, error, path, false);
}

/* --- the environment --- */

static bool is_foreign(const char *name)
{
    for (size_t i = 0; i < sizeof foreign_variables / sizeof foreign_variables[0]; i++) {
        if (strcmp(foreign_variables[i], name) == 0)
            return true;
    }
    return false;
}

static void key_of_variable(char *out, size_t capacity, const char *name)
{
    size_t i = 0;
    for (; name[i] && i + 1 < capacity; i++)
        out[i] = name[i] == '_' ? '-' : (char)tolower((unsigned char)name[i]);
    out[i] = '\0';
}

/* NAME_FILE: the value is the first line of that file. */
static bool value_from_file(char *out, size_t capacity, fw_settings_error *error, const char *where,
                            const char *path)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return fail(error, FW_EXIT_CONFIG, "%s: cannot read %s: %s", where, path, strerror(errno));
    if (!fgets(out, (int)capacity, file))
        out[0] = '\0';
    fclose(file);
    out[strcspn(out, "\r\n")] = '\0';
    return true;
}

static bool load_variable(fw_settings *settings, fw_settings_error *error, const char *name,
                          const char *value)
{
    char key[96], where[160], content[2048];
    snprintf(where, sizeof where, "FASTWORKER_%s", name);
    key_of_variable(key, sizeof key, name);
    const fw_setting *setting = find_setting(key);
    size_t length = strlen(key);
    if (!setting && length > 5 && strcmp(key + length - 5, "-file") == 0) {
        key[length - 5] = '\0';
        setting = find_setting(key);
        if (setting && !value_from_file(content, sizeof content, error, where, value))
            return false;
        value = content;
    }
    if (setting)
        return apply(settings, error, setting, value, FW_FROM_ENVIRONMENT, where);
    if (!is_foreign(name)) {
        const char *near = fw_settings_suggest(key);
        fw_log(FW_LOG_WARN, "config.unknown", "%s is not a setting%s%s%s", where,
               near ? "; did you mean the one for '" : "", near ? near : "", near ? "'?" : "");
    }
    return true;
}

static bool load_environment(fw_settings *settings, fw_settings_error *error)
{
    char name[128];
    for (char **entry = environ; *entry; entry++) {
        const char *equals = strchr(*entry, '=');
        if (strncmp(*entry, "FASTWORKER_", 11) != 0 || !equals)
            continue;
        size_t length = (size_t)(equals - *entry) - 11;
        if (length == 0 || length >= sizeof name)
            continue;
        memcpy(name, *entry + 11, length);
        name[length] = '\0';
        if (!load_variable(settings, error, name, equals + 1))
            return false;
    }
    return true;
}

/* --- the flags --- */

typedef struct flag_reading {
    int argc, at;
    char **argv;
} flag_reading;

static bool unknown_flag(fw_settings_error *error, const char *flag)
{
    const char *near = fw_settings_suggest(flag);
    return fail(error, FW_EXIT_USAGE, "unknown option '--%s'%s%s%s", flag,
                near ? "; did you mean '--" : "", near ? near : "", near ? "'?" : "");
}

/* Values of --task-modules: this one and those that follow it, up to the next flag. */
static const char *join_values(flag_reading *flags, const char *first, char *out, size_t capacity)
{
    size_t used = (size_t)snprintf(out, capacity, "%s", first);
    while (flags->at + 1 < flags->argc && flags->argv[flags->at + 1][0] != '-' && used < capacity)
        used += (size_t)snprintf(out + used, capacity - used, " %s", flags->argv[++flags->at]);
    return out;
}

/* A secret's flag names the file. Processes of our own find it by the variable. */
static bool take_token_file(fw_settings *settings, fw_settings_error *error, flag_reading *flags,
                            const char *path)
{
    char content[2048];
    if (!path && flags->at + 1 < flags->argc)
        path = flags->argv[++flags->at];
    if (!path)
        return fail(error, FW_EXIT_USAGE, "--token-file needs a value: a file");
    if (!value_from_file(content, sizeof content, error, "--token-file", path))
        return false;
    unsetenv("FASTWORKER_TOKEN");
    setenv("FASTWORKER_TOKEN_FILE", path, 1);
    return apply(settings, error, find_setting("token"), content, FW_FROM_FLAG, "--token-file");
}

static bool take_flag(fw_settings *settings, fw_settings_error *error, flag_reading *flags)
{
    char name[96], where[128], joined[4096];
    const char *flag = flags->argv[flags->at] + 2;
    const char *equals = strchr(flag, '=');
    const char *value = equals ? equals + 1 : NULL;
    snprintf(name, sizeof name, "%.*s", (int)(equals ? (size_t)(equals - flag) : strlen(flag)),
             flag);
    snprintf(where, sizeof where, "--%s", name);
    if (strcmp(name, "no-gui") == 0)
        return apply(settings, error, find_setting("gui-enabled"), "false", FW_FROM_FLAG, where);
    if (strcmp(name, "token-file") == 0)
        return take_token_file(settings, error, flags, value);
    const fw_setting *setting = find_setting(name);
    const fw_setting *negated = strncmp(name, "no-", 3) == 0 ? find_setting(name + 3) : NULL;
    if (!setting && negated && negated->kind == &fw_kind_switch && !equals)
        return apply(settings, error, negated, "false", FW_FROM_FLAG, where);
    if (!setting)
        return unknown_flag(error, name);
    if (setting->secret)
        return fail(error, FW_EXIT_USAGE,
                    "%s would show a secret to everybody on this machine: set the "
                    "variable, or name a file in its _FILE variant",
                    where);
    if (!value && setting->kind == &fw_kind_switch)
        value = "true";
    if (!value && flags->at + 1 < flags->argc)
        value = flags->argv[++flags->at];
    if (!value)
        return fail(error, FW_EXIT_USAGE, "%s needs a value: %s", where, setting->allowed);
    if (setting->kind == &fw_kind_list)
        value = join_values(flags, value, joined, sizeof joined);
    return apply(settings, error, setting, value, FW_FROM_FLAG, where);
}

static bool load_flags(fw_settings *settings, fw_settings_error *error, int argc, char **argv)
{
    flag_reading flags = {argc, 1, argv};
    for (; flags.at < argc; flags.at++) {
        const char *word = argv[flags.at];
        if (strcmp(word, "-c") == 0 || strcmp(word, "--config") == 0) {
            flags.at++;
            continue;
        }
        if (strncmp(word, "--config=", 9) == 0)
            continue;
        if (strncmp(word, "--", 2) != 0 || !word[2])
            return fail(error, FW_EXIT_USAGE, "unexpected argument '%s'", word);
        if (!take_flag(settings, error, &flags))
            return false;
    }
    return true;
}

static bool find_config_flag(const char **path, fw_settings_error *error, int argc, char **argv)
{
    *path = NULL;
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "--config=", 9) == 0)
            *path = argv[i] + 9;
        if (strcmp(argv[i], "-c") != 0 && strcmp(argv[i], "--config") != 0)
            continue;
        if (i + 1 == argc)
            return fail(error, FW_EXIT_USAGE, "%s needs a file name", argv[i]);
        *path = argv[++i];
    }
    return true;
}

static bool check_sections(const fw_settings *settings, fw_settings_error *error)
{
    error->exit_code = FW_EXIT_CONFIG;
    return fw_sections_check(&settings->sections, error->text, sizeof error->text,
                             (int)settings->cron_compat);
}

bool fw_settings_load(fw_settings *out, fw_settings_error *error, int argc, char **argv)
{
    *out = (fw_settings){.argc = argc, .argv = argv};
    *error = (fw_settings_error){0};
    if (load_defaults(out, error) && find_config_flag(&out->config_flag, error, argc, argv) &&
        load_files(out, error, out->config_flag) && load_environment(out, error) &&
        load_flags(out, error, argc, argv) && check_sections(out, error))
        return true;
    fw_settings_fini(out);
    return false;
}

void fw_settings_fini(fw_settings *settings)
{
    fw_sections_fini(&settings->sections);
    for (size_t i = 0; i < fw_setting_count; i++) {
        const fw_setting_kind *kind = fw_setting_table[i].kind;
        if (kind == &fw_kind_text || kind == &fw_kind_list || kind == &fw_kind_id ||
            kind == &fw_kind_address) {
            char **text = target_of(settings, &fw_setting_table[i]);
            free(*text);
            *text = NULL;
        }
    }
}

int fw_settings_log_level(const fw_settings *settings)
{
    /* The sixth word of the choice is another name of the second. */
    return settings->log_level == 5 ? FW_LOG_WARN : (int)settings->log_level;
}

bool fw_settings_is_set(const fw_settings *settings, const char *name)
{
    const fw_setting *setting = find_setting(name);
    FW_ASSERT(setting);
    return settings->origins[setting - fw_setting_table] != FW_FROM_DEFAULT;
}

const char *fw_settings_origin(const fw_settings *settings, size_t place)
{
    FW_ASSERT(place < fw_setting_count);
    return origin_words[settings->origins[place]];
}

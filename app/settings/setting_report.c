/* app/settings/setting_report.c - the table of settings as people and documents see it.
 * SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "app/settings/setting_table.h"
#include "app/settings/settings.h"
#include "base/assert.h"
#include "base/json.h"

static void value_text(const fw_settings *settings, const fw_setting *setting, char *out,
                       size_t capacity)
{
    out[0] = '\0';
    setting->kind->print(setting, (const char *)settings + setting->offset, out, capacity);
    if (setting->secret && out[0])
        snprintf(out, capacity, "(set)");
}

void fw_settings_show(const fw_settings *settings, FILE *out, bool json)
{
    char value[4096];
    fw_buffer text = {0};
    for (size_t i = 0; i < fw_setting_count; i++) {
        const fw_setting *setting = &fw_setting_table[i];
        const char *origin = fw_settings_origin(settings, i);
        value_text(settings, setting, value, sizeof value);
        if (json) {
            fw_buffer_format(&text, "%s\"%s\": {\"value\": ", i ? ", " : "{", setting->name);
            fw_buffer_json_string(&text, (fw_span){value, strlen(value)});
            fw_buffer_format(&text, ", \"origin\": \"%s\"}", origin);
        } else {
            fw_buffer_format(&text, "%-20s %-32s %s\n", setting->name, value[0] ? value : "-",
                             origin);
        }
    }
    if (json)
        fw_buffer_text(&text, ", \"sections\": ");
    FW_ASSERT(!text.failed);
    fwrite(text.data, 1, text.len, out);
    fw_buffer_fini(&text);
    fw_sections_show(&settings->sections, out, json);
    if (json)
        fputs("}\n", out);
}

void fw_settings_dump_default(FILE *out)
{
    fprintf(out,
            "# FastWorker. Each key is also the flag --key and the variable FASTWORKER_KEY.\n");
    for (size_t i = 0; i < fw_setting_count; i++) {
        const fw_setting *setting = &fw_setting_table[i];
        fprintf(out, "\n# %s\n# Allowed: %s.\n# %s = %s\n", setting->meaning, setting->allowed,
                setting->name, setting->initial ? setting->initial : "");
    }
    fw_sections_dump_default(out);
}

static void variable_of(const fw_setting *setting, char *out, size_t capacity)
{
    size_t at = (size_t)snprintf(out, capacity, "FASTWORKER_");
    for (const char *c = setting->name; *c && at + 1 < capacity; c++)
        out[at++] = *c == '-' ? '_' : (char)toupper((unsigned char)*c);
    out[at] = '\0';
}

void fw_settings_document(FILE *out)
{
    char variable[128];
    fprintf(out, "| variable | flag | default | allowed | meaning |\n|---|---|---|---|---|\n");
    for (size_t i = 0; i < fw_setting_count; i++) {
        const fw_setting *setting = &fw_setting_table[i];
        variable_of(setting, variable, sizeof variable);
        fprintf(out, "| `%s` | %s%s%s | %s | %s | %s |\n", variable, setting->secret ? "" : "`--",
                setting->secret ? "none" : setting->name, setting->secret ? "" : "`",
                setting->initial ? setting->initial : "none", setting->allowed, setting->meaning);
    }
    fw_sections_document(out);
}

void fw_settings_help(FILE *out)
{
    for (size_t i = 0; i < fw_setting_count; i++) {
        const fw_setting *setting = &fw_setting_table[i];
        if (!setting->secret)
            fprintf(out, "  --%-20s %s [%s]\n", setting->name, setting->meaning,
                    setting->initial ? setting->initial : "none");
    }
}

static unsigned cpus_allowed(void)
{
    cpu_set_t set;
    long quota = 0, period = 0;
    unsigned count = 1;
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        count = (unsigned)CPU_COUNT(&set);
    FILE *file = fopen("/sys/fs/cgroup/cpu.max", "re");
    if (file) {
        if (fscanf(file, "%ld %ld", &quota, &period) == 2 && quota > 0 && period > 0) {
            unsigned limit = (unsigned)((quota + period - 1) / period);
            count = limit < count ? limit : count;
        }
        fclose(file);
    }
    return count > 0 ? count : 1;
}

unsigned fw_settings_threads(const fw_settings *settings)
{
    int64_t threads = settings->threads, concurrency = settings->worker_concurrency;
    if (threads == 0)
        threads = concurrency ? concurrency : cpus_allowed();
    if (concurrency && concurrency < threads)
        threads = concurrency;
    return threads > FW_THREADS_MAX ? FW_THREADS_MAX : (unsigned)threads;
}

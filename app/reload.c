/* app/reload.c - see app/reload.h.
 *
 * The settings of the start are never changed: other threads read them. So what a setting is now is
 * told by whoever it was handed to, the cache or the log. SPDX-License-Identifier: Apache-2.0 */
#include "app/reload.h"

#include <signal.h>
#include <string.h>
#include <time.h>

#include "app/config_apply.h"
#include "app/settings/setting_table.h"
#include "base/log.h"

static const char *const changeable[] = {"result-cache-size", "result-cache-bytes",
                                         "result-cache-ttl", "log-level"};

static bool is_changeable(const char *name)
{
    for (size_t i = 0; i < sizeof changeable / sizeof changeable[0]; i++) {
        if (strcmp(changeable[i], name) == 0)
            return true;
    }
    return false;
}

static bool differs(const fw_setting *setting, const fw_settings *a, const fw_settings *b)
{
    char left[4096] = "", right[4096] = "";
    setting->kind->print(setting, (const char *)a + setting->offset, left, sizeof left);
    setting->kind->print(setting, (const char *)b + setting->offset, right, sizeof right);
    return strcmp(left, right) != 0;
}

void fw_reload_restart_needed(char *out, size_t capacity, const fw_settings *started,
                              const fw_settings *now)
{
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; i < fw_setting_count; i++) {
        const fw_setting *setting = &fw_setting_table[i];
        if (is_changeable(setting->name) || !differs(setting, started, now) ||
            used + strlen(setting->name) + 3 > capacity)
            continue;
        used +=
            (size_t)snprintf(out + used, capacity - used, "%s%s", used ? ", " : "", setting->name);
    }
}

static bool has_come(void)
{
    const struct timespec at_once = {0, 0};
    sigset_t hangup;
    sigemptyset(&hangup);
    sigaddset(&hangup, SIGHUP);
    return sigtimedwait(&hangup, NULL, &at_once) == SIGHUP;
}

static void apply(const fw_settings *now, fw_cache *cache, fw_log_format format)
{
    fw_cache_stats before;
    fw_log_level level = (fw_log_level)fw_settings_log_level(now);
    fw_cache_snapshot(cache, &before);
    fw_cache_resize(cache, (size_t)now->cache_size, (size_t)now->cache_bytes, now->cache_ttl_ns);
    /* The line is written if it would be before or after the change. */
    if (level >= FW_LOG_INFO)
        fw_log_configure(level, format);
    fw_log(FW_LOG_INFO, "reload",
           "configuration read again: result cache of %lld results (%zu), %lld bytes (%zu), "
           "%.3f s (%.3f s)",
           (long long)now->cache_size, before.entries_max, (long long)now->cache_bytes,
           before.bytes_max, (double)now->cache_ttl_ns / 1e9, (double)before.ttl_ns / 1e9);
    fw_log_configure(level, format);
}

/* What cannot be put in force is told, and the rest is. */
static void apply_sections(const fw_settings *started, const fw_settings *now, fw_lifecycle *life)
{
    char text[1024];
    if (fw_config_apply_tasks(life, text, sizeof text, &now->sections) < 0)
        fw_log(FW_LOG_ERROR, "reload.task", "%s", text);
    if (life->schedules && fw_config_apply_schedules(life, text, sizeof text, &now->sections) < 0)
        fw_log(FW_LOG_ERROR, "reload.schedule", "%s", text);
    fw_config_restart_needed(text, sizeof text, &started->sections, &now->sections);
    if (text[0])
        fw_log(FW_LOG_WARN, "reload.exec", "the programs of these tasks change with a restart: %s",
               text);
}

bool fw_reload_if_asked(const fw_settings *started, fw_lifecycle *life)
{
    char names[1024];
    fw_settings now;
    fw_settings_error error;
    if (!has_come())
        return false;
    if (!fw_settings_load(&now, &error, started->argc, started->argv)) {
        fw_log(FW_LOG_ERROR, "reload.refused", "nothing was changed: %s", error.text);
        return true;
    }
    apply_sections(started, &now, life);
    apply(&now, life->cache, (fw_log_format)started->log_format);
    fw_reload_restart_needed(names, sizeof names, started, &now);
    if (names[0])
        fw_log(FW_LOG_WARN, "reload.restart", "these take effect after a restart: %s", names);
    fw_settings_fini(&now);
    return true;
}

/* app/local_subworkers.c - see app/local_subworkers.h.
 *
 * A child gets what is its own by flags, and everything else as the control plane does: from the
 * environment and the configuration file. SPDX-License-Identifier: Apache-2.0 */
#include "app/local_subworkers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/settings/setting_table.h"
#include "base/assert.h"

/* What the control plane was told by flags, a subworker of its own has to be told as well. */
static const char *const inherited[] = {
    "task-modules", "module-path",     "task-timeout", "shutdown-timeout", "payload-max",
    "isolate",      "privileged-exec", "transport",    "stack-size",       "ring-size",
    "spin",         "batch",           "log-level",    "log-format",       "tls-ca",
    "tls-cert",     "tls-key",         "tls-verify",
};

enum {
    INHERITED = sizeof inherited / sizeof inherited[0],
    TEXTS_MAX = 2 * INHERITED + 2,  /* with the id and the number of threads */
    WORDS_MAX = 2 * INHERITED + 18, /* with what every child is told */
    TEXT_MAX = 4096
};

typedef struct words {
    char *word[WORDS_MAX];
    char texts[TEXTS_MAX][TEXT_MAX];
    unsigned count, text_count;
} words;

static char *new_text(words *w)
{
    FW_ASSERT(w->text_count < TEXTS_MAX);
    return w->texts[w->text_count++];
}

static void add(words *w, const char *flag, const char *value)
{
    FW_ASSERT(w->count + 2 < WORDS_MAX);
    w->word[w->count++] = (char *)(uintptr_t)flag;
    w->word[w->count++] = (char *)(uintptr_t)value;
}

static void add_inherited(words *w, const fw_settings *settings, const char *name)
{
    for (size_t i = 0; i < fw_setting_count; i++) {
        const fw_setting *setting = &fw_setting_table[i];
        if (strcmp(setting->name, name) != 0 || settings->origins[i] != FW_FROM_FLAG)
            continue;
        char *flag = new_text(w), *value = new_text(w);
        snprintf(flag, TEXT_MAX, "--%s", name);
        setting->kind->print(setting, (const char *)settings + setting->offset, value, TEXT_MAX);
        add(w, flag, value);
    }
}

static unsigned threads_each(const fw_settings *settings)
{
    unsigned all = fw_settings_threads(settings), count = (unsigned)settings->local_subworkers;
    return all > count ? (all + count - 1) / count : 1;
}

int fw_local_subworkers_start(fw_supervisor **out, const fw_settings *s, const char *address)
{
    words *w = calloc(1, sizeof *w);
    if (!w)
        return -FW_ENOMEM;
    char *id = new_text(w), *threads = new_text(w);
    snprintf(id, TEXT_MAX, "%.400s-local-%%d", s->worker_id);
    snprintf(threads, TEXT_MAX, "%u", threads_each(s));
    w->word[w->count++] = (char *)(uintptr_t) "fastworker";
    w->word[w->count++] = (char *)(uintptr_t) "subworker";
    add(w, "--worker-id", id);
    add(w, "--control-plane-address", address);
    add(w, "--base-address", "tcp://127.0.0.1:0");
    add(w, "--threads", threads);
    add(w, "--worker-concurrency", "auto");
    if (s->config_flag)
        add(w, "--config", s->config_flag);
    for (size_t i = 0; i < INHERITED; i++)
        add_inherited(w, s, inherited[i]);
    fw_supervisor_config config = {
        .noun = "subworker", .argv = w->word, .count = (unsigned)s->local_subworkers};
    int rc = fw_supervisor_start(out, &config);
    free(w);
    return rc;
}

/* app/settings/setting_kinds.c - the kinds of setting. Numbers are strict: no trailing text, no
 * overflow. SPDX-License-Identifier: Apache-2.0 */
#include "app/settings/setting_kinds.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"

static bool in_range(const fw_setting *setting, int64_t value)
{
    return value >= setting->least && value <= setting->most;
}

/* Digits only at *end's start; the rest is left at *end. */
static bool parse_digits(const char *text, int64_t *value, const char **end)
{
    char *stop;
    if (!isdigit((unsigned char)text[0]))
        return false;
    errno = 0;
    long long number = strtoll(text, &stop, 10);
    if (errno != 0)
        return false;
    *value = number;
    *end = stop;
    return true;
}

static bool store(const fw_setting *setting, void *target, int64_t value)
{
    if (!in_range(setting, value))
        return false;
    *(int64_t *)target = value;
    return true;
}

/* --- texts --- */

static bool replace_text(void *target, const char *text)
{
    char **slot = target;
    char *copy = text[0] ? strdup(text) : NULL;
    if (text[0] && !copy)
        return false;
    free(*slot);
    *slot = copy;
    return true;
}

static bool parse_text(const fw_setting *setting, const char *text, void *target)
{
    (void)setting;
    return replace_text(target, text);
}

static void print_text(const fw_setting *setting, const void *target, char *out, size_t capacity)
{
    (void)setting;
    const char *text = *(char *const *)target;
    snprintf(out, capacity, "%s", text ? text : "");
}

static bool parse_id(const fw_setting *setting, const char *text, void *target)
{
    (void)setting;
    return text[0] && !strchr(text, ':') && strlen(text) <= 128 && replace_text(target, text);
}

/* "http://host:8080", as browsers say it: another text would never be the one that they send. */
static bool is_origin(const char *text, size_t len)
{
    size_t scheme = strncmp(text, "http://", 7) == 0    ? 7
                    : strncmp(text, "https://", 8) == 0 ? 8
                                                        : 0;
    return scheme > 0 && len > scheme && strcspn(text + scheme, "/ ,@?#*") + scheme == len;
}

static bool parse_origins(const fw_setting *setting, const char *text, void *target)
{
    (void)setting;
    for (const char *at = text; *at && strcmp(text, "*") != 0; at += strspn(at, ", ")) {
        size_t len = strcspn(at, ", ");
        if (!is_origin(at, len))
            return false;
        at += len;
    }
    return replace_text(target, text);
}

static bool parse_address(const fw_setting *setting, const char *text, void *target)
{
    (void)setting;
    /* TLS is not spoken where announcements are heard. */
    bool tls = strncmp(text, "tls+", 4) == 0 && strcmp(setting->name, "discovery-address") != 0;
    const char *plain = tls ? text + 4 : text;
    const char *host = strncmp(plain, "tcp://", 6) == 0 ? plain + 6 : NULL;
    if (text[0] == '\0' && !setting->initial)
        return replace_text(target, text);
    const char *colon = host ? strrchr(host, ':') : NULL;
    const char *end;
    int64_t port;
    if (!colon || colon == host || !parse_digits(colon + 1, &port, &end) || *end)
        return false;
    return port >= setting->least && port <= setting->most && replace_text(target, text);
}

/* --- numbers --- */

static bool may_be_auto(const fw_setting *setting)
{
    return setting->initial && strcmp(setting->initial, "auto") == 0;
}

static bool parse_number(const fw_setting *setting, const char *text, void *target)
{
    const char *end;
    int64_t value;
    if (may_be_auto(setting) && strcmp(text, "auto") == 0) {
        *(int64_t *)target = 0;
        return true;
    }
    if (setting->words && strcmp(text, setting->words) == 0) {
        *(int64_t *)target = -1;
        return true;
    }
    return parse_digits(text, &value, &end) && !*end && store(setting, target, value);
}

static void print_number(const fw_setting *setting, const void *target, char *out, size_t capacity)
{
    int64_t value = *(const int64_t *)target;
    if (value == 0 && may_be_auto(setting))
        snprintf(out, capacity, "auto");
    else if (value == -1 && setting->words)
        snprintf(out, capacity, "%s", setting->words);
    else
        snprintf(out, capacity, "%" PRId64, value);
}

static bool parse_power(const fw_setting *setting, const char *text, void *target)
{
    const char *end;
    int64_t value;
    if (may_be_auto(setting) && strcmp(text, "auto") == 0) {
        *(int64_t *)target = 0;
        return true;
    }
    if (!parse_digits(text, &value, &end) || *end || value < 1 || (value & (value - 1)) != 0)
        return false;
    return store(setting, target, value);
}

static int64_t memory_allowed(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    int64_t all = (int64_t)pages * page, limit;
    char line[64];
    const char *end;
    FILE *file = fopen("/sys/fs/cgroup/memory.max", "re");
    if (file) {
        if (fgets(line, sizeof line, file) && parse_digits(line, &limit, &end) && limit < all)
            all = limit;
        fclose(file);
    }
    return all;
}

static bool parse_size(const fw_setting *setting, const char *text, void *target)
{
    const char *end;
    int64_t value;
    if (!parse_digits(text, &value, &end))
        return false;
    if (strcmp(end, "%") == 0)
        return value >= 1 && value <= 90 && store(setting, target, memory_allowed() / 100 * value);
    static const char units[] = "KMGT";
    int shift = 0;
    if (*end) {
        const char *unit = strchr(units, toupper((unsigned char)*end));
        if (!unit || end[1])
            return false;
        shift = 10 * (int)(unit - units + 1);
    }
    if (value > INT64_MAX >> shift)
        return false;
    return store(setting, target, value << shift);
}

static void print_size(const fw_setting *setting, const void *target, char *out, size_t capacity)
{
    (void)setting;
    static const char units[] = "\0KMGT";
    int64_t value = *(const int64_t *)target;
    int unit = 0;
    while (unit < 4 && value != 0 && value % 1024 == 0) {
        value /= 1024;
        unit++;
    }
    snprintf(out, capacity, "%" PRId64 "%.1s", value, units + unit);
}

static bool parse_duration(const fw_setting *setting, const char *text, void *target)
{
    static const struct {
        const char *name;
        double seconds;
    } units[] = {{"", 1}, {"ms", 1e-3}, {"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}};
    char *end;
    if (!isdigit((unsigned char)text[0]))
        return false;
    double number = strtod(text, &end);
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strcmp(end, units[i].name) == 0) {
            double ns = number * units[i].seconds * 1e9;
            return ns <= 9e18 && store(setting, target, (int64_t)ns);
        }
    }
    return false;
}

static void print_duration(const fw_setting *setting, const void *target, char *out,
                           size_t capacity)
{
    (void)setting;
    int64_t value = *(const int64_t *)target;
    if (value % FW_NS_PER_S == 0)
        snprintf(out, capacity, "%" PRId64 "s", value / FW_NS_PER_S);
    else
        snprintf(out, capacity, "%" PRId64 "ms", value / FW_NS_PER_MS);
}

/* --- words --- */

static bool parse_switch(const fw_setting *setting, const char *text, void *target)
{
    (void)setting;
    static const char *const words[] = {"false", "true", "0", "1", "no", "yes", "off", "on"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcasecmp(text, words[i]) == 0) {
            *(int64_t *)target = (int64_t)(i % 2);
            return true;
        }
    }
    return false;
}

static void print_switch(const fw_setting *setting, const void *target, char *out, size_t capacity)
{
    (void)setting;
    snprintf(out, capacity, "%s", *(const int64_t *)target ? "true" : "false");
}

/* The word at place `index` of "a b c"; empty past the end. */
static fw_span word_at(const char *words, int64_t index)
{
    for (; index > 0 && *words; index--)
        words += strcspn(words, " ") + (words[strcspn(words, " ")] == ' ');
    return (fw_span){words, strcspn(words, " ")};
}

static bool parse_choice(const fw_setting *setting, const char *text, void *target)
{
    for (int64_t i = 0;; i++) {
        fw_span word = word_at(setting->words, i);
        if (word.len == 0)
            return false;
        if (strlen(text) == word.len && strncasecmp(text, word.ptr, word.len) == 0) {
            *(int64_t *)target = i;
            return true;
        }
    }
}

static void print_choice(const fw_setting *setting, const void *target, char *out, size_t capacity)
{
    fw_span word = word_at(setting->words, *(const int64_t *)target);
    FW_ASSERT(word.len > 0);
    snprintf(out, capacity, "%.*s", (int)word.len, word.ptr);
}

/* --- the engine's own --- */

static bool parse_spin(const fw_setting *setting, const char *text, void *target)
{
    fw_spin_setting *spin = target;
    const char *end;
    int64_t rounds;
    if (strcmp(text, "adaptive") == 0)
        *spin = (fw_spin_setting){FW_SPIN_ADAPTIVE, 0};
    else if (strcmp(text, "off") == 0)
        *spin = (fw_spin_setting){FW_SPIN_OFF, 0};
    else if (parse_digits(text, &rounds, &end) && !*end && in_range(setting, rounds))
        *spin = (fw_spin_setting){FW_SPIN_ROUNDS, (unsigned)rounds};
    else
        return false;
    return true;
}

static void print_spin(const fw_setting *setting, const void *target, char *out, size_t capacity)
{
    (void)setting;
    const fw_spin_setting *spin = target;
    if (spin->kind == FW_SPIN_ROUNDS)
        snprintf(out, capacity, "%u", spin->rounds);
    else
        snprintf(out, capacity, "%s", spin->kind == FW_SPIN_OFF ? "off" : "adaptive");
}

static bool parse_cpu_list(fw_affinity_setting *affinity, const char *text)
{
    while (*text) {
        int64_t first, last;
        const char *end;
        if (!parse_digits(text, &first, &end))
            return false;
        last = first;
        if (*end == '-' && !parse_digits(end + 1, &last, &end))
            return false;
        if (last < first || last >= CPU_SETSIZE || (*end && *end != ','))
            return false;
        for (int64_t cpu = first; cpu <= last; cpu++) {
            if (affinity->count == FW_THREADS_MAX)
                return false;
            affinity->cpus[affinity->count++] = (unsigned short)cpu;
        }
        text = *end ? end + 1 : end;
    }
    return affinity->count > 0;
}

static bool parse_affinity(const fw_setting *setting, const char *text, void *target)
{
    (void)setting;
    fw_affinity_setting affinity = {.kind = FW_AFFINITY_NONE};
    if (strcmp(text, "compact") == 0)
        affinity.kind = FW_AFFINITY_COMPACT;
    else if (strcmp(text, "spread") == 0)
        affinity.kind = FW_AFFINITY_SPREAD;
    else if (strcmp(text, "none") != 0) {
        affinity.kind = FW_AFFINITY_LIST;
        if (!parse_cpu_list(&affinity, text))
            return false;
    }
    *(fw_affinity_setting *)target = affinity;
    return true;
}

static void print_affinity(const fw_setting *setting, const void *target, char *out,
                           size_t capacity)
{
    (void)setting;
    static const char *const words[] = {"none", "compact", "spread"};
    const fw_affinity_setting *affinity = target;
    if (affinity->kind != FW_AFFINITY_LIST) {
        snprintf(out, capacity, "%s", words[affinity->kind]);
        return;
    }
    size_t at = 0;
    for (unsigned i = 0; i < affinity->count && at + 8 < capacity; i++)
        at += (size_t)snprintf(out + at, capacity - at, "%s%u", i ? "," : "", affinity->cpus[i]);
}

static bool parse_weights(const fw_setting *setting, const char *text, void *target)
{
    unsigned weights[FW_LEVELS];
    for (int i = 0; i < FW_LEVELS; i++) {
        int64_t value;
        const char *end;
        if (!parse_digits(text, &value, &end) || !in_range(setting, value))
            return false;
        if (*end != (i < FW_LEVELS - 1 ? ',' : '\0'))
            return false;
        weights[i] = (unsigned)value;
        text = end + 1;
    }
    memcpy(target, weights, sizeof weights);
    return true;
}

static void print_weights(const fw_setting *setting, const void *target, char *out, size_t capacity)
{
    (void)setting;
    const unsigned *w = target;
    snprintf(out, capacity, "%u,%u,%u,%u", w[0], w[1], w[2], w[3]);
}

const fw_setting_kind fw_kind_text = {parse_text, print_text};
const fw_setting_kind fw_kind_list = {parse_text, print_text};
const fw_setting_kind fw_kind_origins = {parse_origins, print_text};
const fw_setting_kind fw_kind_id = {parse_id, print_text};
const fw_setting_kind fw_kind_address = {parse_address, print_text};
const fw_setting_kind fw_kind_number = {parse_number, print_number};
const fw_setting_kind fw_kind_power = {parse_power, print_number};
const fw_setting_kind fw_kind_size = {parse_size, print_size};
const fw_setting_kind fw_kind_duration = {parse_duration, print_duration};
const fw_setting_kind fw_kind_switch = {parse_switch, print_switch};
const fw_setting_kind fw_kind_choice = {parse_choice, print_choice};
const fw_setting_kind fw_kind_spin = {parse_spin, print_spin};
const fw_setting_kind fw_kind_affinity = {parse_affinity, print_affinity};
const fw_setting_kind fw_kind_weights = {parse_weights, print_weights};

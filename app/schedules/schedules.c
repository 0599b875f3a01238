/* app/schedules/schedules.c - see app/schedules/schedules.h: the table itself.
 * SPDX-License-Identifier: Apache-2.0 */
#include "app/schedules/schedules_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"

static const int64_t window_default_ns = 3600 * FW_NS_PER_S;

static const char *const overlap_names[] = {"skip", "queue_one", "queue_all", "cancel_old",
                                            "allow"};
static const char *const catchup_names[] = {"none", "one", "all"};

static int parse_word(fw_span text, const char *const *names, int count)
{
    for (int i = 0; i < count; i++) {
        if (text.len == strlen(names[i]) && memcmp(text.ptr, names[i], text.len) == 0)
            return i;
    }
    return -1;
}

const char *fw_overlap_name(fw_overlap overlap)
{
    return overlap_names[overlap];
}

const char *fw_catchup_name(fw_catchup catchup)
{
    return catchup_names[catchup];
}

int fw_overlap_parse(fw_span text)
{
    return parse_word(text, overlap_names, 5);
}

int fw_catchup_parse(fw_span text)
{
    return parse_word(text, catchup_names, 3);
}

fw_plan fw_plan_default(void)
{
    return (fw_plan){.overlap = -1,
                     .catchup = -1,
                     .window_ns = window_default_ns,
                     .count = -1,
                     .retry_delay_s = 1,
                     .retry_backoff = 2,
                     .retry_backoff_max_s = 60,
                     .level = FW_NORMAL};
}

/* --- the table --- */

int fw_schedules_create(fw_schedules **out, char *error, size_t error_capacity,
                        const fw_schedule_config *config)
{
    fw_schedules *schedules = calloc(1, sizeof *schedules);
    const char *zone = config->zone ? config->zone : "local";
    if (!schedules) {
        snprintf(error, error_capacity, "out of memory");
        return -FW_ENOMEM;
    }
    schedules->config = *config;
    schedules->config.zone = zone;
    int rc = fw_zone_load(&schedules->zone, error, error_capacity, (fw_span){zone, strlen(zone)});
    if (rc < 0) {
        free(schedules);
        return rc;
    }
    pthread_mutex_init(&schedules->lock, NULL);
    *out = schedules;
    return 0;
}

void fw_definition_release(fw_definition *definition)
{
    if (--definition->uses > 0)
        return;
    fw_zone_free(definition->zone);
    free(definition);
}

static void free_entry(fw_entry *entry)
{
    fw_definition_release(entry->definition);
    free(entry->waiting);
    free(entry);
}

void fw_schedules_destroy(fw_schedules *schedules)
{
    if (!schedules)
        return;
    while (schedules->entries) {
        fw_entry *entry = schedules->entries;
        schedules->entries = entry->next;
        free_entry(entry);
    }
    for (size_t i = 0; i < FW_RUN_BUCKETS; i++) {
        while (schedules->buckets[i]) {
            fw_live_run *live = schedules->buckets[i];
            schedules->buckets[i] = live->next_in_bucket;
            free(live);
        }
    }
    fw_zone_free(schedules->zone);
    pthread_mutex_destroy(&schedules->lock);
    free(schedules);
}

static fw_entry **find_link(fw_schedules *schedules, fw_span name)
{
    fw_entry **link = &schedules->entries;
    for (; *link; link = &(*link)->next) {
        fw_span own = (*link)->definition->plan.name;
        if (own.len == name.len && memcmp(own.ptr, name.ptr, name.len) == 0)
            break;
    }
    return link;
}

fw_entry *fw_entry_find(fw_schedules *schedules, fw_span name)
{
    return *find_link(schedules, name);
}

/* --- definitions --- */

static fw_span keep(char **at, fw_span text)
{
    char *begin = *at;
    if (text.len > 0)
        memcpy(begin, text.ptr, text.len);
    begin[text.len] = '\0';
    *at += text.len + 1;
    return (fw_span){begin, text.len};
}

/* "TZ=Europe/Berlin 0 9 * * *" */
static void split_zone(fw_plan *plan)
{
    static const char *const marks[] = {"TZ=", "CRON_TZ="};
    for (int i = 0; i < 2; i++) {
        size_t len = strlen(marks[i]);
        if (plan->when.len < len || memcmp(plan->when.ptr, marks[i], len) != 0)
            continue;
        const char *at = plan->when.ptr + len, *end = plan->when.ptr + plan->when.len;
        const char *space = memchr(at, ' ', (size_t)(end - at));
        plan->zone = (fw_span){at, (size_t)((space ? space : end) - at)};
        plan->when = space ? (fw_span){space, (size_t)(end - space)} : (fw_span){end, 0};
        return;
    }
}

static fw_definition *copy_plan(const fw_plan *plan)
{
    fw_span texts[] = {plan->name, plan->task, plan->args, plan->kwargs,
                       plan->when, plan->zone, plan->until};
    size_t bytes = 0;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        bytes += texts[i].len + 1;
    fw_definition *d = calloc(1, sizeof *d + bytes);
    if (!d)
        return NULL;
    char *at = d->texts;
    d->uses = 1;
    d->plan = *plan;
    fw_span *kept[] = {&d->plan.name, &d->plan.task, &d->plan.args, &d->plan.kwargs,
                       &d->plan.when, &d->plan.zone, &d->plan.until};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        *kept[i] = keep(&at, texts[i]);
    return d;
}

static int refuse(char *error, size_t capacity, const char *member, const char *text)
{
    snprintf(error, capacity, "%s: %s", member, text);
    return -FW_EINVAL;
}

/* Fills in defaults, reads the texts. NULL: error says why. */
static fw_definition *define(const fw_schedules *schedules, char *error, size_t capacity,
                             const fw_plan *asked, int64_t now_ns, int *rc)
{
    char why[320];
    fw_plan plan = *asked;
    split_zone(&plan);
    if (plan.zone.len == 0)
        plan.zone = (fw_span){schedules->config.zone, strlen(schedules->config.zone)};
    if (plan.args.len == 0)
        plan.args = (fw_span){"[]", 2};
    if (plan.kwargs.len == 0)
        plan.kwargs = (fw_span){"{}", 2};
    plan.overlap = plan.overlap < 0 ? (int)schedules->config.overlap : plan.overlap;
    plan.catchup = plan.catchup < 0 ? (int)schedules->config.catchup : plan.catchup;
    *rc = -FW_EINVAL;
    if (plan.name.len == 0 || plan.name.len > FW_ID_MAX)
        return refuse(error, capacity, "name", "1 to 255 bytes are wanted"), NULL;
    if (plan.task.len == 0 || plan.task.len > FW_ID_MAX)
        return refuse(error, capacity, "task", "1 to 255 bytes are wanted"), NULL;
    if (plan.args.len + plan.kwargs.len > FW_SCHEDULE_BYTES_MAX)
        return refuse(error, capacity, "args", "more than 64 KiB with kwargs"), NULL;
    fw_definition *d = copy_plan(&plan);
    *rc = d ? -FW_EINVAL : -FW_ENOMEM;
    if (!d)
        return snprintf(error, capacity, "out of memory"), NULL;
    d->until_ns = FW_SCHEDULE_NEVER;
    const char *member = NULL;
    if (fw_schedule_parse(&d->when, why, sizeof why, d->plan.when, schedules->config.style) < 0) {
        member = "when";
    } else if (fw_zone_load(&d->zone, why, sizeof why, d->plan.zone) < 0) {
        member = "tz";
    } else if (plan.until.len > 0 && !fw_zone_read_time(d->zone, &d->until_ns, d->plan.until)) {
        member = "until";
        snprintf(why, sizeof why, "a time such as 2026-12-31T18:00:00 is wanted");
    } else if (d->when.kind == FW_SCHEDULE_CRON &&
               fw_schedule_next(&d->when, d->zone, now_ns, 0) == FW_SCHEDULE_NEVER) {
        member = "when";
        snprintf(why, sizeof why, "no such time comes");
    }
    if (!member)
        return d;
    refuse(error, capacity, member, why);
    fw_definition_release(d);
    return NULL;
}

static bool same_text(fw_span a, fw_span b)
{
    return a.len == b.len && memcmp(a.ptr, b.ptr, a.len) == 0;
}

static bool is_same(const fw_plan *a, const fw_plan *b)
{
    return same_text(a->task, b->task) && same_text(a->args, b->args) &&
           same_text(a->kwargs, b->kwargs) && same_text(a->when, b->when) &&
           same_text(a->zone, b->zone) && same_text(a->until, b->until) &&
           a->overlap == b->overlap && a->catchup == b->catchup && a->window_ns == b->window_ns &&
           a->count == b->count && a->timeout_ns == b->timeout_ns &&
           a->max_retries == b->max_retries && a->retry_delay_s == b->retry_delay_s &&
           a->retry_backoff == b->retry_backoff &&
           a->retry_backoff_max_s == b->retry_backoff_max_s && a->level == b->level &&
           a->from_module == b->from_module && a->from_file == b->from_file &&
           a->jitter_ns == b->jitter_ns;
}

/* --- changes --- */

static void begin(fw_entry *entry, int64_t now_ns)
{
    entry->orphan = false;
    entry->fired = 0;
    entry->last_ns = 0;
    entry->anchor_ns = now_ns;
    entry->next_ns = now_ns;
    bool ended = entry->definition->plan.count == 0 || now_ns > entry->definition->until_ns;
    if (ended)
        entry->next_ns = FW_SCHEDULE_NEVER;
    else if (entry->definition->when.kind == FW_SCHEDULE_CRON)
        entry->next_ns = fw_entry_after(entry, now_ns);
}

static int put(fw_schedules *schedules, char *error, size_t capacity, fw_definition *d,
               int64_t now_ns)
{
    fw_entry **link = find_link(schedules, d->plan.name), *entry = *link;
    if (entry && is_same(&entry->definition->plan, &d->plan)) {
        fw_definition_release(d);
        if (entry->orphan)
            begin(entry, now_ns);
        return FW_PUT_SAME;
    }
    bool fresh = !entry;
    if (fresh) {
        entry = schedules->count < FW_SCHEDULES_MAX ? calloc(1, sizeof *entry) : NULL;
        if (!entry) {
            fw_definition_release(d);
            snprintf(error, capacity, "there are too many schedules");
            return -FW_EFULL;
        }
        entry->paused = d->plan.paused;
        schedules->count++;
        *link = entry;
    } else {
        fw_definition_release(entry->definition);
    }
    entry->definition = d;
    begin(entry, now_ns);
    return fresh ? FW_PUT_CREATED : FW_PUT_REPLACED;
}

int fw_schedules_put(fw_schedules *schedules, char *error, size_t error_capacity,
                     const fw_plan *plan, int64_t now_ns)
{
    int rc;
    fw_definition *d = define(schedules, error, error_capacity, plan, now_ns, &rc);
    if (!d)
        return rc;
    pthread_mutex_lock(&schedules->lock);
    rc = put(schedules, error, error_capacity, d, now_ns);
    pthread_mutex_unlock(&schedules->lock);
    return rc;
}

bool fw_schedules_delete(fw_schedules *schedules, fw_span name)
{
    pthread_mutex_lock(&schedules->lock);
    fw_entry **link = find_link(schedules, name), *entry = *link;
    if (entry) {
        *link = entry->next;
        schedules->count--;
        for (fw_live_run *live = entry->live; live; live = live->next)
            live->entry = NULL;
        free_entry(entry);
    }
    pthread_mutex_unlock(&schedules->lock);
    return entry != NULL;
}

void fw_schedules_orphan(fw_schedules *schedules, bool (*is_in_file)(void *context, fw_span name),
                         void *context)
{
    pthread_mutex_lock(&schedules->lock);
    for (fw_entry *entry = schedules->entries; entry; entry = entry->next) {
        const fw_plan *plan = &entry->definition->plan;
        if (plan->from_file && !is_in_file(context, plan->name)) {
            entry->orphan = true;
            entry->waiting_count = 0;
        }
    }
    pthread_mutex_unlock(&schedules->lock);
}

bool fw_schedules_pause(fw_schedules *schedules, fw_span name, bool pause, int64_t now_ns)
{
    pthread_mutex_lock(&schedules->lock);
    fw_entry *entry = fw_entry_find(schedules, name);
    if (entry && entry->paused && !pause && entry->next_ns < now_ns)
        fw_entry_catch_up(entry, now_ns - 1);
    if (entry)
        entry->paused = pause;
    pthread_mutex_unlock(&schedules->lock);
    return entry != NULL;
}

const char *fw_schedules_trigger(fw_schedules *schedules, fw_key *key, fw_span name, int64_t now_ns)
{
    fw_orders orders = {0};
    const char *outcome = NULL;
    pthread_mutex_lock(&schedules->lock);
    fw_entry *entry = fw_entry_find(schedules, name);
    if (entry)
        outcome = fw_entry_fire(schedules, entry, (fw_pending){now_ns, FW_BY_TRIGGER}, &orders,
                                now_ns, key);
    pthread_mutex_unlock(&schedules->lock);
    fw_orders_run(schedules, &orders);
    return outcome;
}

/* The times to be run, counted; added to those that wait when `add` says so. */
static int walk(fw_entry *entry, int64_t first_ns, int64_t last_ns, bool add)
{
    const fw_definition *d = entry->definition;
    int count = 0;
    int64_t at_ns = fw_schedule_next(&d->when, d->zone, first_ns - 1, entry->anchor_ns);
    if (d->when.kind == FW_SCHEDULE_EVERY && first_ns < entry->anchor_ns) {
        /* Intervals reach back as well. */
        int64_t back_ns = (entry->anchor_ns - first_ns) / d->when.every_ns * d->when.every_ns;
        at_ns = entry->anchor_ns - back_ns;
    }
    while (at_ns <= last_ns) {
        if (++count > FW_SCHEDULE_WAITING_MAX)
            return -FW_EFULL;
        if (add && !fw_entry_wait(entry, (fw_pending){at_ns, FW_BY_BACKFILL}))
            return -FW_ENOMEM;
        at_ns = d->when.kind == FW_SCHEDULE_EVERY
                    ? at_ns + d->when.every_ns
                    : fw_schedule_next(&d->when, d->zone, at_ns, entry->anchor_ns);
    }
    return count;
}

int fw_schedules_backfill(fw_schedules *schedules, fw_span name, int64_t first_ns, int64_t last_ns)
{
    int rc = -FW_EUNKNOWN;
    pthread_mutex_lock(&schedules->lock);
    fw_entry *entry = fw_entry_find(schedules, name);
    if (entry) {
        bool possible = entry->definition->when.kind != FW_SCHEDULE_REBOOT && first_ns <= last_ns;
        rc = possible ? walk(entry, first_ns, last_ns, false) : -FW_EINVAL;
        if (rc >= 0 && (size_t)rc + entry->waiting_count > FW_SCHEDULE_WAITING_MAX)
            rc = -FW_EFULL;
        if (rc >= 0)
            rc = walk(entry, first_ns, last_ns, true);
    }
    pthread_mutex_unlock(&schedules->lock);
    return rc;
}

bool fw_schedules_read_time(fw_schedules *schedules, int64_t *out_ns, fw_span name, fw_span text)
{
    pthread_mutex_lock(&schedules->lock);
    fw_entry *entry = fw_entry_find(schedules, name);
    bool good = entry && fw_zone_read_time(entry->definition->zone, out_ns, text);
    pthread_mutex_unlock(&schedules->lock);
    return good;
}

/* --- looking --- */

static const char *state_of(const fw_entry *entry)
{
    if (entry->orphan)
        return "orphan";
    bool over = entry->next_ns == FW_SCHEDULE_NEVER && entry->waiting_count == 0;
    return over ? "finished" : entry->paused ? "paused" : "active";
}

static void show(const fw_entry *entry, fw_schedule_run *runs,
                 void (*visit)(void *context, const fw_schedule_view *view), void *context)
{
    const fw_plan *plan = &entry->definition->plan;
    fw_schedule_view view = {.name = plan->name.ptr,
                             .task = plan->task.ptr,
                             .when = plan->when.ptr,
                             .zone = plan->zone.ptr,
                             .until = plan->until.ptr,
                             .state = state_of(entry),
                             .overlap = (fw_overlap)plan->overlap,
                             .catchup = (fw_catchup)plan->catchup,
                             .level = plan->level,
                             .from_module = plan->from_module,
                             .from_file = plan->from_file,
                             .jitter_ns = plan->jitter_ns,
                             .next_ns = entry->orphan ? FW_SCHEDULE_NEVER : entry->next_ns,
                             .count = plan->count,
                             .last_success_ns = entry->last_success_ns,
                             .started = entry->started,
                             .skipped = entry->skipped,
                             .missed = entry->missed,
                             .caught_up = entry->caught_up,
                             .running = entry->live_count,
                             .waiting = entry->waiting_count,
                             .runs = runs};
    for (fw_live_run *live = entry->live; live && view.run_count < FW_SCHEDULE_RUNS_KEPT;
         live = live->next)
        runs[view.run_count++] = live->run;
    for (size_t i = 1; i <= entry->history_count; i++)
        runs[view.run_count++] = entry->history[(entry->history_next + FW_SCHEDULE_RUNS_KEPT - i) %
                                                FW_SCHEDULE_RUNS_KEPT];
    visit(context, &view);
}

bool fw_schedules_each(fw_schedules *schedules, fw_span name,
                       void (*visit)(void *context, const fw_schedule_view *view), void *context)
{
    fw_schedule_run runs[2 * FW_SCHEDULE_RUNS_KEPT];
    pthread_mutex_lock(&schedules->lock);
    fw_entry *entry = name.len > 0 ? fw_entry_find(schedules, name) : schedules->entries;
    bool found = name.len == 0 || entry;
    for (; entry; entry = name.len > 0 ? NULL : entry->next)
        show(entry, runs, visit, context);
    pthread_mutex_unlock(&schedules->lock);
    return found;
}

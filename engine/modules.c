/* engine/modules.c - the task modules of a process, and their tasks by name.
 *
 * Roles: one thread loads, then task threads look up and call; what they read is immutable by then,
 * so lookups take no lock. Names live in an open hash table at most half full, built anew by each
 * load. A module is taken in steps that can each be undone: locate, read without running, open,
 * compare with what is loaded, init, add. SPDX-License-Identifier: Apache-2.0 */
#include "engine/modules.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/atomic.h"
#include "engine/call.h"
#include "engine/module_file.h"

enum { MODULES_MAX = 256, PATH_MAX_BYTES = 4096 };

typedef struct loaded {
    void *handle;
    const fw_module *module;
    char *path;
    void *state;
    fw_task_entry *entries; /* one per task; entries stay where they are when more modules come */
} loaded;

typedef struct slot {
    uint32_t hash;
    uint32_t name_len; /* 0: free */
    const fw_task_entry *entry;
} slot;

/* What one task thread needs; on cache lines of its own. */
typedef struct module_thread {
    _Alignas(FW_APART) fw_call_thread call;
    void **tls; /* one per module; NULL: not started */
} module_thread;

struct fw_modules {
    /* Immutable after the last load. */
    loaded *loaded;
    size_t loaded_count;
    const fw_task_entry **tasks;
    size_t task_count;
    slot *slots; /* slot_mask + 1 of them */
    uint32_t slot_mask;
    /* Each used by its own thread only. */
    module_thread *threads;
    unsigned threads_max;
};

/* FNV-1a: names are short and the table is not keyed by peers. */
static uint32_t hash_name(const char *name, size_t len)
{
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < len; i++)
        h = (h ^ (unsigned char)name[i]) * 16777619u;
    return h ^ h >> 15;
}

int fw_modules_create(fw_modules **out, unsigned threads_max)
{
    FW_ASSERT(threads_max > 0);
    fw_modules *modules = calloc(1, sizeof *modules);
    size_t size = threads_max * sizeof(module_thread);
    module_thread *threads = aligned_alloc(FW_APART, size);
    slot *slots = calloc(1, sizeof *slots);
    if (!modules || !threads || !slots) {
        free(modules);
        free(threads);
        free(slots);
        return -FW_ENOMEM;
    }
    memset(threads, 0, size);
    *modules = (fw_modules){.slots = slots, .threads = threads, .threads_max = threads_max};
    *out = modules;
    return 0;
}

static void close_module(loaded *one)
{
    free(one->entries);
    free(one->path);
    if (one->handle)
        dlclose(one->handle);
}

void fw_modules_destroy(fw_modules *modules)
{
    if (!modules)
        return;
    for (unsigned i = 0; i < modules->threads_max; i++)
        FW_ASSERT(!modules->threads[i].tls);
    for (size_t i = modules->loaded_count; i-- > 0;) {
        loaded *one = &modules->loaded[i];
        if (one->module->fini)
            one->module->fini(one->state);
        close_module(one);
    }
    free(modules->loaded);
    free(modules->tasks);
    free(modules->slots);
    free(modules->threads);
    free(modules);
}

/* Opened, it must still be what the file said: somebody may have replaced it in between. */
static int check_opened(loaded *one, char *error, size_t error_capacity)
{
    one->module = dlsym(one->handle, "fastworker_module");
    if (!one->module) {
        snprintf(error, error_capacity, "%s: not a task module: no fastworker_module", one->path);
        return -FW_EINVAL;
    }
    int rc = fw_module_check_sizes(error, error_capacity, one->path, one->module);
    for (uint32_t i = 0; rc == 0 && i < one->module->task_count; i++) {
        const fw_task_def *def = &one->module->tasks[i];
        if (!def->name || !def->fn ||
            !fw_module_name_is_valid((fw_span){def->name, strlen(def->name)})) {
            snprintf(error, error_capacity,
                     "%s: the module's task %u has no proper name or function", one->path, i);
            rc = -FW_EINVAL;
        }
    }
    return rc;
}

static int open_module(loaded *one, char *error, size_t error_capacity, const char *path)
{
    fw_module_info info;
    int rc = fw_module_read(&info, error, error_capacity, path);
    if (rc < 0)
        return rc;
    if (!info.native)
        snprintf(error, error_capacity, "%s: the module is made for %s processors; build it here",
                 path, info.processor);
    bool native = info.native;
    fw_module_info_fini(&info);
    if (!native)
        return -FW_EABI;
    one->path = strdup(path);
    if (!one->path) {
        snprintf(error, error_capacity, "%s: out of memory", path);
        return -FW_ENOMEM;
    }
    one->handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!one->handle) {
        snprintf(error, error_capacity, "the task module cannot be loaded: %s", dlerror());
        return -FW_EINVAL;
    }
    return check_opened(one, error, error_capacity);
}

static bool is_loaded(const fw_modules *modules, const loaded *one)
{
    for (size_t i = 0; i < modules->loaded_count; i++) {
        if (modules->loaded[i].handle == one->handle)
            return true;
    }
    return false;
}

static int check_names(const fw_modules *modules, const loaded *one, char *error,
                       size_t error_capacity)
{
    for (uint32_t i = 0; i < one->module->task_count; i++) {
        const char *name = one->module->tasks[i].name;
        const fw_task_entry *other = fw_modules_find(modules, (fw_span){name, strlen(name)});
        if (other) {
            snprintf(error, error_capacity,
                     "task '%s' is in two modules, %s and %s; rename it in one of them or load "
                     "only one",
                     name, modules->loaded[other->module_index].path, one->path);
            return -FW_EDUP;
        }
    }
    return 0;
}

static void put_slot(slot *slots, uint32_t mask, const fw_task_entry *entry)
{
    size_t len = strlen(entry->def->name);
    uint32_t hash = hash_name(entry->def->name, len);
    uint32_t at = hash & mask;
    while (slots[at].name_len != 0)
        at = (at + 1) & mask;
    slots[at] = (slot){hash, (uint32_t)len, entry};
}

/* Room for one more module and its tasks; what it replaces is freed when all of it stands. */
static int make_room(fw_modules *modules, loaded *one)
{
    size_t tasks = modules->task_count + one->module->task_count;
    size_t slot_count = 8;
    while (slot_count < tasks * 2)
        slot_count *= 2;
    FW_ASSERT(slot_count <= UINT32_MAX);
    one->entries = calloc(one->module->task_count, sizeof *one->entries);
    slot *slots = calloc(slot_count, sizeof *slots);
    const fw_task_entry **list = realloc(modules->tasks, tasks * sizeof(*list));
    if (list)
        modules->tasks = list;
    loaded *all = realloc(modules->loaded, (modules->loaded_count + 1) * sizeof *all);
    if (all)
        modules->loaded = all;
    if (!one->entries || !slots || !list || !all) {
        free(slots);
        return -FW_ENOMEM;
    }
    for (size_t i = 0; i < modules->task_count; i++)
        put_slot(slots, (uint32_t)slot_count - 1, modules->tasks[i]);
    free(modules->slots);
    modules->slots = slots;
    modules->slot_mask = (uint32_t)slot_count - 1;
    return 0;
}

static void add_module(fw_modules *modules, const loaded *one)
{
    for (uint32_t i = 0; i < one->module->task_count; i++) {
        one->entries[i] = (fw_task_entry){.def = &one->module->tasks[i],
                                          .module = one->module,
                                          .module_index = (unsigned)modules->loaded_count,
                                          .index = (unsigned)modules->task_count};
        put_slot(modules->slots, modules->slot_mask, &one->entries[i]);
        modules->tasks[modules->task_count++] = &one->entries[i];
    }
    modules->loaded[modules->loaded_count++] = *one;
    FW_ASSERT(modules->task_count * 2 <= (size_t)modules->slot_mask + 1);
}

int fw_modules_load(fw_modules *modules, char *error, size_t error_capacity, const char *name,
                    const char *module_path)
{
    for (unsigned i = 0; i < modules->threads_max; i++)
        FW_ASSERT(!modules->threads[i].tls);
    char path[PATH_MAX_BYTES];
    loaded one = {0};
    int rc = fw_module_locate(path, sizeof path, error, error_capacity, name, module_path);
    if (rc == 0)
        rc = open_module(&one, error, error_capacity, path);
    if (rc == 0 && is_loaded(modules, &one)) {
        close_module(&one);
        return 0;
    }
    if (rc == 0 && modules->loaded_count == MODULES_MAX) {
        snprintf(error, error_capacity, "%s: %d task modules are loaded, no more are possible",
                 path, MODULES_MAX);
        rc = -FW_EFULL;
    }
    if (rc == 0)
        rc = check_names(modules, &one, error, error_capacity);
    if (rc == 0 && make_room(modules, &one) < 0) {
        snprintf(error, error_capacity, "%s: out of memory", path);
        rc = -FW_ENOMEM;
    }
    if (rc == 0 && one.module->init) {
        rc = one.module->init(&one.state);
        if (rc < 0)
            snprintf(error, error_capacity, "%s: the module's init failed: %s", path,
                     fw_strerror(rc));
    }
    if (rc < 0) {
        close_module(&one);
        return rc;
    }
    add_module(modules, &one);
    return 0;
}

int fw_modules_add(fw_modules *modules, char *error, size_t error_capacity, const fw_module *module,
                   const char *from)
{
    loaded one = {.module = module, .path = strdup(from)};
    int rc = one.path && modules->loaded_count < MODULES_MAX ? 0 : -FW_ENOMEM;
    if (rc < 0)
        snprintf(error, error_capacity, "%s: no room for its tasks", from);
    if (rc == 0)
        rc = check_names(modules, &one, error, error_capacity);
    if (rc == 0 && make_room(modules, &one) < 0) {
        snprintf(error, error_capacity, "%s: out of memory", from);
        rc = -FW_ENOMEM;
    }
    if (rc < 0) {
        close_module(&one);
        return rc;
    }
    add_module(modules, &one);
    return 0;
}

const fw_task_entry *fw_modules_find(const fw_modules *modules, fw_span name)
{
    if (name.len == 0)
        return NULL;
    uint32_t hash = hash_name(name.ptr, name.len);
    for (uint32_t at = hash & modules->slot_mask;; at = (at + 1) & modules->slot_mask) {
        const slot *s = &modules->slots[at];
        if (s->name_len == 0)
            return NULL;
        if (s->hash == hash && s->name_len == name.len &&
            memcmp(s->entry->def->name, name.ptr, name.len) == 0)
            return s->entry;
    }
}

size_t fw_modules_count(const fw_modules *modules)
{
    return modules->task_count;
}

const fw_task_entry *fw_modules_at(const fw_modules *modules, size_t index)
{
    FW_ASSERT(index < modules->task_count);
    return modules->tasks[index];
}

static void stop_modules(fw_modules *modules, void **tls, size_t count)
{
    while (count-- > 0) {
        if (modules->loaded[count].module->thread_fini)
            modules->loaded[count].module->thread_fini(tls[count]);
    }
}

int fw_modules_thread_start(fw_modules *modules, unsigned thread)
{
    FW_ASSERT(thread < modules->threads_max);
    module_thread *own = &modules->threads[thread];
    FW_ASSERT(!own->tls);
    void **tls = calloc(modules->loaded_count + 1, sizeof *tls);
    if (!tls || !fw_call_thread_init(&own->call)) {
        free(tls);
        fw_errmsg_set("out of memory", strlen("out of memory"));
        return -FW_ENOMEM;
    }
    for (size_t i = 0; i < modules->loaded_count; i++) {
        const loaded *one = &modules->loaded[i];
        int rc = one->module->thread_init ? one->module->thread_init(&tls[i]) : 0;
        if (rc < 0) {
            char text[512];
            int n = snprintf(text, sizeof text, "%s: the module's thread_init failed: %s",
                             one->path, fw_strerror(rc));
            fw_errmsg_set(text, n < (int)sizeof text ? (size_t)n : sizeof text - 1);
            stop_modules(modules, tls, i);
            fw_call_thread_fini(&own->call);
            free(tls);
            return rc;
        }
    }
    own->tls = tls;
    return 0;
}

void fw_modules_thread_stop(fw_modules *modules, unsigned thread)
{
    FW_ASSERT(thread < modules->threads_max);
    module_thread *own = &modules->threads[thread];
    FW_ASSERT(own->tls);
    stop_modules(modules, own->tls, modules->loaded_count);
    fw_call_thread_fini(&own->call);
    free(own->tls);
    own->tls = NULL;
}

void fw_modules_call(fw_modules *modules, const fw_task_entry *entry, const fw_call_input *input,
                     fw_call_output *output)
{
    FW_ASSERT(input->thread < modules->threads_max);
    module_thread *own = &modules->threads[input->thread];
    FW_ASSERT(own->tls && entry->module_index < modules->loaded_count);
    fw_call_run(&own->call, output, entry, modules->loaded[entry->module_index].state,
                own->tls[entry->module_index], input);
}

void fw_modules_wake(fw_modules *modules)
{
    for (unsigned i = 0; i < modules->threads_max; i++)
        fw_bell_ring(&modules->threads[i].call.bell);
}

void fw_modules_wake_in_signal(fw_modules *modules)
{
    fw_bell_ring_in_signal(&modules->threads[0].call.bell);
}

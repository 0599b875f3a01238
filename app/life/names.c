/* app/life/names.c - an open-addressed table of pointers to names that are never freed while it
 * lives.
 *
 * Key invariant: a slot goes from empty to one name, once. SPDX-License-Identifier: Apache-2.0 */
#include "app/life/names.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

enum { SLOTS = 2 * FW_NAMES_KEPT_MAX };

struct fw_names {
    pthread_mutex_t lock; /* of those who add */
    fw_atomic(size_t) count;
    fw_atomic(const fw_name *) in_order[FW_NAMES_KEPT_MAX];
    fw_atomic(const fw_name *) slots[SLOTS];
};

/* Keyed by a secret of this process, so peers cannot aim at one slot. */
static size_t first_slot(fw_span text)
{
    return (size_t)fw_key_from_text(text).low % SLOTS;
}

static bool is(const fw_name *name, fw_span text)
{
    return name->len == text.len && memcmp(name->text, text.ptr, text.len) == 0;
}

const fw_name *fw_names_find(const fw_names *names, fw_span text)
{
    if (text.len == 0 || text.len > FW_NAME_MAX)
        return NULL;
    for (size_t at = first_slot(text);; at = (at + 1) % SLOTS) {
        /* [names-slot] acquire: the name's text and entry. */
        const fw_name *name = fw_load_acquire(&names->slots[at]);
        if (!name || is(name, text))
            return name;
    }
}

/* Under the lock. */
static const fw_name *add(fw_names *names, fw_span text, const fw_task_entry *entry)
{
    /* Relaxed: who adds holds the lock. */
    size_t count = fw_load_relaxed(&names->count);
    if (text.len == 0 || text.len > FW_NAME_MAX || count == FW_NAMES_KEPT_MAX)
        return NULL;
    fw_name *name = calloc(1, sizeof *name);
    if (!name)
        return NULL;
    name->index = (uint32_t)count;
    name->len = (uint32_t)text.len;
    name->entry = entry;
    memcpy(name->text, text.ptr, text.len);
    size_t at = first_slot(text);
    /* Relaxed: as above. */
    while (fw_load_relaxed(&names->slots[at]))
        at = (at + 1) % SLOTS;
    /* [names-order] release: the name, before its number is told. */
    fw_store_release(&names->in_order[count], (const fw_name *)name);
    /* [names-count] release: the place in the order, before the count says so. */
    fw_store_release(&names->count, count + 1);
    /* [names-slot] release: the finished name. */
    fw_store_release(&names->slots[at], (const fw_name *)name);
    return name;
}

const fw_name *fw_names_add(fw_names *names, fw_span text)
{
    const fw_name *name = fw_names_find(names, text);
    if (name)
        return name;
    pthread_mutex_lock(&names->lock);
    name = fw_names_find(names, text);
    if (!name)
        name = add(names, text, NULL);
    pthread_mutex_unlock(&names->lock);
    return name;
}

size_t fw_names_count(const fw_names *names)
{
    /* [names-count] acquire: so many places are filled. */
    return fw_load_acquire(&names->count);
}

const fw_name *fw_names_at(const fw_names *names, size_t index)
{
    FW_ASSERT(index < FW_NAMES_KEPT_MAX);
    /* [names-order] acquire: the name's text and entry. */
    const fw_name *name = fw_load_acquire(&names->in_order[index]);
    FW_ASSERT(name);
    return name;
}

int fw_names_create(fw_names **out, const fw_modules *modules)
{
    fw_names *names = calloc(1, sizeof *names);
    if (!names)
        return -FW_ENOMEM;
    FW_ASSERT(pthread_mutex_init(&names->lock, NULL) == 0);
    for (size_t i = 0; i < fw_modules_count(modules); i++) {
        const fw_task_entry *entry = fw_modules_at(modules, i);
        fw_span text = {entry->def->name, strlen(entry->def->name)};
        if (add(names, text, entry))
            continue;
        fw_names_destroy(names);
        return text.len > FW_NAME_MAX || i >= FW_NAMES_KEPT_MAX ? -FW_EFULL : -FW_ENOMEM;
    }
    *out = names;
    return 0;
}

void fw_names_destroy(fw_names *names)
{
    if (!names)
        return;
    size_t count = fw_names_count(names);
    for (size_t i = 0; i < count; i++)
        free((fw_name *)(uintptr_t)fw_names_at(names, i));
    pthread_mutex_destroy(&names->lock);
    free(names);
}

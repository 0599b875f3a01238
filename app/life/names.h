/* app/life/names.h - which task names there are, and a number for each.
 *
 * A name is known because a module of this process has it, because a subworker said so when it
 * registered, or because a task of that name waits for a subworker to come. Names are only ever
 * added, so what was found once stays valid, and looking takes no lock. Bounded, because
 * names come from peers. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_APP_NAMES_H
#define FW_APP_NAMES_H

#include <string.h>

#include "app/life/task_policy.h"
#include "base/atomic.h"
#include "engine/modules.h"

enum { FW_NAME_MAX = 255, FW_NAMES_KEPT_MAX = 16384 };

typedef struct fw_name {
    /* Immutable. */
    uint32_t index; /* its place in fw_names_at */
    uint32_t len;
    const fw_task_entry *entry; /* NULL: no module of this process has it */
    /* Shared, atomic: a subworker told it once, so its tasks may wait for one. */
    fw_atomic(bool) announced;
    /* Wall clock; 0: no task of it waits for somebody who tells it (app/life/unknown). */
    fw_atomic(int64_t) waits_since_ns;
    fw_atomic(const fw_task_policy *) policy; /* of the configuration file; NULL: none */
    char text[FW_NAME_MAX + 1];
} fw_name;

typedef struct fw_names fw_names;

/* With the names of these modules, in their order. 0 or -FW_ENOMEM, -FW_EFULL. */
int fw_names_create(fw_names **out, const fw_modules *modules);
void fw_names_destroy(fw_names *names);

/* NULL: not there. Any thread, wait-free. */
const fw_name *fw_names_find(const fw_names *names, fw_span text);
/* The same; *last is what was found before, and is kept: of many in a row most have one name. It
 * may be NULL. */
static inline const fw_name *fw_names_find_again(const fw_names *names, fw_span text,
                                                 const fw_name **last)
{
    const fw_name *name = *last;
    if (!name || name->len != text.len || memcmp(name->text, text.ptr, text.len) != 0)
        *last = name = fw_names_find(names, text);
    return name;
}
/* Finds or adds. NULL: empty, too long, too many, or no memory. Any thread; adding locks. */
const fw_name *fw_names_add(fw_names *names, fw_span text);
/* Any thread; index < count. Names in the order in which they came. */
size_t fw_names_count(const fw_names *names);
const fw_name *fw_names_at(const fw_names *names, size_t index);

/* A subworker knows it. Any thread. */
static inline void fw_name_announce(const fw_name *name)
{
    /* [name-announced] release: tasks of it wait at the dispatcher. */
    fw_store_release(&((fw_name *)(uintptr_t)name)->announced, true);
}

/* Any thread; stays valid. NULL: the configuration file says nothing of it. */
static inline const fw_task_policy *fw_name_policy(const fw_name *name)
{
    /* [name-policy] acquire: what it says. */
    return fw_load_acquire(&((fw_name *)(uintptr_t)name)->policy);
}

static inline void fw_name_set_policy(const fw_name *name, const fw_task_policy *policy)
{
    /* [name-policy] release: what it says. */
    fw_store_release(&((fw_name *)(uintptr_t)name)->policy, policy);
}

static inline fw_span fw_name_text(const fw_name *name)
{
    return (fw_span){name->text, name->len};
}

#endif

/* engine/limits_table.c - the lines of keys: found by key or by number, made and given back, and
 * who is due first; and how a thread tells the end of a run.
 *
 * Lines come in chunks that are kept, so making one is mostly taking it from a list.
 * Covered by tests/engine/limits_keys_test.c and tests/engine/limits_keys_stress_test.c, and the
 * ends by tests/model/limits_model.c. SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "engine/limits_priv.h"

enum { CHUNK = 32 };

typedef struct chunk {
    struct chunk *next;
    _Alignas(FW_APART) fw_key_line lines[CHUNK];
} chunk;

/* --- By key --- */

static fw_key_line **bucket_of(fw_key_table *table, const fw_limit *limit, fw_key key)
{
    return &table->table[(fw_key_hash(key) ^ limit->name * UINT64_C(0x9e3779b1)) % FW_KEY_BUCKETS];
}

fw_key_line *fw_key_find(const fw_key_table *table, const fw_limit *limit, fw_key key)
{
    fw_key_line *line = *bucket_of((fw_key_table *)(uintptr_t)table, limit, key);
    while (line && !(line->limit == limit && fw_key_equal(line->key, key)))
        line = line->next_in_table;
    return line;
}

static void publish(fw_key_table *table, fw_key_line *line)
{
    /* Relaxed: who brings the number has it from a task that was given out after this. */
    fw_store_relaxed(&table->at[line->slot], line);
}

static bool make_chunk(fw_key_table *table)
{
    if (table->made >= FW_KEYS_MAX)
        return false;
    chunk *made = aligned_alloc(FW_APART, sizeof *made);
    if (!made)
        return false;
    made->next = table->chunks;
    table->chunks = made;
    for (unsigned i = 0; i < CHUNK && table->made < FW_KEYS_MAX; i++) {
        fw_key_line *line = &made->lines[i];
        *line = (fw_key_line){.slot = (uint16_t)(FW_KEY_FIRST + table->made++),
                              .due_ns = INT64_MAX,
                              .next = table->free};
        publish(table, line);
        table->free = line;
    }
    return true;
}

fw_key_line *fw_key_make(fw_key_table *table, fw_limit *limit, fw_key key)
{
    fw_keyed *keyed = fw_limit_keyed(limit);
    fw_key_line **bucket = bucket_of(table, limit, key);
    if (!table->free && !make_chunk(table))
        return NULL;
    fw_key_line *line = table->free;
    table->free = line->next;
    line->limit = limit;
    line->key = key;
    line->tokens = keyed->rule;
    line->next_in_table = *bucket;
    *bucket = line;
    line->prev = NULL;
    line->next = keyed->first;
    if (line->next)
        line->next->prev = line;
    keyed->first = line;
    fw_count(&keyed->keys, 1);
    return line;
}

void fw_key_free(fw_key_table *table, fw_key_line *line)
{
    fw_keyed *keyed = fw_limit_keyed(line->limit);
    FW_ASSERT(line->waiting == 0 && line->running == 0 && !line->ready && line->heap_at == 0);
    fw_key_line **link = bucket_of(table, line->limit, line->key);
    while (*link != line)
        link = &(*link)->next_in_table;
    *link = line->next_in_table;
    if (line->next)
        line->next->prev = line->prev;
    if (line->prev)
        line->prev->next = line->next;
    else
        keyed->first = line->next;
    if (keyed->hand == line)
        keyed->hand = line->next;
    if (keyed->last == line)
        keyed->last = NULL;
    line->limit = NULL;
    line->next = table->free;
    table->free = line;
    fw_count(&keyed->keys, (size_t)-1);
}

/* --- Names --- */

fw_keyed *fw_keyed_make(fw_limit *limit, uint32_t number)
{
    fw_keyed *keyed = aligned_alloc(FW_APART, (sizeof *keyed + FW_APART - 1) / FW_APART * FW_APART);
    if (!keyed)
        return NULL;
    *keyed = (fw_keyed){.on = false};
    keyed->plain = (fw_key_line){.limit = limit, .due_ns = INT64_MAX, .shared = true};
    for (unsigned i = 0; i < FW_KEY_SHARED; i++)
        keyed->shared[i] = (fw_key_line){.limit = limit,
                                         .due_ns = INT64_MAX,
                                         .shared = true,
                                         .slot = (uint16_t)(1 + number * FW_KEY_SHARED + i)};
    return keyed;
}

void fw_keyed_list(fw_key_table *table, fw_keyed *keyed)
{
    for (unsigned i = 0; i < FW_KEY_SHARED; i++)
        publish(table, &keyed->shared[i]);
}

/* --- Who is due first: a heap --- */

static void put(fw_key_table *table, fw_key_line *line, size_t at)
{
    table->heap[at] = line;
    line->heap_at = at;
}

static void sift(fw_key_table *table, fw_key_line *line, size_t at)
{
    while (at > 1 && table->heap[at / 2]->due_ns > line->due_ns) {
        put(table, table->heap[at / 2], at);
        at /= 2;
    }
    for (;;) {
        size_t child = 2 * at;
        if (child > table->heap_count)
            break;
        if (child < table->heap_count &&
            table->heap[child + 1]->due_ns < table->heap[child]->due_ns)
            child++;
        if (table->heap[child]->due_ns >= line->due_ns)
            break;
        put(table, table->heap[child], at);
        at = child;
    }
    put(table, line, at);
}

void fw_key_set_due(fw_key_table *table, fw_key_line *line, int64_t due_ns)
{
    if (line->due_ns == due_ns)
        return;
    line->due_ns = due_ns;
    if (due_ns != INT64_MAX) {
        sift(table, line, line->heap_at ? line->heap_at : ++table->heap_count);
        return;
    }
    size_t at = line->heap_at;
    fw_key_line *last = table->heap[table->heap_count--];
    line->heap_at = 0;
    if (last != line)
        sift(table, last, at);
}

/* --- The ends of runs; see ended-note --- */

bool fw_key_leave(fw_key_table *table, unsigned slot)
{
    /* Relaxed: see publish. */
    fw_key_line *line = fw_load_relaxed(&table->at[slot]);
    /* [key-ended] release: the run is over.
     * [key-ended] acquire: the duty is through with the link. */
    if (fw_add_acq_rel(&line->ended, 1) != 0)
        return false;
    /* Relaxed: the swap checks it. */
    fw_key_line *first = fw_load_relaxed(&table->ended);
    do
        line->next_ended = first;
    /* [keys-ended] release: the link. */
    while (!fw_cas_release(&table->ended, &first, line));
    return true;
}

fw_key_line *fw_keys_take_ended(fw_key_table *table)
{
    /* Relaxed: only whether there are any; whoever put them in calls after that. */
    if (!fw_load_relaxed(&table->ended))
        return NULL;
    /* [keys-ended] acquire: the links. */
    return fw_swap_acq_rel(&table->ended, NULL);
}

void fw_key_table_fini(fw_key_table *table)
{
    for (chunk *each = table->chunks; each;) {
        chunk *next = each->next;
        free(each);
        each = next;
    }
}

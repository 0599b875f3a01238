/* cache/cache.h - the cache's door: results of finished tasks, by key, for as long as they are
 * wanted.
 *
 * Shards by hash; a look-up takes no lock and writes nothing shared but the entry's own recency
 * mark. Entries are immutable and freed after an RCU grace period. Bounded by entries, by bytes and
 * by time to live; what was read or written least recently goes first. A small bounded memory of
 * keys that are gone tells EXPIRED from UNKNOWN. Time is an argument (monotonic nanoseconds).
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_CACHE_CACHE_H
#define FW_CACHE_CACHE_H

#include <stdbool.h>

#include "base/key.h"
#include "fastworker/types.h"

typedef struct fw_cache fw_cache;

typedef struct fw_cache_config {
    size_t entries_max; /* 0: keeps nothing */
    size_t bytes_max;   /* of everything the cache holds, overhead included */
    int64_t ttl_ns;     /* default time to live */
    unsigned shards;    /* power of two; 0: chosen from entries_max */
} fw_cache_config;

/* What is kept of a finished task. Spans are copied by put; from get they are borrowed inside the
 * read section. */
typedef struct fw_cache_item {
    fw_key key;
    fw_span id;      /* the text; may be empty when the key is a UUID */
    fw_state status; /* terminal */
    uint8_t level;   /* fw_prio */
    uint16_t attempt;
    int64_t created_wall_ns, started_wall_ns, finished_wall_ns; /* 0: never */
    fw_span name;                                               /* of the task */
    fw_span result;                                             /* JSON text; empty: null */
    fw_span error;    /* plain UTF-8 text; ptr NULL: none, which differs from the empty text */
    fw_span callback; /* JSON text of CallbackInfo; empty: null */
    fw_span request;  /* the owner's own bytes, to run it again; may be empty */
} fw_cache_item;

typedef enum fw_cache_answer { FW_CACHE_FOUND, FW_CACHE_EXPIRED, FW_CACHE_UNKNOWN } fw_cache_answer;

int fw_cache_create(fw_cache **out, const fw_cache_config *config); /* 0 or -FW_E... */
void fw_cache_destroy(fw_cache *cache);

/* Stores or replaces. ttl_ns 0: the default. 0; -FW_EBIG: larger than the cache allows; -FW_ENOMEM.
 * Any thread. May wait for readers, but not inside a read section. */
int fw_cache_put(fw_cache *cache, const fw_cache_item *item, int64_t ttl_ns, int64_t now_ns);
/* Call inside an RCU read section; out is valid until it ends. Marks the entry as used unless peek.
 * Any thread, no lock. */
fw_cache_answer fw_cache_get(fw_cache *cache, fw_key key, int64_t now_ns, bool peek,
                             fw_cache_item *out);
/* After EXPIRED: whether the key was last used so recently, as far as it is remembered (up to 12
 * days). Inside a read section. Any thread, no lock. */
bool fw_cache_gone_within(fw_cache *cache, fw_key key, int64_t now_ns, int64_t window_ns);
/* Starts loading what get and put of this key will touch. Any thread. */
void fw_cache_prefetch(const fw_cache *cache, fw_key key);
/* The same for a get of a key that is likely not there. It leaves alone what who stores will write.
 */
void fw_cache_prefetch_get(const fw_cache *cache, fw_key key);
bool fw_cache_remove(fw_cache *cache, fw_key key);
/* Drops expired entries, a bounded piece of work per call; one caller, about every second or
 * faster. Returns how many. */
size_t fw_cache_sweep(fw_cache *cache, int64_t now_ns);
/* Takes effect as entries come and go. Any thread. */
void fw_cache_resize(fw_cache *cache, size_t entries_max, size_t bytes_max, int64_t ttl_ns);

typedef struct fw_cache_stats {
    size_t entries, entries_max, bytes, bytes_max;
    int64_t ttl_ns;
    uint64_t hits, misses, expired_answers, puts;
    uint64_t evicted_count, evicted_bytes, evicted_ttl; /* entries, by reason */
    size_t by_status[FW_UNKNOWN];
    unsigned shards;
    size_t shard_entries_min, shard_entries_max;
    size_t retired_bytes; /* of all caches: let go of, and not yet reclaimed */
} fw_cache_stats;
void fw_cache_snapshot(fw_cache *cache, fw_cache_stats *out);
/* Visits entries, oldest use first within a shard, from `*cursor` (0 at first; left where to go on,
 * 0 at the end) until visit returns false, or some thousands were seen. Does not block writers and
 * marks nothing. Inside the caller's RCU read section, which should be another one for each call.
 */
void fw_cache_each(fw_cache *cache, uint64_t *cursor, int64_t now_ns,
                   bool (*visit)(void *context, const fw_cache_item *item), void *context);

#endif

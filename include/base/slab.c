/* base/slab.c - magazines per thread, a lock-free depot, pieces of address space behind it.
 *
 * Roles: a thread owns two magazines per slab, `loaded` and `spare`, and works on them alone. The
 * depot holds magazines nobody owns, in two stacks: full ones and empty ones. Growing carves blocks
 * from mapped pieces under a mutex. Key invariant: a block is in one magazine or with the user; a
 * magazine is in one stack or with one thread. ABA: a stack's head is a magazine's index (20 bits)
 * with a counter (44 bits) that each change moves on. A thread that ends gives its magazines back;
 * the registry's mutex orders that against fw_slab_destroy. SPDX-License-Identifier: Apache-2.0 */
#include "base/slab.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/assert.h"
#include "base/atomic.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#define POISON(p, n)   __asan_poison_memory_region((p), (n))
#define UNPOISON(p, n) __asan_unpoison_memory_region((p), (n))
#else
#define POISON(p, n)   ((void)0)
#define UNPOISON(p, n) ((void)0)
#endif

enum {
    MAGAZINE_BLOCKS = 61, /* a magazine is 512 bytes */
    MAGAZINE_BLOCKS_MIN = 8,
    MAGAZINE_BYTES =
        16 * 1024, /* of blocks in one magazine, unless these are fewer than the least */
    INDEX_BITS = 20,
    CHUNK_MAGAZINES = 256,
    CHUNKS_MAX = (1 << INDEX_BITS) / CHUNK_MAGAZINES,
    PIECE_BYTES_MIN = 64 * 1024,
    PIECE_BYTES_MAX = 4 * 1024 * 1024,
    HUGE_PAGE = 2 * 1024 * 1024
};
static const uint64_t index_mask = (UINT64_C(1) << INDEX_BITS) - 1;

typedef struct magazine {
    uint32_t index;           /* immutable; from 1, so that 0 is "none" */
    uint32_t count;           /* owner only */
    fw_atomic(uint32_t) next; /* in a stack: index of the one below */
    uint32_t unused;
    void *blocks[MAGAZINE_BLOCKS]; /* owner only */
} magazine;

typedef struct piece {
    struct piece *next;
    size_t bytes;
} piece;

struct fw_slab {
    /* Immutable after create. */
    size_t block_bytes, align;
    uint32_t room; /* blocks that go into a magazine: two of them are any thread's to keep */
    unsigned id;
    uint64_t generation;
    /* Shared, atomic: the depot. */
    fw_atomic(magazine *) chunks[CHUNKS_MAX];
    _Alignas(FW_APART) fw_atomic(uint64_t) full;
    _Alignas(FW_APART) fw_atomic(uint64_t) empty;
    fw_atomic(uint64_t) full_count;
    fw_atomic(uint64_t) carved_blocks;
    fw_atomic(size_t) mapped_bytes;
    /* Under grow_lock. */
    _Alignas(FW_APART) pthread_mutex_t grow_lock;
    piece *pieces;
    char *carve_at, *carve_end;
    size_t next_piece_bytes;
    uint32_t magazines_made;
};

typedef struct local_magazines {
    uint64_t generation; /* of the slab they belong to; 0: none */
    magazine *loaded, *spare;
} local_magazines;

static _Thread_local local_magazines my_magazines[FW_SLABS_MAX];
static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
static fw_slab *registry[FW_SLABS_MAX];
static uint64_t generations; /* under registry_lock */
static pthread_key_t exit_key;
static pthread_once_t exit_once = PTHREAD_ONCE_INIT;

static magazine *magazine_at(fw_slab *slab, uint32_t index)
{
    FW_ASSERT(index > 0);
    uint32_t place = index - 1;
    /* [slab-chunk] acquire: the chunk's magazines are set up. */
    magazine *chunk = fw_load_acquire(&slab->chunks[place / CHUNK_MAGAZINES]);
    return &chunk[place % CHUNK_MAGAZINES];
}

static void stack_push(fw_atomic(uint64_t) * stack, magazine *m)
{
    /* Relaxed: the compare and swap decides. */
    uint64_t head = fw_load_relaxed(stack);
    uint64_t next;
    do {
        /* Relaxed: published by the release below. */
        fw_store_relaxed(&m->next, (uint32_t)(head & index_mask));
        next = ((head >> INDEX_BITS) + 1) << INDEX_BITS | m->index;
        /* [slab-depot] release: the magazine's content, to the thread that pops it. */
    } while (!fw_cas_release(stack, &head, next));
}

static magazine *stack_pop(fw_slab *slab, fw_atomic(uint64_t) * stack)
{
    for (;;) {
        /* [slab-depot] acquire: the content of the magazine on top. */
        uint64_t head = fw_load_acquire(stack);
        if ((head & index_mask) == 0)
            return NULL;
        magazine *m = magazine_at(slab, (uint32_t)(head & index_mask));
        /* Relaxed: may be stale if another thread popped it; then the counter differs and we retry.
         */
        uint64_t next = ((head >> INDEX_BITS) + 1) << INDEX_BITS | fw_load_relaxed(&m->next);
        /* [slab-depot] acquire: as above; the counter proves that head did not change meanwhile. */
        if (fw_cas_acquire(stack, &head, next))
            return m;
    }
}

/* Under grow_lock. */
static magazine *new_magazine(fw_slab *slab)
{
    if (slab->magazines_made == CHUNKS_MAX * CHUNK_MAGAZINES - 1)
        return NULL;
    uint32_t place = slab->magazines_made;
    if (place % CHUNK_MAGAZINES == 0) {
        magazine *chunk = aligned_alloc(FW_CACHE_LINE, CHUNK_MAGAZINES * sizeof *chunk);
        if (!chunk)
            return NULL;
        for (uint32_t i = 0; i < CHUNK_MAGAZINES; i++)
            chunk[i] = (magazine){.index = place + i + 1};
        /* [slab-chunk] release: the magazines just set up. */
        fw_store_release(&slab->chunks[place / CHUNK_MAGAZINES], chunk);
    }
    slab->magazines_made++;
    return magazine_at(slab, place + 1);
}

static void *map_bytes(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

/* A piece of the largest size consists of huge pages if the system gives any: blocks of a large
 * slab are used in no order, and each would need a walk through page tables that are not near. */
static void *map_huge(size_t bytes)
{
    char *memory = map_bytes(bytes + HUGE_PAGE);
    if (!memory)
        return NULL;
    size_t before = -(uintptr_t)memory & (HUGE_PAGE - 1);
    if (before > 0)
        munmap(memory, before);
    munmap(memory + before + bytes, HUGE_PAGE - before);
    /* What it does not give, it does not give. */
    (void)madvise(memory + before, bytes, MADV_HUGEPAGE);
    return memory + before;
}

/* Under grow_lock. => false: no memory. */
static bool new_piece(fw_slab *slab)
{
    size_t bytes = slab->next_piece_bytes;
    void *memory = bytes == PIECE_BYTES_MAX ? map_huge(bytes) : map_bytes(bytes);
    if (!memory)
        return false;
    piece *p = memory;
    *p = (piece){slab->pieces, bytes};
    slab->pieces = p;
    size_t head = (sizeof *p + slab->align - 1) & ~(slab->align - 1);
    slab->carve_at = (char *)memory + head;
    slab->carve_end = (char *)memory + bytes;
    if (slab->next_piece_bytes < PIECE_BYTES_MAX)
        slab->next_piece_bytes *= 2;
    /* Relaxed: a figure to be shown. */
    fw_add_relaxed(&slab->mapped_bytes, bytes);
    POISON(slab->carve_at, (size_t)(slab->carve_end - slab->carve_at));
    return true;
}

/* Fills an empty magazine with new blocks. => false: no memory at all. */
static bool carve(fw_slab *slab, magazine *m)
{
    FW_ASSERT(m->count == 0);
    pthread_mutex_lock(&slab->grow_lock);
    while (m->count < slab->room) {
        if ((size_t)(slab->carve_end - slab->carve_at) < slab->block_bytes) {
            if (m->count > 0 || !new_piece(slab))
                break;
        }
        m->blocks[m->count++] = slab->carve_at;
        slab->carve_at += slab->block_bytes;
    }
    /* Relaxed: a figure to be shown. */
    fw_add_relaxed(&slab->carved_blocks, m->count);
    pthread_mutex_unlock(&slab->grow_lock);
    return m->count > 0;
}

static void give_back(fw_slab *slab, magazine *m)
{
    if (!m)
        return;
    if (m->count == 0) {
        stack_push(&slab->empty, m);
        return;
    }
    /* Relaxed: a figure to be shown. */
    fw_add_relaxed(&slab->full_count, m->count);
    stack_push(&slab->full, m);
}

static void thread_exit(void *unused)
{
    (void)unused;
    pthread_mutex_lock(&registry_lock);
    for (unsigned i = 0; i < FW_SLABS_MAX; i++) {
        local_magazines *mine = &my_magazines[i];
        if (registry[i] && mine->generation == registry[i]->generation) {
            give_back(registry[i], mine->loaded);
            give_back(registry[i], mine->spare);
        }
        *mine = (local_magazines){0};
    }
    pthread_mutex_unlock(&registry_lock);
}

static void make_exit_key(void)
{
    FW_ASSERT(pthread_key_create(&exit_key, thread_exit) == 0);
}

static magazine *empty_magazine(fw_slab *slab)
{
    magazine *m = stack_pop(slab, &slab->empty);
    if (m)
        return m;
    pthread_mutex_lock(&slab->grow_lock);
    m = new_magazine(slab);
    pthread_mutex_unlock(&slab->grow_lock);
    return m;
}

/* This thread's magazines; set up at first use. => NULL: no memory. */
static local_magazines *slow_local(fw_slab *slab)
{
    local_magazines *mine = &my_magazines[slab->id];
    pthread_once(&exit_once, make_exit_key);
    FW_ASSERT(pthread_setspecific(exit_key, my_magazines) == 0);
    *mine = (local_magazines){0};
    magazine *loaded = empty_magazine(slab);
    magazine *spare = empty_magazine(slab);
    if (!loaded || !spare) {
        give_back(slab, loaded);
        give_back(slab, spare);
        return NULL;
    }
    *mine = (local_magazines){slab->generation, loaded, spare};
    return mine;
}

static inline local_magazines *local(fw_slab *slab)
{
    local_magazines *mine = &my_magazines[slab->id];
    return FW_LIKELY(mine->generation == slab->generation) ? mine : slow_local(slab);
}

static void swap_magazines(local_magazines *mine)
{
    magazine *m = mine->loaded;
    mine->loaded = mine->spare;
    mine->spare = m;
}

/* loaded is empty: take the spare, or a full one, or carve. => false: no memory. */
static bool refill(fw_slab *slab, local_magazines *mine)
{
    if (mine->spare->count > 0) {
        swap_magazines(mine);
        return true;
    }
    magazine *full = stack_pop(slab, &slab->full);
    if (!full)
        return carve(slab, mine->loaded);
    /* Relaxed: a figure to be shown. */
    fw_sub_relaxed(&slab->full_count, full->count);
    stack_push(&slab->empty, mine->loaded);
    mine->loaded = full;
    return true;
}

void *fw_slab_alloc(fw_slab *slab)
{
    local_magazines *mine = local(slab);
    if (FW_UNLIKELY(!mine))
        return NULL;
    if (FW_UNLIKELY(mine->loaded->count == 0) && !refill(slab, mine))
        return NULL;
    magazine *m = mine->loaded;
    void *block = m->blocks[--m->count];
    UNPOISON(block, slab->block_bytes);
    return block;
}

/* loaded is full: make the spare the place to free to. => false: no magazine to be had. */
static bool make_room(fw_slab *slab, local_magazines *mine)
{
    if (mine->spare->count == slab->room) {
        magazine *fresh = empty_magazine(slab);
        if (!fresh)
            return false;
        give_back(slab, mine->spare);
        mine->spare = fresh;
    }
    swap_magazines(mine);
    return true;
}

void fw_slab_free(fw_slab *slab, void *block)
{
    FW_ASSERT(block);
    local_magazines *mine = local(slab);
    POISON(block, slab->block_bytes);
    /* Without a magazine the block is given up: the process has no 128 KiB left anyway. */
    if (FW_UNLIKELY(!mine))
        return;
    if (FW_UNLIKELY(mine->loaded->count == slab->room) && !make_room(slab, mine))
        return;
    magazine *m = mine->loaded;
    m->blocks[m->count++] = block;
}

static uint32_t room_of(size_t block_bytes)
{
    size_t room = MAGAZINE_BYTES / block_bytes;
    if (room < MAGAZINE_BLOCKS_MIN)
        return MAGAZINE_BLOCKS_MIN;
    return room < MAGAZINE_BLOCKS ? (uint32_t)room : MAGAZINE_BLOCKS;
}

fw_slab *fw_slab_create(size_t block_bytes, size_t align)
{
    FW_ASSERT(block_bytes > 0 && align > 0 && (align & (align - 1)) == 0 && align <= 4096);
    fw_slab *slab = aligned_alloc(FW_APART, sizeof *slab);
    if (!slab)
        return NULL;
    *slab = (fw_slab){.align = align};
    slab->block_bytes = (block_bytes + align - 1) & ~(align - 1);
    slab->room = room_of(slab->block_bytes);
    slab->next_piece_bytes = PIECE_BYTES_MIN;
    while (slab->next_piece_bytes < slab->block_bytes * 4)
        slab->next_piece_bytes *= 2;
    FW_ASSERT(pthread_mutex_init(&slab->grow_lock, NULL) == 0);
    pthread_mutex_lock(&registry_lock);
    unsigned id = 0;
    while (id < FW_SLABS_MAX && registry[id])
        id++;
    if (id < FW_SLABS_MAX) {
        slab->id = id;
        slab->generation = ++generations;
        registry[id] = slab;
    }
    pthread_mutex_unlock(&registry_lock);
    if (id == FW_SLABS_MAX) {
        pthread_mutex_destroy(&slab->grow_lock);
        free(slab);
        return NULL;
    }
    return slab;
}

void fw_slab_destroy(fw_slab *slab)
{
    if (!slab)
        return;
    pthread_mutex_lock(&registry_lock);
    FW_ASSERT(registry[slab->id] == slab);
    registry[slab->id] = NULL;
    pthread_mutex_unlock(&registry_lock);
    while (slab->pieces) {
        piece *p = slab->pieces;
        slab->pieces = p->next;
        UNPOISON(p, p->bytes);
        munmap(p, p->bytes);
    }
    for (unsigned i = 0; i < CHUNKS_MAX; i++) {
        /* Relaxed: nobody else uses the slab any more. */
        free(fw_load_relaxed(&slab->chunks[i]));
    }
    pthread_mutex_destroy(&slab->grow_lock);
    free(slab);
}

void fw_slab_snapshot(fw_slab *slab, fw_slab_stats *out)
{
    /* Relaxed: figures to be shown. */
    uint64_t carved = fw_load_relaxed(&slab->carved_blocks);
    uint64_t free_blocks = fw_load_relaxed(&slab->full_count);
    *out = (fw_slab_stats){
        .block_bytes = slab->block_bytes,
        .mapped_bytes = fw_load_relaxed(&slab->mapped_bytes),
        .used_blocks = carved > free_blocks ? carved - free_blocks : 0,
    };
}

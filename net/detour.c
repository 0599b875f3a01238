/* net/detour.c - see net/detour.h. SPDX-License-Identifier: Apache-2.0 */
#include "net/detour.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

struct fw_detour {
    fw_detour *next;
    uint32_t number, uses;
    size_t len;
    unsigned char words[FW_DETOUR_BYTES];
};

void fw_detours_init(fw_detours *detours)
{
    *detours = (fw_detours){.first = NULL};
    FW_ASSERT(pthread_mutex_init(&detours->lock, NULL) == 0);
}

void fw_detours_fini(fw_detours *detours)
{
    while (detours->first) {
        fw_detour *next = detours->first->next;
        free(detours->first);
        detours->first = next;
    }
    pthread_mutex_destroy(&detours->lock);
}

/* Under lock. => where the link to the detour is; the link is NULL when there is none. */
static fw_detour **find(fw_detours *detours, uint32_t number)
{
    fw_detour **link = &detours->first;
    while (*link && (*link)->number != number)
        link = &(*link)->next;
    return link;
}

uint32_t fw_detours_add(fw_detours *detours, fw_span words)
{
    FW_ASSERT(words.len > 0 && words.len <= FW_DETOUR_BYTES);
    fw_detour *detour = malloc(sizeof *detour);
    if (!detour)
        return 0;
    *detour = (fw_detour){.uses = 1, .len = words.len};
    memcpy(detour->words, words.ptr, words.len);
    pthread_mutex_lock(&detours->lock);
    do
        detours->last_number++;
    while (detours->last_number == 0 || *find(detours, detours->last_number));
    uint32_t number = detour->number = detours->last_number;
    detour->next = detours->first;
    detours->first = detour;
    pthread_mutex_unlock(&detours->lock);
    return number;
}

void fw_detours_expect(fw_detours *detours, uint32_t number, uint32_t uses)
{
    pthread_mutex_lock(&detours->lock);
    fw_detour *detour = *find(detours, number);
    if (detour)
        detour->uses += uses;
    pthread_mutex_unlock(&detours->lock);
}

size_t fw_detours_read(fw_detours *detours, unsigned char out[FW_DETOUR_BYTES], uint32_t number)
{
    pthread_mutex_lock(&detours->lock);
    fw_detour *detour = *find(detours, number);
    size_t len = detour ? detour->len : 0;
    if (detour)
        memcpy(out, detour->words, len);
    pthread_mutex_unlock(&detours->lock);
    return len;
}

void fw_detours_end(fw_detours *detours, uint32_t number, uint32_t uses)
{
    fw_detour *over = NULL;
    pthread_mutex_lock(&detours->lock);
    fw_detour **link = find(detours, number);
    fw_detour *detour = *link;
    if (detour && detour->uses <= uses) {
        over = detour;
        *link = detour->next;
    } else if (detour) {
        detour->uses -= uses;
    }
    pthread_mutex_unlock(&detours->lock);
    free(over);
}

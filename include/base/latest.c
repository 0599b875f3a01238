/* base/latest.c - see base/latest.h. SPDX-License-Identifier: Apache-2.0 */
#include "base/latest.h"

#include <string.h>

enum { LOOKS_MAX = 100 };
#define NOTHING UINT64_MAX /* instead of a length */

_Static_assert(FW_LATEST_TEXT_MAX % 8 == 0, "a text is whole words");

static bool publish(fw_latest *latest, uint64_t first, uint64_t second, const char *text,
                    uint64_t len)
{
    uint64_t words[FW_LATEST_WORDS] = {0};
    bool before = false;
    /* [latest-busy] acquire: the writer before us. */
    if (!fw_cas_acquire(&latest->busy, &before, true))
        return false;
    /* Relaxed: written by who is busy. 0 stays "none" when the count comes around. */
    uint32_t turn = fw_load_relaxed(&latest->turn) + 1;
    turn += turn == 0 ? 2 : 0;
    size_t bytes = len == NOTHING ? 0 : (size_t)len;
    if (bytes > 0)
        memcpy(words, text, bytes);
    /* [latest-word] release: the turn before it. */
    fw_store_release(&latest->places[turn % 2].first, first);
    fw_store_release(&latest->places[turn % 2].second, second);
    fw_store_release(&latest->places[turn % 2].len, len);
    for (size_t i = 0; i * 8 < bytes; i++) {
        /* [latest-word] release: as above. */
        fw_store_release(&latest->places[turn % 2].text[i], words[i]);
    }
    /* [latest-turn] release: the value. */
    fw_store_release(&latest->turn, turn);
    /* [latest-busy] release: the next writer. */
    fw_store_release(&latest->busy, false);
    return true;
}

bool fw_latest_set(fw_latest *latest, uint64_t first, uint64_t second, fw_span text)
{
    size_t len = text.len < FW_LATEST_TEXT_MAX ? text.len : FW_LATEST_TEXT_MAX;
    return publish(latest, first, second, text.ptr, len);
}

void fw_latest_forget(fw_latest *latest)
{
    if (fw_latest_turn(latest) != 0)
        (void)publish(latest, 0, 0, NULL, NOTHING);
}

/* => false: no value. What is met half written may be anything; it is looked at again. */
static bool read_place(const fw_latest *latest, unsigned place, fw_latest_value *out)
{
    uint64_t words[FW_LATEST_WORDS];
    /* [latest-word] acquire: if it is of a later turn, that turn. */
    out->first = fw_load_acquire(&latest->places[place].first);
    out->second = fw_load_acquire(&latest->places[place].second);
    uint64_t len = fw_load_acquire(&latest->places[place].len);
    out->len = len <= FW_LATEST_TEXT_MAX ? (size_t)len : 0;
    for (size_t i = 0; i * 8 < out->len; i++) {
        /* [latest-word] acquire: as above. */
        words[i] = fw_load_acquire(&latest->places[place].text[i]);
    }
    memcpy(out->text, words, out->len);
    return len != NOTHING;
}

bool fw_latest_get(const fw_latest *latest, fw_latest_value *out)
{
    for (unsigned looks = 0; looks < LOOKS_MAX; looks++) {
        /* [latest-turn] acquire: the value. */
        uint32_t turn = fw_load_acquire(&latest->turn);
        if (turn == 0)
            return false;
        bool given = read_place(latest, turn % 2, out);
        /* Relaxed: after the words, which acquire. */
        if (fw_load_relaxed(&latest->turn) == turn)
            return given;
        fw_cpu_relax();
    }
    return false;
}

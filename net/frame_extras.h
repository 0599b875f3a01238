/* net/frame_extras.h - the extras of a result: how far the task is, what shall follow its failure.
 * For the files that read and write RESULT records. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_NET_FRAME_EXTRAS_H
#define FW_NET_FRAME_EXTRAS_H

#include "net/frame_layout.h"

enum {
    EXTRA_PROGRESS = 0x80, /* done 8, total 8, note up to FW_NOTE_MAX */
    EXTRA_AGAIN = 0x81,    /* 8: ns; negative: no other run */
    PROGRESS_HEAD = 16
};

static inline size_t result_extras(const fw_result_view *result)
{
    size_t size = result->again_ns != 0 ? EXTRA_HEAD + 8 : 0;
    if (result->progress)
        size += EXTRA_HEAD + PROGRESS_HEAD + result->progress->note.len;
    return size;
}

/* Bytes that they take in a record: with their length before them. */
static inline size_t result_extras_room(const fw_result_view *result)
{
    size_t size = result_extras(result);
    return size > 0 ? 4 + size : 0;
}

static inline unsigned char *put_result_extras(unsigned char *at, const fw_result_view *result)
{
    unsigned char bytes[PROGRESS_HEAD + FW_NOTE_MAX];
    const fw_progress_view *progress = result->progress;
    if (result->again_ns != 0) {
        store64(bytes, (uint64_t)result->again_ns);
        at = put_extra(at, EXTRA_AGAIN, bytes, 8);
    }
    if (progress) {
        FW_ASSERT(progress->note.len <= FW_NOTE_MAX);
        store64(bytes, progress->done);
        store64(bytes + 8, progress->total);
        put_bytes(bytes + PROGRESS_HEAD, progress->note.ptr, progress->note.len);
        at = put_extra(at, EXTRA_PROGRESS, bytes, PROGRESS_HEAD + progress->note.len);
    }
    return at;
}

/* Those that are known; one that is damaged counts as absent, all of them are optional. progress:
 * where to put what the view points to. */
static inline void take_result_extras(fw_result_view *out, fw_progress_view *progress,
                                      const unsigned char *at, size_t len)
{
    const unsigned char *end = at + len;
    if (!extras_are_whole(at, end))
        return;
    while (at < end) {
        size_t bytes = load32(at) >> 8;
        unsigned tag = at[0];
        at += EXTRA_HEAD;
        if (tag == EXTRA_AGAIN && bytes == 8) {
            out->again_ns = (int64_t)load64(at);
        } else if (tag == EXTRA_PROGRESS && bytes >= PROGRESS_HEAD &&
                   bytes <= PROGRESS_HEAD + FW_NOTE_MAX) {
            *progress = (fw_progress_view){load64(at), load64(at + 8),
                                           span_at(at + PROGRESS_HEAD, bytes - PROGRESS_HEAD)};
            out->progress = progress;
        }
        at += bytes;
    }
}

#endif

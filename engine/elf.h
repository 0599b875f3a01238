/* engine/elf.h - a shared object seen as bytes: symbols, data and text of it, and nothing of it
 * runs.
 *
 * The view is what the dynamic linker would use (program headers, dynamic section, hash tables), so
 * a stripped file reads as well. Addresses are the file's own: it counts as loaded at address 0.
 * x86-64 and aarch64, little-endian, 64 bits. Any bytes are safe: each offset is checked against
 * the file, each loop is bounded by its size. Any thread; a view is immutable.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_ENGINE_ELF_H
#define FW_ENGINE_ELF_H

#include <stdbool.h>

#include "fastworker/types.h"

enum { FW_ELF_SEGMENTS_MAX = 64 };

/* Where a pointer leads that belongs to another file. */
#define FW_ELF_ELSEWHERE UINT64_MAX

/* A part of the file and the address it will have. */
typedef struct fw_elf_segment {
    uint64_t address, offset, size;
} fw_elf_segment;

typedef struct fw_elf {
    fw_span file; /* borrowed */
    uint16_t machine;
    size_t segment_count;
    fw_elf_segment segments[FW_ELF_SEGMENTS_MAX]; /* loaded ones, their part in the file */
    fw_span relocations;
    uint64_t symbols, strings, strings_size; /* addresses of tables; 0: none */
    uint64_t gnu_hash, hash;
} fw_elf;

typedef struct fw_elf_place {
    uint64_t address, size;
} fw_elf_place;

/* NULL, or why these bytes are not such a file: static text that continues "the file ...". */
const char *fw_elf_open(fw_elf *elf, fw_span file);
/* "x86-64" or "aarch64". */
const char *fw_elf_machine(const fw_elf *elf);
/* Whether this program could load it. */
bool fw_elf_is_native(const fw_elf *elf);
/* An exported, defined data symbol. */
bool fw_elf_find(const fw_elf *elf, fw_elf_place *out, const char *name);
/* Copies data as it will be after relocation. Pointers in it are addresses; FW_ELF_ELSEWHERE for
 * those to other files. False: not all of it is in the file. */
bool fw_elf_copy(const fw_elf *elf, void *out, uint64_t address, size_t size);
/* NUL-ended text, without the NUL. False: not in the file, or longer than max. */
bool fw_elf_text(const fw_elf *elf, fw_span *out, uint64_t address, size_t max);

#endif

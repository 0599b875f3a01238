/* elf_test.c - the edges of engine/elf.c, on a file made by hand: nothing behind its end is read,
 * and every walk ends. SPDX-License-Identifier: Apache-2.0 */
#include "engine/elf.h"

#include <elf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SYMBOLS = 3, TEXT_BYTES = 16 };
#define ADDRESS UINT64_C(0x10000)

/* One segment that is the whole file; text is its end. */
typedef struct hand_made {
    Elf64_Ehdr header;
    Elf64_Phdr load, dynamic;
    Elf64_Dyn entries[7];
    Elf64_Sym symbols[SYMBOLS];
    uint32_t hash[2 + 1 + SYMBOLS];
    Elf64_Rela relocation;
    uint64_t data;
    char strings[24];
    char text[TEXT_BYTES];
} hand_made;

#define AT(field) (ADDRESS + offsetof(hand_made, field))

static hand_made *make(void)
{
    hand_made *file = calloc(1, sizeof *file);
    assert_non_null(file);
    Elf64_Ehdr *h = &file->header;
    memcpy(h->e_ident, ELFMAG, SELFMAG);
    h->e_ident[EI_CLASS] = ELFCLASS64;
    h->e_ident[EI_DATA] = ELFDATA2LSB;
    h->e_type = ET_DYN;
    h->e_machine = EM_X86_64;
    h->e_phoff = offsetof(hand_made, load);
    h->e_phentsize = sizeof(Elf64_Phdr);
    h->e_phnum = 2;
    file->load = (Elf64_Phdr){.p_type = PT_LOAD, .p_vaddr = ADDRESS, .p_filesz = sizeof *file};
    file->dynamic = (Elf64_Phdr){.p_type = PT_DYNAMIC,
                                 .p_offset = offsetof(hand_made, entries),
                                 .p_filesz = sizeof file->entries};
    file->entries[0] = (Elf64_Dyn){DT_SYMTAB, {AT(symbols)}};
    file->entries[1] = (Elf64_Dyn){DT_STRTAB, {AT(strings)}};
    file->entries[2] = (Elf64_Dyn){DT_STRSZ, {sizeof file->strings}};
    file->entries[3] = (Elf64_Dyn){DT_HASH, {AT(hash)}};
    file->entries[4] = (Elf64_Dyn){DT_RELA, {AT(relocation)}};
    file->entries[5] = (Elf64_Dyn){DT_RELASZ, {sizeof file->relocation}};
    memcpy(file->strings, "\0one\0two", 9);
    file->symbols[1] = (Elf64_Sym){.st_name = 1, .st_shndx = 1, .st_value = AT(data), .st_size = 8};
    file->symbols[2] = (Elf64_Sym){.st_name = 5, .st_shndx = 1, .st_value = AT(text), .st_size = 4};
    uint32_t hash[] = {1, SYMBOLS, 1, 0, 2, 0}; /* one bucket: 1, then 2 */
    memcpy(file->hash, hash, sizeof hash);
    file->relocation =
        (Elf64_Rela){AT(data), ELF64_R_INFO(0, R_X86_64_RELATIVE), (int64_t)AT(text)};
    memcpy(file->text, "abc\0efghijklmnop", TEXT_BYTES);
    return file;
}

static const char *open_file(fw_elf *elf, const hand_made *file)
{
    return fw_elf_open(elf, (fw_span){(const char *)file, sizeof *file});
}

static void the_file_as_it_is_meant(void **state)
{
    (void)state;
    fw_elf elf;
    fw_elf_place place;
    fw_span text;
    uint64_t data;
    hand_made *file = make();
    assert_null(open_file(&elf, file));
    assert_true(fw_elf_find(&elf, &place, "one"));
    assert_int_equal(place.address, AT(data));
    assert_int_equal(place.size, 8);
    assert_true(fw_elf_find(&elf, &place, "two"));
    assert_false(fw_elf_find(&elf, &place, "three"));
    assert_true(fw_elf_copy(&elf, &data, AT(data), sizeof data));
    assert_int_equal(data, AT(text));
    assert_true(fw_elf_text(&elf, &text, data, 3));
    assert_int_equal(text.len, 3);
    assert_memory_equal(text.ptr, "abc", 3);
    assert_false(fw_elf_text(&elf, &text, data, 2));
    free(file);
}

static void the_end_of_the_file_is_the_end(void **state)
{
    (void)state;
    fw_elf elf;
    fw_span text;
    char copy[TEXT_BYTES * 2];
    hand_made *file = make();
    assert_null(open_file(&elf, file));
    assert_true(fw_elf_copy(&elf, copy, AT(text), TEXT_BYTES));
    assert_false(fw_elf_copy(&elf, copy, AT(text), TEXT_BYTES + 1));
    assert_false(fw_elf_copy(&elf, copy, AT(text) + 1, TEXT_BYTES));
    assert_false(fw_elf_copy(&elf, copy, AT(text) + TEXT_BYTES, 1));
    assert_false(fw_elf_copy(&elf, copy, ADDRESS - 1, 2));
    assert_false(fw_elf_copy(&elf, copy, UINT64_MAX, 2));
    /* The last text has no NUL before the end. */
    assert_false(fw_elf_text(&elf, &text, AT(text) + 4, 4096));
    assert_false(fw_elf_text(&elf, &text, FW_ELF_ELSEWHERE, 4096));
    /* A name that is longer than what is left of its table. */
    file->symbols[1].st_name = sizeof file->strings - 2;
    fw_elf_place place;
    memcpy(file->strings + sizeof file->strings - 2, "on", 2);
    memcpy(file->text, "e", 2);
    assert_false(fw_elf_find(&elf, &place, "one"));
    free(file);
}

static void a_relocation_across_the_edge_writes_nothing(void **state)
{
    (void)state;
    fw_elf elf;
    char exact[8];
    hand_made *file = make();
    file->relocation.r_offset = AT(data) + 4;
    file->data = UINT64_C(0x0102030405060708);
    assert_null(open_file(&elf, file));
    assert_true(fw_elf_copy(&elf, exact, AT(data), sizeof exact));
    assert_memory_equal(exact, &file->data, sizeof exact);
    free(file);
}

static void a_circle_of_symbols_ends(void **state)
{
    (void)state;
    fw_elf elf;
    fw_elf_place place;
    hand_made *file = make();
    file->hash[3 + 2] = 1; /* after 2 comes 1 */
    assert_null(open_file(&elf, file));
    assert_true(fw_elf_find(&elf, &place, "two"));
    assert_false(fw_elf_find(&elf, &place, "three"));
    file->hash[1] = UINT32_MAX; /* chains that are not there */
    assert_false(fw_elf_find(&elf, &place, "two"));
    file->hash[0] = 0;
    assert_false(fw_elf_find(&elf, &place, "two"));
    free(file);
}

/* More segments than there is room for, all of them there and right. */
static void segments_have_a_limit(void **state)
{
    (void)state;
    enum { COUNT = FW_ELF_SEGMENTS_MAX + 1 };
    size_t size = sizeof(hand_made) + COUNT * sizeof(Elf64_Phdr);
    hand_made *file = make();
    char *longer = calloc(1, size);
    assert_non_null(longer);
    file->header.e_phoff = sizeof *file;
    for (size_t count = FW_ELF_SEGMENTS_MAX; count <= COUNT; count++) {
        file->header.e_phnum = (uint16_t)count;
        memcpy(longer, file, sizeof *file);
        for (size_t i = 0; i < count; i++)
            memcpy(longer + sizeof *file + i * sizeof(Elf64_Phdr),
                   i == 0 ? &file->dynamic : &file->load, sizeof(Elf64_Phdr));
        fw_elf elf;
        const char *why = fw_elf_open(&elf, (fw_span){longer, size});
        if (count <= FW_ELF_SEGMENTS_MAX)
            assert_null(why);
        else
            assert_string_equal(why, "is damaged: its program headers");
    }
    free(longer);
    free(file);
}

static void assert_refused(hand_made *file, const char *words)
{
    fw_elf elf;
    const char *why = open_file(&elf, file);
    if (!why || !strstr(why, words))
        fail_msg("%s instead of %s", why ? why : "accepted", words);
    free(file);
}

static void other_kinds_of_files_are_told_apart(void **state)
{
    (void)state;
    hand_made *file = make();
    file->header.e_ident[0] = 0;
    assert_refused(file, "no ELF header");
    file = make();
    file->header.e_ident[EI_CLASS] = ELFCLASS32;
    assert_refused(file, "not a 64-bit");
    file = make();
    file->header.e_ident[EI_DATA] = ELFDATA2MSB;
    assert_refused(file, "not a 64-bit little-endian");
    file = make();
    file->header.e_type = ET_REL;
    assert_refused(file, "link it with -shared");
    file = make();
    file->header.e_machine = EM_RISCV;
    assert_refused(file, "a processor other than");
    file = make();
    file->dynamic.p_type = PT_NOTE;
    assert_refused(file, "no dynamic section");
    file = make();
    file->load.p_filesz++;
    assert_refused(file, "ends behind the end");
    file = make();
    file->load.p_vaddr = UINT64_MAX - 8;
    assert_refused(file, "ends behind the end");
    file = make();
    file->header.e_phoff = UINT64_MAX - 8;
    assert_refused(file, "its program headers");
    file = make();
    file->entries[5].d_un.d_val = UINT64_MAX;
    assert_refused(file, "its relocations");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_file_as_it_is_meant),
        cmocka_unit_test(the_end_of_the_file_is_the_end),
        cmocka_unit_test(a_relocation_across_the_edge_writes_nothing),
        cmocka_unit_test(a_circle_of_symbols_ends),
        cmocka_unit_test(segments_have_a_limit),
        cmocka_unit_test(other_kinds_of_files_are_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

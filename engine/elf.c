/* engine/elf.c - reads shared objects the way the dynamic linker does, without being one.
 *
 * Everything goes through two gates: file_part (offset and size inside the file) and address_part
 * (address and size inside one segment). Numbers are copied out, never read in place: nothing in a
 * hostile file needs to be aligned. SPDX-License-Identifier: Apache-2.0 */
#include "engine/elf.h"

#include <elf.h>
#include <string.h>

#include "base/assert.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the file is read in its own byte order");

/* The kinds of relocation that can stand on a pointer in data. */
typedef struct machine {
    uint16_t number;
    const char *name;
    uint32_t relative, absolute;
} machine;

static const machine machines[] = {
    {EM_X86_64, "x86-64", R_X86_64_RELATIVE, R_X86_64_64},
    {EM_AARCH64, "aarch64", R_AARCH64_RELATIVE, R_AARCH64_ABS64},
};

static const machine *find_machine(uint16_t number)
{
    for (size_t i = 0; i < sizeof machines / sizeof machines[0]; i++) {
        if (machines[i].number == number)
            return &machines[i];
    }
    return NULL;
}

static bool file_part(fw_span file, fw_span *out, uint64_t offset, uint64_t size)
{
    if (offset > file.len || size > file.len - offset)
        return false;
    *out = (fw_span){file.ptr + offset, size};
    return true;
}

/* From address to the end of what the file has of that segment. */
static bool address_rest(const fw_elf *elf, fw_span *out, uint64_t address)
{
    for (size_t i = 0; i < elf->segment_count; i++) {
        const fw_elf_segment *s = &elf->segments[i];
        if (address >= s->address && address - s->address < s->size) {
            uint64_t skip = address - s->address;
            return file_part(elf->file, out, s->offset + skip, s->size - skip);
        }
    }
    return false;
}

static bool address_part(const fw_elf *elf, fw_span *out, uint64_t address, uint64_t size)
{
    fw_span rest;
    if (!address_rest(elf, &rest, address) || rest.len < size)
        return false;
    *out = (fw_span){rest.ptr, size};
    return true;
}

static bool address_copy(const fw_elf *elf, void *out, uint64_t address, size_t size)
{
    fw_span part;
    if (!address_part(elf, &part, address, size))
        return false;
    memcpy(out, part.ptr, size);
    return true;
}

/* Item `index` of a table; the sum cannot wrap, because tables are below and indexes are 32 bits.
 */
static bool table_copy(const fw_elf *elf, void *out, uint64_t table, uint64_t index, size_t size)
{
    FW_DEBUG_ASSERT(index <= UINT32_MAX);
    return table != 0 && table <= UINT64_MAX / 2 &&
           address_copy(elf, out, table + index * size, size);
}

static const char *read_header(fw_elf *elf, Elf64_Ehdr *header)
{
    fw_span part;
    if (!file_part(elf->file, &part, 0, sizeof *header) || memcmp(part.ptr, ELFMAG, SELFMAG) != 0)
        return "is not a shared object (no ELF header)";
    memcpy(header, part.ptr, sizeof *header);
    if (header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_ident[EI_DATA] != ELFDATA2LSB)
        return "is not a 64-bit little-endian shared object";
    if (header->e_type != ET_DYN)
        return "is not a shared object: link it with -shared";
    if (!find_machine(header->e_machine))
        return "is made for a processor other than x86-64 and aarch64";
    if (header->e_phentsize != sizeof(Elf64_Phdr) || header->e_phnum > FW_ELF_SEGMENTS_MAX)
        return "is damaged: its program headers";
    elf->machine = header->e_machine;
    return NULL;
}

static const char *read_segments(fw_elf *elf, const Elf64_Ehdr *header, fw_span *dynamic)
{
    fw_span table;
    uint64_t size = (uint64_t)header->e_phnum * sizeof(Elf64_Phdr);
    if (!file_part(elf->file, &table, header->e_phoff, size))
        return "is damaged or cut short: its program headers";
    for (unsigned i = 0; i < header->e_phnum; i++) {
        Elf64_Phdr p;
        fw_span part;
        memcpy(&p, table.ptr + i * sizeof p, sizeof p);
        if (p.p_type != PT_LOAD && p.p_type != PT_DYNAMIC)
            continue;
        if (!file_part(elf->file, &part, p.p_offset, p.p_filesz) ||
            p.p_vaddr > UINT64_MAX - p.p_filesz)
            return "is damaged or cut short: a segment ends behind the end of the file";
        if (p.p_type == PT_DYNAMIC)
            *dynamic = part;
        else
            elf->segments[elf->segment_count++] =
                (fw_elf_segment){p.p_vaddr, p.p_offset, p.p_filesz};
    }
    return dynamic->ptr ? NULL : "is not a shared object: it has no dynamic section";
}

static const char *read_dynamic(fw_elf *elf, fw_span dynamic)
{
    uint64_t relocations = 0, relocations_size = 0;
    for (size_t at = 0; dynamic.len - at >= sizeof(Elf64_Dyn); at += sizeof(Elf64_Dyn)) {
        Elf64_Dyn entry;
        memcpy(&entry, dynamic.ptr + at, sizeof entry);
        if (entry.d_tag == DT_NULL)
            break;
        if (entry.d_tag == DT_SYMTAB)
            elf->symbols = entry.d_un.d_ptr;
        else if (entry.d_tag == DT_STRTAB)
            elf->strings = entry.d_un.d_ptr;
        else if (entry.d_tag == DT_STRSZ)
            elf->strings_size = entry.d_un.d_val;
        else if (entry.d_tag == DT_GNU_HASH)
            elf->gnu_hash = entry.d_un.d_ptr;
        else if (entry.d_tag == DT_HASH)
            elf->hash = entry.d_un.d_ptr;
        else if (entry.d_tag == DT_RELA)
            relocations = entry.d_un.d_ptr;
        else if (entry.d_tag == DT_RELASZ)
            relocations_size = entry.d_un.d_val;
    }
    if (relocations_size > 0 &&
        !address_part(elf, &elf->relocations, relocations, relocations_size))
        return "is damaged: its relocations";
    return NULL;
}

const char *fw_elf_open(fw_elf *elf, fw_span file)
{
    FW_ASSERT(file.ptr || file.len == 0);
    *elf = (fw_elf){.file = file};
    Elf64_Ehdr header;
    fw_span dynamic = {NULL, 0};
    const char *why = read_header(elf, &header);
    if (!why)
        why = read_segments(elf, &header, &dynamic);
    return why ? why : read_dynamic(elf, dynamic);
}

const char *fw_elf_machine(const fw_elf *elf)
{
    const machine *m = find_machine(elf->machine);
    FW_ASSERT(m);
    return m->name;
}

bool fw_elf_is_native(const fw_elf *elf)
{
#if defined(__x86_64__)
    return elf->machine == EM_X86_64;
#elif defined(__aarch64__)
    return elf->machine == EM_AARCH64;
#else
    (void)elf;
    return true; /* the dynamic linker will tell */
#endif
}

/* Whether symbol `index` is a definition of that name. */
static bool symbol_is(const fw_elf *elf, fw_elf_place *out, uint32_t index, const char *name)
{
    Elf64_Sym symbol;
    fw_span text;
    size_t size = strlen(name) + 1;
    if (!table_copy(elf, &symbol, elf->symbols, index, sizeof symbol) ||
        symbol.st_name >= elf->strings_size || size > elf->strings_size - symbol.st_name ||
        elf->strings > UINT64_MAX / 2 ||
        !address_part(elf, &text, elf->strings + symbol.st_name, size) ||
        memcmp(text.ptr, name, size) != 0)
        return false;
    if (symbol.st_shndx == SHN_UNDEF || symbol.st_shndx == SHN_ABS)
        return false;
    *out = (fw_elf_place){symbol.st_value, symbol.st_size};
    return true;
}

static uint32_t gnu_hash_of(const char *name)
{
    uint32_t h = 5381;
    for (; *name; name++)
        h = h * 33 + (unsigned char)*name;
    return h;
}

/* A chain runs through the table upwards, so it ends at the latest where the segment ends. */
static bool find_by_gnu_hash(const fw_elf *elf, fw_elf_place *out, const char *name)
{
    struct {
        uint32_t buckets, first, bloom_words, bloom_shift;
    } head;
    if (!address_copy(elf, &head, elf->gnu_hash, sizeof head) || head.buckets == 0 ||
        elf->gnu_hash > UINT64_MAX / 4)
        return false;
    uint64_t buckets = elf->gnu_hash + sizeof head + (uint64_t)head.bloom_words * 8;
    uint64_t chains = buckets + (uint64_t)head.buckets * 4;
    uint32_t wanted = gnu_hash_of(name), index, hash;
    if (!table_copy(elf, &index, buckets, wanted % head.buckets, sizeof index) ||
        index < head.first)
        return false;
    do {
        if (!table_copy(elf, &hash, chains, index - head.first, sizeof hash))
            return false;
        if ((hash | 1) == (wanted | 1) && symbol_is(elf, out, index, name))
            return true;
    } while (index++ != UINT32_MAX && !(hash & 1));
    return false;
}

static uint32_t old_hash_of(const char *name)
{
    uint32_t h = 0;
    for (; *name; name++) {
        h = (h << 4) + (unsigned char)*name;
        uint32_t high = h & 0xf0000000;
        h = (h ^ (high >> 24)) & ~high;
    }
    return h;
}

/* A chain may run in a circle; it is walked at most as far as the table is long. */
static bool find_by_old_hash(const fw_elf *elf, fw_elf_place *out, const char *name)
{
    struct {
        uint32_t buckets, chains;
    } head;
    fw_span whole;
    if (!address_copy(elf, &head, elf->hash, sizeof head) || head.buckets == 0 ||
        !address_part(elf, &whole, elf->hash,
                      sizeof head + ((uint64_t)head.buckets + head.chains) * 4))
        return false;
    const char *buckets = whole.ptr + sizeof head;
    const char *chains = buckets + (size_t)head.buckets * 4;
    uint32_t index;
    memcpy(&index, buckets + (size_t)(old_hash_of(name) % head.buckets) * 4, sizeof index);
    for (uint32_t step = 0; step < head.chains && index != 0 && index < head.chains; step++) {
        if (symbol_is(elf, out, index, name))
            return true;
        memcpy(&index, chains + (size_t)index * 4, sizeof index);
    }
    return false;
}

bool fw_elf_find(const fw_elf *elf, fw_elf_place *out, const char *name)
{
    FW_ASSERT(*name);
    if (elf->symbols == 0 || elf->strings == 0)
        return false;
    if (elf->gnu_hash != 0)
        return find_by_gnu_hash(elf, out, name);
    return elf->hash != 0 && find_by_old_hash(elf, out, name);
}

/* What a relocation makes of the pointer it stands on. */
static uint64_t relocated(const fw_elf *elf, const machine *m, const Elf64_Rela *r)
{
    uint32_t kind = (uint32_t)ELF64_R_TYPE(r->r_info);
    uint32_t index = (uint32_t)ELF64_R_SYM(r->r_info);
    Elf64_Sym symbol;
    if (kind == m->relative || (kind == m->absolute && index == 0))
        return (uint64_t)r->r_addend;
    if (kind == m->absolute && table_copy(elf, &symbol, elf->symbols, index, sizeof symbol) &&
        symbol.st_shndx != SHN_UNDEF)
        return symbol.st_value + (uint64_t)r->r_addend;
    return FW_ELF_ELSEWHERE;
}

/* Packed relative relocations (DT_RELR) need no step of their own: they keep their addend in place.
 */
bool fw_elf_copy(const fw_elf *elf, void *out, uint64_t address, size_t size)
{
    const machine *m = find_machine(elf->machine);
    FW_ASSERT(m);
    if (!address_copy(elf, out, address, size))
        return false;
    for (size_t at = 0; elf->relocations.len - at >= sizeof(Elf64_Rela); at += sizeof(Elf64_Rela)) {
        Elf64_Rela r;
        memcpy(&r, elf->relocations.ptr + at, sizeof r);
        if (r.r_offset < address || r.r_offset - address >= size)
            continue;
        uint64_t skip = r.r_offset - address;
        uint64_t value = relocated(elf, m, &r);
        if (size - skip >= sizeof value)
            memcpy((char *)out + skip, &value, sizeof value);
    }
    return true;
}

bool fw_elf_text(const fw_elf *elf, fw_span *out, uint64_t address, size_t max)
{
    FW_ASSERT(max > 0);
    fw_span rest;
    if (!address_rest(elf, &rest, address))
        return false;
    size_t most = rest.len < max + 1 ? rest.len : max + 1;
    const char *end = memchr(rest.ptr, '\0', most);
    if (!end)
        return false;
    *out = (fw_span){rest.ptr, (size_t)(end - rest.ptr)};
    return true;
}

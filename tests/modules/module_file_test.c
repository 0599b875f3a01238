/* module_file_test.c - what is read from module files, whole, wrong, cut and mangled.
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/module_file.h"

#include <elf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/elf.h"

static char error[1024];

static char *read_bytes(const char *name, size_t *size)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s.so", FW_FIXTURES, name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    *size = (size_t)ftell(file);
    rewind(file);
    char *bytes = malloc(*size);
    assert_int_equal(fread(bytes, 1, *size, file), *size);
    fclose(file);
    return bytes;
}

static int read_fixture(fw_module_info *info, const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s.so", FW_FIXTURES, name);
    error[0] = '\0';
    return fw_module_read(info, error, sizeof error, path);
}

static void assert_exported(const fw_module_info *info)
{
    assert_string_equal(info->name, "exported");
    assert_string_equal(info->version, "2.5");
    assert_non_null(info->processor);
    assert_int_equal(info->count, 2);
    const fw_task_info *first = &info->tasks[0], *second = &info->tasks[1];
    assert_string_equal(first->name, "first");
    assert_string_equal(first->doc, "Doc of the first.");
    assert_string_equal(first->cron, "*/5 * * * *");
    assert_string_equal(first->repeat_until, "2030-01-01T00:00:00");
    assert_int_equal(first->flags, FW_F_BLOCKING);
    assert_int_equal(first->max_retries, 3);
    assert_int_equal(first->timeout_ms, 1500);
    assert_int_equal(first->every_ms, 250);
    assert_int_equal(first->repeat_count, 7);
    assert_string_equal(second->name, "second.täsk");
    assert_null(second->doc);
    assert_null(second->cron);
    assert_int_equal(second->flags, 0);
}

static void every_way_of_linking_reads_the_same(void **state)
{
    (void)state;
    static const char *const names[] = {
        "exported", "stripped", "sysv_hash", "both_hashes",
#ifdef FW_HAS_RELR
        "packed",
#endif
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        fw_module_info info;
        int rc = read_fixture(&info, names[i]);
        if (rc < 0)
            fail_msg("%s: %s", names[i], error);
        assert_exported(&info);
        fw_module_info_fini(&info);
    }
}

static void local_pointers_are_followed(void **state)
{
    (void)state;
    fw_module_info info;
    assert_int_equal(read_fixture(&info, "right"), 0);
    assert_string_equal(info.name, "numbers");
    assert_string_equal(info.tasks[0].name, "answer");
    assert_string_equal(info.tasks[0].doc, "The answer.");
    fw_module_info_fini(&info);
    assert_null(info.tasks);
    assert_int_equal(read_fixture(&info, "no_doc"), 0);
    assert_null(info.tasks[0].doc);
    fw_module_info_fini(&info);
#ifdef FW_HAS_RELR
    assert_int_equal(read_fixture(&info, "packed_hooks"), 0);
    assert_string_equal(info.tasks[0].name, "numbers");
    fw_module_info_fini(&info);
#endif
    /* Functions of others are fine as long as nothing is opened. */
    assert_int_equal(read_fixture(&info, "unresolved"), 0);
    fw_module_info_fini(&info);
}

static void the_samples_are_listed(void **state)
{
    (void)state;
    fw_module_info info;
    assert_int_equal(fw_module_read(&info, error, sizeof error, FW_SAMPLES), 0);
    assert_int_equal(info.count, 6);
    for (size_t i = 0; i < info.count; i++)
        assert_true(info.tasks[i].doc && info.tasks[i].doc[0]);
    fw_module_info_fini(&info);
}

static void assert_refused(const char *name, int code, const char *words)
{
    fw_module_info info = {.count = 99};
    int rc = read_fixture(&info, name);
    if (rc != -code || !strstr(error, words) || !strstr(error, name))
        fail_msg("%s: %d, %s", name, rc, error);
    assert_int_equal(info.count, 99); /* untouched on failure */
}

static void wrong_modules_are_refused_with_reasons(void **state)
{
    (void)state;
    assert_refused("other_abi", FW_EABI, "built for ABI 3 and this program has ABI 2");
    assert_refused("other_module_size", FW_EABI, "structures have 64 and");
    assert_refused("other_task_size", FW_EABI, "and 88 bytes where this program has");
    assert_refused("no_tasks", FW_EINVAL, "has 0 tasks");
    assert_refused("too_many_tasks", FW_EINVAL, "has 4000000000 tasks");
    assert_refused("count_lies", FW_EINVAL, "the module");
    assert_refused("no_name", FW_EINVAL, "a name of the module is empty");
    assert_refused("no_task_name", FW_EINVAL, "a task name of the module is empty");
    assert_refused("name_with_space", FW_EINVAL, "a task name of the module is empty");
    assert_refused("name_not_utf8", FW_EINVAL, "a task name of the module is empty");
    assert_refused("wrong_jitter", FW_EINVAL, "task 'answer' has a retry_jitter that is not");
    assert_refused("wrong_rate", FW_EINVAL, "or a rate_per_s that is not");
    assert_refused("wrong_overlap", FW_EINVAL, "an unknown word for overlap");
    assert_refused("heavy", FW_EBIG, "bytes of text");
    assert_refused("other", FW_EINVAL, "does not export fastworker_module");
    assert_refused("twins", FW_EDUP, "two tasks named 'twin'");
    /* Sanitizers make its constant larger, so the reason differs. */
    fw_module_info info;
    assert_true(read_fixture(&info, "impostor") < 0);
}

static void other_files_are_refused_with_reasons(void **state)
{
    (void)state;
    char path[] = FW_SCRATCH "/module_XXXXXX";
    char text[] =
        "#include <not a module>\nfor all that this file is long enough to be a header.\n";
    fw_module_info info;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(fw_module_read(&info, error, sizeof error, path), -FW_EINVAL);
    assert_non_null(strstr(error, "0 bytes"));
    assert_int_equal(write(fd, text, sizeof text), sizeof text);
    assert_int_equal(fw_module_read(&info, error, sizeof error, path), -FW_EINVAL);
    assert_non_null(strstr(error, "no ELF header"));
    assert_non_null(strstr(error, path));
    assert_int_equal(ftruncate(fd, (off_t)FW_MODULE_FILE_MAX + 1), 0);
    assert_int_equal(fw_module_read(&info, error, sizeof error, path), -FW_EBIG);
    close(fd);
    unlink(path);
    assert_int_equal(fw_module_read(&info, error, sizeof error, path), -FW_EINVAL);
    assert_non_null(strstr(error, "No such file"));
    assert_int_equal(fw_module_read(&info, error, sizeof error, FW_FIXTURES), -FW_EINVAL);
    assert_non_null(strstr(error, "not a regular file"));
    assert_int_equal(fw_module_read(&info, error, sizeof error, "/proc/self/exe"), -FW_EINVAL);
    /* Nobody writes into this pipe; reading must not wait for somebody. */
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(fw_module_read(&info, error, sizeof error, path), -FW_EINVAL);
    unlink(path);
}

static void reading_runs_nothing(void **state)
{
    (void)state;
    char folder[] = FW_SCRATCH "/witness_XXXXXX", witness[512];
    assert_non_null(mkdtemp(folder));
    snprintf(witness, sizeof witness, "%s/constructed", folder);
    setenv("FW_TEST_WITNESS", witness, 1);
    fw_module_info info;
    assert_int_equal(read_fixture(&info, "constructor"), 0);
    assert_string_equal(info.tasks[0].name, "nothing");
    fw_module_info_fini(&info);
    assert_int_not_equal(access(witness, F_OK), 0);
    /* The witness does testify when the module is opened. */
    fw_modules *modules;
    assert_int_equal(fw_modules_create(&modules, 1), 0);
    int rc = fw_modules_load(modules, error, sizeof error, FW_FIXTURES "/constructor.so", NULL);
    assert_int_equal(rc, 0);
    assert_int_equal(access(witness, F_OK), 0);
    fw_modules_destroy(modules);
    unlink(witness);
    rmdir(folder);
}

/* Parses a copy of exactly that size, so that a sanitizer sees the first byte read behind it. */
static int parse_exact(fw_module_info *info, const char *bytes, size_t size)
{
    char *exact = malloc(size ? size : 1);
    assert_non_null(exact);
    memcpy(exact, bytes, size);
    int rc = fw_module_parse(info, error, sizeof error, "cut.so", (fw_span){exact, size});
    free(exact);
    return rc;
}

static void every_cut_is_refused_or_harmless(void **state)
{
    (void)state;
    static const char *const names[] = {"exported", "sysv_hash"};
    for (size_t n = 0; n < sizeof names / sizeof names[0]; n++) {
        size_t size, good = 0;
        char *bytes = read_bytes(names[n], &size);
        for (size_t cut = 0; cut <= size; cut++) {
            fw_module_info info;
            error[0] = '\0';
            if (parse_exact(&info, bytes, cut) == 0) {
                assert_exported(&info); /* only section headers and debug data are gone */
                fw_module_info_fini(&info);
                good++;
            } else {
                assert_int_equal(strncmp(error, "cut.so: ", 8), 0);
            }
        }
        assert_true(good > 0 && good < size);
        free(bytes);
    }
}

static uint64_t next_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

/* Numbers that are edges: of the file, of the address space, of 32 bits. */
static uint64_t odd_number(uint64_t *seed, size_t size)
{
    static const uint64_t edges[] = {
        0,
        1,
        7,
        8,
        24,
        64,
        0x7fffffff,
        0x80000000,
        0xffffffff,
        UINT64_MAX,
        UINT64_MAX - 7,
        UINT64_MAX / 2,
        UINT64_MAX / 24,
        UINT64_MAX / 8 + 1,
    };
    uint64_t r = next_random(seed);
    switch (r % 4) {
    case 0:
        return edges[(r >> 8) % (sizeof edges / sizeof edges[0])];
    case 1:
        return size - 16 + (r >> 8) % 32;
    case 2:
        return (r >> 8) % (size * 2);
    default:
        return next_random(seed);
    }
}

/* Where the reader looks: headers, relocations, symbols, hash table, the module itself. */
enum { AIMS = 5, AIM_BYTES = 512 };

static void find_aims(size_t aims[AIMS], const char *bytes, size_t size)
{
    fw_elf elf;
    fw_elf_place place;
    assert_null(fw_elf_open(&elf, (fw_span){bytes, size}));
    assert_true(fw_elf_find(&elf, &place, "fastworker_module"));
    uint64_t addresses[] = {elf.symbols, elf.gnu_hash ? elf.gnu_hash : elf.hash, place.address};
    aims[0] = 0;
    aims[1] = (size_t)(elf.relocations.ptr - bytes);
    for (size_t i = 0; i < 3; i++) {
        for (size_t j = 0; j < elf.segment_count; j++) {
            const fw_elf_segment *s = &elf.segments[j];
            if (addresses[i] >= s->address && addresses[i] - s->address < s->size)
                aims[2 + i] = s->offset + (addresses[i] - s->address);
        }
    }
}

/* Mostly where the reader looks, sometimes anywhere. */
static void mangle(char *bytes, size_t size, const size_t aims[AIMS], uint64_t *seed)
{
    static const size_t widths[] = {1, 2, 4, 8};
    for (size_t changes = 1 + next_random(seed) % 4; changes > 0; changes--) {
        size_t width = widths[next_random(seed) % 4];
        size_t aim = next_random(seed) % (AIMS + 1);
        size_t at =
            aim == AIMS ? next_random(seed) % size : aims[aim] + next_random(seed) % AIM_BYTES;
        uint64_t number = odd_number(seed, size);
        at -= at % width;
        if (at + width <= size)
            memcpy(bytes + at, &number, width);
    }
}

static void mangled_files_are_safe(void **state)
{
    (void)state;
    const char *given = getenv("FW_TEST_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 0) : 0x5eed;
    static const char *const names[] = {"exported", "right", "sysv_hash", "hooks"};
    size_t rounds = 6000;
    for (size_t n = 0; n < sizeof names / sizeof names[0]; n++) {
        size_t size, refused = 0, aims[AIMS] = {0};
        char *bytes = read_bytes(names[n], &size), *copy = malloc(size);
        find_aims(aims, bytes, size);
        for (size_t i = 0; i < rounds; i++) {
            fw_module_info info;
            memcpy(copy, bytes, size);
            mangle(copy, size, aims, &seed);
            if (fw_module_parse(&info, error, sizeof error, "m.so", (fw_span){copy, size}) == 0)
                fw_module_info_fini(&info);
            else
                refused++;
        }
        assert_true(refused > rounds / 10); /* the changes do hit what is read */
        free(copy);
        free(bytes);
    }
}

/* The same file as the other processor's linker would write it: another number, other kinds. */
static void the_other_processor_reads_as_well(void **state)
{
    (void)state;
    size_t size;
    char *bytes = read_bytes("exported", &size);
    fw_elf elf;
    assert_null(fw_elf_open(&elf, (fw_span){bytes, size}));
    bool here_arm = elf.machine == EM_AARCH64;
    uint16_t machine = here_arm ? EM_X86_64 : EM_AARCH64;
    char *relocations = bytes + (elf.relocations.ptr - bytes);
    for (size_t at = 0; at + sizeof(Elf64_Rela) <= elf.relocations.len; at += sizeof(Elf64_Rela)) {
        Elf64_Rela r;
        memcpy(&r, relocations + at, sizeof r);
        uint32_t kind = (uint32_t)ELF64_R_TYPE(r.r_info);
        if (kind == (here_arm ? R_AARCH64_RELATIVE : R_X86_64_RELATIVE))
            kind = here_arm ? R_X86_64_RELATIVE : R_AARCH64_RELATIVE;
        else if (kind == (here_arm ? R_AARCH64_ABS64 : R_X86_64_64))
            kind = here_arm ? R_X86_64_64 : R_AARCH64_ABS64;
        r.r_info = ELF64_R_INFO(ELF64_R_SYM(r.r_info), kind);
        memcpy(relocations + at, &r, sizeof r);
    }
    memcpy(bytes + offsetof(Elf64_Ehdr, e_machine), &machine, sizeof machine);
    fw_module_info info;
    if (parse_exact(&info, bytes, size) < 0)
        fail_msg("%s", error);
    assert_exported(&info);
    assert_false(info.native);
    assert_string_equal(info.processor, here_arm ? "x86-64" : "aarch64");
    fw_module_info_fini(&info);
    /* Reading is all that can be done with it here. */
    char path[] = FW_SCRATCH "/foreign_XXXXXX";
    int fd = mkstemp(path);
    assert_int_equal(write(fd, bytes, size), size);
    close(fd);
    fw_modules *modules;
    assert_int_equal(fw_modules_create(&modules, 1), 0);
    assert_int_equal(fw_modules_load(modules, error, sizeof error, path, NULL), -FW_EABI);
    assert_non_null(strstr(error, "processors; build it here"));
    fw_modules_destroy(modules);
    unlink(path);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_way_of_linking_reads_the_same),
        cmocka_unit_test(local_pointers_are_followed),
        cmocka_unit_test(the_samples_are_listed),
        cmocka_unit_test(wrong_modules_are_refused_with_reasons),
        cmocka_unit_test(other_files_are_refused_with_reasons),
        cmocka_unit_test(reading_runs_nothing),
        cmocka_unit_test(every_cut_is_refused_or_harmless),
        cmocka_unit_test(mangled_files_are_safe),
        cmocka_unit_test(the_other_processor_reads_as_well),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

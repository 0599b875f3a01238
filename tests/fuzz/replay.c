/* replay.c - feeds a parser what the corpus holds, and damaged copies of it.
 *
 * The same entry point as libFuzzer's, so that what a fuzzer finds becomes a file of the corpus and
 * then a test of every build. The damage is random but repeatable: FW_SEED chooses it, FW_ROUNDS
 * how much. SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { INPUT_MAX = 1 << 20, ROUNDS = 2000 };

static uint64_t random_state;
static uint64_t random64(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    return random_state ^= random_state << 17;
}

static unsigned long setting(const char *name, unsigned long otherwise)
{
    const char *text = getenv(name);
    return text != NULL ? strtoul(text, NULL, 10) : otherwise;
}

/* A copy without a byte to spare, so that a sanitizer sees every read beyond the end. */
static void feed(const uint8_t *data, size_t len)
{
    uint8_t *copy = malloc(len > 0 ? len : 1);
    if (copy == NULL)
        abort();
    memcpy(copy, data, len);
    LLVMFuzzerTestOneInput(copy, len);
    free(copy);
}

static void feed_damaged(const uint8_t *data, size_t len, unsigned long rounds)
{
    uint8_t *copy = malloc(len + 8);
    if (copy == NULL)
        abort();
    for (unsigned long round = 0; round < rounds; round++) {
        memcpy(copy, data, len);
        size_t now = len;
        for (uint64_t i = 0; i <= random64() % 4; i++) {
            size_t at = random64() % (len + 1), from = random64() % (len + 1);
            size_t span = random64() % 8;
            switch (random64() % 4) {
            case 0:
                copy[at] = (uint8_t)random64();
                break;
            case 1:
                now = at;
                break;
            case 2:
                copy[at] ^= (uint8_t)(1u << (random64() % 8));
                break;
            default:
                if (at + span <= len && from + span <= len)
                    memmove(copy + at, copy + from, span);
            }
        }
        feed(copy, now);
    }
    free(copy);
}

int main(void)
{
    static uint8_t data[INPUT_MAX];
    unsigned long rounds = setting("FW_ROUNDS", ROUNDS), seed = setting("FW_SEED", 1);
    random_state = 88172645463325252u ^ (seed * UINT64_C(0x9e3779b97f4a7c15));
    DIR *folder = opendir(CORPUS);
    int files = 0;
    if (folder == NULL) {
        perror(CORPUS);
        return 1;
    }
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        char path[4096];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "%s/%s", CORPUS, entry->d_name);
        FILE *file = fopen(path, "rb");
        if (file == NULL) {
            perror(path);
            return 1;
        }
        size_t len = fread(data, 1, sizeof(data), file);
        fclose(file);
        feed(data, len);
        /* Long inputs take long: fewer rounds. */
        feed_damaged(data, len, rounds * 512 / (512 + len));
        files++;
    }
    closedir(folder);
    printf("seed %lu: %d files, up to %lu damaged copies of each\n", seed, files, rounds);
    return files > 0 ? 0 : 1;
}

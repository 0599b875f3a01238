/* base/key.c - UUID text to bytes and back, keyed hashing of other text, fresh UUIDs.
 *
 * Key invariant: the version nibble (bits 12..15 of `high`) is 1..8 for UUIDs and 0xf for hashed
 * text. SPDX-License-Identifier: Apache-2.0 */
#include "base/key.h"

#include <endian.h>
#include <pthread.h>
#include <string.h>
#include <sys/random.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/assert.h"

enum { VERSION_SHIFT = 12, SECRET_BYTES = 192, BLOCK_KEYS = 64 };
static const uint64_t version_mask = UINT64_C(0xf) << VERSION_SHIFT;

static unsigned char hash_secret[SECRET_BYTES];
static pthread_once_t secret_once = PTHREAD_ONCE_INIT;

static void fill_random(void *out, size_t len)
{
    unsigned char *at = out;
    while (len > 0) {
        ssize_t got = getrandom(at, len, 0);
        FW_ASSERT(got > 0 || len > 256); /* up to 256 bytes are never interrupted */
        if (got > 0) {
            at += got;
            len -= (size_t)got;
        }
    }
}

static void make_secret(void)
{
    fill_random(hash_secret, sizeof hash_secret);
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

/* => true: text is 36 characters, lower case, dashes in place, version 1 to 8. */
static bool parse_uuid(fw_key *out, const char *text)
{
    uint64_t half[2] = {0, 0};
    int digits = 0;
    for (int i = 0; i < FW_UUID_TEXT; i++) {
        if (i == 8 || i == 13 || i == 18 || i == 23) {
            if (text[i] != '-')
                return false;
            continue;
        }
        int value = hex_digit(text[i]);
        if (value < 0)
            return false;
        half[digits / 16] = half[digits / 16] << 4 | (uint64_t)value;
        digits++;
    }
    FW_ASSERT(digits == 32);
    uint64_t version = (half[0] & version_mask) >> VERSION_SHIFT;
    if (version < 1 || version > 8)
        return false;
    *out = (fw_key){half[0], half[1]};
    return true;
}

fw_key fw_key_from_text(fw_span text)
{
    fw_key key;
    FW_ASSERT(text.len > 0 && text.len <= FW_ID_MAX);
    if (text.len == FW_UUID_TEXT && parse_uuid(&key, text.ptr))
        return key;
    pthread_once(&secret_once, make_secret);
    XXH128_hash_t hash = XXH3_128bits_withSecret(text.ptr, text.len, hash_secret, SECRET_BYTES);
    return (fw_key){hash.high64 | version_mask, hash.low64};
}

bool fw_key_is_uuid(fw_key key)
{
    return (key.high & version_mask) != version_mask;
}

/* Spreads the four bytes of a word over eight characters, all at once: a nibble in each byte, then
 * '0' added, and the distance to 'a' where it is above nine. The first character is in the highest
 * byte. */
static uint64_t hex_of(uint32_t word)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    uint64_t x = word;
    x = (x << 16 | x) & UINT64_C(0x0000ffff0000ffff);
    x = (x << 8 | x) & UINT64_C(0x00ff00ff00ff00ff);
    x = (x << 4 | x) & UINT64_C(0x0f0f0f0f0f0f0f0f);
    uint64_t above_nine = (x + ones * 6) >> 4 & ones;
    return x + ones * '0' + above_nine * ('a' - '0' - 10);
}

static void put_hex(char *out, uint32_t word)
{
    uint64_t characters = htobe64(hex_of(word));
    memcpy(out, &characters, sizeof characters);
}

void fw_key_format(char out[FW_UUID_TEXT], fw_key key)
{
    char digits[32];
    FW_ASSERT(fw_key_is_uuid(key));
    put_hex(digits, (uint32_t)(key.high >> 32));
    put_hex(digits + 8, (uint32_t)key.high);
    put_hex(digits + 16, (uint32_t)(key.low >> 32));
    put_hex(digits + 24, (uint32_t)key.low);
    memcpy(out, digits, 8);
    memcpy(out + 9, digits + 8, 4);
    memcpy(out + 14, digits + 12, 4);
    memcpy(out + 19, digits + 16, 4);
    memcpy(out + 24, digits + 20, 12);
    out[8] = out[13] = out[18] = out[23] = '-';
}

fw_key fw_key_random(void)
{
    static _Thread_local fw_key block[BLOCK_KEYS];
    static _Thread_local unsigned left;
    if (left == 0) {
        fill_random(block, sizeof block);
        left = BLOCK_KEYS;
    }
    fw_key key = block[--left];
    block[left] = (fw_key){0, 0};
    key.high = (key.high & ~version_mask) | UINT64_C(4) << VERSION_SHIFT;
    key.low = (key.low & ~(UINT64_C(3) << 62)) | UINT64_C(2) << 62;
    return key;
}

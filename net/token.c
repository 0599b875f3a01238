/* net/token.c - see net/token.h. SPDX-License-Identifier: Apache-2.0 */
#include "net/token.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include "base/assert.h"

_Static_assert(sizeof((fw_token){false}.hash) == SHA256_DIGEST_LENGTH, "room for the hash");

static void hash(unsigned char out[SHA256_DIGEST_LENGTH], fw_span text)
{
    FW_ASSERT(SHA256((const unsigned char *)text.ptr, text.len, out) == out);
}

void fw_token_set(fw_token *token, fw_span text)
{
    *token = (fw_token){.asked = text.len > 0};
    if (token->asked)
        hash(token->hash, text);
}

bool fw_token_is(const fw_token *token, fw_span text)
{
    unsigned char other[SHA256_DIGEST_LENGTH];
    hash(other, text);
    return !token->asked || CRYPTO_memcmp(other, token->hash, sizeof other) == 0;
}

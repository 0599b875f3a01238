/* net/webhook_sign.c - see net/webhook_sign.h. SPDX-License-Identifier: Apache-2.0 */
#include "net/webhook_sign.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>

enum { DIGEST_BYTES = 32 };

int fw_webhook_sign(char out[FW_SIGNATURE_TEXT], fw_span secret, int64_t unix_s, fw_span body)
{
    char head[32], digest_name[] = "SHA256";
    unsigned char digest[DIGEST_BYTES];
    size_t len = 0;
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest_name, 0),
        OSSL_PARAM_construct_end()};
    int head_len = snprintf(head, sizeof head, "%" PRId64 ".", unix_s);
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    EVP_MAC_CTX *c = mac ? EVP_MAC_CTX_new(mac) : NULL;
    int good = c &&
               EVP_MAC_init(c, (const unsigned char *)secret.ptr, secret.len, parameters) == 1 &&
               EVP_MAC_update(c, (const unsigned char *)head, (size_t)head_len) == 1 &&
               EVP_MAC_update(c, (const unsigned char *)body.ptr, body.len) == 1 &&
               EVP_MAC_final(c, digest, &len, sizeof digest) == 1 && len == DIGEST_BYTES;
    EVP_MAC_CTX_free(c);
    EVP_MAC_free(mac);
    if (!good)
        return -FW_ENOMEM;
    int at = snprintf(out, FW_SIGNATURE_TEXT, "t=%" PRId64 ",v1=", unix_s);
    for (size_t i = 0; i < DIGEST_BYTES; i++)
        snprintf(out + at + 2 * i, FW_SIGNATURE_TEXT - (size_t)at - 2 * i, "%02x", digest[i]);
    return 0;
}

/* cache/hash.c - the secret of the hash.
 * SPDX-License-Identifier: Apache-2.0 */
#include "cache/hash.h"

#include <pthread.h>

uint64_t fw_hash_secret[2];

static void draw(void)
{
    fw_key a = fw_key_random(), b = fw_key_random();
    /* Each key has six bits that are not random, at different places. */
    fw_hash_secret[0] = a.high ^ (b.low << 32 | b.low >> 32);
    fw_hash_secret[1] = a.low ^ (b.high << 32 | b.high >> 32);
}

void fw_hash_init(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, draw);
}

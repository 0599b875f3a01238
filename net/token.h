/* net/token.h - the secret that peers share, as a server keeps it: its hash.
 *
 * Both sides of a comparison are hashed, and all of the hashes is compared: how long it takes tells
 * neither where two tokens differ nor how long ours is. Any thread.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_NET_TOKEN_H
#define FW_NET_TOKEN_H

#include <stdbool.h>

#include "fastworker/types.h"

typedef struct fw_token {
    bool asked; /* false: none is needed, and any will do */
    unsigned char hash[32];
} fw_token;

/* An empty text: none is asked for. */
void fw_token_set(fw_token *token, fw_span text);
bool fw_token_is(const fw_token *token, fw_span text);

#endif

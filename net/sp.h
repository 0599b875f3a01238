/* net/sp.h - SP over a byte stream: the handshake, the length before each message, the words of a
 * request.
 *
 * Pure functions over bytes; no input or output, no NNG, no memory. Both directions and both roles
 * use them: what one side writes with these, NNG's own sockets read, and the other way round.
 *
 *   handshake  00 'S' 'P' 00 <protocol, 16 bits> 00 00, by each side, once
 *   message    <length, 64 bits> <that many bytes>
 *   request    one to eight 32-bit words, the last with its top bit set (the request id), then the
 * body; an answer begins with the same words
 *
 * All numbers are big-endian. A length is judged before anything is allocated for it.
 * Any thread; wait-free. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_NET_SP_H
#define FW_NET_SP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fastworker/types.h"

typedef enum fw_sp_protocol {
    FW_SP_PAIR0 = 0x10,
    FW_SP_PUB0 = 0x20,
    FW_SP_SUB0 = 0x21,
    FW_SP_REQ0 = 0x30,
    FW_SP_REP0 = 0x31,
    FW_SP_PUSH0 = 0x50,
    FW_SP_PULL0 = 0x51,
    FW_SP_BUS0 = 0x70
} fw_sp_protocol;

enum {
    FW_SP_HANDSHAKE_BYTES = 8,
    FW_SP_LENGTH_BYTES = 8,
    FW_SP_WORD_BYTES = 4,
    FW_SP_WORDS_MAX = 8 /* as NNG's default time to live */
};

/* The top bit of a request id, always set on the wire. */
#define FW_SP_REQUEST_BIT UINT32_C(0x80000000)

/* The protocol that a peer of `own` must name; 0 when there is none. */
unsigned fw_sp_peer_of(unsigned own);

void fw_sp_handshake_write(unsigned char out[FW_SP_HANDSHAKE_BYTES], unsigned protocol);
/* The peer's protocol number, or -1: these eight bytes are not an SP handshake. */
int fw_sp_handshake_read(const unsigned char in[FW_SP_HANDSHAKE_BYTES]);
/* False as soon as the first len (up to eight) bytes cannot become a handshake. */
bool fw_sp_handshake_may_become(const unsigned char *in, size_t len);

typedef enum fw_sp_outcome {
    FW_SP_MESSAGE, /* one is complete */
    FW_SP_MORE,    /* not all of it has arrived */
    FW_SP_TOO_BIG  /* its length is over the limit: the connection has to end */
} fw_sp_outcome;

/* Looks for a message at the start of bytes.
 * MESSAGE: *message is its content, *size the bytes it occupies together with its length word.
 * MORE:    *size is how many bytes it will occupy in all (at least FW_SP_LENGTH_BYTES, at most that
 * + message_max). TOO_BIG: *size is the claimed length of the content, cut to SIZE_MAX. */
fw_sp_outcome fw_sp_next(fw_span *message, size_t *size, const unsigned char *bytes, size_t len,
                         size_t message_max);
void fw_sp_length_write(unsigned char out[FW_SP_LENGTH_BYTES], uint64_t len);

uint32_t fw_sp_word_read(const unsigned char in[FW_SP_WORD_BYTES]);
void fw_sp_word_write(unsigned char out[FW_SP_WORD_BYTES], uint32_t word);

/* A request, or an answer, split. */
typedef struct fw_sp_request {
    uint32_t id;      /* the last word, with its top bit */
    uint32_t detours; /* words in front of it: 0 for a direct peer */
    fw_span words;    /* all of them, the id last, as on the wire */
    fw_span body;
} fw_sp_request;

/* False: no word with the top bit among the first eight. The connection has to end. */
bool fw_sp_request_read(fw_sp_request *out, fw_span message);

#endif

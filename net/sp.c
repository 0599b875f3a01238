/* net/sp.c - see net/sp.h. SPDX-License-Identifier: Apache-2.0 */
#include "net/sp.h"

#include <string.h>

#include "base/assert.h"

unsigned fw_sp_peer_of(unsigned own)
{
    switch (own) {
    case FW_SP_PAIR0:
    case FW_SP_BUS0:
        return own;
    case FW_SP_PUB0:
        return FW_SP_SUB0;
    case FW_SP_SUB0:
        return FW_SP_PUB0;
    case FW_SP_REQ0:
        return FW_SP_REP0;
    case FW_SP_REP0:
        return FW_SP_REQ0;
    case FW_SP_PUSH0:
        return FW_SP_PULL0;
    case FW_SP_PULL0:
        return FW_SP_PUSH0;
    default:
        return 0;
    }
}

void fw_sp_handshake_write(unsigned char out[FW_SP_HANDSHAKE_BYTES], unsigned protocol)
{
    FW_ASSERT(protocol <= UINT16_MAX);
    memcpy(out, "\0SP\0", 4);
    out[4] = (unsigned char)(protocol >> 8);
    out[5] = (unsigned char)protocol;
    out[6] = out[7] = 0;
}

bool fw_sp_handshake_may_become(const unsigned char *in, size_t len)
{
    FW_ASSERT(in != NULL || len == 0);
    static const unsigned char fixed[FW_SP_HANDSHAKE_BYTES] = {0, 'S', 'P', 0, 0, 0, 0, 0};
    for (size_t i = 0; i < len && i < FW_SP_HANDSHAKE_BYTES; i++)
        if (i != 4 && i != 5 && in[i] != fixed[i])
            return false;
    return true;
}

int fw_sp_handshake_read(const unsigned char in[FW_SP_HANDSHAKE_BYTES])
{
    if (!fw_sp_handshake_may_become(in, FW_SP_HANDSHAKE_BYTES))
        return -1;
    return in[4] << 8 | in[5];
}

fw_sp_outcome fw_sp_next(fw_span *message, size_t *size, const unsigned char *bytes, size_t len,
                         size_t message_max)
{
    FW_ASSERT(message_max <= SIZE_MAX - FW_SP_LENGTH_BYTES);
    if (len < FW_SP_LENGTH_BYTES) {
        *size = FW_SP_LENGTH_BYTES;
        return FW_SP_MORE;
    }
    uint64_t content = (uint64_t)fw_sp_word_read(bytes) << 32 | fw_sp_word_read(bytes + 4);
    if (content > message_max) {
        *size = content > SIZE_MAX ? SIZE_MAX : (size_t)content;
        return FW_SP_TOO_BIG;
    }
    *size = FW_SP_LENGTH_BYTES + (size_t)content;
    if (len < *size)
        return FW_SP_MORE;
    *message = (fw_span){(const char *)bytes + FW_SP_LENGTH_BYTES, (size_t)content};
    return FW_SP_MESSAGE;
}

void fw_sp_length_write(unsigned char out[FW_SP_LENGTH_BYTES], uint64_t len)
{
    fw_sp_word_write(out, (uint32_t)(len >> 32));
    fw_sp_word_write(out + 4, (uint32_t)len);
}

uint32_t fw_sp_word_read(const unsigned char in[FW_SP_WORD_BYTES])
{
    return (uint32_t)in[0] << 24 | (uint32_t)in[1] << 16 | (uint32_t)in[2] << 8 | in[3];
}

void fw_sp_word_write(unsigned char out[FW_SP_WORD_BYTES], uint32_t word)
{
    out[0] = (unsigned char)(word >> 24);
    out[1] = (unsigned char)(word >> 16);
    out[2] = (unsigned char)(word >> 8);
    out[3] = (unsigned char)word;
}

bool fw_sp_request_read(fw_sp_request *out, fw_span message)
{
    FW_ASSERT(message.ptr != NULL || message.len == 0);
    const unsigned char *bytes = (const unsigned char *)message.ptr;
    for (uint32_t i = 0; i < FW_SP_WORDS_MAX; i++) {
        size_t end = (size_t)(i + 1) * FW_SP_WORD_BYTES;
        if (message.len < end)
            return false;
        uint32_t word = fw_sp_word_read(bytes + end - FW_SP_WORD_BYTES);
        if (word & FW_SP_REQUEST_BIT) {
            *out = (fw_sp_request){.id = word,
                                   .detours = i,
                                   .words = {message.ptr, end},
                                   .body = {message.ptr + end, message.len - end}};
            return true;
        }
    }
    return false;
}

/* sp_test.c - net/sp.c: the handshake, lengths and words, byte by byte.
 * SPDX-License-Identifier: Apache-2.0 */
#include "net/sp.h"
#include "peers.h"

static void handshake_is_what_nng_sends(void **state)
{
    (void)state;
    unsigned char out[8];
    fw_sp_handshake_write(out, FW_SP_REP0);
    assert_memory_equal(out, "\0SP\0\0\x31\0\0", 8);
    assert_int_equal(fw_sp_handshake_read(out), 0x31);
    fw_sp_handshake_write(out, 0x1234);
    assert_int_equal(fw_sp_handshake_read(out), 0x1234);
}

static void every_changed_byte_of_a_handshake_is_seen(void **state)
{
    (void)state;
    for (size_t i = 0; i < 8; i++) {
        unsigned char bytes[8];
        fw_sp_handshake_write(bytes, FW_SP_REQ0);
        bytes[i] ^= 0x40;
        bool is_number = i == 4 || i == 5;
        assert_int_equal(fw_sp_handshake_read(bytes) >= 0, is_number);
        for (size_t len = 0; len <= 8; len++)
            assert_int_equal(fw_sp_handshake_may_become(bytes, len), len <= i || is_number);
    }
    assert_false(fw_sp_handshake_may_become((const unsigned char *)"GET / HTTP", 1));
}

static void protocols_have_their_peers(void **state)
{
    (void)state;
    unsigned all[] = {FW_SP_PAIR0, FW_SP_PUB0,  FW_SP_SUB0,  FW_SP_REQ0,
                      FW_SP_REP0,  FW_SP_PUSH0, FW_SP_PULL0, FW_SP_BUS0};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        assert_int_equal(fw_sp_peer_of(fw_sp_peer_of(all[i])), all[i]);
    assert_int_equal(fw_sp_peer_of(FW_SP_REP0), FW_SP_REQ0);
    assert_int_equal(fw_sp_peer_of(FW_SP_BUS0), FW_SP_BUS0);
    assert_int_equal(fw_sp_peer_of(0x62), 0);
}

static void a_message_is_found_however_much_of_it_is_there(void **state)
{
    (void)state;
    unsigned char bytes[8 + 5 + 3];
    memcpy(bytes, "\0\0\0\0\0\0\0\5hello\1\2\3", sizeof bytes);
    for (size_t len = 0; len < sizeof bytes; len++) {
        fw_span message = {NULL, 0};
        size_t size = 0;
        fw_sp_outcome outcome = fw_sp_next(&message, &size, bytes, len, 5);
        assert_int_equal(outcome, len >= 13 ? FW_SP_MESSAGE : FW_SP_MORE);
        assert_int_equal(size, len >= 8 ? 13 : 8);
        if (outcome == FW_SP_MESSAGE) {
            assert_int_equal(message.len, 5);
            assert_memory_equal(message.ptr, "hello", 5);
        }
    }
}

static void the_limit_holds_before_the_bytes_are_there(void **state)
{
    (void)state;
    unsigned char word[8];
    fw_span message;
    size_t size;
    fw_sp_length_write(word, 6);
    assert_int_equal(fw_sp_next(&message, &size, word, 8, 5), FW_SP_TOO_BIG);
    assert_int_equal(fw_sp_next(&message, &size, word, 8, 6), FW_SP_MORE);
    fw_sp_length_write(word, UINT64_MAX);
    assert_int_equal(fw_sp_next(&message, &size, word, 8, SIZE_MAX / 4), FW_SP_TOO_BIG);
    assert_int_equal(fw_sp_next(&message, &size, word, 7, 5), FW_SP_MORE);
    fw_sp_length_write(word, 0);
    assert_int_equal(fw_sp_next(&message, &size, word, 8, 5), FW_SP_MESSAGE);
    assert_int_equal(message.len, 0);
}

static void numbers_are_big_endian(void **state)
{
    (void)state;
    unsigned char bytes[8];
    fw_sp_length_write(bytes, UINT64_C(0x0102030405060708));
    assert_memory_equal(bytes, "\1\2\3\4\5\6\7\x8", 8);
    fw_sp_word_write(bytes, UINT32_C(0x80f0a055));
    assert_memory_equal(bytes, "\x80\xf0\xa0\x55", 4);
    assert_int_equal(fw_sp_word_read(bytes), UINT32_C(0x80f0a055));
}

static void requests_end_at_the_word_with_the_top_bit(void **state)
{
    (void)state;
    for (size_t words = 1; words <= 10; words++) {
        unsigned char bytes[64];
        uint32_t ids[10];
        for (size_t i = 0; i < words; i++)
            ids[i] = (uint32_t)(100 + i);
        size_t size = peer_request(bytes, ids, words, "xyz", 3);
        fw_span message = {(const char *)bytes + 8, size - 8};
        fw_sp_request request;
        bool read = fw_sp_request_read(&request, message);
        assert_int_equal(read, words <= FW_SP_WORDS_MAX);
        if (!read)
            continue;
        assert_int_equal(request.id, (uint32_t)(100 + words - 1) | FW_SP_REQUEST_BIT);
        assert_int_equal(request.detours, words - 1);
        assert_int_equal(request.words.len, words * 4);
        assert_int_equal(request.body.len, 3);
        assert_memory_equal(request.body.ptr, "xyz", 3);
    }
}

static void a_request_that_ends_within_its_words_is_none(void **state)
{
    (void)state;
    fw_sp_request request;
    assert_false(fw_sp_request_read(&request, (fw_span){NULL, 0}));
    assert_false(fw_sp_request_read(&request, (fw_span){"\x80\0\0", 3}));
    assert_false(fw_sp_request_read(&request, (fw_span){"\0\0\0\1\x80\0\0", 7}));
    assert_true(fw_sp_request_read(&request, (fw_span){"\x80\0\0\0", 4}));
    assert_int_equal(request.body.len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(handshake_is_what_nng_sends),
        cmocka_unit_test(every_changed_byte_of_a_handshake_is_seen),
        cmocka_unit_test(protocols_have_their_peers),
        cmocka_unit_test(a_message_is_found_however_much_of_it_is_there),
        cmocka_unit_test(the_limit_holds_before_the_bytes_are_there),
        cmocka_unit_test(numbers_are_big_endian),
        cmocka_unit_test(requests_end_at_the_word_with_the_top_bit),
        cmocka_unit_test(a_request_that_ends_within_its_words_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* compress_test.c - what was compressed reads back; what is not worth it is left alone.
 * SPDX-License-Identifier: Apache-2.0 */
#include "web/compress.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <zlib.h>

static void read_back(fw_span packed, fw_span expected)
{
    z_stream stream = {0};
    unsigned char *text = malloc(expected.len + 1);
    assert_non_null(text);
    assert_int_equal(inflateInit2(&stream, 15 + 16), Z_OK);
    stream.next_in = (Bytef *)(uintptr_t)packed.ptr;
    stream.avail_in = (uInt)packed.len;
    stream.next_out = text;
    stream.avail_out = (uInt)expected.len + 1;
    assert_int_equal(inflate(&stream, Z_FINISH), Z_STREAM_END);
    assert_int_equal(stream.total_out, expected.len);
    assert_memory_equal(text, expected.ptr, expected.len);
    inflateEnd(&stream);
    free(text);
}

static void each_body_reads_back(void **state)
{
    (void)state;
    fw_buffer body = {0};
    for (int i = 0; i < 40000; i++) {
        fw_buffer_format(&body, "{\"task_id\": \"%08x\", \"result\": %d}, ", i * 2654435761u, i);
        if (i % 4000 != 20)
            continue;
        fw_buffer packed = {0};
        assert_true(fw_web_compress(&packed, (fw_span){body.data, body.len}));
        assert_true(packed.len < body.len / 2);
        read_back((fw_span){packed.data, packed.len}, (fw_span){body.data, body.len});
        fw_buffer_fini(&packed);
    }
    fw_buffer_fini(&body);
    fw_web_compress_leave();
}

static void noise_gains_nothing(void **state)
{
    (void)state;
    unsigned char noise[4096];
    uint64_t random = 88172645463325252u;
    fw_buffer packed = {0};
    for (size_t i = 0; i < sizeof noise; i++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        noise[i] = (unsigned char)random;
    }
    assert_false(fw_web_compress(&packed, (fw_span){(const char *)noise, sizeof noise}));
    assert_int_equal(packed.len, 0);
    fw_buffer_fini(&packed);
    /* The next one starts anew. */
    memset(noise, 'a', sizeof noise);
    assert_true(fw_web_compress(&packed, (fw_span){(const char *)noise, sizeof noise}));
    read_back((fw_span){packed.data, packed.len}, (fw_span){(const char *)noise, sizeof noise});
    fw_buffer_fini(&packed);
    fw_web_compress_leave();
    fw_web_compress_leave();
}

static void what_is_worth_it(void **state)
{
    (void)state;
    assert_true(fw_web_is_compressible(FW_WEB_JSON, 1024));
    assert_true(fw_web_is_compressible("application/problem+json", 5000));
    assert_true(fw_web_is_compressible("text/plain; version=0.0.4; charset=utf-8", 5000));
    assert_true(fw_web_is_compressible(FW_WEB_NDJSON, 4 << 20));
    assert_false(fw_web_is_compressible(FW_WEB_JSON, 1023));
    assert_false(fw_web_is_compressible(FW_WEB_JSON, (4 << 20) + 1));
    assert_false(fw_web_is_compressible("image/png", 5000));
}

static void who_wants_it(void **state)
{
    (void)state;
    static const char *const takes[] = {
        "gzip",     "deflate, GZIP", "br;q=1.0 , gzip ;q=0.001", "*", "gzip;q=1.0,identity;q=0.5",
        "br;q=0, *"};
    static const char *const refuses[] = {
        "",      "identity", "br, deflate", "gzip;q=0", "gzip; q=0.0", "*, gzip; q=0.000",
        "*;q=0", "gzipped",  ",;,;q=0",     ";"};
    for (size_t i = 0; i < sizeof takes / sizeof takes[0]; i++)
        assert_true(fw_web_takes_gzip((fw_span){takes[i], strlen(takes[i])}));
    for (size_t i = 0; i < sizeof refuses / sizeof refuses[0]; i++)
        assert_false(fw_web_takes_gzip((fw_span){refuses[i], strlen(refuses[i])}));
    assert_false(fw_web_takes_gzip((fw_span){NULL, 0}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_body_reads_back),
        cmocka_unit_test(noise_gains_nothing),
        cmocka_unit_test(what_is_worth_it),
        cmocka_unit_test(who_wants_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* json_test.c - what is JSON and what is not, walks, strings, numbers (json.c,
 * json_text.c). tests/base/json_compare.py compares the same code with Python and jansson.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

static fw_span span(const char *text)
{
    return (fw_span){text, strlen(text)};
}

/* Parses a copy without a byte to spare, so that a sanitizer sees every read beyond the end. */
static fw_json_type type_of_copy(const char *text, size_t len)
{
    char *copy = malloc(len > 0 ? len : 1);
    assert_non_null(copy);
    memcpy(copy, text, len);
    fw_json value = fw_json_parse((fw_span){copy, len});
    free(copy);
    return value.type;
}

static void accepts_what_python_writes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        fw_json_type type;
    } cases[] = {
        {"null", FW_JSON_NULL},
        {" true ", FW_JSON_TRUE},
        {"\t\r\n false\n", FW_JSON_FALSE},
        {"0", FW_JSON_NUMBER},
        {"-0", FW_JSON_NUMBER},
        {"-12.5e+07", FW_JSON_NUMBER},
        {"1E5", FW_JSON_NUMBER},
        {"1208925819614629174706176", FW_JSON_NUMBER},
        {"NaN", FW_JSON_NUMBER},
        {"Infinity", FW_JSON_NUMBER},
        {"-Infinity", FW_JSON_NUMBER},
        {"\"\"", FW_JSON_STRING},
        {"\"\\ud800\"", FW_JSON_STRING},
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\"", FW_JSON_STRING},
        {"\"gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80 \xef\xbf\xbf\x7f\"", FW_JSON_STRING},
        {"[]", FW_JSON_ARRAY},
        {"[ ]", FW_JSON_ARRAY},
        {"[1,[2,[3]],{}]", FW_JSON_ARRAY},
        {"{}", FW_JSON_OBJECT},
        {"{ \"a\" : { \"b\" : [ ] } , \"a\" : NaN }", FW_JSON_OBJECT},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        if (type_of_copy(cases[i].text, strlen(cases[i].text)) != cases[i].type)
            fail_msg("%s", cases[i].text);
}

static const char *const refused[] = {
    "",
    " ",
    "nul",
    "nulll",
    "True",
    "01",
    "-",
    "+1",
    "1.",
    ".5",
    "1e",
    "1e+",
    "0x10",
    "-NaN",
    "Infinit",
    "-Infinityy",
    "\"",
    "\"\\\"",
    "\"\\x\"",
    "\"\\u12g4\"",
    "\"\\u123\"",
    "\"a\nb\"",
    "\"\x01\"",
    "[",
    "]",
    "[1",
    "[1,]",
    "[,1]",
    "[1 2]",
    "[1}",
    "{",
    "{]",
    "{\"a\"}",
    "{\"a\":}",
    "{\"a\":1,}",
    "{,}",
    "{a:1}",
    "{1:2}",
    "{\"a\":1 \"b\":2}",
    "1 2",
    "[]]",
    "{}{}",
    "\"\x80\"",
    "\"\xc0\xaf\"",
    "\"\xc3\"",
    "\"\xe0\x80\x80\"",
    "\"\xed\xa0\x80\"",
    "\"\xf4\x90\x80\x80\"",
    "\"\xf5\x80\x80\x80\"",
    "\"\xf0\x9f\x98\"",
    "\xef\xbb\xbf[]",
    "\x80\x04.",
    "'a'",
    "[1]x",
    "// c\n1",
};

static void refuses_what_is_not_json(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
        if (type_of_copy(refused[i], strlen(refused[i])) != FW_JSON_INVALID)
            fail_msg("%s", refused[i]);
    assert_int_equal(type_of_copy("1\0", 2), FW_JSON_INVALID);
    assert_int_equal(type_of_copy("\"\0\"", 3), FW_JSON_INVALID);
    assert_int_equal(type_of_copy("\"\\\0\"", 4), FW_JSON_INVALID);
}

static void every_truncation_is_refused(void **state)
{
    (void)state;
    const char *text = "{\"id\": \"a\\u00e9\\ud83d\\ude00\xc3\xa9 long enough for a whole block\", "
                       "\"args\": [1.5e3, true, null, {\"x\": -Infinity}]}";
    size_t len = strlen(text);
    assert_int_equal(type_of_copy(text, len), FW_JSON_OBJECT);
    for (size_t cut = 0; cut < len; cut++)
        assert_int_equal(type_of_copy(text, cut), FW_JSON_INVALID);
}

static void depth_has_a_limit(void **state)
{
    (void)state;
    enum { DEEP = 100000 };
    char *text = malloc(2 * DEEP);
    assert_non_null(text);
    memset(text, '[', DEEP);
    memset(text + DEEP, ']', DEEP);
    size_t edge = FW_JSON_DEPTH_MAX;
    assert_int_equal(type_of_copy(text + DEEP - edge, 2 * edge), FW_JSON_ARRAY);
    assert_int_equal(type_of_copy(text + DEEP - edge - 1, 2 * edge + 2), FW_JSON_INVALID);
    assert_int_equal(type_of_copy(text, 2 * DEEP), FW_JSON_INVALID);
    memset(text, '[', 2 * DEEP);
    assert_int_equal(type_of_copy(text, 2 * DEEP), FW_JSON_INVALID);
    free(text);
}

static void values_are_walked_in_order(void **state)
{
    (void)state;
    fw_json array =
        fw_json_parse(span(" [ 1 , \"a]\\\"\" ,[2,{\"x\":[3]}], {\"k\":\"}\"},-1e5,NaN ] "));
    static const char *const texts[] = {"1",    "\"a]\\\"\"", "[2,{\"x\":[3]}]", "{\"k\":\"}\"}",
                                        "-1e5", "NaN"};
    fw_json_cursor cursor = fw_json_open(array);
    fw_json value;
    size_t count = 0;
    while (fw_json_next(&cursor, &value)) {
        assert_true(count < 6);
        assert_int_equal(value.text.len, strlen(texts[count]));
        assert_memory_equal(value.text.ptr, texts[count], value.text.len);
        count++;
    }
    assert_int_equal(count, 6);
    assert_int_equal(fw_json_count(array), 6);
    assert_int_equal(fw_json_count(fw_json_parse(span("{}"))), 0);
    assert_int_equal(fw_json_count(fw_json_parse(span("7"))), 0);
    cursor = fw_json_open(fw_json_parse(span("\"text\"")));
    assert_false(fw_json_next(&cursor, &value));
}

static void the_last_member_of_a_name_counts(void **state)
{
    (void)state;
    fw_json object =
        fw_json_parse(span("{\"id\":1,\"i\\u0064\":[2],\"\\u0069d2\":3,\"idx\":4,\"\":5}"));
    assert_int_equal(object.type, FW_JSON_OBJECT);
    assert_int_equal(fw_json_get(object, "id").type, FW_JSON_ARRAY);
    assert_int_equal(fw_json_get(object, "id2").type, FW_JSON_NUMBER);
    assert_int_equal(fw_json_get(object, "").type, FW_JSON_NUMBER);
    assert_int_equal(fw_json_get(object, "i").type, FW_JSON_INVALID);
    assert_int_equal(fw_json_get(object, "idxx").type, FW_JSON_INVALID);
    assert_int_equal(fw_json_get(fw_json_parse(span("[1]")), "id").type, FW_JSON_INVALID);
    assert_int_equal(fw_json_count(object), 5);
}

static void strings_are_decoded_only_when_needed(void **state)
{
    (void)state;
    char buffer[64];
    fw_span out;
    fw_json plain = fw_json_parse(span("\"caf\xc3\xa9\""));
    assert_true(fw_json_string(plain, NULL, 0, &out));
    assert_ptr_equal(out.ptr, plain.text.ptr + 1);
    assert_int_equal(out.len, 5);

    fw_json escaped = fw_json_parse(span("\"a\\n\\u00e9\\ud83d\\ude00\\ud800x\\udc00\\/\\u0000\""));
    assert_true(fw_json_string(escaped, buffer, sizeof(buffer), &out));
    static const char expected[] = "a\n\xc3\xa9\xf0\x9f\x98\x80\xef\xbf\xbdx\xef\xbf\xbd/";
    assert_int_equal(out.len, sizeof(expected));
    assert_memory_equal(out.ptr, expected, sizeof(expected));
    assert_false(fw_json_string(escaped, buffer, escaped.text.len - 1, &out));
    assert_false(fw_json_string(fw_json_parse(span("1")), buffer, sizeof(buffer), &out));
}

static void integers_are_exact(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t value;
        bool good;
    } cases[] = {
        {"0", 0, true},
        {"-0", 0, true},
        {"9223372036854775807", INT64_MAX, true},
        {"-9223372036854775808", INT64_MIN, true},
        {"9223372036854775808", 0, false},
        {"-9223372036854775809", 0, false},
        {"99999999999999999999999", 0, false},
        {"5.0", 5, true},
        {"5.50", 0, false},
        {"-1e3", -1000, true},
        {"1e19", 0, false},
        {"NaN", 0, false},
        {"Infinity", 0, false},
        {"true", 0, false},
        {"\"5\"", 0, false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t value = 42;
        bool good = fw_json_int(fw_json_parse(span(cases[i].text)), &value);
        if (good != cases[i].good || value != (good ? cases[i].value : 42))
            fail_msg("%s", cases[i].text);
    }
}

static void doubles_and_truth(void **state)
{
    (void)state;
    double d = 0;
    bool b = false;
    assert_true(fw_json_double(fw_json_parse(span("-1.25e2")), &d) && d == -125.0);
    assert_true(fw_json_double(fw_json_parse(span("NaN")), &d) && isnan(d));
    assert_true(fw_json_double(fw_json_parse(span("-Infinity")), &d) && isinf(d) && d < 0);
    assert_true(fw_json_double(fw_json_parse(span("1e999")), &d) && isinf(d));
    assert_false(fw_json_double(fw_json_parse(span("\"1\"")), &d));
    assert_true(fw_json_bool(fw_json_parse(span("true")), &b) && b);
    assert_true(fw_json_bool(fw_json_parse(span("false")), &b) && !b);
    assert_false(fw_json_bool(fw_json_parse(span("1")), &b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts_what_python_writes),
        cmocka_unit_test(refuses_what_is_not_json),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(depth_has_a_limit),
        cmocka_unit_test(values_are_walked_in_order),
        cmocka_unit_test(the_last_member_of_a_name_counts),
        cmocka_unit_test(strings_are_decoded_only_when_needed),
        cmocka_unit_test(integers_are_exact),
        cmocka_unit_test(doubles_and_truth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

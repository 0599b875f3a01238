/* json_fuzz.c - base/json: what is valid can be walked to the last value, and every value is valid
 * by itself. SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/assert.h"
#include "base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void look_at(fw_json value)
{
    int64_t whole;
    double number;
    bool truth;
    fw_span text;
    if (fw_json_int(value, &whole))
        FW_ASSERT(value.type == FW_JSON_NUMBER);
    if (fw_json_double(value, &number))
        FW_ASSERT(value.type == FW_JSON_NUMBER);
    if (fw_json_bool(value, &truth))
        FW_ASSERT(value.type == (truth ? FW_JSON_TRUE : FW_JSON_FALSE));
    if (value.type != FW_JSON_STRING)
        return;
    char *room = malloc(value.text.len);
    FW_ASSERT(room != NULL && fw_json_string(value, room, value.text.len, &text));
    FW_ASSERT(text.len + 2 <= value.text.len);
    fw_buffer out = {0};
    fw_buffer_json_string(&out, text);
    FW_ASSERT(fw_json_parse((fw_span){out.data, out.len}).type == FW_JSON_STRING);
    fw_buffer_fini(&out);
    free(room);
}

static size_t walk(fw_json value, unsigned depth)
{
    FW_ASSERT(value.type != FW_JSON_INVALID && value.text.len > 0 && depth <= FW_JSON_DEPTH_MAX);
    look_at(value);
    fw_json_cursor cursor = fw_json_open(value);
    fw_json inner;
    fw_span key;
    size_t count = 0;
    while (cursor.object ? fw_json_next_member(&cursor, &key, &inner)
                         : fw_json_next(&cursor, &inner)) {
        FW_ASSERT(inner.text.ptr >= value.text.ptr &&
                  inner.text.ptr + inner.text.len <= value.text.ptr + value.text.len);
        if (depth < 2)
            FW_ASSERT(fw_json_parse(inner.text).type == inner.type);
        walk(inner, depth + 1);
        count++;
    }
    /* Counting walks the value again: not at every depth. */
    FW_ASSERT(depth > 4 || count == fw_json_count(value));
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    fw_json value = fw_json_parse((fw_span){(const char *)data, len});
    if (value.type != FW_JSON_INVALID)
        walk(value, 0);
    return 0;
}

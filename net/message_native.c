/* net/message_native.c - the member `native` in registrations and their acknowledgements.
 *
 * Python peers ignore it (protocol 22.3). Who offers it is read leniently: unknown members are
 * passed over, members of the wrong kind count as absent, and an offer without version, epoch and
 * address is none. SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "net/message_json.h"

enum { NAMES_MAX = 16384, SLOTS_MAX = 65535, TEXT_MAX = 1024 };
enum { NAMES_TEXT_MAX = NAMES_MAX * (FW_ID_MAX + 4) }; /* quotes, comma, space */
static const double beat_max_s = 3600;

/* Of at most TEXT_MAX bytes; anything else is absent. */
static fw_span text_of(fw_json object, const char *key, fw_scratch *scratch)
{
    fw_json value = fw_json_get(object, key);
    fw_span text = {NULL, 0};
    if (value.type != FW_JSON_STRING || value.text.len > 6 * TEXT_MAX + 2)
        return text;
    bool plain = memchr(value.text.ptr, '\\', value.text.len) == NULL;
    char *room = plain ? NULL : fw_scratch_take(scratch, value.text.len);
    if ((!plain && !room) || !fw_json_string(value, room, value.text.len, &text) ||
        text.len > TEXT_MAX || memchr(text.ptr, 0, text.len) != NULL)
        return (fw_span){NULL, 0};
    return text;
}

static unsigned small_number(fw_json object, const char *key, int64_t most)
{
    int64_t number = 0;
    if (!fw_json_int(fw_json_get(object, key), &number) || number < 0)
        return 0;
    return (unsigned)(number < most ? number : most);
}

static int64_t beat_of(fw_json object)
{
    double seconds = 0;
    if (!fw_json_double(fw_json_get(object, "hb"), &seconds) ||
        !(seconds > 0 && seconds <= beat_max_s))
        return 0;
    return (int64_t)(seconds * 1e9);
}

void fw_json_native_read(fw_native_offer *out, fw_scratch *scratch, fw_json object)
{
    *out = (fw_native_offer){.present = false};
    if (object.type != FW_JSON_OBJECT)
        return;
    fw_json tasks = fw_json_get(object, "tasks");
    out->version = small_number(object, "v", INT32_MAX);
    out->slots = small_number(object, "slots", SLOTS_MAX);
    out->impl = text_of(object, "impl", scratch);
    out->epoch = text_of(object, "epoch", scratch);
    out->pull = text_of(object, "pull", scratch);
    out->results = text_of(object, "results", scratch);
    out->token = text_of(object, "token", scratch);
    out->beat_ns = beat_of(object);
    if (tasks.type == FW_JSON_ARRAY && tasks.text.len <= NAMES_TEXT_MAX) {
        size_t count = fw_json_count(tasks);
        out->tasks = tasks.text;
        out->task_count = count < NAMES_MAX ? count : NAMES_MAX;
    }
    out->present =
        out->version > 0 && out->epoch.len > 0 && (out->pull.len > 0 || out->results.len > 0);
}

fw_native_tasks fw_native_tasks_of(const fw_native_offer *offer)
{
    fw_json array = {FW_JSON_ARRAY, offer->tasks};
    fw_native_tasks tasks = {.left = offer->tasks.len > 0 ? offer->task_count : 0};
    if (tasks.left > 0)
        tasks.cursor = fw_json_open(array);
    return tasks;
}

bool fw_native_tasks_next(fw_native_tasks *tasks, fw_span *name)
{
    fw_json value;
    while (tasks->left > 0 && fw_json_next(&tasks->cursor, &value)) {
        tasks->left--;
        if (value.text.len <= sizeof tasks->room &&
            fw_json_string(value, tasks->room, sizeof tasks->room, name) && name->len > 0 &&
            name->len <= FW_ID_MAX && memchr(name->ptr, 0, name->len) == NULL)
            return true;
    }
    return false;
}

void fw_json_write_native(fw_buffer *out, const fw_native_offer *offer)
{
    fw_buffer_format(out, "{\"v\": %u, \"impl\": ", offer->version);
    fw_buffer_json_string(out, offer->impl);
    fw_buffer_text(out, ", \"epoch\": ");
    fw_buffer_json_string(out, offer->epoch);
    if (offer->pull.len > 0) {
        fw_buffer_text(out, ", \"pull\": ");
        fw_buffer_json_string(out, offer->pull);
    }
    if (offer->results.len > 0) {
        fw_buffer_text(out, ", \"results\": ");
        fw_buffer_json_string(out, offer->results);
    }
    if (offer->slots > 0)
        fw_buffer_format(out, ", \"slots\": %u", offer->slots);
    if (offer->tasks.len > 0) {
        fw_buffer_text(out, ", \"tasks\": ");
        fw_buffer_add(out, offer->tasks.ptr, offer->tasks.len);
    }
    if (offer->token.len > 0) {
        fw_buffer_text(out, ", \"token\": ");
        fw_buffer_json_string(out, offer->token);
    }
    if (offer->beat_ns > 0) {
        fw_buffer_text(out, ", \"hb\": ");
        fw_buffer_json_double(out, (double)offer->beat_ns / 1e9);
    }
    fw_buffer_text(out, "}");
}

void fw_json_write_registration_request(fw_buffer *out, fw_span id, fw_span address,
                                        const char *status, bool heartbeat,
                                        const fw_native_offer *offer)
{
    fw_buffer_text(out, "{\"subworker_id\": ");
    fw_buffer_json_string(out, id);
    fw_buffer_text(out, ", \"address\": ");
    fw_buffer_json_string(out, address);
    fw_buffer_format(out, ", \"status\": \"%s\"%s", status,
                     heartbeat ? ", \"heartbeat\": true" : "");
    if (offer && offer->present) {
        fw_buffer_text(out, ", \"native\": ");
        fw_json_write_native(out, offer);
    }
    fw_buffer_text(out, "}");
}

int fw_json_registration_answer_read(fw_native_offer *native, fw_span *error, fw_scratch *scratch,
                                     fw_span message)
{
    fw_json object = fw_json_parse(message);
    *native = (fw_native_offer){.present = false};
    *error = (fw_span){"", 0};
    if (object.type != FW_JSON_OBJECT)
        return -FW_EPROTO;
    fw_span status = text_of(object, "status", scratch);
    if (status.len == 10 && memcmp(status.ptr, "registered", 10) == 0) {
        fw_json_native_read(native, scratch, fw_json_get(object, "native"));
        return 0;
    }
    fw_json text = fw_json_get(object, "error");
    if (text.type != FW_JSON_STRING)
        return -FW_EPROTO;
    char *room = fw_scratch_take(scratch, text.text.len);
    if (room)
        fw_json_string(text, room, text.text.len, error);
    return -FW_EINVAL;
}

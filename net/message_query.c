/* net/message_query.c - queries, cancels, waits (protocol 7, 22.7) and registrations (8), read by a
 * control plane. Each gets an answer, so that reply is filled whatever the message is.
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/assert.h"
#include "net/message_fields.h"

/* What a wait without a limit gets; below the half minute that clients wait. */
static const double wait_default_s = 25.0;

/* Parses the message to an object. False: the complaint tells. */
static bool open_object(const fw_fields *fields, fw_json *out, fw_reply_to *to, fw_span message,
                        const fw_reply_to *reply)
{
    FW_ASSERT(reply != NULL && fields->complaint != NULL);
    *to = *reply;
    to->form = FW_REPLY_JSON;
    to->item = 0;
    to->flags = 0;
    *fields->complaint = (fw_complaint){.reason = FW_REFUSED_MALFORMED};
    if (fw_pickle_is(message)) {
        to->form = FW_REPLY_PICKLE;
        fw_complain_of_pickle(fields->complaint);
        return false;
    }
    *out = fw_json_parse(message);
    if (out->type == FW_JSON_INVALID)
        return fw_fields_complain_text(fields, "the message is not valid JSON");
    if (out->type != FW_JSON_OBJECT)
        return fw_fields_complain_text(fields, "it must be a JSON object");
    return true;
}

static bool text_is(fw_span text, const char *word)
{
    return text.len == strlen(word) && memcmp(text.ptr, word, text.len) == 0;
}

/* Python's "not value": the sentence is Python's too. */
static bool is_falsy(fw_json value)
{
    double number;
    switch (value.type) {
    case FW_JSON_INVALID:
    case FW_JSON_NULL:
    case FW_JSON_FALSE:
        return true;
    case FW_JSON_NUMBER:
        return fw_json_double(value, &number) && number == 0;
    case FW_JSON_STRING:
        return value.text.len == 2;
    case FW_JSON_ARRAY:
    case FW_JSON_OBJECT:
        return fw_json_count(value) == 0;
    default:
        return false;
    }
}

static bool read_query_id(const fw_fields *fields, fw_query *out, fw_json value)
{
    static const char missing[] = "Missing task_id";
    if (is_falsy(value)) {
        memcpy(fields->complaint->sentence, missing, sizeof(missing));
        return false;
    }
    if (!fw_field_text(fields, &out->id, "task_id", value))
        return false;
    FW_ASSERT(out->id.len > 0);
    if (out->id.len > FW_ID_MAX)
        return fw_fields_complain(fields, "task_id", "at most 255 bytes long", value);
    out->key = fw_key_from_text(out->id);
    fields->complaint->id = out->id;
    return true;
}

int fw_json_query_read(fw_query *out, fw_complaint *complaint, fw_scratch *scratch, fw_span message,
                       const fw_reply_to *reply)
{
    static const char *const names[] = {"action", "task_id", "timeout", "native"};
    fw_json object, values[4];
    fw_fields fields = {"query", 0, complaint, scratch};
    *out = (fw_query){.kind = FW_QUERY_GET};
    if (!open_object(&fields, &object, &out->reply, message, reply))
        return -FW_EINVAL;
    fw_fields_collect(values, object, names, 4);
    fw_span action = {NULL, 0};
    double wait_s = wait_default_s;
    if (!read_query_id(&fields, out, values[1]))
        return -FW_EINVAL;
    if (values[0].type == FW_JSON_STRING && !fw_field_text(&fields, &action, names[0], values[0]))
        return -FW_EINVAL;
    if (text_is(action, "cancel"))
        out->kind = FW_QUERY_CANCEL;
    if (text_is(action, "wait")) {
        out->kind = FW_QUERY_WAIT;
        if (values[2].type != FW_JSON_NULL &&
            !fw_field_double(&fields, &wait_s, names[2], values[2]))
            return -FW_EINVAL;
        out->wait_ns = wait_s > 0 ? fw_seconds_to_ns(wait_s) : 0;
    }
    out->native = values[3].type == FW_JSON_OBJECT;
    if (out->native)
        out->reply.flags = FW_WANTS_STATE;
    return 0;
}

/* A string that is there and not empty. */
static bool read_filled(const fw_fields *fields, fw_span *out, const char *name, fw_json value)
{
    if (value.type != FW_JSON_STRING || value.text.len == 2)
        return fw_fields_complain(fields, name, "a string that is not empty", value);
    return fw_field_text(fields, out, name, value);
}

int fw_json_registration_read(fw_registration *out, fw_complaint *complaint, fw_scratch *scratch,
                              fw_span message, const fw_reply_to *reply)
{
    static const char *const names[] = {"subworker_id", "address", "status",     "heartbeat",
                                        "native",       "action",  "concurrency"};
    fw_json object, values[7];
    int64_t concurrency = 0;
    fw_fields fields = {"registration", 0, complaint, scratch};
    *out = (fw_registration){.status = {"active", 6}};
    if (!open_object(&fields, &object, &out->reply, message, reply))
        return -FW_EINVAL;
    fw_fields_collect(values, object, names, 7);
    if (values[5].type != FW_JSON_INVALID) {
        out->request = object.text;
        return read_filled(&fields, &out->action, names[5], values[5]) ? 0 : -FW_EINVAL;
    }
    if (!read_filled(&fields, &out->id, names[0], values[0]))
        return -FW_EINVAL;
    complaint->id = out->id;
    if (out->id.len > FW_ID_MAX || memchr(out->id.ptr, ':', out->id.len) != NULL ||
        memchr(out->id.ptr, 0, out->id.len) != NULL) {
        fw_fields_complain(&fields, names[0], "at most 255 bytes without a colon or NUL",
                           values[0]);
        return -FW_EINVAL;
    }
    if (!read_filled(&fields, &out->address, names[1], values[1]))
        return -FW_EINVAL;
    if (values[2].type != FW_JSON_INVALID &&
        !read_filled(&fields, &out->status, names[2], values[2]))
        return -FW_EINVAL;
    out->heartbeat = values[3].type == FW_JSON_TRUE;
    if (fw_json_int(values[6], &concurrency) && concurrency > 0 && concurrency < UINT16_MAX)
        out->concurrency = (unsigned)concurrency;
    if (values[4].type == FW_JSON_OBJECT)
        out->native = values[4].text;
    fw_json_native_read(&out->offer, scratch, values[4]);
    return 0;
}

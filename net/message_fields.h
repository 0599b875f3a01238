/* net/message_fields.h - members of JSON objects, read as leniently as pydantic reads them.
 *
 * An object's members are collected once into a table, in which the last of equal names stands, as
 * in Python; then each is read by its kind. Every reader takes what the field is called, and leaves
 * a sentence when the value is not of its kind. Shared by the message_*.c files only.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_NET_MESSAGE_FIELDS_H
#define FW_NET_MESSAGE_FIELDS_H

#include "net/message_json.h"

/* What is being read, for the sentence. */
typedef struct fw_fields {
    const char *subject;     /* "task", "query", ... */
    size_t member;           /* of a batch, from 1; 0: none */
    fw_complaint *complaint; /* NULL: nobody asks why */
    fw_scratch *scratch;
} fw_fields;

/* names: count of them, in the order in which Python writes them; values[i] is INVALID when absent.
 */
void fw_fields_collect(fw_json values[], fw_json object, const char *const names[], size_t count);

/* "Invalid task: field 'kwargs' must be an object, not null". Always false. value INVALID: it is
 * missing. */
bool fw_fields_complain(const fw_fields *fields, const char *name, const char *wanted,
                        fw_json value);
/* "Invalid task: <text>". Always false. */
bool fw_fields_complain_text(const fw_fields *fields, const char *text);

/* The sentence for messages in pickle (protocol 3.5). */
void fw_complain_of_pickle(fw_complaint *complaint);

/* Absent members leave *out as it is, and are fine. So does null where it says so. */
bool fw_field_text(const fw_fields *fields, fw_span *out, const char *name, fw_json value);
/* ptr NULL for null. */
bool fw_field_text_or_null(const fw_fields *fields, fw_span *out, const char *name, fw_json value);
/* The value's own text. */
bool fw_field_raw(const fw_fields *fields, fw_span *out, const char *name, fw_json value,
                  fw_json_type type);
/* Integers, also as "5", 5.0, true; beyond 32 bits they become the nearest that fits. */
bool fw_field_int(const fw_fields *fields, int32_t *out, const char *name, fw_json value);
/* Numbers, also as "5.5", "inf", true. */
bool fw_field_double(const fw_fields *fields, double *out, const char *name, fw_json value);
/* Null is refused. */
bool fw_field_datetime(const fw_fields *fields, int64_t *wall_ns, const char *name, fw_json value);
bool fw_field_priority(const fw_fields *fields, uint8_t *level, const char *name, fw_json value);
bool fw_field_status(const fw_fields *fields, fw_state *status, const char *name, fw_json value);
/* CallbackInfo or null (then out is empty); checked, and given as its own text. */
bool fw_field_callback(const fw_fields *fields, fw_span *out, const char *name, fw_json value);

/* Durations beyond a century are a century, so that sums with a clock do not overflow. */
#define FW_CENTURY_NS (INT64_C(100) * 366 * 86400 * 1000000000)
/* NaN is 0. */
int64_t fw_seconds_to_ns(double seconds);
/* A moment before 1970 has passed, however long ago: 1, because 0 means now. */
static inline int64_t fw_eta_in_range(int64_t wall_ns)
{
    return wall_ns < 0 ? 1 : wall_ns;
}

#endif

/* message_fuzz.c - net/message_json: every reader on every input; what is accepted can be written,
 * and is accepted again; what is refused has a sentence. SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "net/message_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const fw_reply_to from = {.connection = 1, .request = 2};

/* A sentence is not empty, is ended, and can be sent. */
static void check_complaint(const fw_complaint *complaint)
{
    size_t len = strnlen(complaint->sentence, FW_SENTENCE_MAX);
    FW_ASSERT(len > 0 && len < FW_SENTENCE_MAX);
    fw_buffer out = {0};
    fw_json_write_refusal(&out, FW_REPLY_JSON, complaint->id, complaint->sentence);
    FW_ASSERT(fw_json_parse((fw_span){out.data, out.len}).type == FW_JSON_OBJECT);
    fw_buffer_fini(&out);
}

static void write_again(const fw_submission *task, fw_scratch *scratch)
{
    fw_buffer out = {0};
    fw_json_tasks tasks;
    fw_submission again;
    FW_ASSERT(task->id.len > 0 && task->id.len <= FW_ID_MAX && task->level < FW_LEVELS);
    FW_ASSERT(fw_json_write_task(&out, task));
    FW_ASSERT(fw_json_tasks_open(&tasks, scratch, (fw_span){out.data, out.len}, &from) == 0);
    FW_ASSERT(fw_json_tasks_next(&tasks, &again) == 1 && again.level == task->level);
    FW_ASSERT(again.args.len == task->args.len && again.name.len == task->name.len);
    FW_ASSERT(again.id.len == task->id.len &&
              memcmp(again.id.ptr, task->id.ptr, task->id.len) == 0);
    fw_buffer_fini(&out);
}

static void read_tasks(fw_span message, fw_scratch *scratch)
{
    fw_json_tasks tasks;
    fw_submission task;
    if (fw_json_tasks_open(&tasks, scratch, message, &from) < 0) {
        check_complaint(&tasks.complaint);
        return;
    }
    size_t count = 0;
    for (int got; (got = fw_json_tasks_next(&tasks, &task)) != 0; count++) {
        if (got < 0)
            check_complaint(&tasks.complaint);
        else
            write_again(&task, scratch);
    }
    FW_ASSERT(count == tasks.count);
}

/* What is well-formed is bounded, and says the same when it is written and read again. */
static void check_offer(const fw_native_offer *offer, fw_scratch *scratch)
{
    fw_buffer out = {0};
    fw_native_offer again;
    fw_native_tasks walk = fw_native_tasks_of(offer);
    fw_span name;
    size_t names = 0;
    for (; fw_native_tasks_next(&walk, &name); names++)
        FW_ASSERT(name.len > 0 && name.len <= FW_ID_MAX && !memchr(name.ptr, 0, name.len));
    FW_ASSERT(names <= offer->task_count && offer->beat_ns >= 0);
    if (!offer->present)
        return;
    fw_json_write_native(&out, offer);
    fw_json_native_read(&again, scratch, fw_json_parse((fw_span){out.data, out.len}));
    FW_ASSERT(again.present && again.version == offer->version && again.slots == offer->slots);
    FW_ASSERT(again.task_count == offer->task_count && again.beat_ns == offer->beat_ns);
    FW_ASSERT(again.epoch.len == offer->epoch.len &&
              memcmp(again.epoch.ptr, offer->epoch.ptr, again.epoch.len) == 0);
    fw_buffer_fini(&out);
}

static void read_registrations(fw_span message, fw_scratch *scratch)
{
    fw_registration registration;
    fw_complaint complaint;
    fw_native_offer offer;
    fw_span error;
    if (fw_json_registration_read(&registration, &complaint, scratch, message, &from) < 0)
        check_complaint(&complaint);
    else
        check_offer(&registration.offer, scratch);
    int rc = fw_json_registration_answer_read(&offer, &error, scratch, message);
    FW_ASSERT(rc == 0 || rc == -FW_EINVAL || rc == -FW_EPROTO);
    check_offer(&offer, scratch);
}

static void read_answers(fw_span message, fw_scratch *scratch)
{
    fw_result_view view;
    fw_found found;
    fw_span error;
    bool flag;
    fw_buffer out = {0};
    if (fw_json_result_read(&view, &flag, scratch, message) == 0) {
        fw_json_write_result(&out, FW_REPLY_JSON, &view);
        fw_json_write_callback(&out, &view);
    }
    if (fw_json_query_answer_read(&view, &found, scratch, message) == 0 && found == FW_FOUND)
        fw_json_write_query(&out, found, true, &view);
    if (fw_json_cancel_answer_read(&flag, message) == 0)
        FW_ASSERT(fw_json_parse(message).type == FW_JSON_OBJECT);
    if (fw_json_batch_answer_read(&error, scratch, message) == -FW_EINVAL)
        fw_buffer_json_string(&out, error);
    FW_ASSERT(!out.failed);
    fw_buffer_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    fw_span message = {(const char *)data, len}, address, callback_data;
    fw_scratch scratch = {0};
    fw_query query;
    fw_complaint complaint;
    read_tasks(message, &scratch);
    if (fw_json_query_read(&query, &complaint, &scratch, message, &from) < 0)
        check_complaint(&complaint);
    read_registrations(message, &scratch);
    fw_json_callback_read(&address, &callback_data, &scratch, message);
    read_answers(message, &scratch);
    fw_scratch_fini(&scratch);
    return 0;
}

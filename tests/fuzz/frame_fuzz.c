/* frame_fuzz.c - net/frame: what is accepted can be read to the end, and written again means the
 * same. SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "net/frame_pipe.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const fw_reply_to from = {.connection = 1, .request = 2};

static bool spans_equal(fw_span a, fw_span b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static void write_again(const fw_submission *task, fw_scratch *scratch)
{
    size_t size = FW_FRAME_HEADER + fw_frame_submission_size(task);
    unsigned char *data = malloc(size);
    FW_ASSERT(data != NULL);
    fw_frame_writer writer;
    fw_frame frame;
    fw_submission again;
    fw_frame_begin(&writer, data, size, FW_FRAME_SUBMIT, 0);
    FW_ASSERT(fw_frame_add_submission(&writer, task) && fw_frame_end(&writer) == size);
    FW_ASSERT(fw_frame_open(&frame, (fw_span){(char *)data, size}, &from) == 0);
    FW_ASSERT(fw_frame_next_submission(&frame, &again, scratch) == 1);
    FW_ASSERT(fw_key_equal(again.key, task->key) && again.level == task->level);
    FW_ASSERT(spans_equal(again.name, task->name) && spans_equal(again.args, task->args));
    FW_ASSERT(spans_equal(again.kwargs, task->kwargs));
    FW_ASSERT(spans_equal(again.callback, task->callback));
    FW_ASSERT(again.eta_wall_ns == task->eta_wall_ns && again.timeout_ns == task->timeout_ns);
    FW_ASSERT(again.max_retries == task->max_retries);
    free(data);
}

static void read_submissions(fw_frame *frame)
{
    fw_scratch scratch = {0};
    fw_submission task;
    uint32_t count = 0;
    for (int got; (got = fw_frame_next_submission(frame, &task, &scratch)) != 0; count++) {
        FW_ASSERT(task.reply.item == count && (got == 1 || frame->error != NULL));
        if (got == 1)
            write_again(&task, &scratch);
    }
    FW_ASSERT(count == frame->count && frame->at == frame->end);
    fw_scratch_fini(&scratch);
}

static void read_records(fw_frame *frame)
{
    fw_record record;
    fw_hello hello;
    uint32_t count = 0;
    size_t bytes = 0;
    for (; fw_frame_next_record(frame, &record) == 1; count++) {
        FW_ASSERT(record.count > 0);
        for (size_t i = 0; i < record.text.len; i++)
            bytes += (unsigned char)record.text.ptr[i];
        for (size_t i = 0; record.ids != NULL && i < 16u * record.count; i++)
            bytes += record.ids[i];
        for (size_t i = 0; i < record.result.error.len; i++)
            bytes += (unsigned char)record.result.error.ptr[i];
        if (record.kind == FW_RECORD_HELLO && fw_frame_read_hello(&hello, record.text) == 0)
            bytes += hello.software.len + hello.token.len;
    }
    FW_ASSERT(count == frame->count && frame->at == frame->end && bytes < SIZE_MAX);
}

static void read_tasks(fw_frame *frame)
{
    fw_scratch scratch = {0};
    fw_submission task;
    uint32_t count = 0;
    for (int got; (got = fw_frame_next_task(frame, &task, &scratch)) != 0; count++) {
        FW_ASSERT(task.reply.form == FW_REPLY_LEASE && (got == 1 || frame->error != NULL));
        if (got == 1) {
            task.timeout_ns = 0; /* not in an item of SUBMIT: it has come with the lease */
            task.retry_count = 0;
            write_again(&task, &scratch);
        }
    }
    FW_ASSERT(count == frame->count && frame->at == frame->end);
    fw_scratch_fini(&scratch);
}

static void read_results(fw_frame *frame)
{
    fw_lease_result result;
    uint32_t count = 0;
    size_t bytes = 0;
    for (; fw_frame_next_result(frame, &result) == 1; count++) {
        FW_ASSERT((unsigned)result.why < FW_REFUSALS && result.view.status < FW_UNKNOWN);
        FW_ASSERT(result.ran_ns >= 0);
        for (size_t i = 0; i < result.view.result.len; i++)
            bytes += (unsigned char)result.view.result.ptr[i];
        for (size_t i = 0; i < result.view.error.len; i++)
            bytes += (unsigned char)result.view.error.ptr[i];
    }
    FW_ASSERT(count == frame->count && frame->at == frame->end && bytes < SIZE_MAX);
}

/* Frames of the pipes between control plane and subworker. */
static void read_pipe(fw_frame *frame)
{
    fw_order order;
    fw_beat beat;
    switch (frame->type) {
    case FW_FRAME_TASKS:
        read_tasks(frame);
        break;
    case FW_FRAME_ORDERS:
        while (fw_frame_next_order(frame, &order) != 0)
            FW_ASSERT(order.id.len <= FW_ID_MAX);
        FW_ASSERT(frame->at == frame->end);
        break;
    case FW_FRAME_RESULTS:
        read_results(frame);
        break;
    case FW_FRAME_DRAIN:
        (void)fw_frame_drain(frame);
        break;
    case FW_FRAME_BEAT:
        fw_frame_beat(&beat, frame);
        break;
    default:
        FW_ASSERT(false);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    fw_frame frame;
    fw_query query;
    fw_hello hello;
    int err = fw_frame_open(&frame, (fw_span){(const char *)data, len}, &from);
    FW_ASSERT((err == 0) == (frame.error == NULL));
    if (err < 0)
        return 0;
    switch (frame.type) {
    case FW_FRAME_SUBMIT:
        read_submissions(&frame);
        break;
    case FW_FRAME_QUERY:
        while (fw_frame_next_query(&frame, &query) != 0)
            ;
        FW_ASSERT(frame.at == frame.end);
        break;
    case FW_FRAME_ANSWER:
        read_records(&frame);
        break;
    case FW_FRAME_PING:
        FW_ASSERT(fw_frame_ping(&frame).len <= FW_FRAME_PING_MAX);
        break;
    case FW_FRAME_HELLO:
        FW_ASSERT(fw_frame_read_hello(&hello, fw_frame_hello(&frame)) == 0);
        break;
    default:
        read_pipe(&frame);
        break;
    }
    return 0;
}

/* app/http_tasks.c - /api/v1/tasks: one task, and waiting for its end. Covered by
 * long_poll_test.py. SPDX-License-Identifier: Apache-2.0 */
#include "app/http.h"
#include "app/long_poll.h"
#include "base/clock.h"

static const int64_t wait_max_ns = 60 * FW_NS_PER_S;

static void get_task(void *context, const fw_web_request *request, fw_web_answer *answer)
{
    fw_control_plane *plane = context;
    fw_span id = fw_web_param(request, "id"), wait;
    int64_t wait_ns = 0;
    if (fw_web_query(request, "wait", &wait) &&
        !fw_web_read_duration(wait, wait_max_ns, &wait_ns)) {
        fw_web_problem(answer, 400, NULL, "wait: a time is wanted, such as 30, 2.5s or 250ms");
        return;
    }
    fw_long_poll(&plane->house.life, id, wait_ns, &request->ticket, answer);
}

static const fw_web_route routes[] = {
    {"GET", "/api/v1/tasks/{id}", FW_WEB_READ, get_task, NULL, false},
};

fw_web_table fw_http_tasks(fw_control_plane *plane)
{
    return (fw_web_table)FW_WEB_TABLE(routes, plane);
}

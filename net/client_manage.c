/* net/client_manage.c - one question to the management port, on a connection of its own.
 *
 * Rare and for people, so it blocks and keeps nothing. Covered by tests/interop/subworker_test.py,
 * through the commands that use it. SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "net/client_core.h"
#include "net/sp.h"

enum { MANAGEMENT_OFFSET = 5, ANSWER_MAX = 64 * 1024 * 1024 };

int fw_manage(fw_client *c, const char *request, char **answer)
{
    fw_stream stream;
    fw_span reply;
    fw_hello hello;
    FW_ASSERT(c && request && answer);
    fw_address address = c->address;
    int64_t deadline_ns = fw_now_ns() + c->timeout_ns;
    address.port += MANAGEMENT_OFFSET;
    fw_stream_init(&stream, FW_SP_REQ0, ANSWER_MAX);
    stream.tls = c->tls;
    int rc = fw_client_dial(&stream, &address, deadline_ns);
    if (rc == 0 && c->token && fw_client_is_native(c))
        rc = fw_client_introduce(c, &stream, c->address_text, &hello, ANSWER_MAX, deadline_ns);
    if (rc == 0)
        rc = fw_client_ask(&stream, &reply, (fw_span){request, strlen(request)}, deadline_ns);
    if (rc == 0) {
        *answer = strndup(reply.ptr, reply.len);
        if (!*answer)
            rc = fw_client_fail(FW_ENOMEM, "out of memory");
    }
    fw_stream_close(&stream);
    return rc;
}

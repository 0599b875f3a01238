/* net/client_result.h - what a client hands out: a task's end or present state, and error texts.
 *
 * An owned result is one allocation: the struct, then its texts. A borrowed one, as callbacks get
 * it, points into the received bytes; its id is written out only when somebody asks, for most never
 * do. Immutable to its users. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_NET_CLIENT_RESULT_H
#define FW_NET_CLIENT_RESULT_H

#include <stdbool.h>

#include "fastworker/client.h"
#include "net/message.h"

struct fw_result {
    fw_state state;
    bool id_pending; /* id is still to be written from key */
    char *id;        /* room for a UUID at least while id_pending */
    fw_key key;
    fw_span json;      /* never empty */
    const char *error; /* NUL-ended, or NULL */
    int64_t started_ns, finished_ns;
    const char *note; /* NULL: it has told no progress */
    uint64_t done, total;
};

/* id: text when the key is none; empty otherwise. NULL: no memory. */
fw_result *fw_result_create(const fw_result_view *view, fw_key key, fw_span id);

/* The text of a key or an id, NUL-ended and cut to the room of fw_id. */
void fw_id_write(fw_id *out, fw_key key, fw_span id);

/* Sets this thread's error text and returns -err (err is FW_E... or -FW_E...). */
int fw_client_fail(int err, const char *format, ...) FW_FMT(2, 3);

#endif

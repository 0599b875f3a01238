/* net/pipe.h - a connection that we dial: a PUSH to somebody's PULL port, or a REQ to a Python
 * subworker's.
 *
 *   fw_pipe_dial ... ready (hands are shaken; may send) ... closed, once, the end of it
 *
 * When the stream stands it is a connection like others (net/connection), with a number, an outbox
 * and a reaper; the other end has nothing to say. Everything here may be called on any thread.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_NET_PIPE_H
#define FW_NET_PIPE_H

#include "net/connection.h"

typedef struct fw_pipe fw_pipe;

typedef struct fw_pipe_ops {
    /* On a thread of NNG; must not block. */
    void (*ready)(void *context, fw_connection *connection);
    /* On the reaper's thread, once, after every other call; the pipe is gone when it returns.
     * why: why it was never ready; NULL: it was. */
    void (*closed)(void *context, const char *why);
    /* The peer has not read for stalled_ns: true to wait as long again. On a thread of NNG. */
    bool (*patient)(void *context);
    /* NULL: a PUSH, which hears nothing. Otherwise a REQ; as deliver in net/connection.h. */
    ssize_t (*deliver)(void *context, fw_connection *connection, const unsigned char *bytes,
                       size_t len);
    void *context;
} fw_pipe_ops;

/* Begins to dial tcp://host:port. NULL: no memory, not an address; then nothing is called. */
fw_pipe *fw_pipe_dial(fw_exchange *exchange, const char *address, int64_t limit_ns,
                      const fw_pipe_ops *ops);
/* closed follows. Not after closed has returned. Does not block. */
void fw_pipe_close(fw_pipe *pipe);

#endif

/* net/dial.h - one outgoing connection of a server: dial, and get a byte stream or a reason.
 *
 *   start --> done(stream) or done(NULL, why), once, on a thread of NNG
 *      `----> cancel: done is not called
 *
 * A dial is destroyed by whoever started it, at any time and on any thread, within done as well;
 * nothing of this blocks. What NNG must not be asked to free at once is freed by a thread of this
 * file, which lives as long as there is something to free.
 *
 * A stream says little: the peer may not have answered yet (NNG 1.5.2 takes a socket's first event
 * for a connection at times), and with TLS the two have not greeted. So what is read first needs a
 * limit of its own. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_NET_DIAL_H
#define FW_NET_DIAL_H

#include <stdbool.h>
#include <stdint.h>

#include <nng/nng.h>

typedef struct fw_dial fw_dial;

/* address: tcp://host:port, or tls+tcp://, whose TLS is the affair of the connection that is made
 * of the stream (fw_port.tls). done gets the stream, which is its own, or NULL and why (static
 * text, for people); it must not block. It may run before this returns. NULL: no memory, or not an
 * address. */
fw_dial *fw_dial_start(const char *address, int64_t limit_ns,
                       void (*done)(void *context, nng_stream *stream, const char *why),
                       void *context);
/* True: done was not called and will not be. False: it was, or runs on another thread right now. */
bool fw_dial_cancel(fw_dial *dial);
/* Cancels and frees; the stream that done got is not touched. NULL is allowed. */
void fw_dial_destroy(fw_dial *dial);
/* Waits until everything that was destroyed is freed. Not on a thread of NNG. */
void fw_dial_settle(void);

#endif

/* web/listen.h - the sockets that the server listens on. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_WEB_LISTEN_H
#define FW_WEB_LISTEN_H

#include <stddef.h>

enum { FW_WEB_LISTENERS_MAX = 8 };

typedef struct fw_web_listeners {
    int fds[FW_WEB_LISTENERS_MAX];
    unsigned count, port; /* the port in use */
} fw_web_listeners;

/* One for every address of the host. port 0: any free one. 0, or -FW_E... with a sentence. */
int fw_web_listen(fw_web_listeners *out, const char *host, unsigned port, char *error,
                  size_t error_capacity);
void fw_web_unlisten(fw_web_listeners *listeners);

#endif

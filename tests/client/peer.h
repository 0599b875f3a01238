/* tests/client/peer.h - a control plane for tests of the client: one thread, blocking sockets, real
 * bytes.
 *
 * It listens on the five ports of a base address that the kernel gave and on a discovery port,
 * serves one connection after the other, and hands each message to a script. Scripts answer with
 * the functions below. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_TESTS_CLIENT_PEER_H
#define FW_TESTS_CLIENT_PEER_H

#include <pthread.h>
#include <stdbool.h>

#include "base/json.h"
#include "net/frame.h"

typedef struct peer peer;
/* Handles the body of one request; false closes the connection. port: 0 to 4. */
typedef bool (*peer_script)(peer *p, unsigned port, uint32_t request, fw_span body);

enum { PEER_PORTS = 6, PEER_BUS = 5 };
struct peer {
    unsigned base, discovery; /* ports */
    char address[64], discovery_address[64];
    peer_script script;
    void *context; /* the script's own */
    const char
        *announce; /* texts sent to each that dials discovery, separated by '\n'; NULL: none */
    int listeners[PEER_PORTS];
    int fd; /* of the connection that is served */
    int wake[2];
    pthread_t thread;
    unsigned connections; /* accepted so far; read after peer_stop, or by the script */
    fw_buffer out;        /* answers of the present message */
};

void peer_start(peer *p, peer_script script, void *context);
/* Closes everything; the address is free again. */
void peer_stop(peer *p);
/* Again at the same address. */
void peer_restart(peer *p);

/* For scripts: sent when the script returns. */
void peer_reply(peer *p, uint32_t request, const void *body, size_t len);
void peer_reply_text(peer *p, uint32_t request, const char *json);

/* A script that is a native control plane: answers probe and HELLO, accepts everything, and the
 * result of a task is its args. */
bool peer_native(peer *p, unsigned port, uint32_t request, fw_span body);
/* The part of it that is no SUBMIT or QUERY: true if it was such. */
bool peer_greets(peer *p, uint32_t request, fw_span body);

#endif

/* net/links.h - the table of a net's links: who has greeted is matched here, and the silent are
 * found. Rare operations, under one lock. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_NET_LINKS_H
#define FW_NET_LINKS_H

#include "net/connection.h"
#include "net/frame.h"
#include "net/net.h"

typedef struct fw_links fw_links;

/* Greetings that have come before the link is opened; a subworker's only. */
enum { FW_GREETINGS_WAITING = 16 };

/* 0 or -FW_ENOMEM. */
int fw_links_start(fw_links **out, fw_net *net);
/* Every link has been closed. Blocks for the patrol. NULL is fine. */
void fw_links_stop(fw_links *links);
/* No connection is left that might ask. */
void fw_links_destroy(fw_links *links);
size_t fw_links_count(fw_links *links);

/* A HELLO came on a connection at the PULL port. False: the peer is not who it should be, close. On
 * the reading thread. */
bool fw_links_greet(fw_links *links, fw_connection *connection, const fw_hello *hello);
/* A connection at the PULL port is gone. */
void fw_links_gone(fw_links *links, fw_connection *connection);

#endif

/* net/webhook_allow.h - which addresses notices may be sent to.
 *
 * An address comes with a task, so from whoever may submit one; without a limit the control plane
 * would send requests into its own network for him. A list of patterns "scheme://host:port" says
 * where to: the host may hold *, the port may be *, and schemes are tcp, http and https. Addresses
 * are taken apart by the library that will dial them, so that both see the same host. Pure.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_NET_WEBHOOK_ALLOW_H
#define FW_NET_WEBHOOK_ALLOW_H

#include <stdbool.h>
#include <sys/socket.h>

#include "fastworker/types.h"

typedef struct fw_allow fw_allow;

/* Patterns separated by spaces or commas; "none" and empty: nothing is allowed. 0; -FW_ENOMEM;
 * -FW_EINVAL with a sentence in error. */
int fw_allow_create(fw_allow **out, char *error, size_t error_capacity, const char *patterns);
void fw_allow_destroy(fw_allow *allow);
/* There is a pattern for http or https. */
bool fw_allow_has_http(const fw_allow *allow);

typedef enum fw_allowed {
    FW_ALLOWED_NOT = 0,
    FW_ALLOWED_BY_PATTERN, /* not where the host turns out to be in a private network */
    FW_ALLOWED_BY_NAME     /* the pattern names this host, without a *: wherever it is */
} fw_allowed;
/* Also FW_ALLOWED_NOT for what is no address, and for one with a user's name in it. host_hash,
 * which may be NULL: the same for the same scheme, host and port. */
fw_allowed fw_allow_judge(const fw_allow *allow, fw_span address, uint64_t *host_hash);

/* This machine, its network, or nobody: not an address of the public internet. */
bool fw_socket_is_private(const struct sockaddr *address);

#endif

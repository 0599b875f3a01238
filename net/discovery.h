/* net/discovery.h - how others find this control plane.
 *
 * A Bus0 listener says, to each peer right after its handshake and to all once a second, who it is:
 * the capability text and then the announcement that Python understands (protocol 5.1, 22.3). A
 * Pub0 listener says the same under the topic fw1/announce, and carries events (22.4). Nobody is
 * waited for: a peer that does not read misses messages. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_NET_DISCOVERY_H
#define FW_NET_DISCOVERY_H

#include "net/address.h"
#include "net/exchange.h"
#include "fastworker/types.h"

typedef struct fw_discovery fw_discovery;

/* Who may hear events, beside announcements. */
typedef enum fw_hearers { FW_HEARS_ANYBODY = 0, FW_HEARS_LOOPBACK, FW_HEARS_NOBODY } fw_hearers;

typedef struct fw_discovery_config {
    const char *worker_id;
    const char *address;           /* what is announced */
    const char *discovery_address; /* where to listen */
    unsigned pub_port;             /* 0: discovery + 1, or a free one */
    unsigned base_port;            /* base .. base + 5 are not for us */
    unsigned management_port;
    fw_hearers events_for;
    fw_atomic(unsigned) * listeners; /* kept at how many hear events; or NULL */
} fw_discovery_config;

/* Binds and begins. 0; -FW_EINVAL, -FW_EPERM, -FW_ENOMEM with a sentence in error. */
int fw_discovery_start(fw_discovery **out, char *error, size_t error_capacity,
                       fw_exchange *exchange, const fw_discovery_config *config);
/* No more announcements: who looks for a control plane shall find another one. Events go on. Any
 * thread. */
void fw_discovery_hide(fw_discovery *discovery);
/* No new peers either, nothing more is said; those there are stay connected. Blocks for a running
 * callback. */
void fw_discovery_silence(fw_discovery *discovery);
/* After fw_discovery_silence, when all connections are gone. */
void fw_discovery_destroy(fw_discovery *discovery);
/* Topic fw1/event/<name>. Any thread; one load when nobody listens. */
void fw_discovery_publish(fw_discovery *discovery, const char *event, fw_span json);
/* Announcements made, events that somebody has missed. */
void fw_discovery_count(fw_discovery *discovery, uint64_t *announcements, uint64_t *missed);
unsigned fw_discovery_port(const fw_discovery *discovery);
unsigned fw_discovery_pub_port(const fw_discovery *discovery);

#endif

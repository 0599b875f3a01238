/* net/reaper.h - the thread that lets go of connections.
 *
 * A connection cannot be freed by its own callbacks: freeing waits for them. So whoever closes one
 * only hands it over, and this thread, which is none of NNG's, stops its two operations (waiting
 * for callbacks that still run) and retires it to RCU (waiting for threads that still answer it).
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_NET_REAPER_H
#define FW_NET_REAPER_H

#include "net/exchange.h"

/* Something to be done on the reaper's thread. Embedded; the reaper's until run is called. */
typedef struct fw_errand {
    struct fw_errand *next;
    void (*run)(struct fw_errand *errand); /* may free it */
} fw_errand;

/* 0 or -FW_ENOMEM. */
int fw_reaper_start(fw_exchange *exchange);
/* Waits for the last connection and the last errand, then ends the thread. */
void fw_reaper_stop(fw_exchange *exchange);
/* Any thread, a callback included; once per connection, which was withdrawn before. Only queues. */
void fw_reaper_take(fw_exchange *exchange, fw_connection *connection);
/* Any thread, a callback included: run is called once. */
void fw_reaper_send(fw_exchange *exchange, fw_errand *errand);

#endif

/* perf/client_server.h - a control plane of one's own for the length of a measurement.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_PERF_CLIENT_SERVER_H
#define FW_PERF_CLIENT_SERVER_H

#include <stdbool.h>
#include <sys/types.h>

typedef struct server {
    pid_t pid;
    bool keeps; /* it runs nothing */
    char address[64];
} server;

/* Starts `program control-plane` with the module on free ports. 0, or -1 after saying why. It may
 * not be ready yet. */
int server_start(server *s, const char *program, const char *module);
/* The same, and it only keeps what is submitted, as a list in redis does: nobody runs it. */
int server_start_keeping(server *s, const char *program, const char *module);
/* Ends it and waits. Its CPU time in us, from its start; 0: there is none. */
double server_stop(server *s);

#endif

/* net/tls.h - what TLS needs to be told: whose certificate we show, and whom we believe.
 *
 * Files hold PEM. Plain data, copied by nobody: it outlives what was started with it.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_NET_TLS_H
#define FW_NET_TLS_H

typedef enum fw_tls_verify {
    FW_TLS_VERIFY_DEFAULT = 0, /* of who dials: SERVER; of who listens: NONE */
    FW_TLS_VERIFY_NONE,        /* encrypts, and believes anybody */
    FW_TLS_VERIFY_SERVER,      /* who dials checks the listener's certificate and its name */
    FW_TLS_VERIFY_MUTUAL       /* and the listener checks that of who dials */
} fw_tls_verify;

typedef struct fw_tls_config {
    const char *cert; /* our own, with what leads to its authority; NULL: none */
    const char *key;  /* of cert; NULL: it is in the same file */
    const char *ca;   /* authorities that are believed; NULL: none */
    fw_tls_verify verify;
} fw_tls_config;

#endif

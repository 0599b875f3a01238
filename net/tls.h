/* net/tls.h - TLS without sockets: bytes of the wire on one side, bytes that are meant on the
 * other.
 *
 *   fw_tls      certificates and whom to believe, read from files once; shared by all sessions of a
 *               side
 *   session     one connection: feed what came, read what it means; write what is meant, take what
 *               is to be sent. The handshake happens inside; whatever is done may leave output.
 *
 * OpenSSL over memory; who has the socket does the rest: the server's connections over NNG's plain
 * streams, the client over its own sockets (docs/decisions/0010-tls.md says why not NNG's TLS).
 * TLS 1.2 and 1.3. A peer that closes without saying so is no error: every message has a length.
 *
 * An fw_tls may be used by any thread. A session: one thread at a time.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_NET_TLS_H
#define FW_NET_TLS_H

#include <stdbool.h>
#include <stddef.h>

#include <sys/types.h>

typedef enum fw_tls_verify {
    FW_TLS_VERIFY_DEFAULT = 0, /* of who dials: SERVER; of who listens: NONE */
    FW_TLS_VERIFY_NONE,        /* encrypts, and believes anybody */
    FW_TLS_VERIFY_SERVER,      /* who dials checks the listener's certificate and its name */
    FW_TLS_VERIFY_MUTUAL       /* and the listener checks that of who dials */
} fw_tls_verify;

/* Files in PEM. */
typedef struct fw_tls_config {
    const char *cert; /* our own, with what leads to its authority; NULL: none */
    const char *key;  /* of cert; NULL: it is in the same file */
    const char *ca;   /* authorities that are believed; NULL: those of the system */
    fw_tls_verify verify;
} fw_tls_config;

typedef enum fw_tls_side { FW_TLS_LISTENS, FW_TLS_DIALS } fw_tls_side;

typedef struct fw_tls fw_tls;
/* 0; -FW_EINVAL: a file that cannot be used, a certificate that is missing, with a sentence in
 * error; -FW_ENOMEM. */
int fw_tls_create(fw_tls **out, char *error, size_t error_capacity, const fw_tls_config *config,
                  fw_tls_side side);
/* Sessions that exist go on. NULL is allowed. */
void fw_tls_destroy(fw_tls *tls);
/* 0, or -FW_EINVAL: not "none", "server" or "mutual". "" is DEFAULT. */
int fw_tls_verify_parse(fw_tls_verify *out, const char *word);

typedef struct fw_tls_session fw_tls_session;
/* host: the name or number that was dialed, which the certificate has to bear; NULL of who listens.
 * NULL: no memory. */
fw_tls_session *fw_tls_session_create(const fw_tls *tls, const char *host);
void fw_tls_session_destroy(fw_tls_session *session);
/* Takes all of the bytes. False: no memory. */
bool fw_tls_session_feed(fw_tls_session *session, const void *bytes, size_t len);
/* Bytes; 0: none now; -1: it is over, and error says why. */
ssize_t fw_tls_session_read(fw_tls_session *session, void *into, size_t capacity);
/* Bytes taken, of one record at most; 0: none now, the handshake goes on; -1 as above. */
ssize_t fw_tls_session_write(fw_tls_session *session, const void *bytes, size_t len);
/* Starts or goes on with the handshake. 1: done; 0: not yet; -1 as above. */
int fw_tls_session_greet(fw_tls_session *session);
/* The handshake is done. */
bool fw_tls_session_is_ready(const fw_tls_session *session);
/* Bytes that wait to be sent. */
size_t fw_tls_session_waiting(const fw_tls_session *session);
/* Moves at most capacity of them. */
size_t fw_tls_session_take(fw_tls_session *session, void *into, size_t capacity);
/* For people; "" while nothing is wrong. Of the session. */
const char *fw_tls_session_error(const fw_tls_session *session);
/* 0 while nothing is wrong; FW_EPROTO: the peer does not speak TLS; FW_EAUTH: one does not believe
 * the other; FW_ENOCONN: anything else. */
int fw_tls_session_fault(const fw_tls_session *session);

#endif

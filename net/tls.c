/* net/tls.c - see net/tls.h. SPDX-License-Identifier: Apache-2.0 */
#include "net/tls.h"

#include <arpa/inet.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "base/assert.h"
#include "fastworker/types.h"

/* SSL_CTX counts its own users; the two names are one. */
struct fw_tls;

struct fw_tls_session {
    SSL *ssl;
    BIO *in, *out; /* the ssl's */
    int fault;
    char error[192];
};

static SSL_CTX *context_of(const fw_tls *tls)
{
    union {
        const fw_tls *from;
        SSL_CTX *to;
    } same = {.from = tls};
    return same.to;
}

int fw_tls_verify_parse(fw_tls_verify *out, const char *word)
{
    static const char *const words[] = {"", "none", "server", "mutual"};
    for (unsigned i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(word, words[i]) == 0) {
            *out = (fw_tls_verify)i;
            return 0;
        }
    }
    return -FW_EINVAL;
}

/* ---- Files ---- */

/* Nobody is asked for a password. */
static int no_password(char *into, int capacity, int writes, void *user)
{
    (void)into, (void)capacity, (void)writes, (void)user;
    return 0;
}

static const char *last_reason(void)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    return reason ? reason : "it cannot be used";
}

/* => a sentence in error, or 0. */
static int read_own(char *error, size_t capacity, SSL_CTX *context, const fw_tls_config *config)
{
    const char *key = config->key ? config->key : config->cert;
    if (SSL_CTX_use_certificate_chain_file(context, config->cert) != 1)
        snprintf(error, capacity, "certificate %s: %s", config->cert, last_reason());
    else if (SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1)
        snprintf(error, capacity, "key %s: %s", key, last_reason());
    else
        return 0;
    return -FW_EINVAL;
}

static int read_authorities(char *error, size_t capacity, SSL_CTX *context,
                            const fw_tls_config *config, fw_tls_side side)
{
    if (!config->ca)
        return SSL_CTX_set_default_verify_paths(context) == 1 ? 0 : -FW_ENOMEM;
    if (SSL_CTX_load_verify_file(context, config->ca) != 1) {
        snprintf(error, capacity, "authorities %s: %s", config->ca, last_reason());
        return -FW_EINVAL;
    }
    /* Tells clients whose certificates will do. */
    if (side == FW_TLS_LISTENS)
        SSL_CTX_set_client_CA_list(context, SSL_load_client_CA_file(config->ca));
    return 0;
}

static int set_up(char *error, size_t capacity, SSL_CTX *context, const fw_tls_config *config,
                  fw_tls_side side)
{
    bool mutual = config->verify == FW_TLS_VERIFY_MUTUAL;
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                  SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_options(context,
                        SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET | SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_num_tickets(context, 0);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_default_passwd_cb(context, no_password);
    if (!config->cert && (side == FW_TLS_LISTENS || mutual)) {
        snprintf(error, capacity, "%s needs a certificate",
                 side == FW_TLS_LISTENS ? "an address tls+tcp:// that is listened at"
                                        : "mutual verification");
        return -FW_EINVAL;
    }
    if (side == FW_TLS_LISTENS && mutual && !config->ca) {
        snprintf(error, capacity, "mutual verification needs a file of authorities");
        return -FW_EINVAL;
    }
    int err = config->cert ? read_own(error, capacity, context, config) : 0;
    if (err == 0)
        err = read_authorities(error, capacity, context, config, side);
    if (side == FW_TLS_LISTENS && mutual)
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    if (side == FW_TLS_DIALS && config->verify != FW_TLS_VERIFY_NONE)
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    return err;
}

int fw_tls_create(fw_tls **out, char *error, size_t error_capacity, const fw_tls_config *config,
                  fw_tls_side side)
{
    snprintf(error, error_capacity, "no memory");
    ERR_clear_error();
    SSL_CTX *context =
        SSL_CTX_new(side == FW_TLS_LISTENS ? TLS_server_method() : TLS_client_method());
    int err = context ? set_up(error, error_capacity, context, config, side) : -FW_ENOMEM;
    ERR_clear_error();
    if (err < 0)
        SSL_CTX_free(context);
    else
        *out = (fw_tls *)context;
    return err;
}

void fw_tls_destroy(fw_tls *tls)
{
    SSL_CTX_free((SSL_CTX *)tls);
}

/* ---- Sessions ---- */

/* What the certificate has to bear. */
static bool expect_host(SSL *ssl, const char *host)
{
    unsigned char number[sizeof(struct in6_addr)];
    if (inet_pton(AF_INET, host, number) == 1 || inet_pton(AF_INET6, host, number) == 1)
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
    /* A macro that casts: it only reads the name. */
    char *name = (char *)(uintptr_t)host;
    return SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, name) == 1;
}

fw_tls_session *fw_tls_session_create(const fw_tls *tls, const char *host)
{
    fw_tls_session *session = calloc(1, sizeof *session);
    BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
    SSL *ssl = SSL_new(context_of(tls));
    ERR_clear_error();
    if (!session || !in || !out || !ssl || (host && !expect_host(ssl, host))) {
        free(session);
        BIO_free(in);
        BIO_free(out);
        SSL_free(ssl);
        return NULL;
    }
    /* Nothing there is no end. */
    BIO_set_mem_eof_return(in, -1);
    SSL_set_bio(ssl, in, out);
    if (host)
        SSL_set_connect_state(ssl);
    else
        SSL_set_accept_state(ssl);
    *session = (fw_tls_session){.ssl = ssl, .in = in, .out = out};
    return session;
}

void fw_tls_session_destroy(fw_tls_session *session)
{
    if (!session)
        return;
    SSL_free(session->ssl);
    free(session);
}

bool fw_tls_session_feed(fw_tls_session *session, const void *bytes, size_t len)
{
    FW_ASSERT(len <= INT_MAX);
    return len == 0 || BIO_write(session->in, bytes, (int)len) == (int)len;
}

/* A fatal alert: protocol_version. */
static const unsigned char wrong_version[] = {21, 3, 1, 0, 2, 2, 70};

/* What came was never TLS. */
static bool is_alien(unsigned long code)
{
    int reason = ERR_GET_REASON(code);
    return reason == SSL_R_WRONG_VERSION_NUMBER || reason == SSL_R_HTTP_REQUEST ||
           reason == SSL_R_HTTPS_PROXY_REQUEST;
}

/* Its certificate, or ours, is the matter. */
static bool is_distrust(unsigned long code)
{
    int reason = ERR_GET_REASON(code);
    return reason == SSL_R_CERTIFICATE_VERIFY_FAILED ||
           reason == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE ||
           reason == SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED ||
           reason == SSL_R_TLSV1_ALERT_UNKNOWN_CA || reason == SSL_R_TLSV1_ALERT_ACCESS_DENIED ||
           (reason >= SSL_R_SSLV3_ALERT_BAD_CERTIFICATE &&
            reason <= SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN);
}

static const char *explain(const fw_tls_session *session, unsigned long code)
{
    const char *reason = ERR_reason_error_string(code);
    if (session->fault == FW_EPROTO)
        return "the peer does not speak TLS";
    switch (ERR_GET_REASON(code)) {
    case SSL_R_CERTIFICATE_VERIFY_FAILED:
        return X509_verify_cert_error_string(SSL_get_verify_result(session->ssl));
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
        return "a certificate is asked for, and there is none";
    default:
        return reason ? reason : "the connection was closed";
    }
}

/* => 0: not now; -1: over. */
static int outcome(fw_tls_session *session, int returned)
{
    int error = SSL_get_error(session->ssl, returned);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
        return 0;
    unsigned long code = error == SSL_ERROR_SSL ? ERR_peek_error() : 0;
    if (!session->fault) {
        session->fault = is_alien(code) ? FW_EPROTO : is_distrust(code) ? FW_EAUTH : FW_ENOCONN;
        snprintf(session->error, sizeof session->error, "%s", explain(session, code));
        /* OpenSSL leaves such a peer without a word. */
        if (session->fault == FW_EPROTO && SSL_is_server(session->ssl))
            BIO_write(session->out, wrong_version, sizeof wrong_version);
    }
    ERR_clear_error();
    return -1;
}

ssize_t fw_tls_session_read(fw_tls_session *session, void *into, size_t capacity)
{
    size_t n = 0;
    ERR_clear_error();
    int returned = SSL_read_ex(session->ssl, into, capacity, &n);
    return returned == 1 ? (ssize_t)n : outcome(session, returned);
}

ssize_t fw_tls_session_write(fw_tls_session *session, const void *bytes, size_t len)
{
    size_t n = 0;
    ERR_clear_error();
    int returned = SSL_write_ex(session->ssl, bytes, len, &n);
    return returned == 1 ? (ssize_t)n : outcome(session, returned);
}

int fw_tls_session_greet(fw_tls_session *session)
{
    ERR_clear_error();
    int returned = SSL_do_handshake(session->ssl);
    return returned == 1 ? 1 : outcome(session, returned);
}

bool fw_tls_session_is_ready(const fw_tls_session *session)
{
    return SSL_is_init_finished(session->ssl) == 1;
}

size_t fw_tls_session_waiting(const fw_tls_session *session)
{
    return BIO_ctrl_pending(session->out);
}

size_t fw_tls_session_take(fw_tls_session *session, void *into, size_t capacity)
{
    int n = BIO_read(session->out, into, capacity < INT_MAX ? (int)capacity : INT_MAX);
    return n > 0 ? (size_t)n : 0;
}

const char *fw_tls_session_error(const fw_tls_session *session)
{
    return session->error;
}

int fw_tls_session_fault(const fw_tls_session *session)
{
    return session->fault;
}

/* web/tls.c - see web/tls.h.
 *
 * TLS 1.2 and 1.3, and HTTP/1.1 in it. HTTP/2 is never agreed upon: this version of h2o does not
 * withstand floods of resets and of headers (docs/decisions/0023-https.md).
 * SPDX-License-Identifier: Apache-2.0 */
#include "web/tls.h"

#include <stdio.h>
#include <string.h>

#include <openssl/err.h>

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

/* ALPN: whoever offers names finds ours among them, or there is nothing to talk about. */
static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                           const unsigned char *offered, unsigned offered_len, void *context)
{
    static const char ours[] = "http/1.1";
    const size_t len = sizeof ours - 1;
    (void)ssl, (void)context;
    for (unsigned at = 0; at < offered_len; at += 1u + offered[at]) {
        if (offered[at] != len || at + 1 + len > offered_len ||
            memcmp(offered + at + 1, ours, len) != 0)
            continue;
        *out = offered + at + 1;
        *out_len = (unsigned char)len;
        return SSL_TLSEXT_ERR_OK;
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static int read_files(char *error, size_t capacity, SSL_CTX *context, const fw_web_config *config)
{
    const char *key = config->tls_key ? config->tls_key : config->tls_cert;
    if (SSL_CTX_use_certificate_chain_file(context, config->tls_cert) != 1)
        snprintf(error, capacity, "dashboard certificate %s: %s", config->tls_cert, last_reason());
    else if (SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1)
        snprintf(error, capacity, "dashboard key %s: %s", key, last_reason());
    else if (config->tls_ca && SSL_CTX_load_verify_file(context, config->tls_ca) != 1)
        snprintf(error, capacity, "dashboard authorities %s: %s", config->tls_ca, last_reason());
    else
        return 0;
    return -FW_EINVAL;
}

static int set_up(char *error, size_t capacity, SSL_CTX *context, const fw_web_config *config)
{
    static const unsigned char name[] = "fastworker dashboard";
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    /* The last one: a peer that goes without saying so is no error of the library. */
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                     SSL_OP_CIPHER_SERVER_PREFERENCE |
                                     SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    /* Who comes back shows a ticket; nothing is kept here. */
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_session_id_context(context, name, sizeof name - 1);
    SSL_CTX_set_num_tickets(context, 1);
    SSL_CTX_set_default_passwd_cb(context, no_password);
    SSL_CTX_set_alpn_select_cb(context, choose_protocol, NULL);
    int err = read_files(error, capacity, context, config);
    if (err == 0 && config->tls_ca) {
        SSL_CTX_set_client_CA_list(context, SSL_load_client_CA_file(config->tls_ca));
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    }
    return err;
}

int fw_web_tls_create(SSL_CTX **out, char *error, size_t error_capacity,
                      const fw_web_config *config)
{
    *out = NULL;
    if (!config->tls_cert && (config->tls_key || config->tls_ca)) {
        snprintf(error, error_capacity,
                 "the dashboard has a %s and no certificate: set gui-tls-cert",
                 config->tls_key ? "key" : "file of authorities");
        return -FW_EINVAL;
    }
    if (!config->tls_cert)
        return 0;
    snprintf(error, error_capacity, "out of memory");
    ERR_clear_error();
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    int err = context ? set_up(error, error_capacity, context, config) : -FW_ENOMEM;
    ERR_clear_error();
    if (err < 0)
        SSL_CTX_free(context);
    else
        *out = context;
    return err;
}

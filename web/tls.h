/* web/tls.h - the papers of https://: certificate, key, and whom to believe.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_WEB_TLS_H
#define FW_WEB_TLS_H

#include <openssl/ssl.h>

#include "web/web.h"

/* Reads the files that config names; *out is NULL when it names none. 0; -FW_EINVAL: a file cannot
 * be used, or one is missing, with a sentence in error; -FW_ENOMEM. Any thread. */
int fw_web_tls_create(SSL_CTX **out, char *error, size_t error_capacity,
                      const fw_web_config *config);

#endif

/* net/webhook_sign.h - the signature of a notice: who gets it can tell that it is ours, and when it
 * was sent. Pure. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_NET_WEBHOOK_SIGN_H
#define FW_NET_WEBHOOK_SIGN_H

#include "fastworker/types.h"

enum { FW_SIGNATURE_TEXT = 96 };

/* "t=<Unix seconds>,v1=<64 hexadecimal digits>": HMAC-SHA256 with the secret over "<t>.<body>".
 * NUL-ended. 0 or -FW_ENOMEM. */
int fw_webhook_sign(char out[FW_SIGNATURE_TEXT], fw_span secret, int64_t unix_s, fw_span body);

#endif

/* web/compress.h - gzip of bodies that were made for one answer.
 *
 * The web thread's; what it needs is made with the first body and kept until fw_web_compress_leave.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_WEB_COMPRESS_H
#define FW_WEB_COMPRESS_H

#include "web/web.h"

/* What the header accept-encoding says; empty: no. */
bool fw_web_takes_gzip(fw_span accept_encoding);
/* Text that is long enough to gain by it, and not so long that others would wait for it. */
bool fw_web_is_compressible(const char *content_type, size_t len);
/* False: out is empty, because there is no memory or nothing is gained. */
bool fw_web_compress(fw_buffer *out, fw_span body);
void fw_web_compress_leave(void);

#endif

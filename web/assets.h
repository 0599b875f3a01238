/* web/assets.h - the dashboard's files, embedded at build, as a table of routes.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_WEB_ASSETS_H
#define FW_WEB_ASSETS_H

#include "web/web.h"

/* Written by embed.py. */
typedef struct fw_web_asset {
    const char *path, *content_type;
    const char *etag, *gzip_etag; /* with their quotes */
    const unsigned char *bytes, *gzip_bytes;
    size_t len, gzip_len;
} fw_web_asset;
extern const fw_web_asset fw_web_assets[];
extern const size_t fw_web_asset_count;

/* "/" and every file. When a server is made; always the same. */
fw_web_table fw_web_assets_table(void);

#endif

/* web/assets.c - see web/assets.h. Only known files exist. Covered by routes_test.c.
 * SPDX-License-Identifier: Apache-2.0 */
#include "web/assets.h"

#include <string.h>

#include "base/assert.h"

enum { ASSETS_MAX = 64 };

/* Whether a list of tags, as If-None-Match has it, names this one. */
static bool is_named(fw_span list, const char *etag)
{
    size_t len = strlen(etag);
    for (size_t i = 0; i + len <= list.len; i++)
        if (memcmp(list.ptr + i, etag, len) == 0)
            return true;
    return list.len == 1 && list.ptr[0] == '*';
}

/* As it is, or compressed. */
static void send_form(const fw_web_request *request, const fw_web_asset *asset,
                      fw_web_answer *answer)
{
    bool gzip = request->takes_gzip;
    const unsigned char *bytes = gzip ? asset->gzip_bytes : asset->bytes;
    answer->content_type = asset->content_type;
    answer->etag = gzip ? asset->gzip_etag : asset->etag;
    fw_web_header(answer, "vary", (fw_span){"accept-encoding", 15});
    if (is_named(request->if_none_match, answer->etag)) {
        answer->status = 304;
        return;
    }
    if (gzip)
        fw_web_header(answer, "content-encoding", (fw_span){"gzip", 4});
    answer->fixed = (fw_span){(const char *)bytes, gzip ? asset->gzip_len : asset->len};
}

static void send_asset(void *context, const fw_web_request *request, fw_web_answer *answer)
{
    (void)context;
    fw_span path = request->path.len == 1 ? (fw_span){"/index.html", 11} : request->path;
    for (size_t i = 0; i < fw_web_asset_count; i++) {
        const fw_web_asset *asset = &fw_web_assets[i];
        if (path.len != strlen(asset->path) || memcmp(path.ptr, asset->path, path.len) != 0)
            continue;
        send_form(request, asset, answer);
        return;
    }
    FW_ASSERT(!"a file that has a route");
}

fw_web_table fw_web_assets_table(void)
{
    static fw_web_route routes[ASSETS_MAX + 1];
    FW_ASSERT(fw_web_asset_count <= ASSETS_MAX);
    routes[0] =
        (fw_web_route){.method = "GET", .path = "/", .role = FW_WEB_ANYBODY, .handler = send_asset};
    for (size_t i = 0; i < fw_web_asset_count; i++) {
        routes[i + 1] = routes[0];
        routes[i + 1].path = fw_web_assets[i].path;
    }
    return (fw_web_table){routes, fw_web_asset_count + 1, NULL};
}

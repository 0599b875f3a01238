/* app/http.c - see app/http.h. Covered by control_plane_test.py. SPDX-License-Identifier:
 * Apache-2.0
 */
#include "app/http.h"

/* A setting that is empty is none. */
static const char *text_of(const char *text)
{
    return text && text[0] ? text : NULL;
}

int fw_http_start(fw_control_plane *plane, char *error, size_t error_capacity)
{
    const fw_settings *s = plane->house.settings;
    const fw_web_table tables[] = {
        fw_http_upstream(plane),
        fw_http_tasks(plane),
    };
    fw_web_config config = {
        .host = s->gui_host ? s->gui_host : "127.0.0.1",
        .port = (unsigned)s->gui_port,
        .admin_key = text_of(s->gui_api_key) ? s->gui_api_key : text_of(s->token),
        .cors_origin = text_of(s->gui_cors_origin),
        .body_max = (size_t)s->payload_max,
    };
    return fw_web_start(&plane->web, error, error_capacity, &config, tables,
                        sizeof tables / sizeof tables[0]);
}

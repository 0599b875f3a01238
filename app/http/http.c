/* app/http/http.c - see app/http/http.h. Covered by control_plane_test.py. SPDX-License-Identifier:
 * Apache-2.0
 */
#include "app/http/http.h"

#include <stdio.h>
#include <string.h>

#include "app/http/http_stats.h"
#include "base/assert.h"
#include "base/log.h"

/* A setting that is empty is none. */
static const char *text_of(const char *text)
{
    return text && text[0] ? text : NULL;
}

size_t fw_http_tables(fw_control_plane *plane, fw_web_table out[FW_HTTP_TABLES])
{
    const fw_web_table tables[] = {
        fw_http_upstream(plane), fw_http_submit(plane),  fw_http_tasks(plane),
        fw_http_dead(plane),     fw_http_actions(plane), fw_http_stats_table(plane->stats),
        fw_http_worker(plane),
    };
    const size_t count = sizeof tables / sizeof tables[0];
    FW_ASSERT(count <= FW_HTTP_TABLES);
    memcpy(out, tables, sizeof tables);
    return count;
}

int fw_http_start(fw_control_plane *plane, char *error, size_t error_capacity)
{
    const fw_settings *s = plane->house.settings;
    plane->stats = fw_http_stats_create(plane);
    if (!plane->stats) {
        snprintf(error, error_capacity, "out of memory");
        return -FW_ENOMEM;
    }
    char address[300];
    const char *host = s->gui_host ? s->gui_host : "127.0.0.1";
    snprintf(address, sizeof address,
             strchr(host, ':') && host[0] != '[' ? "tcp://[%.250s]:80" : "tcp://%.250s:80", host);
    fw_web_table tables[FW_HTTP_TABLES];
    size_t count = fw_http_tables(plane, tables);
    fw_web_config config = {
        .host = host,
        .port = (unsigned)s->gui_port,
        .admin_key = text_of(s->gui_api_key) ? s->gui_api_key : text_of(s->token),
        .submit_key = text_of(s->gui_submit_key),
        .worker_key = text_of(s->gui_worker_key),
        .read_key = text_of(s->gui_read_key),
        .cors_origin = text_of(s->gui_cors_origin),
        .checks_host = fw_net_is_loopback(address) && !text_of(s->gui_read_key),
        .hosts = text_of(s->gui_hosts),
        .body_max = (size_t)s->gui_body_max,
        .connections_max = (unsigned)s->gui_connections_max,
        .tls_cert = text_of(s->gui_tls_cert),
        .tls_key = text_of(s->gui_tls_key),
        .tls_ca = text_of(s->gui_tls_ca),
        .second = fw_http_stats_second,
        .second_context = plane->stats,
    };
    return fw_web_start(&plane->web, error, error_capacity, &config, tables, count);
}

void fw_http_renew(fw_control_plane *plane)
{
    char error[512];
    if (!plane->web || !text_of(plane->house.settings->gui_tls_cert))
        return;
    if (fw_web_renew_tls(plane->web, error, sizeof error) < 0)
        fw_log(FW_LOG_ERROR, "reload.certificate", "the old one stays in force: %s", error);
    else
        fw_log(FW_LOG_INFO, "reload.certificate", "the dashboard's files of TLS were read again");
}

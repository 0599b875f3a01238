/* http_routes_test.c - the tables of routes and web/assets/api/openapi.json say the same: every
 * route is there with its role, and nothing else is. Covers app/http/http.c.
 * SPDX-License-Identifier: Apache-2.0 */
#include "app/http/http.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "web/assets.h"
#include "web/events.h"

enum { TABLES = FW_HTTP_TABLES + 1 };
static fw_web_table tables[TABLES];
static size_t table_count;
static fw_json document;

static const char *role_word(fw_web_role role)
{
    switch (role) {
    case FW_WEB_READ:
        return "read";
    case FW_WEB_SUBMIT:
        return "submit";
    case FW_WEB_WORKER:
        return "worker";
    case FW_WEB_ADMIN:
        return "admin";
    default:
        return "anybody";
    }
}

static int open_document(void **state)
{
    (void)state;
    static fw_control_plane plane;
    table_count = fw_http_tables(&plane, tables);
    tables[table_count++] = fw_web_events_table(NULL);
    for (size_t i = 0; i < fw_web_asset_count; i++)
        if (strcmp(fw_web_assets[i].path, "/api/openapi.json") == 0)
            document = fw_json_parse(
                (fw_span){(const char *)fw_web_assets[i].bytes, fw_web_assets[i].len});
    assert_int_equal(document.type, FW_JSON_OBJECT);
    return 0;
}

static bool is_text(fw_json value, const char *word)
{
    char room[256];
    fw_span text;
    return fw_json_string(value, room, sizeof room, &text) && text.len == strlen(word) &&
           memcmp(text.ptr, word, text.len) == 0;
}

static void lower(char *out, const char *word)
{
    size_t i = 0;
    for (; word[i]; i++)
        out[i] = (char)tolower((unsigned char)word[i]);
    out[i] = '\0';
}

/* The operation of a route, whose path may have parameters behind. */
static fw_json operation_of(const fw_web_route *route)
{
    char method[16], path[128];
    lower(method, route->method);
    snprintf(path, sizeof path, "%.*s", (int)strcspn(route->path, "?"), route->path);
    return fw_json_get(fw_json_get(fw_json_get(document, "paths"), path), method);
}

/* One of an operation, itself and not where it stands. */
static fw_json parameter(fw_json value)
{
    char room[128], name[128];
    fw_span reference;
    if (!fw_json_string(fw_json_get(value, "$ref"), room, sizeof room, &reference))
        return value;
    size_t at = reference.len;
    while (at > 0 && reference.ptr[at - 1] != '/')
        at--;
    snprintf(name, sizeof name, "%.*s", (int)(reference.len - at), reference.ptr + at);
    return fw_json_get(fw_json_get(fw_json_get(document, "components"), "parameters"), name);
}

/* Below /api/v1 a route knows the parameters that are described, and no others. */
static void parameters_are_described(void **state)
{
    (void)state;
    for (size_t t = 0; t < table_count; t++) {
        for (size_t i = 0; i < tables[t].count; i++) {
            const fw_web_route *route = &tables[t].routes[i];
            const char *known = strchr(route->path, '?');
            char names[256] = "", room[64];
            fw_json value;
            fw_span name;
            if (strncmp(route->path, "/api/v1/", 8) != 0)
                continue;
            fw_json list = fw_json_get(operation_of(route), "parameters");
            for (fw_json_cursor at = fw_json_open(list); fw_json_next(&at, &value);) {
                value = parameter(value);
                size_t len = strlen(names);
                if (is_text(fw_json_get(value, "in"), "query") &&
                    fw_json_string(fw_json_get(value, "name"), room, sizeof room, &name))
                    snprintf(names + len, sizeof names - len, "%s%.*s", len ? "," : "",
                             (int)name.len, name.ptr);
            }
            assert_string_equal(known ? known + 1 : "", names);
        }
    }
}

static void every_route_is_described(void **state)
{
    (void)state;
    for (size_t t = 0; t < table_count; t++) {
        for (size_t i = 0; i < tables[t].count; i++) {
            const fw_web_route *route = &tables[t].routes[i];
            fw_json operation = operation_of(route);
            if (!is_text(fw_json_get(operation, "x-fastworker-role"), role_word(route->role)))
                fail_msg("%s %s is not in openapi.json with the role %s", route->method,
                         route->path, role_word(route->role));
        }
    }
}

static bool is_served(fw_span path, fw_span method)
{
    for (size_t t = 0; t < table_count; t++) {
        for (size_t i = 0; i < tables[t].count; i++) {
            const fw_web_route *route = &tables[t].routes[i];
            char word[16];
            lower(word, route->method);
            if (path.len == strcspn(route->path, "?") &&
                memcmp(path.ptr, route->path, path.len) == 0 && method.len == strlen(word) &&
                memcmp(method.ptr, word, method.len) == 0)
                return true;
        }
    }
    return false;
}

static void everything_described_is_served(void **state)
{
    (void)state;
    fw_span path, method;
    fw_json item, operation;
    fw_json_cursor paths = fw_json_open(fw_json_get(document, "paths"));
    size_t count = 0;
    while (fw_json_next_member(&paths, &path, &item)) {
        fw_json_cursor operations = fw_json_open(item);
        while (fw_json_next_member(&operations, &method, &operation)) {
            count++;
            if (fw_json_key_is(path, "/api/openapi.json"))
                continue; /* it is a file */
            if (!is_served(path, method))
                fail_msg("%.*s %.*s is in openapi.json and not served", (int)method.len, method.ptr,
                         (int)path.len, path.ptr);
        }
    }
    assert_true(count > 40);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_route_is_described),
        cmocka_unit_test(parameters_are_described),
        cmocka_unit_test(everything_described_is_served),
    };
    return cmocka_run_group_tests(tests, open_document, NULL);
}

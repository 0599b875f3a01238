/* web/access.c - see web/access.h. SPDX-License-Identifier: Apache-2.0 */
#include "web/access.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static bool is(fw_span text, const char *word)
{
    return text.len == strlen(word) && memcmp(text.ptr, word, text.len) == 0;
}

/* --- keys --- */

/* Goes by the length of what was shown only. */
static bool is_key(const char *key, fw_span shown)
{
    if (!key || !key[0])
        return false;
    size_t len = strlen(key);
    size_t differ = len ^ shown.len;
    for (size_t i = 0; i < shown.len; i++)
        differ |= (size_t)(unsigned char)(shown.ptr[i] ^ key[i % len]);
    return differ == 0;
}

bool fw_web_access_has_keys(const fw_web_config *config)
{
    return config->admin_key || config->submit_key || config->worker_key || config->read_key;
}

unsigned fw_web_access_roles(const fw_web_config *config, fw_span authorization, const char **who)
{
    static const char scheme[] = "Bearer ";
    const size_t head = sizeof scheme - 1;
    const struct {
        const char *key, *who;
        unsigned roles;
    } keys[] = {
        {config->read_key, "read", FW_WEB_READ},
        {config->worker_key, "worker", FW_WEB_WORKER},
        {config->submit_key, "submit", FW_WEB_SUBMIT | FW_WEB_READ},
        {config->admin_key, "admin", FW_WEB_ALL},
    };
    unsigned roles = config->read_key ? 0 : FW_WEB_READ;
    *who = "anybody";
    if (!fw_web_access_has_keys(config))
        return FW_WEB_ALL;
    if (authorization.len <= head || memcmp(authorization.ptr, scheme, head) != 0)
        return roles;
    fw_span shown = {authorization.ptr + head, authorization.len - head};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        if (is_key(keys[i].key, shown)) {
            roles |= keys[i].roles;
            *who = keys[i].who;
        }
    }
    return roles;
}

/* --- origins --- */

/* Whether the list names that origin. */
static bool is_listed(const char *list, fw_span origin)
{
    while (list && *list && origin.len > 0) {
        size_t len = strcspn(list, ",");
        while (len > 0 && list[len - 1] == ' ')
            len--;
        if (len == origin.len && memcmp(list, origin.ptr, len) == 0)
            return true;
        list += strcspn(list, ",");
        list += strspn(list, ", ");
    }
    return false;
}

/* Digits and points, or in brackets: no name leads there. */
static bool is_address(fw_span name)
{
    if (name.len > 0 && name.ptr[0] == '[')
        return true;
    for (size_t i = 0; i < name.len; i++)
        if (!((name.ptr[i] >= '0' && name.ptr[i] <= '9') || name.ptr[i] == '.'))
            return false;
    return true;
}

static bool is_word(fw_span text, const char *word)
{
    return text.len == strlen(word) && strncasecmp(text.ptr, word, text.len) == 0;
}

bool fw_web_access_host(const char *list, fw_span host)
{
    fw_span name = host;
    if (host.len == 0)
        return true; /* no browser */
    if (host.ptr[0] != '[') {
        const char *colon = memchr(host.ptr, ':', host.len);
        name.len = colon ? (size_t)(colon - host.ptr) : host.len;
    }
    while (list && *list) {
        size_t len = strcspn(list, ", ");
        if (len == name.len && strncasecmp(list, name.ptr, len) == 0)
            return true;
        list += len;
        list += strspn(list, ", ");
    }
    return is_address(name) || is_word(name, "localhost");
}

bool fw_web_access_origin(const char *list, fw_span origin, char *out, size_t capacity)
{
    if (list && strcmp(list, "*") == 0)
        return snprintf(out, capacity, "*") == 1;
    if (!is_listed(list, origin) || origin.len >= capacity)
        return false;
    memcpy(out, origin.ptr, origin.len);
    out[origin.len] = '\0';
    return true;
}

/* "http://host:port" and "host:port", whatever the scheme: in front may be who speaks TLS. */
static bool is_own(fw_span origin, fw_span host)
{
    for (size_t i = 0; i + 2 < origin.len; i++) {
        if (memcmp(origin.ptr + i, "://", 3) != 0)
            continue;
        fw_span name = {origin.ptr + i + 3, origin.len - i - 3};
        return name.len == host.len && name.len > 0 &&
               strncasecmp(name.ptr, host.ptr, name.len) == 0;
    }
    return false;
}

bool fw_web_access_is_foreign(const fw_web_config *config, const fw_web_request *request)
{
    if (is_listed(config->cors_origin, request->origin))
        return false;
    if (request->sec_fetch_site.len > 0)
        return !is(request->sec_fetch_site, "same-origin") && !is(request->sec_fetch_site, "none");
    return request->origin.len > 0 && !is_own(request->origin, request->host);
}

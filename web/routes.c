/* web/routes.c - the router: which handler a request is for, and the rules that hold for all.
 *
 * Only known paths exist, so there is no way out of them. What a handler sees has been matched,
 * permitted, decoded and bounded. SPDX-License-Identifier: Apache-2.0 */
#include "web/routes.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/assert.h"
#include "base/log.h"
#include "web/access.h"
#include "web/aside.h"
#include "web/path.h"

static bool is(fw_span text, const char *word)
{
    return text.len == strlen(word) && memcmp(text.ptr, word, text.len) == 0;
}

static bool begins(fw_span text, const char *word)
{
    size_t len = strlen(word);
    return text.len >= len && memcmp(text.ptr, word, len) == 0;
}

/* --- what handlers ask --- */

static bool find(const fw_web_pair *pairs, size_t count, const char *name, fw_span *value)
{
    for (size_t i = 0; i < count; i++) {
        if (is(pairs[i].name, name)) {
            *value = pairs[i].value;
            return true;
        }
    }
    return false;
}

fw_span fw_web_param(const fw_web_request *request, const char *name)
{
    fw_span value = {NULL, 0};
    bool found = find(request->params, request->param_count, name, &value);
    FW_ASSERT(found);
    return value;
}

bool fw_web_query(const fw_web_request *request, const char *name, fw_span *value)
{
    *value = (fw_span){NULL, 0};
    return find(request->queries, request->query_count, name, value);
}

bool fw_web_read_number(fw_span text, size_t most, size_t *out)
{
    size_t number = 0;
    if (text.len == 0 || text.len > 18)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
        number = number * 10 + (size_t)(text.ptr[i] - '0');
    }
    *out = number < most ? number : most;
    return true;
}

bool fw_web_read_duration(fw_span text, int64_t most_ns, int64_t *out_ns)
{
    static const struct {
        const char *unit;
        double seconds;
    } units[] = {{"", 1}, {"s", 1}, {"ms", 1e-3}, {"m", 60}, {"h", 3600}, {"d", 86400}};
    double value = 0, part = 1;
    size_t at = 0, digits = 0;
    for (bool behind_point = false; at < text.len; at++) {
        char c = text.ptr[at];
        if (c == '.' && !behind_point) {
            behind_point = true;
        } else if (c >= '0' && c <= '9') {
            digits++;
            part /= behind_point ? 10 : 1;
            value = behind_point ? value + part * (c - '0') : value * 10 + (c - '0');
        } else {
            break;
        }
    }
    fw_span unit = {text.ptr + at, text.len - at};
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (!is(unit, units[i].unit))
            continue;
        value *= units[i].seconds;
        *out_ns = value < (double)most_ns / 1e9 ? (int64_t)(value * 1e9) : most_ns;
        return digits > 0;
    }
    return false;
}

/* --- which route --- */

/* HEAD is GET without its body. */
static bool is_method(fw_span method, const char *word)
{
    return is(method, word) || (is(method, "HEAD") && strcmp(word, "GET") == 0);
}

typedef struct found_route {
    const fw_web_route *route; /* NULL: none for that method */
    void *context;
    unsigned methods; /* of the routes that fit the path, as bits of method_words */
} found_route;

static const char *const method_words[] = {"GET", "POST", "PUT", "PATCH", "DELETE"};
enum { METHODS = sizeof method_words / sizeof method_words[0] };

static unsigned method_bit(const char *word)
{
    for (unsigned i = 0; i < METHODS; i++)
        if (strcmp(method_words[i], word) == 0)
            return 1u << i;
    FW_ASSERT(!"a method that there is");
    return 0;
}

/* How much of a pattern is fixed text. */
static size_t fixed_text(const char *pattern)
{
    size_t len = 0;
    for (const char *at = pattern; *at && *at != '?'; at++) {
        if (*at == '{')
            at = strchr(at, '}');
        else
            len++;
    }
    return len;
}

void fw_web_router_prepare(fw_web_router *router)
{
    router->entry_count = 0;
    for (size_t t = 0; t < router->table_count; t++) {
        const fw_web_table *table = &router->tables[t];
        for (size_t i = 0; i < table->count; i++) {
            const fw_web_route *route = &table->routes[i];
            size_t head = strcspn(route->path, "{?");
            FW_ASSERT(router->entry_count < FW_WEB_ROUTES_MAX && head > 0);
            router->entries[router->entry_count++] =
                (fw_web_entry){.route = route,
                               .context = table->context,
                               .head = head,
                               .fixed = fixed_text(route->path),
                               .has_names = route->path[head] == '{',
                               .method = method_bit(route->method)};
        }
    }
}

/* Most routes are for another path, and most of those differ in length or at the head's end. */
static bool may_fit(const fw_web_entry *entry, fw_span path)
{
    return (entry->has_names ? path.len > entry->head : path.len == entry->head) &&
           path.ptr[entry->head - 1] == entry->route->path[entry->head - 1];
}

static found_route find_route(const fw_web_router *router, fw_web_request *request)
{
    found_route found = {NULL, NULL, 0};
    size_t best = 0;
    for (const fw_web_entry *e = router->entries; e < router->entries + router->entry_count; e++) {
        fw_web_pair params[FW_WEB_PARAMS_MAX];
        size_t count;
        if (e->fixed < best || !may_fit(e, request->path) ||
            !fw_web_path_match(e->route->path, request->path, params, &count))
            continue;
        if (e->fixed > best)
            found = (found_route){NULL, NULL, 0};
        best = e->fixed;
        found.methods |= e->method;
        if (found.route || !is_method(request->method, e->route->method))
            continue;
        found.route = e->route;
        found.context = e->context;
        memcpy(request->params, params, count * sizeof params[0]);
        request->param_count = count;
    }
    return found;
}

static void write_methods(char *out, size_t capacity, unsigned methods)
{
    size_t len = 0;
    for (unsigned i = 0; i < METHODS; i++)
        if (methods & (1u << i))
            len += (size_t)snprintf(out + len, capacity - len, "%s, %s", method_words[i],
                                    i == 0 ? "HEAD, " : "");
    snprintf(out + len, capacity - len, "OPTIONS");
}

/* --- rules --- */

/* True: go on. */
static bool may(const fw_web_router *router, const fw_web_request *request,
                const fw_web_route *route, fw_web_answer *answer)
{
    bool changes = !is(request->method, "GET") && !is(request->method, "HEAD");
    if (route->role != FW_WEB_ANYBODY && !(request->roles & (unsigned)route->role)) {
        bool unknown = strcmp(request->who, "anybody") == 0;
        fw_web_problem(answer, unknown ? 401 : 403, NULL,
                       unknown ? "Unauthorized \xe2\x80\x94 invalid or missing API key"
                               : "the key does not grant this");
        return false;
    }
    if (changes && fw_web_access_is_foreign(&router->config, request)) {
        fw_web_problem(answer, 403, "cross-site", "a page of another origin asks for this");
        return false;
    }
    return true;
}

/* Whether the words hold the type that the header begins with. */
static bool is_of_type(const char *words, fw_span type)
{
    const char *end = type.len ? memchr(type.ptr, ';', type.len) : NULL;
    size_t len = end ? (size_t)(end - type.ptr) : type.len;
    while (len > 0 && (type.ptr[len - 1] == ' ' || type.ptr[len - 1] == '\t'))
        len--;
    for (const char *at = words; *at; at += strspn(at, " ")) {
        size_t word = strcspn(at, " ");
        if ((word == 1 && *at == '*') || (word == len && strncasecmp(at, type.ptr, len) == 0))
            return true;
        at += word;
    }
    return false;
}

static bool takes_body(const fw_web_route *route, const fw_web_request *request,
                       fw_web_answer *answer)
{
    const char *types = route->types ? route->types : FW_WEB_JSON;
    if (request->body.len == 0 || strcmp(route->method, "GET") == 0 ||
        is_of_type(types, request->content_type))
        return true;
    /* `curl -d` says so when nothing else is said. A browser, whose forms say so too, would tell
     * where it is from. */
    if (is_of_type("application/x-www-form-urlencoded", request->content_type) &&
        request->origin.len == 0 && request->sec_fetch_site.len == 0)
        return true;
    fw_web_problem(answer, 415, NULL, "content-type: wanted is %s", types);
    return false;
}

/* text holds what is decoded; it is as large as path and query. */
static bool decode(fw_web_request *request, char *text, fw_web_answer *answer)
{
    if (!fw_web_query_split(request->query, request->queries, &request->query_count)) {
        fw_web_problem(answer, 400, NULL, "more than %d parameters", FW_WEB_QUERY_MAX);
        return false;
    }
    bool good = true;
    for (size_t i = 0; i < request->param_count; i++)
        good = good && fw_web_decode(&text, &request->params[i].value, false);
    for (size_t i = 0; i < request->query_count; i++)
        good = good && fw_web_decode(&text, &request->queries[i].name, true) &&
               fw_web_decode(&text, &request->queries[i].value, true);
    if (!good)
        fw_web_problem(answer, 400, NULL, "the path or a parameter is not escaped UTF-8");
    return good;
}

/* Whether names, with ',' between, have this one. */
static bool has_name(const char *names, fw_span name)
{
    for (const char *at = names; *at; at += strspn(at, ",")) {
        size_t len = strcspn(at, ",");
        if (len == name.len && memcmp(at, name.ptr, len) == 0)
            return true;
        at += len;
    }
    return false;
}

/* A misspelt parameter would be lost, and the rest be done all the same. */
static bool knows_query(const fw_web_route *route, const fw_web_request *request,
                        fw_web_answer *answer)
{
    const char *mark = strchr(route->path, '?'), *known = mark ? mark + 1 : "";
    char field[64];
    for (size_t i = 0; i < request->query_count && answer->is_problem; i++) {
        fw_span name = request->queries[i].name;
        if (has_name(known, name))
            continue;
        snprintf(field, sizeof field, "%.*s", (int)(name.len < 60 ? name.len : 60), name.ptr);
        fw_web_problem_field(answer, 400, field, "'%s' is no parameter here; known: %s", field,
                             known[0] ? known : "none");
        return false;
    }
    return true;
}

static void refuse_unknown(const fw_web_router *router, const fw_web_request *request,
                           unsigned methods, fw_web_answer *answer)
{
    bool reads = is(request->method, "GET") || is(request->method, "HEAD");
    bool unknown = strcmp(request->who, "anybody") == 0;
    /* C-133: who may not change anything is not told what there is. */
    if (!reads && unknown && fw_web_access_has_keys(&router->config))
        fw_web_problem(answer, 401, NULL, "Unauthorized \xe2\x80\x94 invalid or missing API key");
    else if (methods == 0)
        fw_web_problem(answer, 404, NULL, "no such path");
    else {
        fw_web_problem(answer, 405, NULL, "there is %s", answer->allow_methods);
        fw_web_header(answer, "allow",
                      (fw_span){answer->allow_methods, strlen(answer->allow_methods)});
    }
}

/* --- one request --- */

/* Who did what from where: of everything that administrates, and of who was turned away. */
void fw_web_route_audit(const fw_web_route *route, const fw_web_request *request,
                        const fw_web_answer *answer)
{
    fw_span path = request->path;
    if (answer->status == 401 || answer->status == 403)
        fw_log(FW_LOG_WARN, "web.refused", "%s %s: %.*s %.*s is %d", request->who, request->peer,
               (int)request->method.len, request->method.ptr,
               (int)(path.len < 500 ? path.len : 500), path.ptr, answer->status);
    else if (route->role == FW_WEB_ADMIN)
        fw_log_each(FW_LOG_INFO, "audit", "%s %s: %.*s %.*s%s%.*s is %d", request->who,
                    request->peer, (int)request->method.len, request->method.ptr,
                    (int)(path.len < 1000 ? path.len : 1000), path.ptr,
                    request->query.len > 0 ? "?" : "",
                    (int)(request->query.len < 500 ? request->query.len : 500),
                    request->query.ptr ? request->query.ptr : "", answer->status);
}

static void call(const fw_web_router *router, const found_route *found, fw_web_request *request,
                 fw_web_answer *answer)
{
    char text[FW_WEB_PATH_BYTES];
    const fw_web_route *route = found->route;
    if (!may(router, request, route, answer) || !decode(request, text, answer) ||
        !knows_query(route, request, answer) || !takes_body(route, request, answer))
        return;
    if (route->pace == FW_WEB_TICKET && !request->ticket.later) {
        answer->retry_after_s = 1;
        fw_web_problem(answer, 429, NULL, "too many requests wait for an answer");
        return;
    }
    /* Without a ticket there is no later: others wait for once. */
    if (route->pace != FW_WEB_ASIDE || !router->aside || !request->ticket.later)
        route->handler(found->context, request, answer);
    else if (fw_web_aside_push(router->aside, route, found->context, request, answer->is_problem))
        answer->is_later = true;
    else
        fw_web_problem(answer, 503, NULL, NULL);
}

void fw_web_route_request(const fw_web_router *router, fw_web_request *request,
                          fw_web_answer *answer)
{
    const fw_web_config *config = &router->config;
    *answer = fw_web_answer_begin();
    answer->is_problem = begins(request->path, "/api/v1/") || is(request->path, "/api/v1");
    fw_web_access_origin(config->cors_origin, request->origin, answer->allow_origin,
                         sizeof answer->allow_origin);
    request->roles = fw_web_access_roles(config, request->authorization, &request->who);
    if (request->path.len + request->query.len > FW_WEB_PATH_BYTES) {
        fw_web_problem(answer, 414, NULL, "at most %d bytes", FW_WEB_PATH_BYTES);
        return;
    }
    if (request->body.len > config->body_max) {
        fw_web_problem(answer, 413, NULL, "a body has at most %zu bytes", config->body_max);
        return;
    }
    if (config->checks_host && !fw_web_access_host(config->hosts, request->host)) {
        fw_web_problem(answer, 421, NULL, "the name is not one of --gui-hosts");
        return;
    }
    found_route found = find_route(router, request);
    if (!found.route || answer->allow_origin[0])
        write_methods(answer->allow_methods, sizeof answer->allow_methods, found.methods);
    if (is(request->method, "OPTIONS")) {
        answer->content_type = "text/plain";
        fw_web_header(answer, "allow",
                      (fw_span){answer->allow_methods, strlen(answer->allow_methods)});
    } else if (found.route) {
        call(router, &found, request, answer);
        if (!answer->is_later)
            fw_web_route_audit(found.route, request, answer);
    } else {
        refuse_unknown(router, request, found.methods, answer);
    }
    if (!answer->is_later && !answer->take)
        fw_web_answer_settle(answer);
}

/* web/send.c - see web/send.h. Covered by server_test.c. SPDX-License-Identifier: Apache-2.0 */
#include "web/send.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include <h2o.h>

#include "web/compress.h"

enum { HEADERS_ENOUGH = 16 };

/* --- reading --- */

static fw_span span_of(h2o_iovec_t text)
{
    return (fw_span){text.base, text.len};
}

static fw_span header_of(h2o_req_t *req, const h2o_token_t *token)
{
    ssize_t at = h2o_find_header(&req->headers, token, -1);
    return at < 0 ? (fw_span){NULL, 0} : span_of(req->headers.entries[at].value);
}

static fw_span named_header(h2o_req_t *req, const char *name)
{
    ssize_t at = h2o_find_header_by_str(&req->headers, name, strlen(name), -1);
    return at < 0 ? (fw_span){NULL, 0} : span_of(req->headers.entries[at].value);
}

/* "127.0.0.1:4711"; every request has it made, so without printf. */
static void name_four(const struct sockaddr_in *address, char *out)
{
    const uint32_t parts[] = {ntohl(address->sin_addr.s_addr), ntohs(address->sin_port)};
    uint32_t numbers[] = {parts[0] >> 24, parts[0] >> 16 & 255, parts[0] >> 8 & 255, parts[0] & 255,
                          parts[1]};
    for (int i = 0; i < 5; i++) {
        uint32_t unit = 1;
        while (numbers[i] / unit >= 10)
            unit *= 10;
        for (; unit > 0; unit /= 10)
            *out++ = (char)('0' + numbers[i] / unit % 10);
        *out++ = "...:"[i]; /* the last one is the end */
    }
}

static void name_peer(h2o_req_t *req, char *out)
{
    struct sockaddr_storage address;
    char host[INET6_ADDRSTRLEN] = "";
    out[0] = '\0';
    if (req->conn->callbacks->get_peername(req->conn, (struct sockaddr *)&address) == 0)
        return;
    if (address.ss_family == AF_INET) {
        name_four((const void *)&address, out);
    } else if (address.ss_family == AF_INET6) {
        const struct sockaddr_in6 *six = (void *)&address;
        inet_ntop(AF_INET6, &six->sin6_addr, host, sizeof host);
        snprintf(out, FW_WEB_PEER_TEXT, "[%s]:%u", host, (unsigned)ntohs(six->sin6_port));
    }
}

void fw_web_read_request(h2o_req_t *req, fw_web_request *out)
{
    fw_span path = span_of(req->path);
    *out = (fw_web_request){
        .method = span_of(req->method),
        .path = path,
        .body = span_of(req->entity),
        .authorization = header_of(req, H2O_TOKEN_AUTHORIZATION),
        .origin = named_header(req, "origin"),
        .sec_fetch_site = named_header(req, "sec-fetch-site"),
        .host = span_of(req->authority),
        .if_none_match = header_of(req, H2O_TOKEN_IF_NONE_MATCH),
        .accept = header_of(req, H2O_TOKEN_ACCEPT),
        .content_type = header_of(req, H2O_TOKEN_CONTENT_TYPE),
        .idempotency_key = named_header(req, "idempotency-key"),
        .prefer = named_header(req, "prefer"),
        .last_event_id = named_header(req, "last-event-id"),
        .takes_gzip = fw_web_takes_gzip(header_of(req, H2O_TOKEN_ACCEPT_ENCODING)),
        .who = "anybody",
    };
    if (req->query_at != SIZE_MAX && req->query_at < path.len) {
        out->path.len = req->query_at;
        out->query = (fw_span){path.ptr + req->query_at + 1, path.len - req->query_at - 1};
    }
    name_peer(req, out->peer);
}

/* --- sending --- */

/* Texts that outlive the request; name: without upper case. */
static void add_fixed(h2o_req_t *req, const char *name, size_t name_len, const char *value,
                      size_t len)
{
    h2o_add_header_by_str(&req->pool, &req->res.headers, name, name_len, 0, NULL, value, len);
}
#define FIXED(req, name, value) add_fixed(req, name, sizeof(name) - 1, value, sizeof(value) - 1)

static void add_header(h2o_req_t *req, const char *name, const char *value)
{
    size_t name_len = strlen(name), len = strlen(value);
    char *copy = h2o_mem_alloc_pool(&req->pool, name_len + len + 2);
    memcpy(copy, name, name_len + 1);
    memcpy(copy + name_len + 1, value, len + 1);
    add_fixed(req, copy, name_len, copy + name_len + 1, len);
}

static void add_cors(h2o_req_t *req, const fw_web_answer *answer)
{
    if (!answer->allow_origin[0])
        return;
    add_header(req, "access-control-allow-origin", answer->allow_origin);
    add_header(req, "access-control-allow-methods", answer->allow_methods);
    add_header(req, "access-control-allow-headers",
               "Content-Type, Authorization, Idempotency-Key, Prefer, Last-Event-ID");
    add_header(req, "access-control-expose-headers", "Location, Retry-After, ETag");
    if (strcmp(answer->allow_origin, "*") != 0)
        add_header(req, "vary", "origin");
}

static bool speaks_tls(h2o_req_t *req)
{
    return req->conn->callbacks->get_socket(req->conn)->ssl != NULL;
}

/* "localhost", which on any port may be somebody else's: he may have no TLS. */
static bool is_this_machine(h2o_iovec_t host)
{
    static const char name[] = "localhost";
    const size_t len = sizeof name - 1;
    return host.len >= len && h2o_lcstris(host.base, len, name, len) &&
           (host.len == len || host.base[len] == ':');
}

static void add_headers(h2o_req_t *req, const fw_web_answer *answer)
{
    char number[16];
    h2o_vector_reserve(&req->pool, &req->res.headers, HEADERS_ENOUGH);
    add_fixed(req, "content-type", 12, answer->content_type, strlen(answer->content_type));
    FIXED(req, "cache-control", "no-cache");
    FIXED(req, "x-content-type-options", "nosniff");
    FIXED(req, "x-frame-options", "DENY");
    FIXED(req, "referrer-policy", "no-referrer");
    FIXED(req, "content-security-policy",
          "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src "
          "'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
    if (speaks_tls(req) && !is_this_machine(req->authority))
        FIXED(req, "strict-transport-security", "max-age=31536000");
    if (answer->etag)
        add_header(req, "etag", answer->etag);
    if (answer->retry_after_s > 0) {
        snprintf(number, sizeof number, "%u", answer->retry_after_s);
        add_header(req, "retry-after", number);
    }
    add_cors(req, answer);
    for (size_t at = 0; at < answer->headers.len;) {
        const char *name = answer->headers.data + at, *value = name + strlen(name) + 1;
        add_header(req, name, value);
        at += strlen(name) + strlen(value) + 2;
    }
}

static void send_body(h2o_req_t *req, const fw_web_answer *answer)
{
    static h2o_generator_t generator = {NULL, NULL};
    bool is_fixed = answer->body.len == 0;
    fw_span body = is_fixed ? answer->fixed : (fw_span){answer->body.data, answer->body.len};
    if (answer->status != 304 && answer->status != 204)
        req->res.content_length = body.len;
    h2o_iovec_t vector = h2o_iovec_init(body.ptr, body.len);
    if (!is_fixed) {
        vector.base = h2o_mem_alloc_pool(&req->pool, body.len);
        memcpy(vector.base, body.ptr, body.len);
    }
    bool head = h2o_memis(req->method.base, req->method.len, H2O_STRLIT("HEAD"));
    h2o_start_response(req, &generator);
    if (head || body.len == 0)
        h2o_send(req, NULL, 0, H2O_SEND_STATE_FINAL);
    else
        h2o_send(req, &vector, 1, H2O_SEND_STATE_FINAL);
}

/* Bodies that were made for this answer; files have their forms, see web/assets.c. */
static void compress(h2o_req_t *req, fw_web_answer *answer)
{
    fw_buffer smaller = {0};
    fw_span body = {answer->body.data, answer->body.len};
    if (answer->take || answer->etag || !fw_web_is_compressible(answer->content_type, body.len))
        return;
    FIXED(req, "vary", "accept-encoding");
    if (!fw_web_takes_gzip(header_of(req, H2O_TOKEN_ACCEPT_ENCODING)))
        return;
    if (!fw_web_compress(&smaller, body)) {
        fw_buffer_fini(&smaller);
        return;
    }
    FIXED(req, "content-encoding", "gzip");
    fw_buffer_fini(&answer->body);
    answer->body = smaller;
}

void fw_web_send(h2o_req_t *req, fw_web_answer *answer)
{
    req->res.status = answer->status;
    req->res.reason = fw_web_reason(answer->status);
    req->compress_hint = H2O_COMPRESS_HINT_DISABLE;
    add_headers(req, answer);
    compress(req, answer);
    if (answer->take)
        answer->take(answer->taker, req);
    else
        send_body(req, answer);
    fw_web_answer_fini(answer);
}

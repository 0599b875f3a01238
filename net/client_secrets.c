/* net/client_secrets.c - what a client shows and whom it believes: token and certificates.
 *
 * Options first, then the environment: FASTWORKER_TOKEN or the first line of FASTWORKER_TOKEN_FILE,
 * FASTWORKER_TLS_CA, _CERT, _KEY, _VERIFY. Covered by tests/client/client_tls_test.c.
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "net/client_core.h"
#include "net/client_frames.h"

enum { TOKEN_MAX = 1024, HELLO_BYTES = 2048 };

static const char *choose(const char *option, const char *variable)
{
    const char *value = option != NULL ? option : getenv(variable);
    return value == NULL || value[0] == '\0' ? NULL : value;
}

static int read_token_file(fw_client *c, const char *path)
{
    char line[TOKEN_MAX + 3];
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return fw_client_fail(FW_EINVAL, "FASTWORKER_TOKEN_FILE: cannot read %s: %s", path,
                              strerror(errno));
    if (fgets(line, sizeof(line), file) == NULL)
        line[0] = '\0';
    fclose(file);
    line[strcspn(line, "\r\n")] = '\0';
    c->token = strdup(line);
    return 0;
}

int fw_client_take_token(fw_client *c, const fw_client_options *options)
{
    const char *token = choose(options->token, "FASTWORKER_TOKEN");
    const char *path = choose(NULL, "FASTWORKER_TOKEN_FILE");
    int rc = 0;
    if (token != NULL)
        c->token = strdup(token);
    else if (path != NULL)
        rc = read_token_file(c, path);
    if (rc == 0 && c->token != NULL && strlen(c->token) > TOKEN_MAX)
        rc = fw_client_fail(FW_EINVAL, "the token is longer than %d bytes", TOKEN_MAX);
    return rc;
}

int fw_client_secure(fw_client *c, const fw_client_options *options)
{
    char error[512];
    const char *verify = choose(options->tls_verify, "FASTWORKER_TLS_VERIFY");
    fw_tls_config config = {.cert = choose(options->tls_cert, "FASTWORKER_TLS_CERT"),
                            .key = choose(options->tls_key, "FASTWORKER_TLS_KEY"),
                            .ca = choose(options->tls_ca, "FASTWORKER_TLS_CA")};
    if (c->tls != NULL || !c->address.tls)
        return 0;
    if (fw_tls_verify_parse(&config.verify, verify == NULL ? "" : verify) < 0)
        return fw_client_fail(FW_EINVAL, "TLS verification is '%s': none, server or mutual",
                              verify);
    int rc = fw_tls_create(&c->tls, error, sizeof(error), &config, FW_TLS_DIALS);
    return rc < 0 ? fw_client_fail(rc, "TLS: %s", error) : 0;
}

size_t fw_client_write_hello(const fw_client *c, unsigned char *out, size_t capacity,
                             uint64_t message_max)
{
    static const char software[] = "fastworker/" FW_VERSION;
    fw_hello hello = {.software = {software, sizeof(software) - 1}, .message_max = message_max};
    if (c->token != NULL)
        hello.token = (fw_span){c->token, strlen(c->token)};
    return fw_frame_write_hello(out, capacity, &hello);
}

int fw_client_introduce(const fw_client *c, fw_stream *stream, const char *where, fw_hello *hello,
                        uint64_t message_max, int64_t deadline_ns)
{
    unsigned char bytes[HELLO_BYTES];
    size_t len = fw_client_write_hello(c, bytes, sizeof(bytes), message_max);
    fw_span reply;
    fw_frame frame;
    fw_record record;
    FW_ASSERT(len > 0);
    int rc = fw_client_ask(stream, &reply, (fw_span){(const char *)bytes, len}, deadline_ns);
    if (rc < 0)
        return rc;
    if (fw_frame_open(&frame, reply, NULL) < 0 || frame.type != FW_FRAME_ANSWER ||
        fw_frame_next_record(&frame, &record) != 1)
        return fw_client_fail(FW_EPROTO, "%s does not understand frames of version %d", where,
                              FW_FRAME_VERSION);
    if (record.kind == FW_RECORD_REFUSED)
        return fw_client_fail(record.err > 0 ? record.err : FW_EPROTO, "%s refuses us: %.*s%s",
                              where, (int)record.text.len,
                              record.text.len > 0 ? record.text.ptr : "",
                              record.err == FW_EAUTH ? " (FASTWORKER_TOKEN)" : "");
    *hello = (fw_hello){.message_max = 0};
    if (record.kind == FW_RECORD_HELLO)
        (void)fw_frame_read_hello(hello, record.text);
    return 0;
}

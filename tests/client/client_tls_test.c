/* client_tls_test.c - net/client_tls.c, net/client_secrets.c: a client's stream over TLS against a
 * listener of one thread. SPDX-License-Identifier: Apache-2.0 */
#include "net/client_tls.h"

#include <poll.h>

#include "net/client_core.h"
#include "../net/papers.h"
#include "../net/tls_peer.h"

static papers all;

typedef struct house {
    int listener;
    fw_tls *tls;
    fw_endpoint endpoint;
    pthread_t thread;
} house;

/* Serves one connection: what comes goes back, until the client leaves. */
static void *echo(void *context)
{
    house *h = context;
    char bytes[65536];
    tls_peer p = {.fd = accept(h->listener, NULL, NULL),
                  .session = fw_tls_session_create(h->tls, NULL)};
    for (;;) {
        ssize_t n = fw_tls_session_read(p.session, bytes, sizeof bytes);
        if (!tls_peer_flush(&p) || n < 0 || (n == 0 && !tls_peer_feed(&p)))
            break;
        for (ssize_t at = 0; at < n;) {
            ssize_t wrote = fw_tls_session_write(p.session, bytes + at, (size_t)(n - at));
            if (wrote <= 0 || !tls_peer_flush(&p))
                break;
            at += wrote;
        }
    }
    (void)tls_peer_flush(&p);
    tls_peer_close(&p);
    return NULL;
}

static fw_tls *side_of(const fw_tls_config *config, fw_tls_side side)
{
    char error[256];
    fw_tls *tls = NULL;
    if (fw_tls_create(&tls, error, sizeof error, config, side) != 0)
        fail_msg("%s", error);
    return tls;
}

static void open_house(house *h, const fw_tls_config *config)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    *h = (house){.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    h->tls = side_of(config, FW_TLS_LISTENS);
    assert_int_equal(bind(h->listener, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(h->listener, 4), 0);
    assert_int_equal(getsockname(h->listener, (struct sockaddr *)&at, &len), 0);
    h->endpoint = (fw_endpoint){.tls = true, .host = "localhost", .len = sizeof at};
    memcpy(&h->endpoint.socket, &at, sizeof at);
    assert_int_equal(pthread_create(&h->thread, NULL, echo, h), 0);
}

static void close_house(house *h)
{
    pthread_join(h->thread, NULL);
    fw_tls_destroy(h->tls);
    close(h->listener);
}

static void await(const fw_stream *stream)
{
    struct pollfd ready = {.fd = stream->fd, .events = fw_stream_wants(stream)};
    assert_int_equal(poll(&ready, 1, PEER_WAIT_S * 1000), 1);
}

/* Until the echo of our own greeting, which is that of a Pair0, has come. 0 or the failure. */
static int greet(fw_stream *stream, const house *h)
{
    int rc = fw_stream_connect(stream, &h->endpoint);
    while (rc == 0 && stream->state != FW_STREAM_READY) {
        await(stream);
        rc = fw_stream_advance(stream);
    }
    return rc;
}

/* Much goes out while much comes back: nothing is lost, nothing waits for a poll that never comes.
 */
static void much_goes_out_and_comes_back(void **state)
{
    (void)state;
    enum { SIZE = 8 * 1024 * 1024, HEAD = FW_SP_LENGTH_BYTES };
    house h;
    fw_stream stream;
    fw_span message;
    fw_tls *client = side_of(&(fw_tls_config){.ca = all.ca}, FW_TLS_DIALS);
    open_house(&h, &(fw_tls_config){.cert = all.server});
    fw_stream_init(&stream, FW_SP_PAIR0, 2 * SIZE);
    stream.tls = client;
    assert_int_equal(greet(&stream, &h), 0);
    unsigned char *bytes = malloc(HEAD + SIZE);
    fw_sp_length_write(bytes, SIZE);
    for (size_t i = 0; i < SIZE; i++)
        bytes[HEAD + i] = (unsigned char)(i * 13 + i / 509);
    size_t wrote = 0;
    fw_stream_message got;
    while ((got = fw_stream_next(&stream, &message)) == FW_STREAM_NONE) {
        if (wrote < HEAD + SIZE) {
            struct iovec part = {bytes + wrote, HEAD + SIZE - wrote};
            ssize_t n = fw_stream_write(&stream, &part, 1);
            assert_true(n >= 0);
            wrote += (size_t)n;
        }
        await(&stream);
        assert_true(fw_stream_fill(&stream) >= 0);
    }
    assert_int_equal(got, FW_STREAM_MESSAGE);
    assert_int_equal(message.len, SIZE);
    assert_memory_equal(message.ptr, bytes + HEAD, SIZE);
    assert_int_equal(fw_client_tls_waiting(&stream), 0);
    free(bytes);
    fw_stream_close(&stream);
    close_house(&h);
    fw_tls_destroy(client);
}

static void failures_say_what_is_wrong(void **state)
{
    (void)state;
    const struct {
        fw_tls_config server, client;
        int err;
        const char *says;
    } cases[] = {
        {{.cert = all.server}, {.ca = all.other_ca}, -FW_EAUTH, "issuer certificate"},
        {{.cert = all.far}, {.ca = all.ca}, -FW_EAUTH, "mismatch"},
        {{.cert = all.server, .ca = all.ca, .verify = FW_TLS_VERIFY_MUTUAL},
         {.ca = all.ca},
         -FW_EAUTH,
         "a certificate is asked for"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        house h;
        fw_stream stream;
        fw_tls *client = side_of(&cases[i].client, FW_TLS_DIALS);
        open_house(&h, &cases[i].server);
        fw_stream_init(&stream, FW_SP_PAIR0, 1024);
        stream.tls = client;
        assert_int_equal(greet(&stream, &h), cases[i].err);
        if (!strstr(stream.error, cases[i].says))
            fail_msg("case %zu: %s", i, stream.error);
        fw_stream_close(&stream);
        close_house(&h);
        fw_tls_destroy(client);
    }
}

static void without_certificates_nothing_is_dialed(void **state)
{
    (void)state;
    fw_stream stream;
    fw_endpoint nobody = {.tls = true, .host = "localhost"};
    fw_stream_init(&stream, FW_SP_REQ0, 1024);
    assert_int_equal(fw_stream_connect(&stream, &nobody), -FW_EINVAL);
    assert_string_equal(stream.error, "TLS is not set up here");
    fw_stream_close(&stream);
}

static void options_go_before_the_environment(void **state)
{
    (void)state;
    fw_client c = {.token = NULL};
    fw_client_options options = {.size = sizeof options};
    char path[96];
    snprintf(path, sizeof path, "%s/token-XXXXXX", all.folder);
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "from file\r\nmore", 15), 15);
    close(fd);
    unsetenv("FASTWORKER_TOKEN");
    assert_int_equal(fw_client_take_token(&c, &options), 0);
    assert_null(c.token);
    setenv("FASTWORKER_TOKEN_FILE", path, 1);
    assert_int_equal(fw_client_take_token(&c, &options), 0);
    assert_string_equal(c.token, "from file");
    free(c.token);
    setenv("FASTWORKER_TOKEN", "from variable", 1);
    assert_int_equal(fw_client_take_token(&c, &options), 0);
    assert_string_equal(c.token, "from variable");
    free(c.token);
    options.token = "from option";
    assert_int_equal(fw_client_take_token(&c, &options), 0);
    assert_string_equal(c.token, "from option");
    free(c.token);
    unlink(path);
    unsetenv("FASTWORKER_TOKEN");
    options.token = NULL;
    assert_int_equal(fw_client_take_token(&c, &options), -FW_EINVAL);
    unsetenv("FASTWORKER_TOKEN_FILE");
    c.address.tls = true;
    options.tls_verify = "perhaps";
    assert_int_equal(fw_client_secure(&c, &options), -FW_EINVAL);
    options.tls_verify = "mutual";
    assert_int_equal(fw_client_secure(&c, &options), -FW_EINVAL);
    options.tls_cert = all.client;
    assert_int_equal(fw_client_secure(&c, &options), 0);
    fw_tls_destroy(c.tls);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(much_goes_out_and_comes_back),
        cmocka_unit_test(failures_say_what_is_wrong),
        cmocka_unit_test(without_certificates_nothing_is_dialed),
        cmocka_unit_test(options_go_before_the_environment),
    };
    papers_make(&all);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    papers_burn(&all);
    return failed;
}

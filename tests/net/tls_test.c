/* tls_test.c - net/tls.c: two sessions in memory, who believes whom, and damage on the way.
 * SPDX-License-Identifier: Apache-2.0 */
#include "net/tls.h"

#include "fastworker/types.h"
#include "papers.h"

static papers all;

static fw_tls *side_of(const fw_tls_config *config, fw_tls_side side)
{
    char error[256];
    fw_tls *tls = NULL;
    if (fw_tls_create(&tls, error, sizeof error, config, side) != 0)
        fail_msg("%s", error);
    return tls;
}

static void refuse(const fw_tls_config *config, fw_tls_side side, const char *expected)
{
    char error[512];
    fw_tls *tls = NULL;
    assert_int_equal(fw_tls_create(&tls, error, sizeof error, config, side), -FW_EINVAL);
    assert_null(tls);
    if (!strstr(error, expected))
        fail_msg("\"%s\" does not speak of \"%s\"", error, expected);
}

typedef struct talk {
    fw_tls_session *client, *server;
    char client_error[192], server_error[192];
} talk;

/* Moves what waits. => something was moved. */
static bool carry(fw_tls_session *from, fw_tls_session *to)
{
    char bytes[700];
    size_t n = fw_tls_session_take(from, bytes, sizeof bytes);
    assert_true(fw_tls_session_feed(to, bytes, n));
    return n > 0;
}

/* => both have shaken hands, and each has read a byte of the other. */
static bool converse(talk *t)
{
    bool moved = true, client_wrote = false, server_wrote = false;
    ssize_t client_read = 0, server_read = 0;
    char byte;
    while (moved) {
        moved = false;
        if (!client_wrote && !t->client_error[0]) {
            ssize_t n = fw_tls_session_write(t->client, "c", 1);
            client_wrote = n == 1;
            if (n < 0)
                snprintf(t->client_error, 192, "%s", fw_tls_session_error(t->client));
        }
        moved |= carry(t->client, t->server);
        if (!server_wrote && !t->server_error[0]) {
            ssize_t n = fw_tls_session_write(t->server, "s", 1);
            server_wrote = n == 1;
            if (n < 0)
                snprintf(t->server_error, 192, "%s", fw_tls_session_error(t->server));
        }
        if (server_read == 0 && (server_read = fw_tls_session_read(t->server, &byte, 1)) < 0)
            snprintf(t->server_error, 192, "%s", fw_tls_session_error(t->server));
        moved |= carry(t->server, t->client);
        if (client_read == 0 && (client_read = fw_tls_session_read(t->client, &byte, 1)) < 0)
            snprintf(t->client_error, 192, "%s", fw_tls_session_error(t->client));
    }
    return client_read == 1 && server_read == 1;
}

/* => the two have come to terms; else the errors tell. */
static bool meet(talk *t, const fw_tls_config *server, const fw_tls_config *client,
                 const char *host)
{
    fw_tls *listens = side_of(server, FW_TLS_LISTENS), *dials = side_of(client, FW_TLS_DIALS);
    *t = (talk){.client = fw_tls_session_create(dials, host),
                .server = fw_tls_session_create(listens, NULL)};
    assert_true(t->client && t->server);
    /* Sessions go on without them. */
    fw_tls_destroy(listens);
    fw_tls_destroy(dials);
    return converse(t);
}

static void part(talk *t)
{
    fw_tls_session_destroy(t->client);
    fw_tls_session_destroy(t->server);
}

static void who_believes_whom(void **state)
{
    (void)state;
    const fw_tls_config server = {.cert = all.server},
                        mutual = {.cert = all.server, .ca = all.ca, .verify = FW_TLS_VERIFY_MUTUAL};
    const struct {
        fw_tls_config server, client;
        const char *host, *client_says, *server_says; /* NULL: nothing wrong */
    } cases[] = {
        {server, {.ca = all.ca}, "localhost", NULL, NULL},
        {server, {.ca = all.ca}, "127.0.0.1", NULL, NULL},
        {server, {.ca = all.ca}, "127.0.0.2", "IP address mismatch", "alert"},
        {server, {.ca = all.ca}, "elsewhere.example", "hostname mismatch", "alert"},
        {{.cert = all.far}, {.ca = all.ca}, "localhost", "hostname mismatch", "alert"},
        {server, {.ca = all.other_ca}, "localhost", "unable to get local issuer", "alert"},
        {server, {.ca = NULL}, "localhost", "unable to get local issuer", "alert"},
        {{.cert = all.other}, {.ca = all.ca}, "localhost", "unable to get local", "alert"},
        {{.cert = all.other}, {.verify = FW_TLS_VERIFY_NONE}, "localhost", NULL, NULL},
        {mutual, {.ca = all.ca, .cert = all.client}, "localhost", NULL, NULL},
        {mutual,
         {.ca = all.ca, .cert = all.client, .verify = FW_TLS_VERIFY_MUTUAL},
         "localhost",
         NULL,
         NULL},
        {mutual, {.ca = all.ca}, "localhost", "certificate is asked for", "certificate is asked"},
        {mutual, {.ca = all.ca, .cert = all.other}, "localhost", "alert", "unable to get"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        talk t;
        bool good = meet(&t, &cases[i].server, &cases[i].client, cases[i].host);
        if (good != !cases[i].client_says)
            fail_msg("case %zu: \"%s\", \"%s\"", i, t.client_error, t.server_error);
        if (!good && !strstr(t.client_error, cases[i].client_says))
            fail_msg("case %zu, the client says: %s", i, t.client_error);
        if (!good && !strstr(t.server_error, cases[i].server_says))
            fail_msg("case %zu, the server says: %s", i, t.server_error);
        part(&t);
    }
}

static void files_that_cannot_be_used_are_named(void **state)
{
    (void)state;
    refuse(&(fw_tls_config){.ca = all.ca}, FW_TLS_LISTENS, "needs a certificate");
    refuse(&(fw_tls_config){.cert = "nowhere.pem"}, FW_TLS_LISTENS, "certificate nowhere.pem");
    refuse(&(fw_tls_config){.cert = all.server, .key = "nowhere.key"}, FW_TLS_LISTENS,
           "key nowhere.key");
    refuse(&(fw_tls_config){.cert = all.server, .key = all.client}, FW_TLS_LISTENS,
           "key values mismatch");
    refuse(&(fw_tls_config){.cert = all.server, .ca = "nowhere.pem"}, FW_TLS_LISTENS,
           "authorities nowhere.pem");
    refuse(&(fw_tls_config){.cert = all.server, .verify = FW_TLS_VERIFY_MUTUAL}, FW_TLS_LISTENS,
           "file of authorities");
    refuse(&(fw_tls_config){.ca = all.ca, .verify = FW_TLS_VERIFY_MUTUAL}, FW_TLS_DIALS,
           "mutual verification needs a certificate");
    fw_tls_verify word = FW_TLS_VERIFY_DEFAULT;
    assert_int_equal(fw_tls_verify_parse(&word, "mutual"), 0);
    assert_int_equal(word, FW_TLS_VERIFY_MUTUAL);
    assert_int_equal(fw_tls_verify_parse(&word, ""), 0);
    assert_int_equal(word, FW_TLS_VERIFY_DEFAULT);
    assert_int_equal(fw_tls_verify_parse(&word, "both"), -FW_EINVAL);
}

static void what_is_no_tls_is_told(void **state)
{
    (void)state;
    fw_tls *listens = side_of(&(fw_tls_config){.cert = all.server}, FW_TLS_LISTENS);
    fw_tls *dials = side_of(&(fw_tls_config){.ca = all.ca}, FW_TLS_DIALS);
    const char *talks[] = {"\0SP\0\0\x30\0\0", "GET / HTTP/1.0\r\n\r\n"};
    char byte;
    for (size_t i = 0; i < 2; i++) {
        fw_tls_session *server = fw_tls_session_create(listens, NULL);
        fw_tls_session *client = fw_tls_session_create(dials, "localhost");
        assert_true(fw_tls_session_feed(server, talks[i], 8));
        assert_int_equal(fw_tls_session_read(server, &byte, 1), -1);
        assert_string_equal(fw_tls_session_error(server), "the peer does not speak TLS");
        assert_int_equal(fw_tls_session_take(server, &byte, 1), 1);
        assert_int_equal(byte, 21); /* an alert */
        assert_int_equal(fw_tls_session_greet(client), 0);
        assert_true(fw_tls_session_feed(client, talks[i], 8));
        assert_int_equal(fw_tls_session_greet(client), -1);
        assert_string_equal(fw_tls_session_error(client), "the peer does not speak TLS");
        fw_tls_session_destroy(server);
        fw_tls_session_destroy(client);
    }
    fw_tls_destroy(listens);
    fw_tls_destroy(dials);
}

/* A megabyte, carried in small pieces, and then a bit that turns over on the way. */
static void bytes_arrive_as_they_were_or_not_at_all(void **state)
{
    (void)state;
    enum { SIZE = 1024 * 1024 };
    talk t;
    char *sent = malloc(SIZE), *got = malloc(SIZE), bytes[700];
    assert_true(sent && got);
    for (size_t i = 0; i < SIZE; i++)
        sent[i] = (char)(i * 7 + i / 251);
    assert_true(meet(&t, &(fw_tls_config){.cert = all.server}, &(fw_tls_config){.ca = all.ca},
                     "localhost"));
    size_t wrote = 0, read = 0;
    while (read < SIZE) {
        if (wrote < SIZE && fw_tls_session_waiting(t.client) == 0) {
            ssize_t n = fw_tls_session_write(t.client, sent + wrote, SIZE - wrote);
            assert_true(n > 0);
            wrote += (size_t)n;
        }
        carry(t.client, t.server);
        ssize_t n = fw_tls_session_read(t.server, got + read, SIZE - read);
        assert_true(n >= 0);
        read += (size_t)n;
    }
    assert_memory_equal(sent, got, SIZE);
    assert_int_equal(fw_tls_session_write(t.client, "hello", 5), 5);
    size_t n = fw_tls_session_take(t.client, bytes, sizeof bytes);
    bytes[n - 1] ^= 1;
    assert_true(fw_tls_session_feed(t.server, bytes, n));
    assert_int_equal(fw_tls_session_read(t.server, got, SIZE), -1);
    assert_true(fw_tls_session_error(t.server)[0] != 0);
    part(&t);
    free(sent);
    free(got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_believes_whom),
        cmocka_unit_test(files_that_cannot_be_used_are_named),
        cmocka_unit_test(what_is_no_tls_is_told),
        cmocka_unit_test(bytes_arrive_as_they_were_or_not_at_all),
    };
    papers_make(&all);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    papers_burn(&all);
    return failed;
}

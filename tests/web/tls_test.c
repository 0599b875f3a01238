/* tls_test.c - the papers of https://, and greetings that come slowly, in part, or not at all.
 * What clients see of it otherwise is in tests/app/http_tls_test.py.
 * SPDX-License-Identifier: Apache-2.0 */
#include "web/tls.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "tests/net/papers.h"

static papers all;

static void write_body(void *context, const fw_web_request *request, fw_web_answer *answer)
{
    (void)context;
    (void)request;
    fw_buffer_text(&answer->body, "ok\n");
}

static const fw_web_route routes[] = {
    {"GET", "/livez", FW_WEB_ANYBODY, write_body, NULL, FW_WEB_AT_ONCE}};

static fw_web *start(const char *cert, unsigned request_ms)
{
    char error[512] = "";
    fw_web *web = NULL;
    const fw_web_table tables[] = {FW_WEB_TABLE(routes, NULL)};
    fw_web_config config = {.host = "127.0.0.1", .tls_cert = cert, .request_ms = request_ms};
    int rc = fw_web_start(&web, error, sizeof error, &config, tables, 1);
    if (rc != 0)
        print_error("%s\n", error);
    assert_int_equal(rc, 0);
    return web;
}

static int dial(const fw_web *web)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)fw_web_port(web)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

/* Whoever is behind it; NULL: the greeting failed. */
static SSL *greet(SSL_CTX *client, int fd)
{
    SSL *ssl = SSL_new(client);
    assert_non_null(ssl);
    SSL_set_fd(ssl, fd);
    if (SSL_connect(ssl) == 1)
        return ssl;
    SSL_free(ssl);
    return NULL;
}

static long serial_of(SSL *ssl)
{
    X509 *shown = SSL_get1_peer_certificate(ssl);
    long serial = ASN1_INTEGER_get(X509_get0_serialNumber(shown));
    X509_free(shown);
    return serial;
}

static void ask(SSL *ssl)
{
    static const char request[] = "GET /livez HTTP/1.1\r\nhost: x\r\n\r\n";
    char text[2048];
    int len = 0;
    assert_int_equal(SSL_write(ssl, request, sizeof request - 1), sizeof request - 1);
    do {
        int got = SSL_read(ssl, text + len, (int)sizeof text - 1 - len);
        assert_true(got > 0);
        len += got;
        text[len] = '\0';
    } while (!strstr(text, "\r\n\r\nok\n"));
}

static void wait_for_end(int fd)
{
    char bytes[4096];
    while (recv(fd, bytes, sizeof bytes, 0) > 0)
        ;
    close(fd);
}

/* --- papers --- */

static void expect_error(fw_web_config config, const char *words)
{
    char error[512] = "";
    SSL_CTX *made = NULL;
    assert_int_equal(fw_web_tls_create(&made, error, sizeof error, &config), -FW_EINVAL);
    if (!strstr(error, words))
        print_error("lacks '%s': %s\n", words, error);
    assert_non_null(strstr(error, words));
    assert_null(made);
}

static void papers_that_cannot_be_used(void **state)
{
    (void)state;
    char error[512];
    SSL_CTX *made = NULL;
    assert_int_equal(fw_web_tls_create(&made, error, sizeof error, &(fw_web_config){0}), 0);
    assert_null(made);
    expect_error((fw_web_config){.tls_cert = "/nowhere.pem"}, "certificate /nowhere.pem");
    expect_error((fw_web_config){.tls_cert = all.server, .tls_key = "/nowhere.key"},
                 "key /nowhere.key");
    expect_error((fw_web_config){.tls_cert = all.server, .tls_key = all.client}, "mismatch");
    expect_error((fw_web_config){.tls_cert = all.server, .tls_ca = "/nowhere.ca"},
                 "authorities /nowhere.ca");
    expect_error((fw_web_config){.tls_key = all.server}, "no certificate");
    expect_error((fw_web_config){.tls_ca = all.ca}, "no certificate");
    const fw_web_config whole = {.tls_cert = all.server, .tls_ca = all.ca};
    assert_int_equal(fw_web_tls_create(&made, error, sizeof error, &whole), 0);
    SSL_CTX_free(made);
}

static void copy(const char *from, const char *to)
{
    char bytes[16384];
    FILE *in = fopen(from, "r"), *out = fopen(to, "w");
    assert_true(in && out);
    size_t len = fread(bytes, 1, sizeof bytes, in);
    assert_int_equal(fwrite(bytes, 1, len, out), len);
    fclose(in);
    fclose(out);
}

static void new_papers_are_for_who_comes_then(void **state)
{
    (void)state;
    char now[128], error[512];
    snprintf(now, sizeof now, "%s/now.pem", all.folder);
    copy(all.server, now);
    fw_web *web = start(now, 600000);
    SSL_CTX *client = SSL_CTX_new(TLS_client_method());
    int old_fd = dial(web);
    SSL *old = greet(client, old_fd);
    assert_non_null(old);
    long serial = serial_of(old);
    /* What cannot be used changes nothing. */
    copy(all.ca, now);
    assert_int_equal(truncate(now, 100), 0);
    assert_int_equal(fw_web_renew_tls(web, error, sizeof error), -FW_EINVAL);
    copy(all.far, now);
    assert_int_equal(fw_web_renew_tls(web, error, sizeof error), 0);
    for (bool is_new = false; !is_new;) {
        int fd = dial(web);
        SSL *ssl = greet(client, fd);
        assert_non_null(ssl);
        is_new = serial_of(ssl) != serial;
        ask(ssl);
        SSL_free(ssl);
        close(fd);
    }
    ask(old);
    SSL_free(old);
    close(old_fd);
    /* Once more, and the end before anybody has come. */
    assert_int_equal(fw_web_renew_tls(web, error, sizeof error), 0);
    fw_web_stop(web);
    fw_web_free(web);
    SSL_CTX_free(client);
    unlink(now);
}

/* --- greetings --- */

/* The client's first words. */
static size_t hello(SSL_CTX *client, unsigned char *out, size_t capacity)
{
    SSL *ssl = SSL_new(client);
    BIO *in = BIO_new(BIO_s_mem()), *words = BIO_new(BIO_s_mem());
    SSL_set_bio(ssl, in, words);
    assert_true(SSL_connect(ssl) != 1);
    int len = BIO_read(words, out, (int)capacity);
    assert_true(len > 100);
    SSL_free(ssl);
    return (size_t)len;
}

static void who_does_not_end_his_greeting_is_cut_off(void **state)
{
    (void)state;
    unsigned char words[4096];
    SSL_CTX *client = SSL_CTX_new(TLS_client_method());
    const size_t len = hello(client, words, sizeof words);
    const size_t said[] = {0, 1, 5, 6, 100, len - 1, len};
    enum { COUNT = sizeof said / sizeof said[0] };
    int fds[COUNT];
    fw_web *web = start(all.server, 200);
    for (int i = 0; i < COUNT; i++) {
        fds[i] = dial(web);
        assert_int_equal(send(fds[i], words, said[i], MSG_NOSIGNAL), (ssize_t)said[i]);
    }
    /* Whose greeting is over, and who then says nothing. */
    int silent = dial(web);
    SSL *ssl = greet(client, silent);
    for (int i = 0; i < COUNT; i++)
        wait_for_end(fds[i]);
    wait_for_end(silent);
    SSL_free(ssl);
    fw_web_stop(web);
    fw_web_free(web);
    SSL_CTX_free(client);
}

static void who_leaves_during_his_greeting_does_no_harm(void **state)
{
    (void)state;
    unsigned char words[4096];
    SSL_CTX *client = SSL_CTX_new(TLS_client_method());
    const size_t len = hello(client, words, sizeof words);
    fw_web *web = start(all.server, 600000);
    for (size_t said = 0; said <= len; said += said < 12 ? 1 : 23) {
        for (int how = 0; how < 3; how++) {
            const struct linger reset = {1, 0};
            int fd = dial(web);
            assert_int_equal(send(fd, words, said, MSG_NOSIGNAL), (ssize_t)said);
            if (how == 1)
                setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
            if (how == 2)
                shutdown(fd, SHUT_WR);
            if (how == 2)
                wait_for_end(fd);
            else
                close(fd);
        }
    }
    int fd = dial(web), half = dial(web);
    assert_int_equal(send(half, words, len / 2, MSG_NOSIGNAL), (ssize_t)(len / 2));
    SSL *ssl = greet(client, fd);
    assert_non_null(ssl);
    ask(ssl);
    SSL_free(ssl);
    close(fd);
    fw_web_stop(web);
    fw_web_free(web);
    close(half);
    SSL_CTX_free(client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(papers_that_cannot_be_used),
        cmocka_unit_test(new_papers_are_for_who_comes_then),
        cmocka_unit_test(who_does_not_end_his_greeting_is_cut_off),
        cmocka_unit_test(who_leaves_during_his_greeting_does_no_harm),
    };
    papers_make(&all);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    papers_burn(&all);
    return failed;
}

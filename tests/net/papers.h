/* tests/net/papers.h - certificates for tests, made when they are needed: two authorities that do
 * not know each other, and what they vouch for. Files in a directory of the test's own.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_TESTS_NET_PAPERS_H
#define FW_TESTS_NET_PAPERS_H

#include <stdarg.h>
#include <stdint.h>
#include <stddef.h>
#include <setjmp.h>

#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct paper {
    EVP_PKEY *key;
    X509 *cert;
} paper;

typedef struct papers {
    char folder[64];
    /* Certificate and key in one file each. */
    char server[96]; /* by the authority, for localhost and 127.0.0.1 */
    char client[96]; /* by the authority */
    char other[96];  /* by the other authority, for localhost and 127.0.0.1 */
    char far[96];    /* by the authority, for elsewhere.example */
    char ca[96], other_ca[96];
} papers;

static inline void papers_extend(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, cert, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    assert_non_null(extension);
    assert_int_equal(X509_add_ext(cert, extension, -1), 1);
    X509_EXTENSION_free(extension);
}

/* names: NULL makes an authority. by: NULL signs itself. */
static inline paper papers_issue(const char *title, const char *names, const paper *by)
{
    static long serial = 1;
    paper made = {.key = EVP_EC_gen("P-256"), .cert = X509_new()};
    assert_true(made.key && made.cert);
    X509 *issuer = by ? by->cert : made.cert;
    X509_set_version(made.cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(made.cert), serial++);
    X509_gmtime_adj(X509_getm_notBefore(made.cert), -3600);
    X509_gmtime_adj(X509_getm_notAfter(made.cert), 24 * 3600);
    X509_set_pubkey(made.cert, made.key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(made.cert), "CN", MBSTRING_ASC,
                               (const unsigned char *)title, -1, -1, 0);
    X509_set_issuer_name(made.cert, X509_get_subject_name(issuer));
    papers_extend(made.cert, issuer, NID_basic_constraints,
                  names ? "critical,CA:FALSE" : "critical,CA:TRUE");
    if (names)
        papers_extend(made.cert, issuer, NID_subject_alt_name, names);
    assert_true(X509_sign(made.cert, by ? by->key : made.key, EVP_sha256()) > 0);
    return made;
}

static inline void papers_forget(paper *one)
{
    X509_free(one->cert);
    EVP_PKEY_free(one->key);
}

static inline void papers_write(char path[96], const papers *all, const char *name,
                                const paper *one)
{
    snprintf(path, 96, "%s/%s", all->folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(PEM_write_X509(file, one->cert), 1);
    assert_int_equal(PEM_write_PrivateKey(file, one->key, NULL, NULL, 0, NULL, NULL), 1);
    fclose(file);
}

static inline void papers_make(papers *all)
{
    snprintf(all->folder, sizeof all->folder, "%s/fw-papers-XXXXXX", "/tmp");
    assert_non_null(mkdtemp(all->folder));
    const char *here = "DNS:localhost,IP:127.0.0.1";
    paper ca = papers_issue("authority", NULL, NULL);
    paper other_ca = papers_issue("other authority", NULL, NULL);
    paper server = papers_issue("server", here, &ca), client = papers_issue("client", here, &ca);
    paper other = papers_issue("other", here, &other_ca);
    paper far = papers_issue("far", "DNS:elsewhere.example", &ca);
    papers_write(all->ca, all, "ca.pem", &ca);
    papers_write(all->other_ca, all, "other-ca.pem", &other_ca);
    papers_write(all->server, all, "server.pem", &server);
    papers_write(all->client, all, "client.pem", &client);
    papers_write(all->other, all, "other.pem", &other);
    papers_write(all->far, all, "far.pem", &far);
    paper *made[] = {&ca, &other_ca, &server, &client, &other, &far};
    for (size_t i = 0; i < sizeof made / sizeof *made; i++)
        papers_forget(made[i]);
}

static inline void papers_burn(papers *all)
{
    const char *files[] = {all->ca, all->other_ca, all->server, all->client, all->other, all->far};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        unlink(files[i]);
    rmdir(all->folder);
}

#endif

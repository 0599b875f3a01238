/* modules/samples.c - tasks to try FastWorker with, and to measure it with.
 *
 * add and echo show the two ways to take arguments, sleep and primes how long work stays
 * cancellable, fail how a task says no, sha256 how a module brings a library of its own.
 * SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "fastworker/module.h"

/* --- add
 * ------------------------------------------------------------------------------------------ */

/* As Python names it in the errors of its operators. */
static const char *type_name(fw_span json)
{
    switch (json.ptr[0]) {
    case '"':
        return "str";
    case '[':
        return "list";
    case '{':
        return "dict";
    case 't':
    case 'f':
        return "bool";
    case 'n':
        return "NoneType";
    }
    for (size_t i = json.ptr[0] == '-'; i < json.len; i++) {
        if (json.ptr[i] < '0' || json.ptr[i] > '9')
            return "float";
    }
    return "int";
}

/* An integer short enough to be added without looking; true and false count, as in Python. */
static bool small_int(fw_span json, int64_t *out)
{
    int64_t value = 0;
    bool negative = json.ptr[0] == '-';
    if (json.len > 18)
        return false;
    for (size_t i = negative; i < json.len; i++) {
        if (json.ptr[i] < '0' || json.ptr[i] > '9')
            return false;
        value = value * 10 + (json.ptr[i] - '0');
    }
    *out = negative ? -value : value;
    return true;
}

static bool is_number(const char *type)
{
    return type[0] == 'i' || type[0] == 'b' || strcmp(type, "float") == 0;
}

static int join_strings(fw_call *c, fw_span x, fw_span y)
{
    size_t len = x.len + y.len - 2;
    char *joined = fw_call_alloc(c, len);
    if (!joined)
        return -FW_ENOMEM;
    memcpy(joined, x.ptr, x.len - 1);
    memcpy(joined + x.len - 1, y.ptr + 1, y.len - 1);
    return fw_ret_json(c, joined, len);
}

/* Everything but two small integers. */
static int add_others(fw_call *c, fw_span x, fw_span y)
{
    const char *of_x = type_name(x), *of_y = type_name(y);
    if (x.ptr[0] == '"' && y.ptr[0] == '"')
        return join_strings(c, x, y);
    if (x.ptr[0] == '"')
        return fw_fail(c, "can only concatenate str (not \"%s\") to str", of_y);
    if (!is_number(of_x) || !is_number(of_y))
        return fw_fail(c, "unsupported operand type(s) for +: '%s' and '%s'", of_x, of_y);
    if (of_x[0] == 'f' || of_y[0] == 'f') {
        double a, b;
        int rc = fw_args(c, "dd", "x", &a, "y", &b);
        return rc < 0 ? rc : fw_ret_num(c, a + b);
    }
    int64_t a, b, sum;
    int rc = fw_args(c, "ii", "x", &a, "y", &b);
    if (rc < 0)
        return rc;
    if (__builtin_add_overflow(a, b, &sum))
        return fw_fail(c, "add() result does not fit into 64 bits");
    return fw_ret_int(c, sum);
}

static int add(fw_call *c)
{
    fw_span x, y;
    int64_t a, b;
    int rc = fw_args(c, "jj", "x", &x, "y", &y);
    if (rc < 0)
        return rc;
    if (small_int(x, &a) && small_int(y, &b))
        return fw_ret_int(c, a + b);
    return add_others(c, x, y);
}

/* --- echo
 * ----------------------------------------------------------------------------------------- */

static int echo(fw_call *c)
{
    fw_span value = {"null", 4}, args = fw_args_json(c);
    int rc = fw_args(c, "|j", "value", &value);
    if (rc == 0)
        return fw_ret_json(c, value.ptr, value.len);
    /* Too many, and not a wrong keyword: all of them. */
    fw_span kwargs = fw_kwargs_json(c);
    return memchr(kwargs.ptr, '"', kwargs.len) ? rc : fw_ret_json(c, args.ptr, args.len);
}

/* --- sleep
 * ---------------------------------------------------------------------------------------- */

enum { SLICE_MS = 10, SLEEP_MAX_S = 1000000000 };

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* In slices, so that a cancel is heard within one. */
static int sleep_for(fw_call *c)
{
    double seconds;
    int rc = fw_args(c, "d", "seconds", &seconds);
    if (rc < 0)
        return rc;
    if (isnan(seconds))
        return fw_fail(c, "Invalid value NaN (not a number)");
    if (seconds < 0)
        return fw_fail(c, "sleep length must be non-negative");
    if (seconds > SLEEP_MAX_S)
        return fw_fail(c, "sleep length must be at most %d seconds", SLEEP_MAX_S);
    double end = now_s() + seconds, left;
    while ((left = end - now_s()) > 0) {
        if (fw_cancelled(c))
            return -FW_ECANCELLED;
        double slice = left < SLICE_MS * 1e-3 ? left : SLICE_MS * 1e-3;
        struct timespec t = {0, (long)(slice * 1e9)};
        clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
    }
    return fw_ret_num(c, seconds);
}

/* --- fail
 * ----------------------------------------------------------------------------------------- */

static int fail(fw_call *c)
{
    const char *message = "failed as asked";
    int rc = fw_args(c, "|s", "message", &message);
    return rc < 0 ? rc : fw_fail(c, "%s", message);
}

/* --- sha256
 * --------------------------------------------------------------------------------------- */

static int sha256(fw_call *c)
{
    const char *text;
    int rc = fw_args(c, "s", "text", &text);
    if (rc < 0)
        return rc;
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int len;
    if (EVP_Digest(text, strlen(text), digest, &len, EVP_sha256(), NULL) != 1)
        return fw_fail(c, "sha256() is not available from this libcrypto");
    char hex[2 * EVP_MAX_MD_SIZE + 1];
    for (unsigned i = 0; i < len; i++) {
        hex[2 * i] = "0123456789abcdef"[digest[i] >> 4];
        hex[2 * i + 1] = "0123456789abcdef"[digest[i] & 15];
    }
    hex[2 * len] = '\0';
    return fw_ret_str(c, hex);
}

/* --- primes
 * --------------------------------------------------------------------------------------- */

#define PRIMES_MAX INT64_C(1000000000000)
enum { WINDOW = 1 << 16 };

/* Sieve of Eratosthenes: marks[i] is 1 when i is composite. */
static void sieve_small(unsigned char *marks, int64_t n)
{
    memset(marks, 0, (size_t)n);
    for (int64_t p = 2; p * p < n; p++) {
        for (int64_t m = p * p; !marks[p] && m < n; m += p)
            marks[m] = 1;
    }
}

/* Primes in [low, high), by the primes up to the root of high. */
static int64_t count_window(unsigned char *window, const unsigned char *small, int64_t low,
                            int64_t high)
{
    memset(window, 0, (size_t)(high - low));
    for (int64_t p = 2; p * p < high; p++) {
        if (small[p])
            continue;
        int64_t first = (low + p - 1) / p * p;
        for (int64_t m = first < p * p ? p * p : first; m < high; m += p)
            window[m - low] = 1;
    }
    int64_t count = 0;
    for (int64_t i = low; i < high; i++)
        count += i >= 2 && !window[i - low];
    return count;
}

/* Window by window: memory grows with the root of n, and between two of them a cancel is heard. */
static int primes(fw_call *c)
{
    int64_t n, root = 2, count = 0;
    int rc = fw_args(c, "i", "n", &n);
    if (rc < 0)
        return rc;
    if (n > PRIMES_MAX)
        return fw_fail(c, "primes() argument 'n' must be at most %lld", (long long)PRIMES_MAX);
    while (root * root < n)
        root++;
    unsigned char *small = fw_call_alloc(c, (size_t)root + 1);
    unsigned char *window = fw_call_alloc(c, WINDOW);
    if (!small || !window)
        return -FW_ENOMEM;
    sieve_small(small, root + 1);
    for (int64_t low = 0; low < n; low += WINDOW) {
        if (fw_cancelled(c))
            return -FW_ECANCELLED;
        count += count_window(window, small, low, n - low < WINDOW ? n : low + WINDOW);
    }
    return fw_ret_int(c, count);
}

static const fw_task_def tasks[] = {
    FW_TASK("add", add, .doc = "Add two numbers, or join two strings."),
    FW_TASK("echo", echo, .doc = "Return the argument as it came; several as an array."),
    FW_TASK("sleep", sleep_for, .doc = "Wait so many seconds and return them.",
            .flags = FW_F_BLOCKING),
    FW_TASK("fail", fail, .doc = "Fail with the message given, or with 'failed as asked'."),
    FW_TASK("sha256", sha256, .doc = "SHA-256 of a text in UTF-8, as hexadecimal digits."),
    FW_TASK("primes", primes, .doc = "How many primes there are below n."),
};
FW_MODULE("samples", FW_VERSION, tasks);

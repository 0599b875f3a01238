/* mytasks.c - the module of docs/MODULES.md: one task for each thing that a task can do.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fastworker/module.h>

/* Arguments and a result: add(5, 3), add(5, y=3), add(x=5, y=3). */
static int add(fw_call *c)
{
    int64_t x, y, sum;
    int rc = fw_args(c, "ii", "x", &x, "y", &y);
    if (rc < 0)
        return rc; /* the caller gets Python's words */
    if (__builtin_add_overflow(x, y, &sum))
        return fw_fail(c, "%lld + %lld does not fit into 64 bits", (long long)x, (long long)y);
    return fw_ret_int(c, sum);
}

/* Optional arguments keep their value: greet("Ada"), greet("Ada", greeting="Good morning"). */
static int greet(fw_call *c)
{
    const char *name, *greeting = "Hello";
    int rc = fw_args(c, "s|s", "name", &name, "greeting", &greeting);
    if (rc < 0)
        return rc;
    size_t size = strlen(greeting) + strlen(name) + sizeof ", !";
    char *text = fw_call_alloc(c, size); /* gone when the task returns */
    if (!text)
        return -FW_ENOMEM;
    snprintf(text, size, "%s, %s!", greeting, name);
    return fw_ret_str(c, text);
}

/* Raw JSON in and out: wrap([1, {"a": 2}]) is {"value": [1, {"a": 2}], "attempt": 1}. */
static int wrap(fw_call *c)
{
    fw_span value;
    int rc = fw_args(c, "j", "value", &value);
    if (rc < 0)
        return rc;
    size_t size = value.len + 64;
    char *json = fw_call_alloc(c, size);
    if (!json)
        return -FW_ENOMEM;
    int n = snprintf(json, size, "{\"value\": %.*s, \"attempt\": %d}", (int)value.len, value.ptr,
                     fw_call_attempt(c));
    return fw_ret_json(c, json, (size_t)n);
}

/* Long work looks at fw_cancelled now and then: it costs one load. */
static int collatz(fw_call *c)
{
    int64_t below, longest = 0;
    int rc = fw_args(c, "i", "below", &below);
    if (rc < 0)
        return rc;
    for (int64_t start = 1; start < below; start++) {
        int64_t steps = 0;
        if (start % 1024 == 0 && fw_cancelled(c))
            return -FW_ECANCELLED;
        for (uint64_t n = (uint64_t)start; n != 1; steps++)
            n = n % 2 ? 3 * n + 1 : n / 2;
        longest = steps > longest ? steps : longest;
    }
    return fw_ret_int(c, longest);
}

/* Each task thread has its own random numbers: no lock is needed. */
typedef struct dice {
    uint64_t state;
} dice;

static int dice_init(void **tls)
{
    dice *own = malloc(sizeof *own);
    if (!own)
        return -FW_ENOMEM;
    own->state = (uint64_t)(uintptr_t)own | 1;
    *tls = own;
    return 0;
}

static void dice_fini(void *tls)
{
    free(tls);
}

static int roll(fw_call *c)
{
    int64_t sides = 6;
    int rc = fw_args(c, "|i", "sides", &sides);
    if (rc < 0)
        return rc;
    if (sides < 1)
        return fw_fail(c, "a die with %lld sides cannot be rolled", (long long)sides);
    dice *own = fw_tls_ptr(c);
    own->state = own->state * 6364136223846793005u + 1442695040888963407u;
    return fw_ret_int(c, (int64_t)((own->state >> 33) % (uint64_t)sides) + 1);
}

static const fw_task_def tasks[] = {
    FW_TASK("add", add, .doc = "Add two integers."),
    FW_TASK("greet", greet, .doc = "Greet somebody."),
    FW_TASK("wrap", wrap, .doc = "Put a value into an object.", .max_retries = 2),
    FW_TASK("collatz", collatz, .doc = "The longest Collatz sequence below a number.",
            .timeout_ms = 60000),
    FW_TASK("roll", roll, .doc = "Roll a die."),
};
FW_MODULE_WITH("mytasks", "1.0", tasks, .thread_init = dice_init, .thread_fini = dice_fini);

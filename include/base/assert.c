/* base/assert.c - the last words of a program that found its own bug. SPDX-License-Identifier:
 * Apache-2.0 */
#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void fw_assert_failed(const char *file, int line, const char *condition)
{
    fprintf(stderr, "fastworker: internal error at %s:%d: %s\n", file, line, condition);
    abort();
}

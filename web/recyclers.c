/* web/recyclers.c - tells LeakSanitizer what this version of h2o never frees: the small per-thread
 * stores of spare buffers (at most sixteen of each kind) that it keeps when its thread ends.
 * SPDX-License-Identifier: Apache-2.0 */
const char *__lsan_default_suppressions(void);

__attribute__((visibility("default"), used)) const char *__lsan_default_suppressions(void)
{
    return "leak:h2o_mem_alloc_recycle\n";
}

/* app/manage/thread_times.h - what this program's threads have used of the CPUs, by
 * name, and how old it is.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_APP_THREAD_TIMES_H
#define FW_APP_THREAD_TIMES_H

#include <stddef.h>
#include <stdint.h>

enum { FW_THREAD_TIMES_MAX = 24, FW_THREAD_NAME_MAX = 16 };

/* Threads whose names differ in their numbers only are one: "fw-task-3" is of "fw-task". */
typedef struct fw_thread_time {
    char name[FW_THREAD_NAME_MAX];
    unsigned threads;
    int64_t ran_ns, waited_ns; /* on a CPU; ready, and not on one */
} fw_thread_time;

/* How many of out are filled; what has no room is in the last one, called "others". Reads two small
 * files for each thread: about 20 us each. Any thread. */
size_t fw_thread_times(fw_thread_time out[FW_THREAD_TIMES_MAX]);
/* How long ago this process was started, to 10 ms; 0: not known. Any thread. */
int64_t fw_process_age_ns(void);

#endif

/* engine/bell.c - see engine/bell.h. Covered by tests/modules/call_words_test.c and
 * tests/engine/children_words_test.c.
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/bell.h"

#include <errno.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "fastworker/types.h"

/* time_ns: of the machine's monotonic clock. Safe in a signal handler: one system call. */
static void set(int fd, int64_t time_ns)
{
    struct itimerspec when = {
        .it_value = {(time_t)(time_ns / FW_NS_PER_S), (long)(time_ns % FW_NS_PER_S)}};
    int kept = errno;
    timerfd_settime(fd, TFD_TIMER_ABSTIME, &when, NULL);
    errno = kept;
}

/* Under the lock. */
static int make(fw_bell *it, int64_t deadline_ns)
{
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (fd < 0)
        return -FW_EFULL;
    if (deadline_ns > 0)
        set(fd, fw_machine_ns(deadline_ns));
    /* [bell-made] seq_cst: before the look at the flag (C1, signal handlers). */
    fw_store_seq_cst(&it->place, fd + 1);
    if (it->cancelled && it->cancelled(it->context))
        set(fd, 1);
    return fd;
}

int fw_bell_get(fw_bell *it, int64_t deadline_ns, int (*cancelled)(const void *context),
                const void *context)
{
    pthread_mutex_lock(&it->lock);
    /* Relaxed: under the lock. */
    int fd = fw_load_relaxed(&it->place) - 1;
    if (fd < 0) {
        it->cancelled = cancelled;
        it->context = context;
        fd = make(it, deadline_ns);
    }
    pthread_mutex_unlock(&it->lock);
    return fd;
}

void fw_bell_ring(fw_bell *it)
{
    pthread_mutex_lock(&it->lock);
    /* Relaxed: under the lock. */
    int fd = fw_load_relaxed(&it->place) - 1;
    if (fd >= 0 && it->cancelled && it->cancelled(it->context))
        set(fd, 1);
    pthread_mutex_unlock(&it->lock);
}

void fw_bell_ring_in_signal(fw_bell *it)
{
    /* [bell-made] seq_cst: after the flag was set. */
    int fd = fw_load_seq_cst(&it->place) - 1;
    if (fd >= 0)
        set(fd, 1);
}

void fw_bell_drop(fw_bell *it)
{
    pthread_mutex_lock(&it->lock);
    /* Relaxed: under the lock. */
    int fd = fw_load_relaxed(&it->place) - 1;
    fw_store_relaxed(&it->place, 0);
    pthread_mutex_unlock(&it->lock);
    close(fd);
}

/* app/manage/thread_times.c - see app/manage/thread_times.h. Linux's /proc/self/task: comm, and
 * schedstat, whose first two numbers are nanoseconds on a CPU and nanoseconds ready without one.
 * The 22nd field of stat is when the process was started, in ticks since the machine was.
 * SPDX-License-Identifier: Apache-2.0 */
#include "app/manage/thread_times.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

/* The file's beginning as text without line end. False: the thread is gone. */
static bool read_text(int folder, const char *thread, const char *file, char *out, size_t capacity)
{
    char path[300];
    snprintf(path, sizeof path, "%s/%s", thread, file);
    int fd = openat(folder, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t n = read(fd, out, capacity - 1);
    close(fd);
    if (n <= 0)
        return false;
    out[n] = 0;
    out[strcspn(out, "\n")] = 0;
    return true;
}

static void strip_number(char *name)
{
    size_t len = strlen(name);
    while (len > 1 && name[len - 1] >= '0' && name[len - 1] <= '9')
        len--;
    if (len > 1 && (name[len - 1] == '-' || name[len - 1] == ':'))
        len--;
    name[len] = 0;
}

static fw_thread_time *find(fw_thread_time *out, size_t *count, const char *name)
{
    for (size_t i = 0; i < *count; i++)
        if (strcmp(out[i].name, name) == 0)
            return &out[i];
    fw_thread_time *found = &out[*count < FW_THREAD_TIMES_MAX ? (*count)++ : *count - 1];
    if (found->threads > 0)
        name = "others"; /* no room: joins the last one */
    snprintf(found->name, sizeof found->name, "%s", name);
    return found;
}

size_t fw_thread_times(fw_thread_time out[FW_THREAD_TIMES_MAX])
{
    char name[64], times[96];
    size_t count = 0;
    memset(out, 0, FW_THREAD_TIMES_MAX * sizeof *out);
    DIR *folder = opendir("/proc/self/task");
    if (!folder)
        return 0;
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        int64_t ran = 0, waited = 0;
        if (entry->d_name[0] == '.' ||
            !read_text(dirfd(folder), entry->d_name, "comm", name, FW_THREAD_NAME_MAX) ||
            !read_text(dirfd(folder), entry->d_name, "schedstat", times, sizeof times) ||
            sscanf(times, "%" SCNd64 " %" SCNd64, &ran, &waited) != 2)
            continue;
        strip_number(name);
        fw_thread_time *time = find(out, &count, name);
        time->threads++;
        time->ran_ns += ran;
        time->waited_ns += waited;
    }
    closedir(folder);
    return count;
}

int64_t fw_process_age_ns(void)
{
    char text[1024];
    unsigned long long ticks = 0;
    struct timespec up;
    if (!read_text(AT_FDCWD, "/proc/self", "stat", text, sizeof text))
        return 0;
    const char *after = strrchr(text, ')'); /* of the name, which may hold anything */
    for (int field = 2; after && field < 22; field++)
        after = strchr(after + 1, ' ');
    if (!after || sscanf(after, "%llu", &ticks) != 1)
        return 0;
    clock_gettime(CLOCK_BOOTTIME, &up);
    long hz = sysconf(_SC_CLK_TCK);
    int64_t age = (int64_t)up.tv_sec * FW_NS_PER_S + up.tv_nsec -
                  (int64_t)(ticks * (unsigned long long)(FW_NS_PER_S / hz));
    return age > 0 ? age : 0;
}

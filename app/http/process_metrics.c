/* app/http/process_metrics.c - see app/http/process_metrics.h. Covered by stats_test.py.
 * SPDX-License-Identifier: Apache-2.0 */
#include "app/http/process_metrics.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "app/manage/thread_times.h"

static void one(fw_buffer *out, const char *name, const char *type, const char *help, double value)
{
    fw_buffer_format(out, "# HELP %s %s\n# TYPE %s %s\n%s %.17g\n", name, help, name, type, name,
                     value);
}

static double seconds(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

static void write_memory(fw_buffer *out)
{
    unsigned long total, resident;
    double page = (double)sysconf(_SC_PAGESIZE);
    FILE *file = fopen("/proc/self/statm", "re");
    if (!file)
        return;
    if (fscanf(file, "%lu %lu", &total, &resident) == 2) {
        one(out, "process_virtual_memory_bytes", "gauge", "Address space.", (double)total * page);
        one(out, "process_resident_memory_bytes", "gauge", "Memory that is resident.",
            (double)resident * page);
    }
    fclose(file);
}

static void write_descriptors(fw_buffer *out)
{
    struct rlimit most;
    size_t count = 0;
    DIR *folder = opendir("/proc/self/fd");
    if (!folder)
        return;
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;)
        count += entry->d_name[0] != '.';
    closedir(folder);
    /* One of them was the folder's. */
    one(out, "process_open_fds", "gauge", "Open descriptors.", (double)(count - 1));
    if (getrlimit(RLIMIT_NOFILE, &most) == 0)
        one(out, "process_max_fds", "gauge", "Most of them.", (double)most.rlim_cur);
}

static void write_threads(fw_buffer *out)
{
    static const char name[] = "fastworker_thread_cpu_seconds_total";
    fw_thread_time times[FW_THREAD_TIMES_MAX];
    size_t count = fw_thread_times(times);
    fw_buffer_format(out, "# HELP %s CPU time of threads, by name.\n# TYPE %s counter\n", name,
                     name);
    for (size_t i = 0; i < count; i++)
        fw_buffer_format(out, "%s{thread=\"%s\"} %.9g\n", name, times[i].name,
                         (double)times[i].ran_ns / 1e9);
}

void fw_process_metrics_write(fw_buffer *out, int64_t started_wall_ns)
{
    struct rusage used;
    if (getrusage(RUSAGE_SELF, &used) == 0)
        one(out, "process_cpu_seconds_total", "counter", "CPU time, user and system.",
            seconds(used.ru_utime) + seconds(used.ru_stime));
    one(out, "process_start_time_seconds", "gauge", "Unix time of the start.",
        (double)started_wall_ns / 1e9);
    write_memory(out);
    write_descriptors(out);
    write_threads(out);
}

/* app/commands/progress.c - see app/commands/progress.h. SPDX-License-Identifier: Apache-2.0 */
#include "app/commands/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"

#define FIRST_NS    (1 * FW_NS_PER_S)
#define TERMINAL_NS (200 * FW_NS_PER_MS)
#define LINE_NS     (10 * FW_NS_PER_S)
enum { BAR_WIDTH = 24 };

void fw_progress_begin(fw_progress *progress, bool quiet, uint64_t bytes_total)
{
    int64_t now = fw_now_ns();
    bool terminal = isatty(STDERR_FILENO) != 0;
    *progress = (fw_progress){.quiet = quiet,
                              .terminal = terminal,
                              .started_ns = now,
                              .due_ns = now + (terminal ? FIRST_NS : LINE_NS),
                              .bytes_total = bytes_total};
}

static void draw_bar(double part)
{
    int full = (int)(part * BAR_WIDTH);
    fputc('[', stderr);
    for (int i = 0; i < BAR_WIDTH; i++)
        fputc(i < full ? '#' : '.', stderr);
    fprintf(stderr, "] %3.0f %%  ", part * 100);
}

void fw_progress_show(fw_progress *progress, uint64_t count, uint64_t bytes, int64_t now_ns)
{
    if (progress->quiet || now_ns < progress->due_ns)
        return;
    double seconds = (double)(now_ns - progress->started_ns) / 1e9;
    progress->due_ns = now_ns + (progress->terminal ? TERMINAL_NS : LINE_NS);
    fputs(progress->terminal ? "\r" : "fastworker: ", stderr);
    double part = progress->bytes_total > 0 ? (double)bytes / (double)progress->bytes_total : 0;
    part = part > 1 ? 1 : part;
    if (progress->terminal && progress->bytes_total > 0)
        draw_bar(part);
    fprintf(stderr, "%" PRIu64 " tasks, %.0f/s", count, (double)count / seconds);
    if (part > 0 && part < 1) {
        uint64_t left = (uint64_t)(seconds / part * (1 - part) + 0.5);
        fprintf(stderr, ", %" PRIu64 ":%02" PRIu64 " left", left / 60, left % 60);
    }
    fputs(progress->terminal ? "\033[K" : "\n", stderr);
    fflush(stderr);
    progress->drawn = progress->terminal;
}

void fw_progress_end(fw_progress *progress)
{
    if (progress->drawn)
        fputs("\r\033[K", stderr);
    progress->drawn = false;
}

/* base/process.h - starting other programs, signalling them, and what became of them.
 *
 * A started process is clean: it has descriptors 0, 1, 2 and the one that it is given, no other;
 * all signals are unblocked and have their default action. It is killed when the thread that
 * started it ends, in whatever way (PR_SET_PDEATHSIG): so start it from a thread that lives as long
 * as the process shall. Who started a process is the only one to signal and to wait for it, so that
 * its number cannot have become another's meanwhile.
 *
 * Linux 5.3 or newer tells of ends without delay (pidfd); before that, waiting looks every 10 ms.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_BASE_PROCESS_H
#define FW_BASE_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "fastworker/types.h"

enum { FW_PROCESS_GIVEN = 3 /* the number that the given descriptor has in the process */ };

/* One limit of setrlimit, hard and soft. */
typedef struct fw_process_limit {
    int resource; /* RLIMIT_... */
    uint64_t value;
} fw_process_limit;

typedef struct fw_process_plan {
    const char *program; /* a path; NULL: the program that is running */
    char *const *argv;   /* NULL-ended */
    int give;            /* a descriptor; -1: none */
    bool own_group;      /* terminals do not signal it; what it started can be signalled */
    bool no_input;       /* its standard input is empty */
    /* Zero is as it was before there were these. */
    int give_as;              /* the number it gets, 3 to 9; 0: FW_PROCESS_GIVEN */
    const int *streams;       /* three descriptors above 2, for 0, 1 and 2; NULL: ours */
    char *const *environment; /* NULL-ended; NULL: ours */
    const char *directory;    /* NULL: ours */
    const fw_process_limit *limits;
    size_t limit_count;
    const void *cpus;       /* a cpu_set_t; NULL: those of the thread that starts it */
    bool no_new_privileges; /* nor does anything that it starts get any */
    bool leave_nothing;     /* own_group: at its end the rest of its group is killed in any case */
} fw_process_plan;

typedef struct fw_process {
    pid_t pid; /* 0: none */
    int pidfd; /* readable when it has ended; -1: the kernel has none */
    bool own_group, leave_nothing;
    int64_t rss_floor_bytes; /* what the kernel counts as its memory although it is its parent's */
} fw_process;

typedef struct fw_process_end {
    int status;            /* as waitpid tells it; -1: somebody else has waited for it */
    int64_t rss_max_bytes; /* rss_known: exactly so much; otherwise less than that */
    bool rss_known;
} fw_process_end;

/* 0, or -FW_EPERM and errno says why. Blocks until the new program is in place. */
int fw_process_start(fw_process *out, const fw_process_plan *plan);
/* The process still has to be waited for. signal: it alone; the others: its whole group, if it has
 * one of its own. */
void fw_process_signal(const fw_process *process, int signal_number);
void fw_process_signal_all(const fw_process *process, int signal_number);
void fw_process_kill(const fw_process *process);
/* True: it has ended, and what it left in its group is killed if it did not end by itself with
 * status 0, or the plan says so. False: it still runs. limit_ns 0 just looks. */
bool fw_process_wait(fw_process *process, fw_process_end *end, int64_t limit_ns);

/* What lost its parent below us becomes our child: as process 1 always, with this call otherwise as
 * well. Somebody calls reap now and then: it waits for those that were not started by us; for those
 * in our own process group, which may be another's here, only when nobody else does. */
void fw_process_adopt(void);
void fw_process_reap(void);

/* "killed by signal 11 (SIGSEGV)" or "exit status 3". Returns the length, below capacity. */
size_t fw_process_describe(char *out, size_t capacity, const fw_process_end *end);

#endif

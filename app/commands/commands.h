/* app/commands/commands.h - the commands that speak to a control plane.
 *
 * Each is a program of its own: argv[0] is the command's name, the return value the exit status.
 * The answer goes to standard output, everything else to standard error. They use nothing but the
 * public headers. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_APP_COMMANDS_COMMANDS_H
#define FW_APP_COMMANDS_COMMANDS_H

int fw_command_submit(int argc, char **argv);
int fw_command_status(int argc, char **argv);
int fw_command_cancel(int argc, char **argv);
int fw_command_bench(int argc, char **argv);
int fw_command_top(int argc, char **argv);
int fw_command_ping(int argc, char **argv);
int fw_command_workers(int argc, char **argv);
int fw_command_drain(int argc, char **argv);
int fw_command_resume(int argc, char **argv);
int fw_command_dead(int argc, char **argv);
int fw_command_limits(int argc, char **argv);
int fw_command_pause(int argc, char **argv);
int fw_command_unpause(int argc, char **argv);
int fw_command_schedule(int argc, char **argv);
int fw_command_events(int argc, char **argv);
int fw_command_version(int argc, char **argv);

/* Exit statuses of the commands; docs/COMMANDS.md has the table. */
enum {
    FW_ENDS_WELL = 0,
    FW_ENDS_OTHERWISE = 1,
    FW_ENDS_USAGE = 2,
    FW_ENDS_FAILURE = 3,   /* the task failed */
    FW_ENDS_UNKNOWN = 4,   /* no such task, or its result has expired */
    FW_ENDS_LATE = 5,      /* the task is not over */
    FW_ENDS_CANCELLED = 6, /* the task was cancelled */
    FW_ENDS_NOBODY = 69,
    FW_ENDS_REFUSED = 75,
    FW_ENDS_PROTOCOL = 76,
    FW_ENDS_FORBIDDEN = 77,
    FW_ENDS_INTERRUPTED = 130,
    FW_ENDS_TERMINATED = 143
};

#endif

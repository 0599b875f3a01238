/* app/main.c - the program `fastworker`: which command, and what all of them share.
 * SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "app/commands/commands.h"
#include "app/commands/suggest.h"
#include "app/control_plane.h"
#include "app/isolated_command.h"
#include "app/list.h"
#include "app/settings/config_command.h"
#include "app/settings/settings.h"
#include "app/subworker.h"
#include "app/trial/run_command.h"
#include "base/log.h"

typedef struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *meaning;
} command;

static int run_control_plane(int argc, char **argv);
static int run_worker(int argc, char **argv);
static int run_subworker(int argc, char **argv);
static int run_config(int argc, char **argv);

static const command commands[] = {
    {"control-plane", run_control_plane, "accept tasks, run them, keep their results"},
    {"subworker", run_subworker, "run tasks for a control plane, here or on another machine"},
    {"worker", run_worker, "a control plane without dashboard"},
    {"run", fw_command_run, "run one task here, without a control plane"},
    {"submit", fw_command_submit, "submit a task, or many from standard input"},
    {"status", fw_command_status, "what became of a task"},
    {"cancel", fw_command_cancel, "cancel a task"},
    {"workers", fw_command_workers, "who works for a control plane"},
    {"drain", fw_command_drain, "a subworker takes nothing new"},
    {"resume", fw_command_resume, "it takes tasks again"},
    {"dead", fw_command_dead, "tasks that were given up: look, run again, forget"},
    {"events", fw_command_events, "what happens, as it happens"},
    {"limits", fw_command_limits, "how many of a task run at once, and how often they start"},
    {"pause", fw_command_pause, "tasks of a priority, a name, or all wait"},
    {"unpause", fw_command_unpause, "they go on"},
    {"schedule", fw_command_schedule, "tasks that run by the clock"},
    {"list", fw_command_list, "tasks in modules, without running them"},
    {"bench", fw_command_bench, "how fast is it, in about ten seconds"},
    {"top", fw_command_top, "what a control plane does, and where its time goes, live"},
    {"ping", fw_command_ping, "is a control plane there"},
    {"config", run_config, "show, check or write the configuration"},
    {"version", fw_command_version, "print the version"},
};
enum { COMMANDS = sizeof commands / sizeof commands[0] };

/* Signals are taken by one thread with sigwait, so that none lands on a thread of a library. */
static void block_signals(void)
{
    sigset_t all;
    sigfillset(&all);
    sigdelset(&all, SIGSEGV);
    sigdelset(&all, SIGBUS);
    sigdelset(&all, SIGFPE);
    sigdelset(&all, SIGILL);
    sigdelset(&all, SIGABRT);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
}

static bool wants_help(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "-h") == 0 || strcmp(argv[i], "--help") == 0)
            return true;
    }
    return false;
}

static int run_server(int argc, char **argv, int (*run)(const fw_settings *settings))
{
    fw_settings settings;
    fw_settings_error error;
    if (wants_help(argc, argv)) {
        printf("Example: fastworker %s --task-modules ./mytasks.so\n\nOptions, with their defaults "
               "(each is also a variable, --ring-size is FASTWORKER_RING_SIZE):\n",
               argv[0]);
        fw_settings_help(stdout);
        return 0;
    }
    if (!fw_settings_load(&settings, &error, argc, argv)) {
        fprintf(stderr, "fastworker: %s\n", error.text);
        return error.exit_code;
    }
    fw_log_configure((fw_log_level)fw_settings_log_level(&settings),
                     (fw_log_format)settings.log_format);
    block_signals();
    int code = run(&settings);
    fw_settings_fini(&settings);
    return code;
}

static int run_control_plane(int argc, char **argv)
{
    return run_server(argc, argv, fw_control_plane_run);
}

static int run_subworker(int argc, char **argv)
{
    return run_server(argc, argv, fw_subworker_run);
}

static int run_worker(int argc, char **argv)
{
    char **more = calloc((size_t)argc + 2, sizeof *more);
    if (!more)
        return 1;
    memcpy(more, argv, (size_t)argc * sizeof *more);
    more[argc] = (char *)(uintptr_t) "--no-gui";
    int code = run_server(argc + 1, more, fw_control_plane_run);
    free(more);
    return code;
}

/* The settings one by one, and then whether they work together. */
static int run_config(int argc, char **argv)
{
    int code = fw_command_config(argc, argv);
    if (code != 0 || argc < 2 || strcmp(argv[1], "check") != 0 || wants_help(argc, argv))
        return code;
    return run_server(argc - 1, argv + 1, fw_control_plane_check);
}

static int help(void)
{
    printf("Examples:\n"
           "  fastworker control-plane --task-modules ./mytasks.so\n"
           "  fastworker submit --task-name add --args 5 3\n"
           "  fastworker status --task-id ID\n\nCommands:\n");
    for (int i = 0; i < COMMANDS; i++)
        printf("  %-14s %s\n", commands[i].name, commands[i].meaning);
    printf("\n'fastworker COMMAND --help' says more. Settings: docs/SETTINGS.md; wire: "
           "docs/PROTOCOL.md\n");
    return 0;
}

static int unknown(const char *name)
{
    const char *names[COMMANDS];
    for (int i = 0; i < COMMANDS; i++)
        names[i] = commands[i].name;
    const char *near = fw_suggest(name, names, COMMANDS);
    fprintf(stderr, "fastworker: no command '%s'%s%s%s. 'fastworker help' lists them.\n", name,
            near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
    return FW_EXIT_USAGE;
}

static const command *find_command(const char *name)
{
    for (int i = 0; i < COMMANDS; i++) {
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    }
    return NULL;
}

static bool is_level(const char *word)
{
    static const char *const words[] = {"error", "warn", "warning", "info", "debug", "trace"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcasecmp(word, words[i]) == 0)
            return true;
    }
    return false;
}

/* Upstream's one global option stands before the command. */
static int take_globals(int argc, char **argv)
{
    int at = 1;
    while (at < argc && strncmp(argv[at], "--log-level", 11) == 0) {
        const char *level = argv[at][11] == '=' ? argv[at] + 12 : NULL;
        if (!level && at + 1 < argc)
            level = argv[++at];
        if (!level || !is_level(level))
            return -1;
        setenv("FASTWORKER_LOG_LEVEL", level, 1);
        at++;
    }
    return at;
}

int main(int argc, char **argv)
{
    int at = take_globals(argc, argv);
    if (at < 0) {
        fprintf(stderr,
                "fastworker: --log-level needs a level: error, warn, info, debug or trace\n");
        return FW_EXIT_USAGE;
    }
    if (at >= argc || strcmp(argv[at], "-h") == 0 || strcmp(argv[at], "--help") == 0)
        return help();
    if (strcmp(argv[at], "help") == 0) {
        const command *about = at + 1 < argc ? find_command(argv[at + 1]) : NULL;
        char *words[] = {argv[at + 1 < argc ? at + 1 : at], (char *)(uintptr_t) "--help", NULL};
        return about ? about->run(2, words) : at + 1 < argc ? unknown(argv[at + 1]) : help();
    }
    if (strcmp(argv[at], "--version") == 0)
        return fw_command_version(1, argv);
    if (strcmp(argv[at], "isolated") == 0)
        return fw_isolated_run(argc - at, argv + at);
    const command *chosen = find_command(argv[at]);
    return chosen ? chosen->run(argc - at, argv + at) : unknown(argv[at]);
}

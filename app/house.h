/* app/house.h - what a control plane and a subworker have in common: modules, cache, the life of a
 * task, engine, network; how they are built, and how they come to an end.
 *
 * Built in order, torn down in reverse, by the main thread. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_APP_HOUSE_H
#define FW_APP_HOUSE_H

#include <signal.h>

#include "app/life/lifecycle.h"
#include "app/settings/settings.h"

typedef struct fw_house {
    const fw_settings *settings;
    unsigned threads;
    bool runs; /* tasks, on threads of its own */
    int64_t started_ns, started_wall_ns;
    char epoch[FW_UUID_TEXT + 1]; /* of this run */
    fw_modules *modules;
    fw_names *names;
    fw_exec *exec; /* NULL: no task is a program */
    fw_cache *cache;
    fw_lifecycle life;
    fw_engine *engine;
    fw_net *net;
    fw_atomic(int) draining;
    int64_t give_up_ns; /* when the watcher ends a program that does not end; 0: not yet */
    /* What goes on until nothing is left to be finished; given to fw_house_serve. */
    void (*turn)(void *context, unsigned count, int64_t now_ns);
    void *turn_context;
} fw_house;

/* Says why the program cannot start; returns code. */
int fw_house_refuse(int code, const char *event, const char *text);

/* 0, or the exit code, after a line in the log. What was built is torn down by the caller's
 * fw_house_tear_down in any case. */
int fw_house_begin(fw_house *house, const fw_settings *settings, bool runs);
int fw_house_build_engine(fw_house *house, const fw_cache_config *cache);
int fw_house_build_net(fw_house *house, const fw_net_config *config);

/* Calls turn about every 50 ms until SIGTERM or SIGINT, which it returns. turn gets a count and the
 * time; while fw_house_drain waits it is called too, on another thread. due, or NULL: called as
 * often, and when the time has come that it returned last (wall clock; INT64_MAX: none). */
int fw_house_serve(fw_house *house, void (*turn)(void *context, unsigned count, int64_t now_ns),
                   int64_t (*due)(void *context, int64_t now_ns), void *context);
/* No new tasks; finishes what runs and waits, at most settings->shutdown_timeout. Does not return
 * if a task does not come back: then everybody is answered and the program exits with 0. A second
 * signal ends the program at once. */
void fw_house_drain(fw_house *house, int signal_number);
/* Threads end before the network, which they answer through; the tables stay until nobody asks. */
void fw_house_tear_down(fw_house *house);

#endif

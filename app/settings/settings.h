/* app/settings/settings.h - every setting of the server commands, from one table.
 *
 * A setting NAME is the flag --name, the variable FASTWORKER_NAME (upper case, '_' for '-'), and
 * the key `name` of the configuration file. Precedence: flag, environment, file, default. The table
 * also makes `config show`, `config dump-default`, the help and docs/SETTINGS.md.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_APP_SETTINGS_H
#define FW_APP_SETTINGS_H

#include <stdbool.h>
#include <stdio.h>

#include "app/settings/config_sections.h"
#include "engine/engine.h"

enum { FW_MODULES_MAX = 32, FW_EXIT_USAGE = 2, FW_EXIT_BIND = 4, FW_EXIT_CONFIG = 78 };

typedef enum fw_origin {
    FW_FROM_DEFAULT = 0,
    FW_FROM_FILE,
    FW_FROM_ENVIRONMENT,
    FW_FROM_FLAG,
    FW_ORIGINS
} fw_origin;

typedef struct fw_affinity_setting {
    fw_affinity kind;
    unsigned count;
    unsigned short cpus[FW_THREADS_MAX];
} fw_affinity_setting;

typedef struct fw_spin_setting {
    fw_spin kind;
    unsigned rounds;
} fw_spin_setting;

typedef enum fw_transport {
    FW_TRANSPORT_AUTO = 0,
    FW_TRANSPORT_COMPAT,
    FW_TRANSPORT_NATIVE
} fw_transport;

typedef enum fw_isolate { FW_ISOLATE_MARKED = 0, FW_ISOLATE_ALL, FW_ISOLATE_OFF } fw_isolate;

/* The values. Texts are owned by the settings. */
typedef struct fw_settings {
    /* addresses */
    char *worker_id, *base_address, *discovery_address, *advertise_address;
    char *control_plane_address; /* NULL: by discovery */
    int64_t subworker_port;      /* 0: base + 5 */
    /* tasks */
    char *task_modules, *module_path; /* space or comma separated; colon separated */
    int64_t worker_concurrency;       /* 0: as many as threads */
    int64_t local, local_subworkers;
    int64_t prefetch; /* 0: measured; -1: none */
    int64_t dead_max, dead_bytes, dead_ttl_ns;
    int64_t losses_max, transport; /* fw_transport */
    int64_t isolate;               /* fw_isolate */
    int64_t privileged_exec;
    int64_t task_timeout_ns, shutdown_timeout_ns, hold_ns, unknown_hold_ns, dedup_ns;
    char *tz;                              /* of schedules */
    int64_t overlap, catchup, cron_compat; /* fw_overlap, fw_catchup, fw_cron_style */
    int64_t serialization_format_choice;   /* one word today; anything else is refused */
    /* threads and queues */
    int64_t threads; /* 0: auto */
    int64_t ring_size, batch, stack_bytes;
    fw_spin_setting spin;
    fw_affinity_setting affinity;
    int64_t steal, policy; /* fw_steal, fw_policy */
    unsigned weights[FW_LEVELS];
    int64_t aging_ns;
    int64_t queue_max, queue_max_bytes, payload_max;
    int64_t queue_full, queue_wait_ns; /* fw_queue_full */
    /* results */
    int64_t cache_size, cache_bytes, cache_ttl_ns;
    int64_t keep_args, keep_args_max; /* FW_KEEP_ARGS_..., app/life/kept.h */
    int64_t cache_shards; /* 0: auto */
    /* network */
    int64_t connections_max;
    char *token, *tls_cert, *tls_key, *tls_ca;
    int64_t token_exempt; /* fw_net_exempt */
    int64_t tls_verify;   /* none, server, mutual */
    int64_t insecure_bind;
    /* notices */
    char *callback_allow, *webhook_secret, *webhook_ca;
    int64_t webhook_tries, webhook_timeout_ns;
    /* dashboard */
    int64_t gui_enabled, gui_port, gui_body_max, gui_connections_max;
    char *gui_host, *gui_api_key, *gui_cors_origin;
    char *gui_hosts, *gui_submit_key, *gui_worker_key, *gui_read_key;
    char *gui_tls_cert, *gui_tls_key, *gui_tls_ca;
    /* logs */
    int64_t log_level, log_format;

    /* A module that is part of the program (fastworker/test.h); NULL: there is none. Not of the
     * table.
     */
    const struct fw_module *own_module;
    fw_origin origins[128]; /* by place in the table */
    fw_sections sections;   /* of the file, which alone has them */
    /* The command line they were read with; borrowed, to read them again. */
    int argc;
    char **argv;
    const char *config_flag; /* of them, the file that --config names; or NULL */
} fw_settings;

typedef struct fw_settings_error {
    int exit_code;
    char text[512];
} fw_settings_error;

/* Reads defaults, file, environment and flags. argv[0] is the command; flags are taken out until
 * none is left; what is not a flag is an error. False: error says what, where and what is allowed.
 */
bool fw_settings_load(fw_settings *out, fw_settings_error *error, int argc, char **argv);
void fw_settings_fini(fw_settings *settings);

/* One line a setting: name, value, origin. */
void fw_settings_show(const fw_settings *settings, FILE *out, bool json);
/* A configuration file with every key commented out and its default. */
void fw_settings_dump_default(FILE *out);
/* The table of docs/SETTINGS.md. */
void fw_settings_document(FILE *out);
/* The option list of --help. */
void fw_settings_help(FILE *out);
/* Threads that will run tasks: threads and worker-concurrency taken together. */
unsigned fw_settings_threads(const fw_settings *settings);
/* An fw_log_level. */
int fw_settings_log_level(const fw_settings *settings);
/* False: the value is the default. name: of the table. */
bool fw_settings_is_set(const fw_settings *settings, const char *name);
/* Name of the nearest setting within two edits, or NULL. */
const char *fw_settings_suggest(const char *name);

#endif

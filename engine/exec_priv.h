/* engine/exec_priv.h - what the files of exec tasks share with each other and nobody else.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_ENGINE_EXEC_PRIV_H
#define FW_ENGINE_EXEC_PRIV_H

#include <pthread.h>
#include <sched.h>

#include "base/atomic.h"
#include "base/json.h"
#include "base/process.h"
#include "engine/child.h"
#include "engine/children.h"
#include "engine/exec.h"

enum { FW_EXEC_LINE_MAX = 1024, FW_EXEC_LIMITS = 3, FW_EXEC_OWN_VARIABLES = 3 };

typedef struct fw_exec_word {
    char *text; /* of a literal, or the name of an argument */
    enum { FW_WORD_LITERAL, FW_WORD_PLACE, FW_WORD_NAME } kind;
    unsigned place;
} fw_exec_word;

/* One task. Immutable after start, but for what is marked. */
typedef struct fw_exec_task {
    fw_exec_plan plan; /* its texts are owned */
    fw_exec_word *words;
    size_t word_count;
    char **environment; /* what is passed on; then room for our own variables */
    size_t environment_count;
    fw_process_limit limits[FW_EXEC_LIMITS];
    size_t limit_count;
    cpu_set_t cpus; /* of the thread that created it */
    fw_children *pool;
    /* Relaxed counts. */
    fw_atomic(unsigned) busy;
    fw_atomic(uint64_t) exits[FW_EXEC_OUTCOMES];
    /* Under the lock: lines of standard error in the present window. */
    pthread_mutex_t log_lock;
    int64_t log_since_ns;
    unsigned log_lines, log_held;
} fw_exec_task;

/* Of one task thread. */
typedef struct fw_exec_thread {
    _Alignas(FW_APART) fw_buffer request, text, words;
} fw_exec_thread;

static inline void fw_exec_note_exit(fw_exec_task *task, fw_exec_outcome outcome)
{
    fw_add_relaxed(&task->exits[outcome], 1);
}

/* --- request.c --- */

/* The JSON object with all that a run is told, and a newline. False: no memory. */
bool fw_exec_write_request(fw_buffer *out, const fw_call_input *input);
/* argv for one run: NULL-ended, its texts in `room`; to be freed. NULL: why has a sentence. */
char **fw_exec_make_argv(const fw_exec_task *task, fw_buffer *room, const fw_call_input *input,
                         char *why, size_t why_capacity);
/* With the names of our variables where input is given, for one run; to be freed. NULL: no memory.
 */
char **fw_exec_make_environment(const fw_exec_task *task, const fw_call_input *input);

/* --- streams.c --- */

/* Ends of the pipes to a process: in is written, out, err and note are read; -1: closed. */
typedef struct fw_exec_streams {
    int in, out, err, note;
} fw_exec_streams;
/* A process with pipes. argv and environment as above. 0, or -FW_E... and errno. */
int fw_exec_spawn(const fw_exec_task *task, fw_process *process, fw_exec_streams *streams,
                  char *const *argv, char *const *environment);
void fw_exec_close(fw_exec_streams *streams);

/* --- exchange.c --- */

typedef enum fw_exec_moved {
    FW_EXEC_ENDED = 0, /* the process has ended; what it wrote is here */
    FW_EXEC_LINE,      /* lines: a whole one is in the text */
    FW_EXEC_OVERDUE,   /* it was told that its time is over, and the grace as well */
    FW_EXEC_TOO_LONG,  /* what it writes is more than out_max */
    FW_EXEC_CLOSED,    /* lines: it closed its standard input or output */
    FW_EXEC_NO_MEMORY
} fw_exec_moved;

typedef struct fw_exec_lines {
    char line[FW_EXEC_LINE_MAX];
    size_t len;
    bool cut; /* the line is longer than that */
} fw_exec_lines;

typedef struct fw_exec_exchange {
    fw_exec_task *task;
    fw_process *process;
    fw_exec_streams *streams;
    const fw_call_input *input;
    bool lines;
    const char *send;
    size_t send_left;
    fw_buffer *text; /* standard output; lines: of the present one and what lies behind it */
    size_t out_max, looked;
    fw_exec_lines err, note;
    char last[FW_EXEC_LINE_MAX]; /* the last line of standard error that is not empty */
    size_t last_len, logged, dropped;
    int64_t kill_ns; /* 0: it was not told that its time is over */
    bool cancelled;
    int look_ms;
} fw_exec_exchange;

/* Moves bytes both ways until one of these comes. */
fw_exec_moved fw_exec_move(fw_exec_exchange *x);
/* What lies in the pipe of standard error goes to the log, its last line to `last`. */
void fw_exec_finish_err(fw_exec_exchange *x);
/* "done total note" or [done, total, "note"] */
void fw_exec_tell_progress(const fw_call_input *input, fw_span text);

/* --- what it means --- */

/* Waits for a process that has ended or, if it has not, ends it. */
void fw_exec_bury(fw_exec_exchange *x, bool kill, fw_process_end *end);
fw_exec_outcome fw_exec_classify(const fw_exec_exchange *x, const fw_process_end *end);
/* A failure with these two texts, kept in the exchange's text. */
void fw_exec_fail(fw_exec_exchange *x, fw_call_output *output, const char *first,
                  const char *second);
/* The sentence about a process that did not end well. */
void fw_exec_describe(char *out, size_t capacity, const fw_exec_exchange *x,
                      const fw_process_end *end);

/* --- oneshot.c, pool.c --- */
void fw_exec_run_once(fw_exec_task *task, fw_exec_thread *thread, const fw_call_input *input,
                      fw_call_output *output);
int fw_exec_pool_start(fw_exec_task *task, unsigned threads);

#endif

/* engine/exec_exchange.c - bytes to and from a program, while its time is watched.
 *
 * One loop waits for everything, as in child.c: room or bytes in the pipes, the end of the process,
 * the deadline, and the cancel flag, which is a word in memory and therefore looked at now and
 * then. A program that does not read, does not write or writes for ever is ended by the clock or by
 * a bound, never waited for. Covered by tests/engine/exec_test.c. SPDX-License-Identifier:
 * Apache-2.0 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "engine/call.h"
#include "engine/exec_priv.h"

/* Between two looks at the cancel flag. */
enum { LOOK_FIRST_MS = 5, LOOK_LAST_MS = 40, READ_MAX = 64 << 10, PIPE_LEFT_MAX = 1 << 20 };
/* Lines of one task's standard error in the log. */
enum { LOG_LINES = 200 };
static const int64_t log_window_ns = 10 * FW_NS_PER_S;
static const int64_t near_ns = 50 * FW_NS_PER_MS;
/* margin-note: the engine sets the flag at the deadline, and tells who asked that the time was
 * over. A process that is told earlier may be gone before that, and its end would be the answer. */
static const int64_t margin_ns = 100 * FW_NS_PER_MS;

static void shut(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* --- lines of standard error and of progress --- */

/* => lines that were held back before this one, or -1: this one is, too. */
static int take_turn(fw_exec_task *task)
{
    int64_t now_ns = fw_now_ns();
    int held = 0;
    pthread_mutex_lock(&task->log_lock);
    if (task->log_lines == 0 || now_ns - task->log_since_ns > log_window_ns) {
        held = (int)task->log_held;
        task->log_since_ns = now_ns;
        task->log_lines = task->log_held = 0;
    }
    if (task->log_lines++ >= LOG_LINES) {
        task->log_held++;
        held = -1;
    }
    pthread_mutex_unlock(&task->log_lock);
    return held;
}

static void take_err_line(fw_exec_exchange *x, char *line, size_t len)
{
    char id[FW_UUID_TEXT];
    while (len > 0 && (line[len - 1] == ' ' || line[len - 1] == '\r' || line[len - 1] == '\t'))
        len--;
    if (len == 0)
        return;
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
            line[i] = ' ';
    }
    memcpy(x->last, line, len);
    x->last_len = len;
    if (x->logged + len > x->task->plan.stderr_max) {
        x->dropped += len;
        return;
    }
    x->logged += len;
    int held = take_turn(x->task);
    if (held < 0)
        return;
    if (held > 0)
        fw_log_each(FW_LOG_WARN, "exec.held_back", "%s: %d lines of standard error",
                    x->task->plan.name, held);
    fw_span named = fw_call_input_id(x->input, id);
    fw_log_each(FW_LOG_INFO, "exec.stderr", "%s %.*s: %.*s", x->task->plan.name, (int)named.len,
                named.ptr, (int)len, line);
}

void fw_exec_tell_progress(const fw_call_input *input, fw_span text)
{
    char line[FW_EXEC_LINE_MAX], *end;
    if (!input->progress || text.len == 0 || text.len >= sizeof line)
        return;
    memcpy(line, text.ptr, text.len);
    line[text.len] = '\0';
    uint64_t done = strtoull(line, &end, 10), total = 0;
    if (end == line)
        return;
    char *after = end;
    total = strtoull(after, &end, 10);
    end += *end == ' ';
    fw_span note = {end, strlen(end)};
    (void)input->progress(input->progress_context, done, total, note);
}

static void take_lines(fw_exec_exchange *x, fw_exec_lines *lines, const char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] != '\n') {
            if (lines->len < sizeof lines->line - 1)
                lines->line[lines->len++] = bytes[i];
            continue;
        }
        if (lines == &x->err)
            take_err_line(x, lines->line, lines->len);
        else
            fw_exec_tell_progress(x->input, (fw_span){lines->line, lines->len});
        lines->len = 0;
    }
}

/* What is there now. */
static void read_lines(fw_exec_exchange *x, fw_exec_lines *lines, int *fd)
{
    char bytes[4096];
    for (size_t all = 0; *fd >= 0 && all < PIPE_LEFT_MAX;) {
        ssize_t got = read(*fd, bytes, sizeof bytes);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && errno == EAGAIN)
            return;
        if (got <= 0) {
            shut(fd);
            return;
        }
        take_lines(x, lines, bytes, (size_t)got);
        all += (size_t)got;
    }
}

void fw_exec_finish_err(fw_exec_exchange *x)
{
    read_lines(x, &x->err, &x->streams->err);
    if (x->err.len > 0)
        take_lines(x, &x->err, "\n", 1);
    if (x->dropped > 0)
        fw_log(FW_LOG_WARN, "exec.dropped", "%s: %zu bytes of standard error", x->task->plan.name,
               x->dropped);
    x->dropped = 0;
}

/* --- standard output --- */

typedef enum heard { HEARD_ALL, HEARD_LINE, HEARD_TOO_MUCH, HEARD_END, HEARD_NO_ROOM } heard;

static bool has_line(fw_exec_exchange *x)
{
    const char *newline = NULL;
    if (x->text->len > x->looked)
        newline = memchr(x->text->data + x->looked, '\n', x->text->len - x->looked);
    x->looked = x->text->len;
    return newline != NULL;
}

static heard read_out(fw_exec_exchange *x)
{
    fw_buffer *text = x->text;
    for (;;) {
        size_t room = x->out_max + 1 - text->len;
        room = room < READ_MAX ? room : READ_MAX;
        if (!fw_buffer_reserve(text, room))
            return HEARD_NO_ROOM;
        ssize_t got = read(x->streams->out, text->data + text->len, room);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && errno == EAGAIN)
            return HEARD_ALL;
        if (got <= 0) {
            shut(&x->streams->out);
            return HEARD_END;
        }
        text->len += (size_t)got;
        if (x->lines && has_line(x))
            return HEARD_LINE;
        if (text->len > x->out_max)
            return HEARD_TOO_MUCH;
    }
}

/* --- standard input --- */

static void write_in(fw_exec_exchange *x)
{
    while (x->send_left > 0) {
        ssize_t put = write(x->streams->in, x->send, x->send_left);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0 && errno == EAGAIN)
            return;
        if (put < 0) {
            /* It does not want to read: that is its business. */
            x->send_left = 0;
            shut(&x->streams->in);
            return;
        }
        x->send += put;
        x->send_left -= (size_t)put;
    }
    if (!x->lines)
        shut(&x->streams->in);
}

/* --- time --- */

/* Tells the process when its time is over; see margin-note. Milliseconds until something has to be
 * looked at again; 0: it has had its grace. */
static int mind_the_time(fw_exec_exchange *x)
{
    const fw_call_input *input = x->input;
    int64_t now_ns = fw_now_ns(), until_ns = x->kill_ns;
    if (x->kill_ns == 0) {
        x->cancelled = input->cancelled && input->cancelled(input->cancelled_context);
        bool due = input->deadline_ns != 0 && now_ns >= input->deadline_ns;
        bool late = due && now_ns >= input->deadline_ns + margin_ns;
        if (x->cancelled || late) {
            /* The flag is also set when the deadline has passed, by a clock read earlier. */
            x->cancelled = input->deadline_ns == 0 || now_ns < input->deadline_ns - near_ns;
            fw_process_signal_all(x->process, SIGTERM);
            until_ns = x->kill_ns = now_ns + x->task->plan.grace_ns;
        } else {
            until_ns = input->deadline_ns ? input->deadline_ns : INT64_MAX;
            if (due) {
                until_ns += margin_ns;
                x->look_ms = 1;
            }
        }
    }
    int64_t left_ns = until_ns - now_ns;
    if (left_ns <= 0)
        return 0;
    if (x->look_ms == 0)
        x->look_ms = LOOK_FIRST_MS;
    bool far = left_ns > x->look_ms * FW_NS_PER_MS;
    int wait_ms = far ? x->look_ms : (int)((left_ns + FW_NS_PER_MS - 1) / FW_NS_PER_MS);
    if (x->look_ms < LOOK_LAST_MS)
        x->look_ms *= 2;
    return wait_ms;
}

/* --- the loop --- */

static bool has_ended(const fw_exec_exchange *x, const struct pollfd *look)
{
    if (x->process->pidfd >= 0)
        return look->revents != 0;
    siginfo_t info = {.si_pid = 0};
    int rc = waitid(P_PID, (id_t)x->process->pid, &info, WEXITED | WNOHANG | WNOWAIT);
    return rc < 0 || info.si_pid != 0;
}

/* All that it wrote before its end. */
static fw_exec_moved finish(fw_exec_exchange *x)
{
    heard h = x->streams->out >= 0 ? read_out(x) : HEARD_END;
    read_lines(x, &x->note, &x->streams->note);
    if (h == HEARD_TOO_MUCH)
        return FW_EXEC_TOO_LONG;
    if (h == HEARD_NO_ROOM)
        return FW_EXEC_NO_MEMORY;
    return h == HEARD_LINE ? FW_EXEC_LINE : FW_EXEC_ENDED;
}

fw_exec_moved fw_exec_move(fw_exec_exchange *x)
{
    fw_exec_streams *s = x->streams;
    for (;;) {
        int wait_ms = mind_the_time(x);
        struct pollfd look[5] = {{x->process->pidfd, POLLIN, 0},
                                 {s->out, POLLIN, 0},
                                 {s->err, POLLIN, 0},
                                 {x->send_left > 0 ? s->in : -1, POLLOUT, 0},
                                 {s->note, POLLIN, 0}};
        if (poll(look, 5, wait_ms) < 0 && errno != EINTR)
            return FW_EXEC_NO_MEMORY;
        if (look[3].revents)
            write_in(x);
        if (look[2].revents)
            read_lines(x, &x->err, &s->err);
        if (look[4].revents)
            read_lines(x, &x->note, &s->note);
        heard h = look[1].revents ? read_out(x) : HEARD_ALL;
        if (h == HEARD_LINE)
            return FW_EXEC_LINE;
        if (h == HEARD_TOO_MUCH)
            return FW_EXEC_TOO_LONG;
        if (h == HEARD_NO_ROOM)
            return FW_EXEC_NO_MEMORY;
        if (has_ended(x, &look[0]))
            return finish(x);
        if (x->lines && (h == HEARD_END || s->in < 0))
            return FW_EXEC_CLOSED;
        if (wait_ms == 0)
            return FW_EXEC_OVERDUE;
    }
}

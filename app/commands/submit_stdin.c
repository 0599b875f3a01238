/* app/commands/submit_stdin.c - `submit --stdin`: many tasks, answers in the order of the lines.
 *
 * Lines are read in big pieces and submitted without waiting; each has a place in a window until
 * its answer is printed. One poll watches input, answers and signals, so that a slow producer sees
 * its acknowledgements and Ctrl-C is heard: once ends the reading and lets what is in flight end,
 * twice ends the program. SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/commands/commands.h"
#include "app/commands/connect.h"
#include "app/commands/input.h"
#include "app/commands/output.h"
#include "app/commands/progress.h"
#include "app/commands/submit.h"
#include "app/commands/task_line.h"
#include "base/clock.h"

enum { WINDOW = 4096, OUT_BYTES = 64 * 1024, RETRIES = 8, LINES_PER_LOOK = 1024 };

typedef struct run run;

/* A line whose answer is not printed yet. */
typedef struct place {
    run *run;
    bool done, again; /* again: refused for now, to be submitted once more */
    fw_id id;
    fw_buffer line;
    fw_buffer text; /* what to print, once done; its memory is used again */
} place;

struct run {
    const fw_submit_way *way;
    const fw_submit *base;
    fw_client *client;
    fw_input input;
    fw_line_room room;
    fw_progress progress;
    fw_buffer out;
    uint64_t first, next; /* lines in the window, by number */
    uint64_t accepted, refused, malformed;
    size_t again; /* places that are to be submitted once more, from again_ns on */
    int64_t again_ns, wait_ms;
    int signals; /* descriptor */
    int caught;  /* signal that ends the reading; 0: none */
    bool lost;   /* nobody is there any more */
    bool unread; /* nobody reads our output, or the input is broken */
    place places[WINDOW];
};

static place *place_of(run *r, uint64_t line)
{
    return &r->places[line % WINDOW];
}

static bool reads_on(const run *r)
{
    return r->caught == 0 && r->again == 0 && !r->lost && !r->unread;
}

/* --- answers --- */

static void print_done(run *r)
{
    while (r->first < r->next && place_of(r, r->first)->done) {
        place *at = place_of(r, r->first++);
        fw_buffer_add(&r->out, at->text.data, at->text.len);
        at->text.len = 0;
        at->done = false;
        if (r->out.len >= OUT_BYTES && !fw_output_flush(&r->out))
            r->unread = true;
    }
}

static void write_plain(fw_buffer *out, const char *id, const char *status, const fw_result *r,
                        const char *error)
{
    fw_buffer_format(out, "%s\t%s", id, status);
    if (r != NULL && fw_result_state(r) == FW_SUCCESS) {
        fw_span json = fw_result_json(r);
        fw_buffer_text(out, "\t");
        fw_buffer_add(out, json.ptr, json.len);
    } else if (error != NULL) {
        fw_buffer_format(out, "\t%s", error);
    }
}

/* The frequent case, without looking at anything: accepted. */
static void write_accepted(fw_buffer *out, const char *id, const char *status)
{
    fw_buffer_text(out, "{\"task_id\": ");
    fw_buffer_json_string(out, (fw_span){id, strlen(id)});
    fw_buffer_text(out, ", \"status\": \"");
    fw_buffer_text(out, status);
    fw_buffer_text(out, "\"}");
}

/* Refused for now. The control plane says when to come again; each time in a row it takes twice as
 * long at least. */
static void put_off(run *r, place *at, const char *error)
{
    enum { LEAST_MS = 50, MOST_MS = 10000 };
    static const char said[] = "try again in ";
    const char *when = error ? strstr(error, said) : NULL;
    long ms = when ? strtol(when + sizeof said - 1, NULL, 10) : 0;
    at->again = true;
    if (r->again++ > 0)
        return;
    r->wait_ms = r->wait_ms == 0 ? LEAST_MS : 2 * r->wait_ms;
    r->wait_ms = r->wait_ms < ms ? ms : r->wait_ms;
    r->wait_ms = r->wait_ms > MOST_MS ? MOST_MS : r->wait_ms;
    r->again_ns = fw_now_ns() + r->wait_ms * FW_NS_PER_MS;
}

static void take_answer(void *user, int err, const fw_result *result)
{
    place *at = user;
    run *r = at->run;
    if (err == -FW_EFULL && r->caught == 0) {
        put_off(r, at, fw_client_errmsg());
        return;
    }
    r->wait_ms = err == 0 ? 0 : r->wait_ms;
    const char *status = err != 0 ? "error" : fw_state_name(fw_result_state(result));
    const char *error = err != 0 ? fw_client_errmsg() : fw_result_error(result);
    bool well = err == 0 && (r->way->non_blocking || fw_result_state(result) == FW_SUCCESS ||
                             fw_result_state(result) == FW_SCHEDULED);
    *(well ? &r->accepted : &r->refused) += 1;
    r->lost |= err == -FW_ENOCONN;
    at->done = true;
    /* Of another task, when that has the unique key. */
    const char *id = result != NULL ? fw_result_id(result) : at->id.s;
    if (!r->way->json)
        write_plain(&at->text, id, status, result, error);
    else if (well && r->way->non_blocking)
        write_accepted(&at->text, id, status);
    else
        fw_output_json(&at->text, id, status, result, error);
    fw_buffer_text(&at->text, "\n");
}

/* --- lines --- */

static void refuse_line(run *r, place *at, const char *id, const char *error)
{
    r->malformed++;
    at->done = true;
    if (!r->way->json) {
        fw_buffer_format(&at->text, "-\terror\tline %" PRIu64 ": %s\n", r->input.number, error);
        return;
    }
    fw_buffer_format(&at->text, "{\"line\": %" PRIu64, r->input.number);
    if (id != NULL) {
        fw_buffer_text(&at->text, ", \"task_id\": ");
        fw_buffer_json_string(&at->text, (fw_span){id, strlen(id)});
    }
    fw_buffer_text(&at->text, ", \"status\": \"error\", \"error\": ");
    fw_buffer_json_string(&at->text, (fw_span){error, strlen(error)});
    fw_buffer_text(&at->text, "}\n");
}

static bool is_blank(fw_span line)
{
    for (size_t i = 0; i < line.len; i++)
        if (strchr(" \t\r", line.ptr[i]) == NULL)
            return false;
    return true;
}

static void take_line(run *r, fw_span line)
{
    fw_submit submit;
    char error[256];
    if (is_blank(line))
        return;
    place *at = place_of(r, r->next++);
    at->run = r;
    at->line.len = 0;
    fw_buffer_add(&at->line, line.ptr, line.len);
    if (!fw_task_line_read(&submit, error, sizeof(error), &r->room, line, r->base))
        refuse_line(r, at, NULL, error);
    else if (at->line.len != line.len)
        refuse_line(r, at, submit.id, "out of memory");
    else if (fw_send_async(r->client, &submit, r->way->non_blocking, take_answer, at, &at->id) < 0)
        refuse_line(r, at, submit.id, fw_client_errmsg());
}

/* Submits once more what was refused for now, under the ids that it had. */
static void take_again(run *r)
{
    if (r->again == 0 || (r->caught == 0 && fw_now_ns() < r->again_ns))
        return;
    r->again = 0;
    for (uint64_t line = r->first; line < r->next; line++) {
        fw_submit submit;
        char error[256];
        place *at = place_of(r, line);
        if (!at->again)
            continue;
        at->again = false;
        if (!fw_task_line_read(&submit, error, sizeof(error), &r->room,
                               (fw_span){at->line.data, at->line.len}, r->base)) {
            refuse_line(r, at, NULL, error);
            continue;
        }
        fw_id id = at->id;
        submit.id = id.s;
        if (fw_send_async(r->client, &submit, r->way->non_blocking, take_answer, at, &at->id) < 0)
            refuse_line(r, at, id.s, fw_client_errmsg());
    }
}

/* Submits what has been read. False: there is no whole line left, or no place. */
static void take_lines(run *r)
{
    fw_span line;
    for (int n = 0; n < LINES_PER_LOOK && reads_on(r) && r->next - r->first < WINDOW; n++) {
        if (!fw_input_next(&r->input, &line))
            return;
        take_line(r, line);
    }
}

/* --- the loop --- */

static void take_signal(run *r)
{
    struct signalfd_siginfo info;
    if (read(r->signals, &info, sizeof(info)) != sizeof(info))
        return;
    if (r->caught != 0)
        _exit(128 + (int)info.ssi_signo);
    r->caught = (int)info.ssi_signo;
    fprintf(stderr, "%sfastworker: stops reading; waits for %zu tasks in flight (again: at once)\n",
            r->progress.drawn ? "\r\033[K" : "", fw_in_flight(r->client));
}

/* True: a line or an answer may have come. */
static bool look(run *r, bool wants_input, int timeout_ms)
{
    struct pollfd watched[] = {{.fd = r->signals, .events = POLLIN},
                               {.fd = fw_fd(r->client), .events = POLLIN},
                               {.fd = wants_input ? r->input.fd : -1, .events = POLLIN}};
    if (poll(watched, 3, timeout_ms) <= 0)
        return false;
    if (watched[0].revents != 0)
        take_signal(r);
    if (watched[1].revents != 0 && fw_dispatch(r->client, 0) < 0)
        r->lost = true;
    if (watched[2].revents != 0 && !fw_input_fill(&r->input)) {
        fprintf(stderr, "fastworker: standard input, after line %" PRIu64 ": %s\n", r->input.number,
                errno == EMSGSIZE ? "a line of over 16 MiB" : strerror(errno));
        r->unread = true;
    }
    return true;
}

static void serve(run *r)
{
    for (;;) {
        bool has_line = r->input.at < r->input.end &&
                        (r->input.over || memchr(r->input.data + r->input.at, '\n',
                                                 r->input.end - r->input.at) != NULL);
        bool has_place = r->next - r->first < WINDOW;
        take_again(r);
        if (reads_on(r) && has_line && has_place)
            take_lines(r);
        print_done(r);
        has_line = has_line && r->input.at < r->input.end;
        bool wants_input = reads_on(r) && !r->input.over && has_place && !has_line;
        bool over = r->input.over && r->input.at == r->input.end;
        if ((over || !reads_on(r)) && r->again == 0 && r->first == r->next)
            return;
        bool busy = reads_on(r) && has_line && r->next - r->first < WINDOW;
        if (!busy)
            fw_flush(r->client);
        if (!look(r, wants_input, 0) && !busy) {
            if (!fw_output_flush(&r->out))
                r->unread = true;
            look(r, wants_input, r->again > 0 ? 20 : 1000);
        }
        fw_progress_show(&r->progress, r->accepted + r->refused + r->malformed, r->input.bytes,
                         fw_now_ns());
    }
}

static int begin_signals(sigset_t *before)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, before);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int report(const run *r)
{
    uint64_t bad = r->refused + r->malformed;
    if (r->caught != 0 || r->lost || (bad > 0 && !r->way->quiet))
        fprintf(stderr,
                "fastworker: %s%" PRIu64 " lines: %" PRIu64 " %s, %" PRIu64 " not, %" PRIu64
                " malformed\n",
                r->caught != 0 ? "interrupted after " : "", r->input.number, r->accepted,
                r->way->non_blocking ? "accepted" : "succeeded", r->refused, r->malformed);
    if (r->caught != 0)
        return 128 + r->caught;
    if (r->lost) {
        fprintf(stderr, "fastworker: %s\n", fw_client_errmsg());
        return FW_ENDS_NOBODY;
    }
    return bad > 0 || r->unread ? FW_ENDS_OTHERWISE : FW_ENDS_WELL;
}

/* "Nobody there" is to be said at once; only later, in the middle, a restart is worth waiting for.
 */
static int connect_patiently(fw_client **out, fw_options *options)
{
    int ends = fw_connect(out, options, 1, 0);
    if (ends != 0)
        return ends;
    fw_client_close(*out);
    *out = NULL;
    return fw_connect(out, options, RETRIES, WINDOW);
}

int fw_submit_lines(fw_options *options, const fw_submit_way *way, const fw_submit *base)
{
    struct stat about;
    sigset_t before;
    run *r = calloc(1, sizeof(*r));
    if (r == NULL)
        return fw_ends_saying(FW_ENOMEM, "out of memory");
    r->way = way;
    r->base = base;
    int ends = connect_patiently(&r->client, options);
    if (ends == 0) {
        bool sized = fstat(STDIN_FILENO, &about) == 0 && S_ISREG(about.st_mode);
        r->signals = begin_signals(&before);
        fw_input_init(&r->input, STDIN_FILENO);
        fw_progress_begin(&r->progress, way->quiet, sized ? (uint64_t)about.st_size : 0);
        serve(r);
        fw_progress_end(&r->progress);
        r->unread |= !fw_output_flush(&r->out);
        ends = report(r);
        fw_client_close(r->client);
        close(r->signals);
        sigprocmask(SIG_SETMASK, &before, NULL);
    }
    for (int i = 0; i < WINDOW; i++) {
        fw_buffer_fini(&r->places[i].text);
        fw_buffer_fini(&r->places[i].line);
    }
    fw_input_fini(&r->input);
    fw_buffer_fini(&r->out);
    free(r->room.data);
    free(r);
    return ends;
}

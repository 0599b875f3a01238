/* engine/child.c - see engine/child.h.
 *
 * One loop waits for everything: for room or bytes on the socket, for the end of the process, for
 * the deadline, and for the cancel flag, which is a word in memory and therefore looked at now and
 * then. told-note: once the time is over the child is told by SIGTERM and may still answer; an
 * answer that comes within the grace is as good as any, and the child lives on.
 * Covered by tests/engine/children_test.c.
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "engine/call.h"
#include "engine/child_wire.h"

/* Between two looks at the cancel flag. */
enum { LOOK_FIRST_MS = 5, LOOK_LAST_MS = 40 };
static const int64_t kill_limit_ns = FW_NS_PER_S;

typedef enum moved {
    MOVED = 0,
    LOST,    /* the other end is closed, or the process ended */
    OVERDUE, /* it was told and did not answer */
    NONSENSE,
    REFUSED, /* it cannot work, and said why */
    NO_ROOM  /* no memory for the answer */
} moved;

typedef struct exchange {
    fw_child *child;
    const fw_call_input *input;
    fw_buffer *text;
    fw_call_output *output;
    int64_t grace_ns;
    int64_t kill_ns; /* 0: it was not told that its time is over */
    bool cancelled;  /* that is why; otherwise the deadline */
    int look_ms;
    uint32_t turn; /* of the board, when it was looked at */
} exchange;

/* Without one a child works as well, and tells no progress. Sealed: the child cannot take it away
 * from under us. */
static void make_board(fw_child *child)
{
    int fd = memfd_create("fw-board", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return;
    void *memory = MAP_FAILED;
    if (ftruncate(fd, sizeof *child->board) == 0 &&
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
        memory = mmap(NULL, sizeof *child->board, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED) {
        close(fd);
        return;
    }
    child->board = memory;
    child->board_fd = fd;
}

const fw_child_kind fw_child_isolated = {
    .what = "child process for isolated tasks",
    .crash_event = "isolated.crash",
    .kill_event = "isolated.kill",
    .start = fw_child_start,
    .release = fw_child_release,
    .is_well = fw_child_is_well,
    .call = fw_child_call,
};

int fw_child_start(fw_child *child, const void *argv)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return -FW_EPERM;
    fw_process_plan plan = {.argv = argv, .give = ends[1], .own_group = true, .no_input = true};
    *child = (fw_child){.fd = ends[0], .board_fd = -1, .process = {.pidfd = -1}};
    make_board(child);
    int rc = fw_process_start(&child->process, &plan);
    int error = errno;
    close(ends[1]);
    if (rc < 0)
        fw_child_release(child);
    errno = error;
    return rc;
}

void fw_child_release(fw_child *child)
{
    if (child->fd >= 0)
        close(child->fd);
    if (child->board_fd >= 0)
        close(child->board_fd);
    if (child->board)
        munmap(child->board, sizeof *child->board);
    child->board = NULL;
    child->fd = child->board_fd = -1;
}

bool fw_child_is_well(const fw_child *child)
{
    struct pollfd look[2] = {{child->fd, POLLIN, 0}, {child->process.pidfd, POLLIN, 0}};
    return poll(look, 2, 0) == 0;
}

/* --- waiting --- */

/* Tells the child when its time is over. Milliseconds until something has to be looked at again; 0:
 * it has had its grace. */
static int mind_the_time(exchange *x)
{
    const fw_call_input *input = x->input;
    int64_t now_ns = fw_now_ns(), until_ns = x->kill_ns;
    if (x->kill_ns == 0) {
        x->cancelled = input->cancelled && input->cancelled(input->cancelled_context);
        bool late = input->deadline_ns != 0 && now_ns >= input->deadline_ns;
        if (x->cancelled || late) {
            fw_process_signal_all(&x->child->process, SIGTERM);
            until_ns = x->kill_ns = now_ns + x->grace_ns;
        } else {
            until_ns = input->deadline_ns ? input->deadline_ns : INT64_MAX;
        }
    }
    int64_t left_ns = until_ns - now_ns;
    if (left_ns <= 0)
        return 0;
    bool far = left_ns > x->look_ms * FW_NS_PER_MS;
    int wait_ms = far ? x->look_ms : (int)((left_ns + FW_NS_PER_MS - 1) / FW_NS_PER_MS);
    if (x->look_ms < LOOK_LAST_MS)
        x->look_ms *= 2;
    return wait_ms;
}

/* How far the call is, if it has said so since the last look. */
static void look_at_board(exchange *x)
{
    const fw_call_input *input = x->input;
    fw_latest_value value;
    uint32_t turn = x->child->board ? fw_latest_turn(x->child->board) : x->turn;
    if (FW_LIKELY(turn == x->turn))
        return;
    x->turn = turn;
    if (input->progress && fw_latest_get(x->child->board, &value))
        input->progress(input->progress_context, value.first, value.second,
                        (fw_span){value.text, value.len});
}

static moved wait_for(exchange *x, short events)
{
    for (;;) {
        look_at_board(x);
        int wait_ms = mind_the_time(x);
        struct pollfd look[2] = {{x->child->fd, events, 0}, {x->child->process.pidfd, POLLIN, 0}};
        int n = poll(look, 2, wait_ms);
        if (n > 0 && look[0].revents)
            return MOVED;
        if (n > 0 && look[1].revents)
            return LOST;
        if (wait_ms == 0)
            return OVERDUE;
    }
}

/* --- sending --- */

static void advance(struct msghdr *message, size_t sent)
{
    while (message->msg_iovlen > 0 && sent >= message->msg_iov->iov_len) {
        sent -= message->msg_iov->iov_len;
        message->msg_iov++;
        message->msg_iovlen--;
    }
    if (message->msg_iovlen > 0) {
        message->msg_iov->iov_base = (char *)message->msg_iov->iov_base + sent;
        message->msg_iov->iov_len -= sent;
    }
}

static struct iovec part(fw_span span)
{
    return (struct iovec){(void *)(uintptr_t)span.ptr, span.len};
}

typedef union given_fd {
    struct cmsghdr head;
    char bytes[CMSG_SPACE(sizeof(int))];
} given_fd;

static void give_fd(struct msghdr *message, given_fd *room, int fd)
{
    memset(room, 0, sizeof *room);
    room->head = (struct cmsghdr){
        .cmsg_len = CMSG_LEN(sizeof fd), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(&room->head), &fd, sizeof fd);
    message->msg_control = room;
    message->msg_controllen = sizeof *room;
}

static void board_is_given(fw_child *child, struct msghdr *message)
{
    message->msg_control = NULL;
    message->msg_controllen = 0;
    close(child->board_fd);
    child->board_fd = -1;
}

static moved send_call(exchange *x)
{
    const fw_call_input *in = x->input;
    char id[FW_UUID_TEXT];
    fw_span id_text = fw_call_input_id(in, id);
    FW_ASSERT(in->args.len <= FW_CHILD_PART_MAX && in->kwargs.len <= FW_CHILD_PART_MAX);
    FW_ASSERT(in->options.len <= FW_CHILD_PART_MAX);
    fw_child_call_head head = {.word = FW_CHILD_CALL,
                               .attempt = in->attempt,
                               .lengths = {(uint32_t)id_text.len, (uint32_t)in->name.len,
                                           (uint32_t)in->args.len, (uint32_t)in->kwargs.len,
                                           (uint32_t)in->options.len},
                               .key = in->key,
                               .deadline_ns = in->deadline_ns ? fw_machine_ns(in->deadline_ns) : 0};
    struct iovec parts[1 + FW_CHILD_PARTS] = {{&head, sizeof head}, part(id_text),
                                              part(in->name),       part(in->args),
                                              part(in->kwargs),     part(in->options)};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 1 + FW_CHILD_PARTS};
    given_fd given;
    if (x->child->board_fd >= 0)
        give_fd(&message, &given, x->child->board_fd);
    while (message.msg_iovlen > 0) {
        ssize_t sent = sendmsg(x->child->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent >= 0) {
            if (message.msg_controllen > 0)
                board_is_given(x->child, &message);
            advance(&message, (size_t)sent);
            continue;
        }
        moved m = errno == EAGAIN ? wait_for(x, POLLOUT) : errno == EINTR ? MOVED : LOST;
        if (m != MOVED)
            return m;
    }
    return MOVED;
}

/* --- receiving --- */

static moved receive(exchange *x, void *out, size_t len)
{
    char *at = out;
    while (len > 0) {
        ssize_t got = recv(x->child->fd, at, len, MSG_DONTWAIT);
        if (got > 0) {
            at += got;
            len -= (size_t)got;
            continue;
        }
        moved m = got == 0 || (errno != EAGAIN && errno != EINTR) ? LOST : wait_for(x, POLLIN);
        if (m != MOVED)
            return m;
    }
    return MOVED;
}

/* One answer, its bytes in the text. */
static moved receive_answer(exchange *x, fw_child_answer_head *head)
{
    /* It has not begun to answer: looking at the socket first would be in vain. */
    moved m = wait_for(x, POLLIN);
    if (m == MOVED)
        m = receive(x, head, sizeof *head);
    if (m != MOVED)
        return m;
    bool known = head->word == FW_CHILD_READY || head->word == FW_CHILD_RESULT ||
                 head->word == FW_CHILD_ERROR;
    if (!known || head->len > FW_CHILD_ANSWER_MAX || (head->given == 0 && head->len != 0) ||
        head->again > FW_AGAIN_NEVER || head->again_ms < 0)
        return NONSENSE;
    x->text->len = 0;
    if (!fw_buffer_reserve(x->text, head->len + 1))
        return NO_ROOM;
    m = receive(x, x->text->data, head->len);
    x->text->len = m == MOVED ? head->len : 0;
    return m;
}

static moved receive_ready(exchange *x)
{
    fw_child_answer_head head;
    if (x->child->ready)
        return MOVED;
    moved m = receive_answer(x, &head);
    if (m != MOVED)
        return m;
    if (head.word != FW_CHILD_READY)
        return NONSENSE;
    x->child->ready = head.given == 0;
    return x->child->ready ? MOVED : REFUSED;
}

static moved receive_outcome(exchange *x)
{
    fw_child_answer_head head;
    moved m = receive_answer(x, &head);
    if (m != MOVED)
        return m;
    fw_span bytes = {head.given ? x->text->data : NULL, x->text->len};
    *x->output = (fw_call_output){.success = head.word == FW_CHILD_RESULT};
    x->output->again = (fw_again)head.again;
    x->output->again_ms = head.again_ms;
    if (head.word == FW_CHILD_ERROR)
        x->output->error = bytes;
    else if (head.word != FW_CHILD_RESULT)
        return NONSENSE;
    else if (head.given && fw_json_parse(bytes).type == FW_JSON_INVALID)
        return NONSENSE;
    else
        x->output->result = bytes;
    return MOVED;
}

/* --- the end of a child --- */

static void say(exchange *x, fw_child_fate fate, const char *first, const char *second)
{
    static const char no_memory[] = "out of memory";
    char copy[512];
    /* second may lie in the text. */
    snprintf(copy, sizeof copy, "%s%s", first, second);
    x->text->len = 0;
    fw_buffer_text(x->text, copy);
    *x->output = (fw_call_output){.error = {x->text->data, x->text->len},
                                  .crashed = fate == FW_CHILD_CRASHED};
    if (x->text->failed)
        x->output->error = (fw_span){no_memory, sizeof no_memory - 1};
}

/* "killed by signal 11 (SIGSEGV); max RSS 8.1 MiB" */
static void describe_end(char *out, size_t capacity, const fw_process_end *end)
{
    size_t len = fw_process_describe(out, capacity, end);
    bool hint = end->status != -1 && WIFSIGNALED(end->status) && WTERMSIG(end->status) == SIGKILL;
    snprintf(out + len, capacity - len, "%s; max RSS %s%.1f MiB",
             hint ? ", perhaps for lack of memory" : "", end->rss_known ? "" : "below ",
             (double)end->rss_max_bytes / (1 << 20));
}

static void tell_crash(exchange *x, const fw_process_end *end)
{
    char how[160];
    describe_end(how, sizeof how, end);
    if (!x->child->ready)
        say(x, FW_CHILD_CRASHED, "the child process for isolated tasks did not start: ", how);
    else if (end->status != -1 && WIFEXITED(end->status))
        say(x, FW_CHILD_CRASHED, "task ended its process: ", how);
    else
        say(x, FW_CHILD_CRASHED, "task crashed: ", how);
}

static fw_child_fate tell_killed(exchange *x, moved why)
{
    if (why == REFUSED)
        say(x, FW_CHILD_KILLED, "no child process for isolated tasks: ", x->text->data);
    else if (why == NO_ROOM)
        say(x, FW_CHILD_KILLED, "out of memory for the result of the child process", "");
    else if (x->kill_ns == 0)
        say(x, FW_CHILD_KILLED, "task broke its process: ", "what it sends is not an answer");
    else
        say(x, FW_CHILD_KILLED, x->cancelled ? "task was cancelled" : "task passed its deadline",
            why == OVERDUE ? ", did not listen and was killed" : " and its process ended");
    return FW_CHILD_KILLED;
}

/* Ended by itself or by us, it is waited for. A kernel that cannot kill it now, because it waits
 * for a disk, keeps no task thread. */
static fw_child_fate bury(exchange *x, moved why, bool began)
{
    fw_child *child = x->child;
    fw_process_end end = {.status = -1};
    if (why == REFUSED)
        x->text->data[x->text->len] = '\0';
    bool by_itself = why == LOST && fw_process_wait(&child->process, &end, x->grace_ns);
    if (!by_itself) {
        fw_process_kill(&child->process);
        fw_process_wait(&child->process, &end, kill_limit_ns);
    }
    fw_child_release(child);
    if (!by_itself || x->kill_ns != 0)
        return tell_killed(x, why);
    tell_crash(x, &end);
    return began ? FW_CHILD_CRASHED : FW_CHILD_UNUSED;
}

fw_child_fate fw_child_call(fw_child *child, fw_buffer *text, fw_call_output *output,
                            const fw_call_input *input, int64_t grace_ns)
{
    FW_ASSERT(child->fd >= 0 && child->process.pid > 0);
    exchange x = {.child = child,
                  .input = input,
                  .text = text,
                  .output = output,
                  .grace_ns = grace_ns,
                  .look_ms = LOOK_FIRST_MS};
    bool began = false;
    if (child->board) {
        fw_latest_forget(child->board);
        x.turn = fw_latest_turn(child->board);
    }
    moved m = send_call(&x);
    if (m == MOVED) {
        began = true;
        m = receive_ready(&x);
    } else if (m == LOST && receive_ready(&x) == REFUSED) {
        /* It said why, and was gone before it was asked for anything. */
        m = REFUSED;
    }
    if (m == MOVED)
        m = receive_outcome(&x);
    if (m != MOVED)
        return bury(&x, m, began);
    child->calls++;
    return FW_CHILD_KEEP;
}

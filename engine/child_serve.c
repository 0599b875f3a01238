/* engine/child_serve.c - the child's side: runs calls one at a time until the parent is gone.
 *
 * One thread, so that task functions may do what they like, even fork. SIGTERM is heard only when
 * the parent sends it: service managers send it to every process of a service, and the parent
 * decides what that means for tasks. The parent's death kills this process (base/process.h).
 * Covered by tests/engine/children_test.c.
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/atomic.h"
#include "base/json.h"
#include "base/latest.h"
#include "base/process.h"
#include "engine/child_wire.h"
#include "engine/children.h"

enum { KEPT = 256 * 1024 /* bytes of room kept from call to call */ };
static pid_t parent;
static fw_modules *served;
static fw_latest *board; /* NULL: none; the parent reads it */
/* A flag between a signal handler and its own process, with no data behind. */
static fw_atomic(int) cancelled;

static void hear(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)context;
    if (info->si_pid != parent)
        return;
    /* [child-cancelled] seq_cst: before the look for a descriptor (engine/bell.h). */
    fw_store_seq_cst(&cancelled, 1);
    if (served)
        fw_modules_wake_in_signal(served);
}

static int is_cancelled(const void *context)
{
    (void)context;
    /* [child-cancelled] seq_cst: after a descriptor was made. It costs a load. */
    return fw_load_seq_cst(&cancelled);
}

/* Tasks may have changed both; a SIGTERM that they held back arrives here, before the next call
 * begins. */
static void listen_to_parent(void)
{
    struct sigaction action;
    sigset_t none;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = hear;
    action.sa_flags = SA_SIGINFO | SA_RESTART;
    sigaction(SIGTERM, &action, NULL);
    sigemptyset(&none);
    pthread_sigmask(SIG_SETMASK, &none, NULL);
}

/* A descriptor that came along with bytes. */
static void take_board(struct msghdr *message)
{
    struct cmsghdr *given = CMSG_FIRSTHDR(message);
    int fd;
    if (!given || given->cmsg_level != SOL_SOCKET || given->cmsg_type != SCM_RIGHTS ||
        given->cmsg_len != CMSG_LEN(sizeof fd))
        return;
    memcpy(&fd, CMSG_DATA(given), sizeof fd);
    void *memory =
        board ? MAP_FAILED : mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory != MAP_FAILED)
        board = memory;
    close(fd);
}

/* False: the parent is gone. */
static bool receive(void *out, size_t len)
{
    char *at = out;
    while (len > 0) {
        union {
            struct cmsghdr align;
            char bytes[CMSG_SPACE(sizeof(int))];
        } room;
        struct iovec part = {at, len};
        struct msghdr message = {
            .msg_iov = &part, .msg_iovlen = 1, .msg_control = &room, .msg_controllen = sizeof room};
        ssize_t got = recvmsg(FW_PROCESS_GIVEN, &message, MSG_CMSG_CLOEXEC);
        if (got == 0 || (got < 0 && errno != EINTR))
            return false;
        if (got > 0) {
            if (FW_UNLIKELY(message.msg_controllen > 0))
                take_board(&message);
            at += got;
            len -= (size_t)got;
        }
    }
    return true;
}

/* In one piece as far as it goes, so that the parent is woken once. */
static bool send_both(const fw_child_answer_head *head, const char *bytes)
{
    size_t done = 0, all = sizeof *head + head->len;
    while (done < all) {
        size_t of_head = done < sizeof *head ? sizeof *head - done : 0;
        size_t of_bytes = done > sizeof *head ? done - sizeof *head : 0;
        struct iovec parts[2] = {
            {(char *)(uintptr_t)head + sizeof *head - of_head, of_head},
            {(char *)(uintptr_t)bytes + of_bytes, head->len - of_bytes},
        };
        struct msghdr message = {.msg_iov = parts, .msg_iovlen = head->len > 0 ? 2 : 1};
        ssize_t sent = sendmsg(FW_PROCESS_GIVEN, &message, MSG_NOSIGNAL);
        if (sent < 0 && errno != EINTR)
            return false;
        done += sent > 0 ? (size_t)sent : 0;
    }
    return true;
}

static bool answer(fw_child_word word, fw_span bytes, const fw_call_output *output)
{
    static const char too_big[] = "the result is larger than what a child process can send";
    if (bytes.len > FW_CHILD_ANSWER_MAX) {
        word = FW_CHILD_ERROR;
        bytes = (fw_span){too_big, sizeof too_big - 1};
    }
    fw_child_answer_head head = {
        .word = word, .given = bytes.ptr != NULL, .len = bytes.ptr ? bytes.len : 0};
    if (output) {
        head.again = (uint16_t)output->again;
        head.again_ms = output->again_ms;
    }
    return send_both(&head, bytes.ptr);
}

/* Any thread of the task. */
static int tell_progress(void *context, uint64_t done, uint64_t total, fw_span note)
{
    (void)context;
    if (board)
        (void)fw_latest_set(board, done, total, note);
    return 0;
}

/* What the task is called with points into the room. */
static fw_call_input input_of(const fw_child_call_head *head, const char *room)
{
    fw_span parts[FW_CHILD_PARTS];
    for (int i = 0; i < FW_CHILD_PARTS; i++) {
        parts[i] = (fw_span){room, head->lengths[i]};
        room += head->lengths[i];
    }
    return (fw_call_input){.id = parts[0],
                           .name = parts[1],
                           .args = parts[2],
                           .kwargs = parts[3],
                           .options = parts[4],
                           .key = head->key,
                           .attempt = head->attempt,
                           .deadline_ns = head->deadline_ns,
                           .cancelled = is_cancelled,
                           .progress = tell_progress};
}

static bool serve_call(fw_modules *modules, const fw_call_input *input)
{
    static const char unknown[] = "the child process has no task of that name";
    fw_call_output output = {.error = {unknown, sizeof unknown - 1}};
    const fw_task_entry *entry = fw_modules_find(modules, input->name);
    listen_to_parent();
    /* Relaxed: nobody reports and no signal is on its way between calls. */
    fw_store_relaxed(&cancelled, 0);
    if (entry)
        fw_modules_call(modules, entry, input, &output);
    return output.success ? answer(FW_CHILD_RESULT, output.result, NULL)
                          : answer(FW_CHILD_ERROR, output.error, &output);
}

static int serve(fw_modules *modules)
{
    fw_child_call_head head;
    fw_buffer room = {0};
    int rc = 0;
    while (rc == 0 && receive(&head, sizeof head)) {
        size_t len = 0;
        for (int i = 0; i < FW_CHILD_PARTS; i++)
            len += head.lengths[i];
        if (head.word != FW_CHILD_CALL || len > FW_CHILD_PARTS * FW_CHILD_PART_MAX) {
            rc = -FW_EPROTO;
        } else if (!fw_buffer_reserve(&room, len + 1)) {
            /* It cannot even be read: the parent sees this process end. */
            rc = -FW_ENOMEM;
        } else if (receive(room.data, len)) {
            fw_call_input input = input_of(&head, room.data);
            if (!serve_call(modules, &input))
                break;
            if (room.capacity > KEPT) {
                fw_buffer_fini(&room);
                room = (fw_buffer){0};
            }
        }
    }
    fw_buffer_fini(&room);
    return rc;
}

int fw_child_serve(fw_modules *modules)
{
    int type = 0;
    socklen_t size = sizeof type;
    if (getsockopt(FW_PROCESS_GIVEN, SOL_SOCKET, SO_TYPE, &type, &size) < 0 || type != SOCK_STREAM)
        return -FW_EPROTO;
    /* What a task starts shall not keep the connection open. */
    fcntl(FW_PROCESS_GIVEN, F_SETFD, FD_CLOEXEC);
    /* Once more: exec forgets it where the program's file has capabilities. A parent that died
     * before this has closed its end. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NAME, "fw-isolated");
    parent = getppid();
    listen_to_parent();
    if (fw_modules_thread_start(modules, 0) < 0) {
        fw_child_refuse(fw_errmsg());
        return 0;
    }
    served = modules;
    int rc = answer(FW_CHILD_READY, (fw_span){0}, NULL) ? serve(modules) : 0;
    served = NULL;
    fw_modules_thread_stop(modules, 0);
    return rc;
}

void fw_child_refuse(const char *text)
{
    answer(FW_CHILD_READY, (fw_span){text, strlen(text)}, NULL);
}

/* net/loop.c - see net/loop.h.
 *
 * sleep-note: the thread says that it sleeps and then looks at the list; who asks for something
 * puts it into the list and then looks whether the thread sleeps. All four are seq_cst, so at least
 * one of the two sees the other.
 *
 * Whoever has left stays "asked" for ever, so that a late kick finds nothing to do.
 * SPDX-License-Identifier: Apache-2.0 */
#include "net/loop.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/rcu.h"

enum { EVENTS = 64 };
enum { JOIN = 1, KICK = 2, LEAVE = 4 };

struct fw_loop {
    /* Immutable after create. */
    int epoll, bell;
    pthread_t thread;
    /* The thread's. */
    fw_polled *again, **again_end; /* who come again, in that order */
    fw_polled *timed;              /* who have a late_ns */
    int64_t next_late_ns;          /* not after the first of them; 0: none */
    /* Shared, atomic. */
    fw_atomic(bool) stops;
    _Alignas(FW_APART) fw_atomic(fw_polled *) asked;
    fw_atomic(bool) sleeps;
    /* Under lock: fw_polled.gone. */
    pthread_mutex_t lock;
    pthread_cond_t left;
};

static _Thread_local fw_loop *mine;

/* ---- Asking ---- */

static void ring(fw_loop *loop)
{
    uint64_t one = 1;
    ssize_t n;
    do
        n = write(loop->bell, &one, sizeof one);
    while (n < 0 && errno == EINTR);
}

static void wake(fw_loop *loop)
{
    /* [loop-sleep] seq_cst: see sleep-note. */
    if (loop == mine || !fw_load_seq_cst(&loop->sleeps))
        return;
    /* [loop-sleep] seq_cst: one of those who see it asleep rings. */
    if (fw_swap_seq_cst(&loop->sleeps, false))
        ring(loop);
}

static void ask(fw_polled *polled, uint32_t what)
{
    fw_loop *loop = polled->loop;
    /* [loop-asked] release: what the asker did before; acquire: the list's place is ours. */
    if (fw_or_acq_rel(&polled->asked, what) != 0)
        return;
    /* Relaxed: the compare and swap decides. */
    fw_polled *newest = fw_load_relaxed(&loop->asked);
    do
        polled->asked_next = newest;
    /* [loop-list] seq_cst: the link; and see sleep-note. */
    while (!fw_cas_seq_cst(&loop->asked, &newest, polled));
    wake(loop);
}

void fw_loop_join(fw_polled *polled)
{
    ask(polled, JOIN);
}

void fw_loop_kick(fw_polled *polled)
{
    ask(polled, KICK);
}

void fw_loop_leave(fw_polled *polled)
{
    ask(polled, LEAVE);
}

void fw_loop_await(fw_polled *polled)
{
    fw_loop *loop = polled->loop;
    FW_ASSERT(loop != mine);
    pthread_mutex_lock(&loop->lock);
    while (!polled->gone)
        pthread_cond_wait(&loop->left, &loop->lock);
    pthread_mutex_unlock(&loop->lock);
}

/* ---- The thread's lists ---- */

static void put_again(fw_loop *loop, fw_polled *polled)
{
    if (polled->again)
        return;
    polled->again = true;
    polled->again_next = NULL;
    *loop->again_end = polled;
    loop->again_end = &polled->again_next;
}

static void drop_again(fw_loop *loop, const fw_polled *polled)
{
    fw_polled **at = &loop->again;
    while (*at != polled)
        at = &(*at)->again_next;
    *at = polled->again_next;
    if (!*at)
        loop->again_end = at;
}

static void drop_timed(fw_loop *loop, fw_polled *polled)
{
    if (polled->timed_before)
        polled->timed_before->timed_next = polled->timed_next;
    else
        loop->timed = polled->timed_next;
    if (polled->timed_next)
        polled->timed_next->timed_before = polled->timed_before;
    polled->timed = false;
}

/* As late_ns has it now. */
static void settle_timed(fw_loop *loop, fw_polled *polled)
{
    if (polled->late_ns == 0) {
        if (polled->timed)
            drop_timed(loop, polled);
        return;
    }
    if (loop->next_late_ns == 0 || polled->late_ns < loop->next_late_ns)
        loop->next_late_ns = polled->late_ns;
    if (polled->timed)
        return;
    polled->timed = true;
    polled->timed_before = NULL;
    polled->timed_next = loop->timed;
    if (loop->timed)
        loop->timed->timed_before = polled;
    loop->timed = polled;
}

/* ---- Turns ---- */

static void give_turn(fw_loop *loop, fw_polled *polled, unsigned why)
{
    if (polled->turn(polled, why))
        put_again(loop, polled);
    if (polled->late_ns != 0 || polled->timed)
        settle_timed(loop, polled);
}

static int control(fw_polled *polled, int what, uint32_t events)
{
    struct epoll_event event = {.events = events | EPOLLIN | EPOLLRDHUP | EPOLLET,
                                .data.ptr = polled};
    return epoll_ctl(polled->loop->epoll, what, polled->fd, &event);
}

bool fw_loop_await_room(fw_polled *polled)
{
    FW_ASSERT(polled->loop == mine);
    /* Changing it makes the kernel look at once, so nothing is missed. */
    return control(polled, EPOLL_CTL_MOD, EPOLLOUT) == 0;
}

static void let_go(fw_loop *loop, fw_polled *polled)
{
    (void)epoll_ctl(loop->epoll, EPOLL_CTL_DEL, polled->fd, NULL);
    if (polled->again)
        drop_again(loop, polled);
    if (polled->timed)
        drop_timed(loop, polled);
    pthread_mutex_lock(&loop->lock);
    polled->gone = true; /* and may be freed from now on */
    pthread_cond_broadcast(&loop->left);
    pthread_mutex_unlock(&loop->lock);
}

static void grant(fw_loop *loop, fw_polled *polled)
{
    /* Relaxed: the compare and swap decides. */
    uint32_t what = fw_load_relaxed(&polled->asked);
    do {
        if (what & LEAVE) {
            let_go(loop, polled);
            return;
        }
        /* [loop-asked] acquire: what the asker did before; release: the list's place is free. */
    } while (!fw_cas_acq_rel(&polled->asked, &what, 0));
    unsigned why = what & KICK ? FW_TURN_KICK : 0;
    if ((what & JOIN) && control(polled, EPOLL_CTL_ADD, 0) != 0)
        why |= FW_TURN_FAILED;
    /* Who joins may have a late_ns already. */
    if (why)
        give_turn(loop, polled, why);
    else
        settle_timed(loop, polled);
}

static void grant_all(fw_loop *loop)
{
    /* [loop-list] seq_cst: the links. */
    fw_polled *newest = fw_swap_seq_cst(&loop->asked, NULL), *oldest = NULL;
    while (newest) {
        fw_polled *next = newest->asked_next;
        newest->asked_next = oldest;
        oldest = newest;
        newest = next;
    }
    while (oldest) {
        fw_polled *next = oldest->asked_next; /* another asker's, as soon as it is granted */
        grant(loop, oldest);
        oldest = next;
    }
}

static void give_late_turns(fw_loop *loop)
{
    if (loop->next_late_ns == 0 || fw_now_ns() < loop->next_late_ns)
        return;
    int64_t now = fw_now_ns();
    loop->next_late_ns = 0;
    for (fw_polled *p = loop->timed, *next; p; p = next) {
        next = p->timed_next;
        if (p->late_ns > now) {
            settle_timed(loop, p);
            continue;
        }
        p->late_ns = 0;
        give_turn(loop, p, FW_TURN_LATE);
    }
}

static void give_turns_again(fw_loop *loop)
{
    fw_polled *p = loop->again;
    loop->again = NULL;
    loop->again_end = &loop->again;
    while (p) {
        fw_polled *next = p->again_next;
        p->again = false;
        give_turn(loop, p, 0);
        p = next;
    }
}

/* For epoll_wait. */
static int pause_ms(const fw_loop *loop)
{
    if (loop->again)
        return 0;
    if (loop->next_late_ns == 0)
        return -1;
    int64_t left_ns = loop->next_late_ns - fw_now_ns();
    int64_t ms = (left_ns + FW_NS_PER_MS - 1) / FW_NS_PER_MS;
    return ms < 0 ? 0 : ms > 60000 ? 60000 : (int)ms;
}

static int look(fw_loop *loop, struct epoll_event events[EVENTS])
{
    int pause = pause_ms(loop);
    if (pause != 0) {
        fw_rcu_flush();
        /* [loop-sleep] seq_cst: see sleep-note. */
        fw_store_seq_cst(&loop->sleeps, true);
        /* [loop-list] seq_cst: see sleep-note. */
        if (fw_load_seq_cst(&loop->asked) != NULL)
            pause = 0;
    }
    int count = epoll_wait(loop->epoll, events, EVENTS, pause);
    /* Relaxed: who still sees it asleep rings for nothing. */
    fw_store_relaxed(&loop->sleeps, false);
    return count;
}

static unsigned meaning(uint32_t events)
{
    unsigned why = events & EPOLLIN ? FW_TURN_READ : 0;
    if (events & EPOLLOUT)
        why |= FW_TURN_WRITE;
    if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        why |= FW_TURN_READ | FW_TURN_HANGUP;
    if (events & (EPOLLHUP | EPOLLERR))
        why |= FW_TURN_FAILED;
    return why;
}

static void *run(void *argument)
{
    fw_loop *loop = argument;
    struct epoll_event events[EVENTS];
    mine = loop;
    /* [loop-stops] acquire: everybody has left. */
    while (!fw_load_acquire(&loop->stops)) {
        int count = look(loop, events);
        for (int i = 0; i < count; i++) {
            uint64_t rung;
            fw_polled *polled = events[i].data.ptr;
            if (polled)
                give_turn(loop, polled, meaning(events[i].events));
            else
                (void)!read(loop->bell, &rung, sizeof rung);
        }
        give_turns_again(loop);
        give_late_turns(loop);
        grant_all(loop);
    }
    return NULL;
}

/* ---- Life ---- */

static void release(fw_loop *loop)
{
    if (loop->epoll >= 0)
        close(loop->epoll);
    if (loop->bell >= 0)
        close(loop->bell);
    pthread_cond_destroy(&loop->left);
    pthread_mutex_destroy(&loop->lock);
    free(loop);
}

fw_loop *fw_loop_create(const char *name)
{
    fw_loop *loop = aligned_alloc(FW_APART, sizeof *loop);
    if (!loop)
        return NULL;
    *loop = (fw_loop){.epoll = epoll_create1(EPOLL_CLOEXEC),
                      .bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    loop->again_end = &loop->again;
    FW_ASSERT(pthread_mutex_init(&loop->lock, NULL) == 0);
    FW_ASSERT(pthread_cond_init(&loop->left, NULL) == 0);
    struct epoll_event bell = {.events = EPOLLIN, .data.ptr = NULL};
    if (loop->epoll < 0 || loop->bell < 0 ||
        epoll_ctl(loop->epoll, EPOLL_CTL_ADD, loop->bell, &bell) != 0 ||
        pthread_create(&loop->thread, NULL, run, loop) != 0) {
        release(loop);
        return NULL;
    }
    pthread_setname_np(loop->thread, name);
    return loop;
}

void fw_loop_destroy(fw_loop *loop)
{
    if (!loop)
        return;
    FW_ASSERT(loop != mine);
    /* [loop-stops] release: everybody has left. */
    fw_store_release(&loop->stops, true);
    ring(loop);
    FW_ASSERT(pthread_join(loop->thread, NULL) == 0);
    /* Relaxed: nobody asks any more. */
    FW_ASSERT(!loop->again && !loop->timed && fw_load_relaxed(&loop->asked) == NULL);
    release(loop);
}

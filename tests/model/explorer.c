/* tests/model/explorer.c - depth-first search over schedules by running again with a longer prefix.
 *
 * A schedule is the list of choices; each choice remembers how many ways there were. Next schedule:
 * drop choices from the end until one has a way left, take that, and run again; beyond the prefix
 * the first way is taken, which is to go on with the same thread.
 *
 * A thread that yields stands back until each other thread that can run has made a step, so that
 * waiting loops end; that costs no preemption. SPDX-License-Identifier: Apache-2.0 */
#include "explorer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include "base/assert.h"

enum { FW_MODEL_STACK = 128 * 1024 };

typedef enum fw_model_state {
    FW_MODEL_READY,
    FW_MODEL_ASLEEP,
    FW_MODEL_AWAITS,
    FW_MODEL_OVER
} fw_model_state;

typedef struct fw_model_thread {
    ucontext_t context;
    fw_model_state state;
    const void *word;         /* asleep on it */
    fw_atomic(bool) * flag;   /* awaits it */
    unsigned stands_back_for; /* bits of threads that go first */
} fw_model_thread;

typedef struct fw_model_choice {
    unsigned char
        ways[FW_MODEL_THREADS_MAX];       /* threads that may go next, the first is the default */
    unsigned char count, taken, preempts; /* ways after the first cost a preemption */
} fw_model_choice;

static fw_model_thread threads[FW_MODEL_THREADS_MAX];
static char stacks[FW_MODEL_THREADS_MAX][FW_MODEL_STACK] __attribute__((aligned(16)));
static fw_model_choice choices[FW_MODEL_STEPS_MAX];
static unsigned depth, prefix, preempted, preemptions_max;
static ucontext_t explorer;
static const fw_model *model;
static int current = -1; /* -1: the explorer itself */
static const char *failure;

static void switch_out(void)
{
    int self = current;
    current = -1;
    swapcontext(&threads[self].context, &explorer);
}

void fw_model_step(void)
{
    if (current >= 0)
        switch_out();
}

void fw_model_yield(void)
{
    if (current < 0)
        return;
    threads[current].stands_back_for = ~(1u << current);
    switch_out();
}

void fw_model_sleep(const void *word, uint32_t value)
{
    FW_ASSERT(current >= 0);
    fw_model_step();
    if (*(const uint32_t *)word != value)
        return;
    threads[current].state = FW_MODEL_ASLEEP;
    threads[current].word = word;
    switch_out();
}

void fw_model_wake(const void *word)
{
    fw_model_step();
    for (unsigned i = 0; i < FW_MODEL_THREADS_MAX; i++)
        if (threads[i].state == FW_MODEL_ASLEEP && threads[i].word == word)
            threads[i].state = FW_MODEL_READY;
}

void fw_model_await(fw_atomic(bool) * flag)
{
    FW_ASSERT(current >= 0);
    threads[current].state = FW_MODEL_AWAITS;
    threads[current].flag = flag;
    switch_out();
}

void fw_model_fail(const char *what)
{
    if (failure == NULL)
        failure = what;
    if (current >= 0) {
        threads[current].state = FW_MODEL_OVER;
        switch_out();
    }
}

static void thread_main(int index)
{
    model->run((unsigned)index);
    threads[index].state = FW_MODEL_OVER;
    current = -1;
    setcontext(&explorer);
}

/* Threads that could make a step now. */
static unsigned able(void)
{
    unsigned set = 0;
    for (unsigned i = 0; i < model->threads; i++) {
        fw_model_thread *t = &threads[i];
        if (t->state == FW_MODEL_READY ||
            (t->state == FW_MODEL_AWAITS && fw_count_read(t->flag)))
            set |= 1u << i;
    }
    return set;
}

/* Those of `set` that need not stand back; all when everybody would. */
static unsigned willing(unsigned set)
{
    unsigned rest = 0;
    for (unsigned i = 0; i < model->threads; i++)
        if ((set >> i & 1) != 0 && (threads[i].stands_back_for & set) == 0)
            rest |= 1u << i;
    return rest != 0 ? rest : set;
}

/* Who goes next after `last`; -1: the schedule is over. */
static int choose(int last)
{
    unsigned set = able();
    if (set == 0) {
        for (unsigned i = 0; i < model->threads; i++)
            if (threads[i].state != FW_MODEL_OVER && failure == NULL)
                failure = "every live thread sleeps";
        return -1;
    }
    if (depth == FW_MODEL_STEPS_MAX) {
        failure = "the schedule does not end";
        return -1;
    }
    set = willing(set);
    fw_model_choice *choice = &choices[depth];
    if (depth >= prefix) {
        *choice = (fw_model_choice){.preempts = last >= 0 && (set >> last & 1) != 0};
        if (choice->preempts)
            choice->ways[choice->count++] = (unsigned char)last;
        for (unsigned i = 0; i < model->threads; i++)
            if ((set >> i & 1) != 0 && !(choice->preempts && i == (unsigned)last))
                choice->ways[choice->count++] = (unsigned char)i;
    }
    depth++;
    preempted += choice->preempts && choice->taken > 0;
    return choice->ways[choice->taken];
}

static void run_schedule(void)
{
    failure = NULL;
    depth = 0;
    preempted = 0;
    model->begin();
    for (unsigned i = 0; i < model->threads; i++) {
        threads[i] = (fw_model_thread){.state = FW_MODEL_READY};
        getcontext(&threads[i].context);
        threads[i].context.uc_stack.ss_sp = stacks[i];
        threads[i].context.uc_stack.ss_size = FW_MODEL_STACK;
        makecontext(&threads[i].context, (void (*)(void))thread_main, 1, (int)i);
    }
    for (int last = -1; failure == NULL && (last = choose(last)) >= 0;) {
        for (unsigned i = 0; i < model->threads; i++)
            threads[i].stands_back_for &= ~(1u << last);
        threads[last].stands_back_for = 0;
        threads[last].state = FW_MODEL_READY;
        current = last;
        swapcontext(&explorer, &threads[last].context);
        current = -1;
    }
    if (failure == NULL)
        model->end();
}

/* Makes `choices` the prefix of the next schedule; false: there is none. */
static bool next_prefix(void)
{
    while (depth > 0) {
        fw_model_choice *choice = &choices[--depth];
        preempted -= choice->preempts && choice->taken > 0;
        bool affordable = !choice->preempts || preempted < preemptions_max;
        if (affordable && choice->taken + 1 < choice->count) {
            choice->taken++;
            prefix = depth + 1;
            return true;
        }
    }
    return false;
}

fw_model_result fw_model_explore(const fw_model *m, unsigned preemptions, bool loud)
{
    fw_model_result result = {0, NULL};
    model = m;
    prefix = 0;
    preemptions_max = preemptions;
    FW_ASSERT(m->threads >= 1 && m->threads <= FW_MODEL_THREADS_MAX);
    do {
        run_schedule();
        result.schedules++;
    } while (failure == NULL && next_prefix());
    result.failure = failure;
    if (failure != NULL && loud) {
        printf("%s: FAILED: %s; schedule:", m->name, failure);
        for (unsigned i = 0; i < depth; i++)
            printf(" %u", choices[i].ways[choices[i].taken]);
        printf("\n");
    }
    return result;
}

int fw_model_main(const fw_model *models, unsigned count, unsigned preemptions)
{
    int failed = 0;
    const char *more = getenv("FW_MODEL_PREEMPTIONS");
    if (more != NULL)
        preemptions = (unsigned)strtoul(more, NULL, 10);
    for (unsigned i = 0; i < count; i++) {
        for (unsigned bound = 0; bound <= preemptions; bound++) {
            fw_model_result result = fw_model_explore(&models[i], bound, true);
            printf("%s, %u preemptions: %lu schedules\n", models[i].name, bound, result.schedules);
            if (result.failure != NULL) {
                failed = 1;
                break;
            }
        }
    }
    return failed;
}

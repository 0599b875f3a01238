/* task_test.c - the table of moves, and what each transition does from each state.
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/task.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { STATES = FW_UNKNOWN };

/* Protocol section 14.1, written down once more: rows from, columns to, in the order of fw_state:
 * pending queued scheduled assigned running success failure retrying cancelled. */
static const char *const listed[STATES] = {
    [FW_PENDING] = ".xx......",  [FW_QUEUED] = "...x....x",   [FW_SCHEDULED] = ".x......x",
    [FW_ASSIGNED] = ".x..x...x", [FW_RUNNING] = ".....xx.x",  [FW_SUCCESS] = ".........",
    [FW_FAILURE] = ".......x.",  [FW_RETRYING] = ".x......x", [FW_CANCELLED] = ".........",
};

/* A task in a state, reached by listed moves. */
static void bring(fw_task *task, fw_state state)
{
    static const fw_state ways[STATES][6] = {
        [FW_QUEUED] = {FW_QUEUED},
        [FW_SCHEDULED] = {FW_SCHEDULED},
        [FW_ASSIGNED] = {FW_QUEUED, FW_ASSIGNED},
        [FW_RUNNING] = {FW_QUEUED, FW_ASSIGNED, FW_RUNNING},
        [FW_SUCCESS] = {FW_QUEUED, FW_ASSIGNED, FW_RUNNING, FW_SUCCESS},
        [FW_FAILURE] = {FW_QUEUED, FW_ASSIGNED, FW_RUNNING, FW_FAILURE},
        [FW_RETRYING] = {FW_QUEUED, FW_ASSIGNED, FW_RUNNING, FW_FAILURE, FW_RETRYING},
        [FW_CANCELLED] = {FW_QUEUED, FW_CANCELLED},
    };
    memset(task, 0, sizeof *task);
    if (state == FW_PENDING)
        return;
    fw_task_init(task, ways[state][0]);
    for (unsigned i = 1; i < 6 && ways[state][i] != FW_PENDING; i++)
        assert_true(fw_task_move(task, ways[state][i]));
    assert_int_equal(fw_task_state(task), state);
}

/* C-160. */
static void all_pairs_of_states(void **unused)
{
    (void)unused;
    unsigned moves = 0;
    for (unsigned from = 0; from < STATES; from++) {
        for (unsigned to = 0; to < STATES; to++) {
            bool expected = listed[from][to] == 'x';
            fw_task task;
            bring(&task, (fw_state)from);
            assert_int_equal(fw_task_may((fw_state)from, (fw_state)to), expected);
            assert_int_equal(fw_task_move(&task, (fw_state)to), expected);
            assert_int_equal(fw_task_state(&task), expected ? to : from);
            moves += expected;
        }
    }
    assert_int_equal(moves, 15);
    assert_false(fw_task_may(FW_UNKNOWN, FW_QUEUED));
    assert_false(fw_task_may(FW_QUEUED, FW_UNKNOWN));
}

static void beginning_is_for_queued_tasks(void **unused)
{
    (void)unused;
    for (unsigned from = FW_QUEUED; from < STATES; from++) {
        fw_task task;
        uint32_t begun = 0;
        bring(&task, (fw_state)from);
        fw_duty duty = fw_task_begin(&task, &begun);
        assert_int_equal(duty, from == FW_QUEUED ? FW_DUTY_RUN : FW_DUTY_DROP);
        assert_int_equal(fw_task_state(&task), from == FW_QUEUED ? FW_RUNNING : from);
        if (from != FW_QUEUED)
            continue;
        assert_int_equal(fw_task_run_of(begun), 0);
        assert_true(fw_task_runs(&task, 0));
        assert_int_equal(fw_task_begin(&task, &begun), FW_DUTY_DROP);
    }
}

/* Both ways to end a run: by its thread, which has the word, and by others, who have the number. */
static void finishing_is_for_running_tasks(void **unused)
{
    (void)unused;
    fw_task running;
    bring(&running, FW_RUNNING);
    uint32_t begun = fw_load_relaxed(&running.word);
    for (unsigned from = FW_QUEUED; from < STATES; from++) {
        for (unsigned success = 0; success < 2; success++) {
            fw_task one, other;
            fw_state state = FW_UNKNOWN;
            unsigned end = from != FW_RUNNING ? from : success ? FW_SUCCESS : FW_FAILURE;
            fw_duty expected = from == FW_RUNNING ? FW_DUTY_END : FW_DUTY_DROP;
            bring(&one, (fw_state)from);
            bring(&other, (fw_state)from);
            assert_int_equal(fw_task_end_run(&one, 0, success), expected);
            fw_task_retain(&other); /* the word has changed since */
            assert_int_equal(fw_task_finish(&other, &state, begun, success), expected);
            assert_int_equal(fw_task_state(&one), end);
            assert_int_equal(fw_task_state(&other), end);
            assert_int_equal(state, from == FW_RUNNING ? end : FW_UNKNOWN);
            assert_true(fw_task_has_only(&one, FW_TASK_REFERENCES));
            assert_true(fw_task_has_only(&other, FW_TASK_REFERENCES + 1));
        }
    }
}

/* Back from elsewhere, as the same run or as one that was lost. */
static void requeueing_is_for_running_tasks(void **unused)
{
    (void)unused;
    for (unsigned from = FW_QUEUED; from < STATES; from++) {
        for (unsigned lost = 0; lost < 2; lost++) {
            fw_task task;
            uint32_t begun = 0;
            bring(&task, (fw_state)from);
            assert_int_equal(fw_task_requeue(&task, 1, lost), FW_DUTY_DROP);
            fw_duty expected = from == FW_RUNNING ? FW_DUTY_QUEUE : FW_DUTY_DROP;
            assert_int_equal(fw_task_requeue(&task, 0, lost), expected);
            assert_int_equal(fw_task_state(&task), from == FW_RUNNING ? FW_QUEUED : from);
            assert_true(fw_task_has_only(&task, FW_TASK_REFERENCES));
            if (from != FW_RUNNING)
                continue;
            assert_int_equal(fw_task_begin(&task, &begun), FW_DUTY_RUN);
            assert_int_equal(fw_task_run_of(begun), lost);
            /* A cancel that was accepted goes before it. */
            fw_state was;
            assert_int_equal(fw_task_cancel(&task, &was), FW_DUTY_LEAVE);
            assert_int_equal(fw_task_requeue(&task, lost, lost), FW_DUTY_DROP);
        }
    }
}

static void due_is_for_waiting_tasks(void **unused)
{
    (void)unused;
    for (unsigned from = FW_QUEUED; from < STATES; from++) {
        bool waits = from == FW_SCHEDULED || from == FW_RETRYING;
        fw_task task;
        bring(&task, (fw_state)from);
        assert_int_equal(fw_task_due(&task), waits ? FW_DUTY_QUEUE : FW_DUTY_DROP);
        assert_int_equal(fw_task_state(&task), waits ? FW_QUEUED : from);
    }
}

static void cancelling_from_each_state(void **unused)
{
    (void)unused;
    for (unsigned from = FW_QUEUED; from < STATES; from++) {
        fw_task task;
        fw_state was;
        bring(&task, (fw_state)from);
        bool over = fw_state_is_terminal((fw_state)from);
        fw_duty duty = fw_task_cancel(&task, &was);
        assert_int_equal(was, from);
        assert_true(fw_task_cancel_requested(&task));
        if (over) {
            assert_int_equal(duty, FW_DUTY_DROP);
            assert_int_equal(fw_task_state(&task), from);
        } else if (from == FW_RUNNING) {
            assert_int_equal(duty, FW_DUTY_LEAVE);
            assert_int_equal(fw_task_state(&task), FW_RUNNING);
            assert_int_equal(fw_task_end_run(&task, 0, true), FW_DUTY_END);
            assert_int_equal(fw_task_state(&task), FW_CANCELLED);
        } else {
            assert_int_equal(duty, FW_DUTY_END_UNRUN);
            assert_int_equal(fw_task_state(&task), FW_CANCELLED);
        }
    }
}

static void settling_from_each_state(void **unused)
{
    (void)unused;
    for (unsigned from = FW_QUEUED; from < STATES; from++) {
        for (unsigned success = 0; success < 2; success++) {
            fw_task task;
            fw_state was;
            bring(&task, (fw_state)from);
            fw_duty duty = fw_task_settle(&task, success, &was);
            assert_int_equal(was, from);
            if (fw_state_is_terminal((fw_state)from)) {
                assert_int_equal(duty, FW_DUTY_DROP);
                assert_int_equal(fw_task_state(&task), from);
                continue;
            }
            assert_int_equal(duty, from == FW_RUNNING ? FW_DUTY_END : FW_DUTY_END_UNRUN);
            assert_int_equal(fw_task_state(&task), success ? FW_SUCCESS : FW_FAILURE);
        }
    }
}

static void a_cancel_survives_the_deadline(void **unused)
{
    (void)unused;
    fw_task task;
    fw_state was;
    bring(&task, FW_RUNNING);
    assert_false(fw_task_cancel_requested(&task));
    assert_int_equal(fw_task_cancel(&task, &was), FW_DUTY_LEAVE);
    assert_int_equal(fw_task_end_run(&task, 0, false), FW_DUTY_END);
    assert_int_equal(fw_task_state(&task), FW_CANCELLED);
    bring(&task, FW_RUNNING);
    assert_int_equal(fw_task_cancel(&task, &was), FW_DUTY_LEAVE);
    assert_int_equal(fw_task_settle(&task, true, &was), FW_DUTY_END);
    assert_int_equal(fw_task_state(&task), FW_CANCELLED);
    bring(&task, FW_RUNNING);
    assert_int_equal(fw_task_cancel(&task, &was), FW_DUTY_LEAVE);
    assert_int_equal(fw_task_retry(&task, 0, 2), FW_DUTY_DROP);
    assert_int_equal(fw_task_state(&task), FW_RUNNING);
    assert_int_equal(fw_task_references(&task), FW_TASK_REFERENCES);
}

/* T4, and that run numbers come round. */
static void runs_do_not_answer_for_each_other(void **unused)
{
    (void)unused;
    fw_task task;
    uint32_t begun = 0, last = 0;
    memset(&task, 0, sizeof task);
    fw_task_init(&task, FW_QUEUED);
    for (unsigned i = 0; i < 3 * FW_RUNS; i++, last = begun) {
        fw_state state;
        assert_int_equal(fw_task_begin(&task, &begun), FW_DUTY_RUN);
        unsigned run = fw_task_run_of(begun);
        assert_int_equal(run, i % FW_RUNS);
        assert_true(fw_task_runs(&task, run));
        unsigned other = (run + 1 + i % (FW_RUNS - 1)) % FW_RUNS;
        assert_false(fw_task_runs(&task, other));
        assert_int_equal(fw_task_end_run(&task, other, true), FW_DUTY_DROP);
        assert_int_equal(fw_task_retry(&task, other, 1), FW_DUTY_DROP);
        if (i > 0)
            assert_int_equal(fw_task_finish(&task, &state, last, true), FW_DUTY_DROP);
        assert_int_equal(fw_task_retry(&task, run, 2), FW_DUTY_WAIT);
        assert_int_equal(fw_task_state(&task), FW_RETRYING);
        assert_int_equal(fw_task_references(&task), FW_TASK_REFERENCES + 2);
        assert_false(fw_task_runs(&task, run));
        assert_int_equal(fw_task_finish(&task, &state, begun, true), FW_DUTY_DROP);
        assert_false(fw_task_give_back(&task, 2));
        assert_int_equal(fw_task_due(&task), FW_DUTY_QUEUE);
    }
}

static void the_last_reference_is_told(void **unused)
{
    (void)unused;
    fw_task task;
    bring(&task, FW_SUCCESS);
    fw_task_retain(&task);
    assert_int_equal(fw_task_references(&task), FW_TASK_REFERENCES + 1);
    assert_false(fw_task_give_back(&task, FW_TASK_REFERENCES));
    assert_int_equal(fw_task_state(&task), FW_SUCCESS);
    assert_true(fw_task_give_back(&task, 1));
}

static void the_second_to_part_has_all(void **unused)
{
    (void)unused;
    fw_task task;
    bring(&task, FW_CANCELLED);
    assert_false(fw_task_part_unlinked(&task));
    assert_true(fw_task_part_left(&task));
    bring(&task, FW_CANCELLED);
    assert_false(fw_task_part_left(&task));
    assert_true(fw_task_part_unlinked(&task));
    assert_int_equal(fw_task_state(&task), FW_CANCELLED);
    assert_int_equal(fw_task_references(&task), FW_TASK_REFERENCES);
}

/* T2: of all who try to end a task, one is told so. */
enum { ENDERS = 3, ROUNDS = 3000 };
typedef struct contest {
    pthread_barrier_t line;
    fw_atomic(unsigned) ends;
    fw_task task; /* last: it ends with its payload */
} contest;

static bool try_to_end(fw_task *task, unsigned way)
{
    fw_state was;
    if (way == 0) {
        fw_duty duty = fw_task_cancel(task, &was);
        return duty == FW_DUTY_END_UNRUN;
    }
    if (way == 1) {
        uint32_t begun;
        fw_state state;
        return fw_task_begin(task, &begun) == FW_DUTY_RUN &&
               fw_task_finish(task, &state, begun, true) == FW_DUTY_END;
    }
    fw_duty duty = fw_task_settle(task, false, &was);
    return duty == FW_DUTY_END || duty == FW_DUTY_END_UNRUN;
}

typedef struct ender {
    contest *c;
    unsigned way;
} ender;

static void *contend(void *argument)
{
    ender *me = argument;
    for (unsigned i = 0; i < ROUNDS; i++) {
        pthread_barrier_wait(&me->c->line);
        if (try_to_end(&me->c->task, me->way))
            fw_add_relaxed(&me->c->ends, 1); /* relaxed: read after the next barrier */
        pthread_barrier_wait(&me->c->line);
        if (me->way == 0) {
            assert_int_equal(fw_load_relaxed(&me->c->ends), i + 1);
            assert_true(fw_state_is_terminal(fw_task_state(&me->c->task)));
            bring(&me->c->task, FW_QUEUED);
        }
    }
    return NULL;
}

static void one_of_many_ends_a_task(void **unused)
{
    (void)unused;
    contest c = {.ends = 0};
    pthread_t threads[ENDERS];
    ender enders[ENDERS];
    bring(&c.task, FW_QUEUED);
    assert_int_equal(pthread_barrier_init(&c.line, NULL, ENDERS), 0);
    for (unsigned i = 0; i < ENDERS; i++) {
        enders[i] = (ender){&c, i};
        assert_int_equal(pthread_create(&threads[i], NULL, contend, &enders[i]), 0);
    }
    for (unsigned i = 0; i < ENDERS; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&c.line);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_pairs_of_states),
        cmocka_unit_test(beginning_is_for_queued_tasks),
        cmocka_unit_test(finishing_is_for_running_tasks),
        cmocka_unit_test(requeueing_is_for_running_tasks),
        cmocka_unit_test(due_is_for_waiting_tasks),
        cmocka_unit_test(cancelling_from_each_state),
        cmocka_unit_test(settling_from_each_state),
        cmocka_unit_test(a_cancel_survives_the_deadline),
        cmocka_unit_test(runs_do_not_answer_for_each_other),
        cmocka_unit_test(the_last_reference_is_told),
        cmocka_unit_test(the_second_to_part_has_all),
        cmocka_unit_test(one_of_many_ends_a_task),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* cache/tally.c - seats of reading threads.
 * SPDX-License-Identifier: Apache-2.0 */
#include "cache/tally.h"

#include <pthread.h>

_Thread_local unsigned fw_tally_my_seat;

static fw_atomic(uint64_t) taken; /* bit per seat */
static pthread_key_t exit_key;
static pthread_once_t exit_once = PTHREAD_ONCE_INIT;

static void stand_up(void *unused)
{
    (void)unused;
    unsigned seat = fw_tally_my_seat - 1;
    FW_ASSERT(seat < FW_TALLY_SHARED);
    fw_tally_my_seat = 0;
    /* [tally-seat] seq_cst: the counts of this thread, which the next one goes on from. */
    fw_and_seq_cst(&taken, ~(UINT64_C(1) << seat));
}

static void make_exit_key(void)
{
    FW_ASSERT(pthread_key_create(&exit_key, stand_up) == 0);
}

unsigned fw_tally_sit(void)
{
    pthread_once(&exit_once, make_exit_key);
    /* Relaxed: the compare and swap decides. */
    uint64_t seats = fw_load_relaxed(&taken);
    unsigned seat;
    do {
        seat = (unsigned)__builtin_ctzll(~seats);
        if (seat == FW_TALLY_SHARED) {
            fw_tally_my_seat = FW_TALLY_SHARED + 1;
            return seat;
        }
        /* [tally-seat] seq_cst: the counts of the thread that sat here before. */
    } while (!fw_cas_seq_cst(&taken, &seats, seats | UINT64_C(1) << seat));
    /* Any value but NULL makes the exit function run. */
    FW_ASSERT(pthread_setspecific(exit_key, &fw_tally_my_seat) == 0);
    fw_tally_my_seat = seat + 1;
    return seat;
}

uint64_t fw_tally_sum(fw_tally *tally, fw_tallied what)
{
    uint64_t sum = 0;
    /* Relaxed: figures, each exact, all of about the same moment. */
    for (unsigned i = 0; i < FW_TALLY_SEATS; i++)
        sum += fw_load_relaxed(&tally[i].counts[what]);
    return sum;
}

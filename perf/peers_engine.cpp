/* perf/peers_engine.cpp - the peers of the suite `engine`, behind engine_case.h; C++ because they
 * are.
 *
 * tbb        oneTBB: enqueue from outside, task_group inside; critical work in an arena of high
 * priority moodycamel a pool over moodycamel::ConcurrentQueue, producer and consumer tokens, bulk
 * dequeue; idle threads yield (-spin) or wait on its BlockingConcurrentQueue (-park) mutex      the
 * plain one: four deques, a mutex, a condition variable gomp       OpenMP tasks, for the tree
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine_case.h"

#include <atomic>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include <concurrentqueue/blockingconcurrentqueue.h>
#include <concurrentqueue/concurrentqueue.h>
#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/task_arena.h>
#include <oneapi/tbb/task_group.h>

namespace
{

struct piece {
    fw_case_fn run;
    void *argument;
};

constexpr size_t batch = 32;

/* ---- oneTBB ---- */

struct tbb_pool {
    tbb::global_control limit; /* the creating thread is counted too, and works not */
    tbb::task_arena critical, normal;
    tbb::task_group group;
    explicit tbb_pool(unsigned threads)
        : limit(tbb::global_control::max_allowed_parallelism, threads + 1),
          critical(int(threads), 0, tbb::task_arena::priority::high),
          normal(int(threads), 0, tbb::task_arena::priority::low)
    {
        critical.initialize();
        normal.initialize();
    }
};

void *tbb_create(unsigned threads)
{
    return new tbb_pool(threads);
}

void tbb_destroy(void *pool)
{
    auto *self = static_cast<tbb_pool *>(pool);
    self->normal.execute([self] { self->group.wait(); });
    delete self;
}

void tbb_submit(void *pool, unsigned level, fw_case_fn run, void *argument)
{
    auto *self = static_cast<tbb_pool *>(pool);
    (level == 0 ? self->critical : self->normal).enqueue([run, argument] {
        run(nullptr, argument);
    });
}

void tbb_submit_bulk(void *pool, fw_case_fn run, void *argument, size_t count)
{
    for (size_t i = 0; i < count; i++)
        tbb_submit(pool, 2, run, argument);
}

void tbb_spawn(void *pool, fw_worker *, fw_case_fn run, void *argument)
{
    static_cast<tbb_pool *>(pool)->group.run([run, argument] { run(nullptr, argument); });
}

/* ---- moodycamel ---- */

struct queue_spin : moodycamel::ConcurrentQueue<piece> {
    size_t take(moodycamel::ConsumerToken &token, piece *out)
    {
        size_t n = try_dequeue_bulk(token, out, batch);
        if (n == 0)
            std::this_thread::yield();
        return n;
    }
};

struct queue_park : moodycamel::BlockingConcurrentQueue<piece> {
    size_t take(moodycamel::ConsumerToken &token, piece *out)
    {
        return wait_dequeue_bulk_timed(token, out, batch, 50000);
    }
};

template <class Queue> struct camel_pool {
    Queue queue;
    moodycamel::ProducerToken outside{queue};
    std::atomic<bool> over{false};
    std::vector<std::thread> threads;
    explicit camel_pool(unsigned count)
    {
        for (unsigned i = 0; i < count; i++)
            threads.emplace_back([this] { work(); });
    }
    void work()
    {
        moodycamel::ConsumerToken token{queue};
        moodycamel::ProducerToken inside{queue};
        piece pieces[batch];
        while (!over.load(std::memory_order_relaxed)) {
            size_t n = queue.take(token, pieces);
            for (size_t i = 0; i < n; i++)
                pieces[i].run(reinterpret_cast<fw_worker *>(&inside), pieces[i].argument);
        }
    }
    ~camel_pool()
    {
        over = true;
        for (auto &thread : threads)
            thread.join();
    }
};

template <class Queue> struct camel {
    using pool_type = camel_pool<Queue>;
    static void *create(unsigned threads)
    {
        return new pool_type(threads);
    }
    static void destroy(void *pool)
    {
        delete static_cast<pool_type *>(pool);
    }
    static void submit(void *pool, unsigned, fw_case_fn run, void *argument)
    {
        auto *self = static_cast<pool_type *>(pool);
        self->queue.enqueue(self->outside, piece{run, argument});
    }
    static void submit_bulk(void *pool, fw_case_fn run, void *argument, size_t count)
    {
        auto *self = static_cast<pool_type *>(pool);
        std::vector<piece> pieces(count, piece{run, argument});
        self->queue.enqueue_bulk(self->outside, pieces.data(), count);
    }
    static void spawn(void *pool, fw_worker *inside, fw_case_fn run, void *argument)
    {
        auto *self = static_cast<pool_type *>(pool);
        self->queue.enqueue(*reinterpret_cast<moodycamel::ProducerToken *>(inside),
                            piece{run, argument});
    }
};

/* ---- mutex and condition variable ---- */

struct mutex_pool {
    std::mutex lock;
    std::condition_variable some;
    std::deque<piece> levels[4];
    bool over = false;
    std::vector<std::thread> threads;
    explicit mutex_pool(unsigned count)
    {
        for (unsigned i = 0; i < count; i++)
            threads.emplace_back([this] { work(); });
    }
    std::deque<piece> *first()
    {
        for (auto &level : levels)
            if (!level.empty())
                return &level;
        return nullptr;
    }
    void work()
    {
        std::unique_lock<std::mutex> held(lock);
        for (;;) {
            std::deque<piece> *level = first();
            if (level == nullptr) {
                if (over)
                    return;
                some.wait(held);
                continue;
            }
            piece next = level->front();
            level->pop_front();
            held.unlock();
            next.run(nullptr, next.argument);
            held.lock();
        }
    }
    void put(unsigned level, piece one, size_t count)
    {
        {
            std::lock_guard<std::mutex> held(lock);
            levels[level].insert(levels[level].end(), count, one);
        }
        some.notify_one();
    }
    ~mutex_pool()
    {
        {
            std::lock_guard<std::mutex> held(lock);
            over = true;
        }
        some.notify_all();
        for (auto &thread : threads)
            thread.join();
    }
};

void *mutex_create(unsigned threads)
{
    return new mutex_pool(threads);
}

void mutex_destroy(void *pool)
{
    delete static_cast<mutex_pool *>(pool);
}

void mutex_submit(void *pool, unsigned level, fw_case_fn run, void *argument)
{
    static_cast<mutex_pool *>(pool)->put(level, piece{run, argument}, 1);
}

void mutex_submit_bulk(void *pool, fw_case_fn run, void *argument, size_t count)
{
    static_cast<mutex_pool *>(pool)->put(2, piece{run, argument}, count);
}

void mutex_spawn(void *pool, fw_worker *, fw_case_fn run, void *argument)
{
    static_cast<mutex_pool *>(pool)->put(2, piece{run, argument}, 1);
}

/* ---- OpenMP ---- */

struct omp_pool {
    unsigned threads;
};

void *omp_create(unsigned threads)
{
    return new omp_pool{threads};
}

void omp_destroy(void *pool)
{
    delete static_cast<omp_pool *>(pool);
}

void omp_branch(unsigned depth, fw_case_fn leaf)
{
    leaf(nullptr, nullptr);
    if (depth == 0)
        return;
#pragma omp task
    omp_branch(depth - 1, leaf);
#pragma omp task
    omp_branch(depth - 1, leaf);
}

void omp_tree(void *pool, unsigned depth, fw_case_fn leaf)
{
#pragma omp parallel num_threads(static_cast <omp_pool *>(pool)->threads)
#pragma omp single
    omp_branch(depth, leaf);
}

} // namespace

extern "C" const fw_case fw_case_peers[] = {
    {"tbb", tbb_create, tbb_destroy, tbb_submit, tbb_submit_bulk, tbb_spawn, nullptr},
    {"moodycamel-spin", camel<queue_spin>::create, camel<queue_spin>::destroy,
     camel<queue_spin>::submit, camel<queue_spin>::submit_bulk, camel<queue_spin>::spawn, nullptr},
    {"moodycamel-park", camel<queue_park>::create, camel<queue_park>::destroy,
     camel<queue_park>::submit, camel<queue_park>::submit_bulk, camel<queue_park>::spawn, nullptr},
    {"mutex", mutex_create, mutex_destroy, mutex_submit, mutex_submit_bulk, mutex_spawn, nullptr},
    {"gomp", omp_create, omp_destroy, nullptr, nullptr, nullptr, omp_tree},
    {},
};

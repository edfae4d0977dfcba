/* runs: native tsan */
/* The pool: every item once, whoever comes when; threads that jobs do not use; closing at any moment. */
#include "crew.h"

#include <stdatomic.h>

enum { ITEMS = 5000 };

/* What a job does: plain memory, so that ThreadSanitizer sees whoever comes too late or too early. */
typedef struct counting {
    size_t items, grain, threads;
    uint32_t marks[ITEMS], number;
    bool long_range, wrong_thread;
    size_t of_thread[RP_MAX_THREADS];
} counting;

static void count(void *user, size_t first, size_t last, size_t thread) {
    counting *job = user;
    if (last - first > job->grain && last - first != job->items)
        job->long_range = true;
    if (thread >= job->threads) {
        job->wrong_thread = true;
        return;
    }
    for (size_t i = first; i < last; i++)
        job->marks[i] += job->number;
    job->of_thread[thread] += last - first;
}

static void run(crew *c, counting *job, size_t items, size_t grain) {
    job->items = items;
    job->grain = grain;
    job->number++;
    memset(job->marks, 0, sizeof job->marks);
    rp_pool_run(c->pool, items, grain, count, job);
    size_t wrong = 0;
    for (size_t i = 0; i < ITEMS; i++)
        wrong += job->marks[i] != (i < items ? job->number : 0);
    CHECK_INT(wrong, 0);
}

/* Most jobs are short: threads are late for them as often as not. */
static void run_many(crew *c, counting *job, int jobs) {
    for (int i = 0; i < jobs; i++) {
        size_t items = test_random() % (i % 16 ? 40 : ITEMS), grain = 1 + test_random() % (i % 3 ? 4 : 700);
        run(c, job, items, grain);
    }
}

TEST(every_item_once) {
    static counting job;
    for (size_t threads = 1; threads <= 4; threads++) {
        crew c;
        REQUIRE(crew_open(&c, threads));
        REQUIRE(crew_start(&c, threads - 1));
        rp_pool_use(c.pool, threads);
        job = (counting){.threads = threads};
        run_many(&c, &job, 2000);
        CHECK(!job.long_range);
        CHECK(!job.wrong_thread);
        crew_close(&c);
    }
}

TEST(without_a_pool_and_without_threads) {
    static counting job;
    crew c = {.pool = NULL};
    job = (counting){.threads = 1};
    run_many(&c, &job, 50);
    REQUIRE(crew_open(&c, 3));
    rp_pool_use(c.pool, 3); /* who never come */
    job.threads = 3;
    run_many(&c, &job, 50);
    CHECK_INT(job.of_thread[1] + job.of_thread[2], 0);
    CHECK_INT(rp_pool_serving(c.pool), 0);
    crew_close(&c);
}

TEST(threads_come_late_and_one_is_too_many) {
    static counting job;
    crew c;
    REQUIRE(crew_open(&c, 4));
    rp_pool_use(c.pool, 4);
    job = (counting){.threads = 4};
    for (int i = 0; i < 4; i++) {
        run_many(&c, &job, 200);
        REQUIRE(crew_start_one(&c));
    }
    run_many(&c, &job, 500);
    CHECK(!job.wrong_thread);
    crew_close(&c);
}

TEST(unused_threads_take_nothing) {
    static counting job;
    crew c;
    REQUIRE(crew_open(&c, 4));
    REQUIRE(crew_start(&c, 3));
    crew_await(&c);
    job = (counting){.threads = 1};
    run_many(&c, &job, 100); /* one, as after opening */
    for (int i = 0; i < 300; i++) {
        job.threads = 1 + test_random() % 4;
        rp_pool_use(c.pool, job.threads);
        run_many(&c, &job, 1 + (int)(test_random() % 8));
        if (i % 50 == 0)
            crew_sleep(2000); /* all are asleep */
    }
    CHECK(!job.wrong_thread);
    rp_pool_use(c.pool, 0);
    job.threads = 1;
    run_many(&c, &job, 20);
    rp_pool_use(c.pool, 99);
    job.threads = 4;
    run_many(&c, &job, 20);
    CHECK(!job.wrong_thread);
    crew_close(&c);
}

typedef struct meeting {
    atomic_uint seen; /* a bit a thread */
    atomic_bool late;
} meeting;

/* Whoever takes a range keeps it until all three have one, however busy the machine is: ten seconds at the most. */
static void meet(void *user, size_t first, size_t last, size_t thread) {
    (void)first;
    (void)last;
    meeting *m = user;
    atomic_fetch_or(&m->seen, 1u << thread);
    for (int ms = 0; ms < 10000 && atomic_load(&m->seen) != 7 && !atomic_load(&m->late); ms++)
        crew_sleep(1000);
    if (atomic_load(&m->seen) != 7)
        atomic_store(&m->late, true);
}

TEST(threads_that_sleep_are_woken) {
    crew c;
    REQUIRE(crew_open(&c, 3));
    REQUIRE(crew_start(&c, 2));
    crew_await(&c);
    rp_pool_use(c.pool, 3);
    for (int i = 0; i < 20; i++) {
        meeting m = {0};
        crew_sleep(2000);
        rp_pool_run(c.pool, 40, 1, meet, &m);
        CHECK_INT(atomic_load(&m.seen), 7);
    }
    crew_close(&c);
}

TEST(opened_and_closed_again_and_again) {
    static counting job;
    for (int i = 0; i < 300; i++) {
        crew c;
        size_t threads = 1 + test_random() % 4;
        REQUIRE(crew_open(&c, threads));
        REQUIRE(crew_start(&c, threads - 1));
        if (i % 3) {
            rp_pool_use(c.pool, threads);
            job = (counting){.threads = threads};
            run_many(&c, &job, i % 5);
        }
        if (i % 10 == 0)
            crew_sleep(1000);
        crew_close(&c);
    }
    rp_pool_close(NULL);
}

TEST(wrong_counts_and_no_memory) {
    crew c;
    CHECK(!crew_open(&c, 0));
    CHECK(!crew_open(&c, RP_MAX_THREADS + 1));
    CHECK(c.pool == NULL);
    c.host.limit = 16;
    CHECK_INT(rp_pool_open(&c.pool, 2, &c.memory, &c.err), RP_ERR_MEMORY);
}

TEST_MAIN(every_item_once, without_a_pool_and_without_threads, threads_come_late_and_one_is_too_many,
          unused_threads_take_nothing, threads_that_sleep_are_woken, opened_and_closed_again_and_again,
          wrong_counts_and_no_memory)

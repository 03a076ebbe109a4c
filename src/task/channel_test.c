// Channels: between tasks of one loop, and between threads.

#include "task/task_test.h"

#include <stdatomic.h>

static int numbers[100]; // what is sent are pointers into this

static bell_channel *open_channel(size_t capacity)
{
    bell_channel *channel = bell_channel_open(capacity);
    assert_non_null(channel);
    return channel;
}

static void assert_received(bell_channel *channel, int64_t deadline, int number)
{
    void *pointer = NULL;
    assert_int_equal(bell_channel_receive(channel, &pointer, deadline), 1);
    assert_int_equal((int *)pointer - numbers, number);
}

static void assert_sent(bell_channel *channel, int number, int64_t deadline)
{
    assert_int_equal(bell_channel_send(channel, &numbers[number], deadline), 0);
}

// What a task does with a channel, and what became of it.
struct doing {
    bell_channel *channel;
    int64_t deadline;
    int number; // to send, or received; -1: none yet
    int result; // of the call; 99: not over yet
    int error;
};

#define NOT_OVER 99

static int send_it(void *arg)
{
    struct doing *doing = arg;
    doing->result = bell_channel_send(doing->channel, &numbers[doing->number], doing->deadline);
    doing->error = doing->result < 0 ? errno : 0;
    return 0;
}

static int receive_it(void *arg)
{
    struct doing *doing = arg;
    void *pointer = numbers;
    doing->result = bell_channel_receive(doing->channel, &pointer, doing->deadline);
    doing->error = doing->result < 0 ? errno : 0;
    doing->number = (int)((int *)pointer - numbers);
    return 0;
}

static bell_group *start(struct doing *doings, int count, int (*run)(void *arg))
{
    bell_group *group = bell_group_open();
    assert_non_null(group);
    for (int i = 0; i < count; i++) {
        doings[i].result = NOT_OVER;
        assert_int_equal(bell_go(group, run, &doings[i]), 0);
    }
    assert_int_equal(bell_sleep(0), 0);
    return group;
}

static void await(bell_group *group)
{
    assert_int_equal(bell_group_wait(group, SOON), 0);
    bell_group_close(group);
}

// ---- Without waiting ------------------------------------------------------------------------------

static void pointers_come_out_in_order(void)
{
    bell_channel *channel = open_channel(3);
    for (int i = 0; i < 99; i += 3) {
        for (int j = i; j < i + 3; j++)
            assert_sent(channel, j, 0);
        ASSERT_FAILS(bell_channel_send(channel, numbers, 0), ETIMEDOUT);
        for (int j = i; j < i + 3; j++)
            assert_received(channel, 0, j);
        void *pointer = &numbers[7];
        ASSERT_FAILS(bell_channel_receive(channel, &pointer, 0), ETIMEDOUT);
        assert_ptr_equal(pointer, &numbers[7]);
    }
    bell_channel_close(channel);
}

static void a_capacity_that_cannot_be_is_refused(void)
{
    assert_null(bell_channel_open(0));
    assert_int_equal(errno, EINVAL);
    assert_null(bell_channel_open((1 << 20) + 1));
    assert_int_equal(errno, EINVAL);
    bell_channel_close(open_channel(1 << 20));
    bell_channel_close(NULL);
}

static void *no_memory(size_t size)
{
    (void)size;
    return NULL;
}

static void without_memory_there_is_no_channel(void)
{
    table.allocate = no_memory;
    errno = 0;
    assert_null(bell_channel_open(1));
    assert_int_equal(errno, ENOMEM);
    table.allocate = kernel_real.allocate;
}

static void *use_without_a_loop(void *channel)
{
    void *pointer = NULL;
    ASSERT_FAILS_WITHOUT_A_LOOP(bell_channel_send(channel, &numbers[1], SOON));
    ASSERT_FAILS_WITHOUT_A_LOOP(bell_channel_receive(channel, &pointer, SOON));
    assert_int_equal(bell_channel_send(channel, &numbers[1], 0), 0); // a try needs none
    assert_int_equal(bell_channel_receive(channel, &pointer, 0), 1);
    assert_ptr_equal(pointer, &numbers[1]);
    return NULL;
}

static void without_a_loop_a_thread_may_only_try(void)
{
    bell_channel *channel = open_channel(1);
    on_a_thread_without_a_loop(use_without_a_loop, channel);
    bell_channel_close(channel);
}

static void what_is_in_an_ended_channel_can_be_received(void)
{
    bell_channel *channel = open_channel(2);
    assert_sent(channel, 4, 0);
    bell_channel_end(channel);
    bell_channel_end(channel);
    ASSERT_FAILS(bell_channel_send(channel, numbers, SOON), EPIPE);
    assert_received(channel, SOON, 4);
    void *pointer;
    assert_int_equal(bell_channel_receive(channel, &pointer, SOON), 0);
    assert_int_equal(bell_channel_receive(channel, &pointer, 0), 0);
    bell_channel_close(channel);
}

// ---- Waiting ----------------------------------------------------------------------------------

static void receivers_are_served_in_order(void)
{
    bell_channel *channel = open_channel(8);
    struct doing doings[3] = {{.channel = channel, .deadline = SOON},
                              {.channel = channel, .deadline = SOON},
                              {.channel = channel, .deadline = SOON}};
    bell_group *group = start(doings, 3, receive_it);
    for (int i = 0; i < 4; i++)
        assert_sent(channel, i, 0);
    await(group);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(doings[i].result, 1);
        assert_int_equal(doings[i].number, i);
    }
    assert_received(channel, 0, 3);
    bell_channel_close(channel);
}

static void senders_are_served_in_order(void)
{
    bell_channel *channel = open_channel(1);
    assert_sent(channel, 0, 0);
    struct doing doings[3] = {{.channel = channel, .deadline = SOON, .number = 1},
                              {.channel = channel, .deadline = SOON, .number = 2},
                              {.channel = channel, .deadline = SOON, .number = 3}};
    bell_group *group = start(doings, 3, send_it);
    ASSERT_FAILS(bell_channel_send(channel, numbers, 0), ETIMEDOUT);
    for (int i = 0; i < 4; i++)
        assert_received(channel, 0, i);
    await(group);
    for (int i = 0; i < 3; i++)
        assert_int_equal(doings[i].result, 0);
    bell_channel_close(channel);
}

static void a_deadline_ends_the_waiting(void)
{
    bell_channel *channel = open_channel(1);
    void *pointer = NULL;
    ASSERT_FAILS(bell_channel_receive(channel, &pointer, bell_in(BELL_MS)), ETIMEDOUT);
    assert_sent(channel, 1, SOON);
    ASSERT_FAILS(bell_channel_send(channel, numbers, bell_in(BELL_MS)), ETIMEDOUT);
    assert_received(channel, 0, 1); // who gave up has left nothing behind
    ASSERT_FAILS(bell_channel_receive(channel, &pointer, 0), ETIMEDOUT);
    bell_channel_close(channel);
}

static void the_end_wakes_those_who_wait(void)
{
    bell_channel *empty = open_channel(1), *full = open_channel(1);
    assert_sent(full, 1, 0);
    struct doing receives[2] = {{.channel = empty, .deadline = SOON},
                                {.channel = empty, .deadline = SOON}};
    struct doing sends[2] = {{.channel = full, .deadline = SOON},
                             {.channel = full, .deadline = SOON}};
    bell_group *receivers = start(receives, 2, receive_it), *senders = start(sends, 2, send_it);
    bell_channel_end(empty);
    bell_channel_end(full);
    await(receivers);
    await(senders);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(receives[i].result, 0);
        assert_int_equal(sends[i].result, -1);
        assert_int_equal(sends[i].error, EPIPE);
    }
    assert_received(full, 0, 1);
    bell_channel_close(empty);
    bell_channel_close(full);
}

static void cancelling_ends_calls_but_not_tries(void)
{
    bell_channel *channel = open_channel(2);
    struct doing doing = {.channel = channel, .deadline = BELL_NEVER};
    bell_group *group = start(&doing, 1, receive_it);
    bell_group_cancel(group);
    await(group);
    assert_int_equal(doing.error, ECANCELED);

    void *pointer;
    self()->cancelled = -ECANCELED;
    ASSERT_FAILS(bell_channel_send(channel, numbers, SOON), ECANCELED);
    assert_sent(channel, 5, 0);
    ASSERT_FAILS(bell_channel_receive(channel, &pointer, SOON), ECANCELED);
    assert_received(channel, 0, 5);
    self()->cancelled = 0;
    bell_channel_close(channel);
}

// The receiver's time is over, but before it runs somebody chooses it.
static void who_is_chosen_at_the_deadline_gets_it(void)
{
    bell_channel *channel = open_channel(1);
    struct doing doing = {.channel = channel, .deadline = bell_in(BELL_MS)};
    bell_group *group = start(&doing, 1, receive_it);
    assert_int_equal(doing.result, NOT_OVER);
    timers_expire(&self()->loop->timers, doing.deadline);
    assert_sent(channel, 9, 0);
    await(group);
    assert_int_equal(doing.result, 1);
    assert_int_equal(doing.number, 9);
    bell_channel_close(channel);
}

static void what_happens_in_a_yield_is_noticed(void)
{
    bell_channel *channel = open_channel(1);
    struct doing doing = {.channel = channel, .deadline = SOON, .number = 3, .result = NOT_OVER};
    bell_group *group = bell_group_open();
    assert_int_equal(bell_go(group, send_it, &doing), 0);
    be_tired();
    assert_received(channel, SOON, 3);
    await(group);
    bell_channel_close(channel);
}

static int count_turns(void *arg)
{
    ++*(int *)arg;
    return 0;
}

static void who_never_has_to_wait_lets_others_run(void)
{
    bell_channel *channel = open_channel(1);
    bell_group *group = bell_group_open();
    int turns = 0;
    assert_int_equal(bell_go(group, count_turns, &turns), 0);
    for (int i = 0; i < 100 && turns == 0; i++) {
        assert_sent(channel, 1, SOON);
        assert_received(channel, SOON, 1);
    }
    assert_int_equal(turns, 1);
    await(group);
    bell_channel_close(channel);
}

static ssize_t no_write(int fd, const void *from, size_t size)
{
    (void)fd;
    (void)from;
    (void)size;
    fail();
    return -1;
}

static int send_hundred(void *channel)
{
    for (int i = 0; i < 100; i++)
        assert_sent(channel, i, SOON);
    return 0;
}

static void tasks_of_one_loop_need_no_system_call(void)
{
    bell_channel *channel = open_channel(1);
    bell_group *group = bell_group_open();
    table.write = no_write;
    assert_int_equal(bell_go(group, send_hundred, channel), 0);
    for (int i = 0; i < 100; i++)
        assert_received(channel, SOON, i);
    table.write = kernel_real.write;
    await(group);
    bell_channel_close(channel);
}

// ---- Threads ----------------------------------------------------------------------------------

static void *reply_once(void *channel)
{
    assert_int_equal(bell_channel_send(channel, &numbers[42], SOON), 0);
    return NULL;
}

static void *end_it(void *channel)
{
    bell_channel_end(channel);
    return NULL;
}

// Who has the answer frees the channel, though its sender may not have returned yet.
static void a_channel_for_one_reply_is_closed_at_once(void)
{
    for (int i = 0; i < 200; i++) {
        bell_channel *channel = open_channel(1);
        bool ends = i % 2;
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, ends ? end_it : reply_once, channel), 0);
        void *pointer;
        assert_int_equal(bell_channel_receive(channel, &pointer, SOON), !ends);
        bell_channel_close(channel);
        assert_int_equal(pthread_join(thread, NULL), 0);
    }
}

enum { THREADS = 3, TASKS = 3, SENT = 400 };

struct crowd {
    bell_channel *channel;
    atomic_int times[THREADS * TASKS * SENT]; // how often each came out
    atomic_int next_sender;
    atomic_int gave_up;
};

// Deadlines that pass just when somebody is about to be chosen.
static int64_t some_time(unsigned *seed)
{
    *seed = *seed * 1103515245 + 12345;
    unsigned dice = *seed >> 16 & 7;
    return dice == 0 ? 0 : dice == 1 ? BELL_NEVER : bell_in((int64_t)dice * 3000);
}

static int send_all(void *arg)
{
    struct crowd *crowd = arg;
    int sender = atomic_fetch_add(&crowd->next_sender, 1);
    unsigned seed = (unsigned)sender + 1;
    for (int i = 0; i < SENT; i++)
        while (bell_channel_send(crowd->channel, &crowd->times[sender * SENT + i],
                                 some_time(&seed)) < 0)
            atomic_fetch_add(&crowd->gave_up, 1);
    return 0;
}

static int receive_all(void *arg)
{
    struct crowd *crowd = arg;
    unsigned seed = 7;
    for (;;) {
        void *pointer;
        int rc = bell_channel_receive(crowd->channel, &pointer, some_time(&seed));
        if (rc == 0)
            return 0;
        if (rc == 1)
            atomic_fetch_add((atomic_int *)pointer, 1);
        else
            atomic_fetch_add(&crowd->gave_up, 1);
    }
}

static void *run_tasks(struct crowd *crowd, int (*run)(void *arg))
{
    bell_group *group = bell_group_open();
    for (int i = 0; i < TASKS; i++)
        assert_int_equal(bell_go(group, run, crowd), 0);
    await(group);
    return NULL;
}

static void *run_senders(void *crowd)
{
    return run_tasks(crowd, send_all);
}

static void *run_receivers(void *crowd)
{
    return run_tasks(crowd, receive_all);
}

static void between_threads_nothing_is_lost_or_doubled(void)
{
    struct crowd *crowd = calloc(1, sizeof *crowd);
    crowd->channel = open_channel(2);
    pthread_t senders[THREADS], receivers[THREADS];
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&senders[i], NULL, run_senders, crowd), 0);
        if (i > 0)
            assert_int_equal(pthread_create(&receivers[i], NULL, run_receivers, crowd), 0);
    }
    bell_group *group = bell_group_open(); // and this loop's own
    for (int i = 0; i < TASKS; i++)
        assert_int_equal(bell_go(group, receive_all, crowd), 0);
    for (int i = 0; i < THREADS; i++)
        while (pthread_tryjoin_np(senders[i], NULL) == EBUSY)
            assert_int_equal(bell_sleep(0), 0);
    bell_channel_end(crowd->channel);
    await(group);
    for (int i = 1; i < THREADS; i++)
        assert_int_equal(pthread_join(receivers[i], NULL), 0);
    for (int i = 0; i < THREADS * TASKS * SENT; i++)
        assert_int_equal(crowd->times[i], 1);
    bell_channel_close(crowd->channel);
    free(crowd);
}

int main(void)
{
    use_table();
    const struct CMUnitTest tests[] = {
        ON_EACH(pointers_come_out_in_order),
        ON_EACH(a_capacity_that_cannot_be_is_refused),
        ON_EACH(without_memory_there_is_no_channel),
        ON_EACH(without_a_loop_a_thread_may_only_try),
        ON_EACH(what_is_in_an_ended_channel_can_be_received),
        ON_EACH(receivers_are_served_in_order),
        ON_EACH(senders_are_served_in_order),
        ON_EACH(a_deadline_ends_the_waiting),
        ON_EACH(the_end_wakes_those_who_wait),
        ON_EACH(cancelling_ends_calls_but_not_tries),
        ON_EACH(who_is_chosen_at_the_deadline_gets_it),
        ON_EACH(what_happens_in_a_yield_is_noticed),
        ON_EACH(who_never_has_to_wait_lets_others_run),
        ON_EACH(tasks_of_one_loop_need_no_system_call),
        ON_EACH(a_channel_for_one_reply_is_closed_at_once),
        ON_EACH(between_threads_nothing_is_lost_or_doubled),
    };
    return cmocka_run_group_tests_name("channels", tests, NULL, NULL);
}

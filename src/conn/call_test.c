// Calls over datagrams: what is asked again, what is thrown away, and what is told when nobody answers.

#include <ctype.h>
#include <netinet/in.h>
#include <stdio.h>

#include "conn/conn_test.h"
#include "conn/dgram.h"

// ---- Somebody who answers ---------------------------------------------------------------------

// What he does with each request: '-' nothing, 'A' answers in capitals, '2' twice, 'X' says something else
// first. After the last one he goes.
static struct answerer {
    bell_dgram dgram;
    const char *manners;
    int asked;
    in_port_t ports[10]; // of those who asked
} answerer;

// Who asked may be gone from the port of an earlier answer, which is told once, and is none of ours.
static void reply(const char *text, size_t size, const struct bell_datagram *about)
{
    ssize_t n = -1;
    for (int i = 0; i < 10 && n < 0; i++)
        n = sendto(answerer.dgram.endpoint.fd, text, size, 0, (const struct sockaddr *)&about->peer,
                   about->peer_size);
    assert_int_equal(n, size);
}

static void answer_requests(void *arg)
{
    (void)arg;
    for (; *answerer.manners; answerer.manners++) {
        char text[100];
        struct bell_datagram about;
        ssize_t n = bell_recvfrom(&answerer.dgram, text, sizeof text, &about);
        if (n < 0 && errno == ECANCELED)
            return; // nobody asks any more
        if (n < 0)
            fail_msg("bell_recvfrom: %s", bell_error());
        answerer.ports[answerer.asked++] = ((struct sockaddr_in *)&about.peer)->sin_port;
        for (ssize_t i = 0; i < n; i++)
            text[i] = (char)toupper(text[i]);
        if (*answerer.manners == 'X')
            reply("rubbish", 7, &about);
        if (*answerer.manners != '-')
            reply(text, (size_t)n, &about);
        if (*answerer.manners == '2')
            reply(text, (size_t)n, &about);
    }
}

static void open_call(const char *manners)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    int server = kernel_real.socket(AF_INET, SOCK_DGRAM, 0),
        caller = socket(AF_INET, SOCK_DGRAM, 0);
    assert_int_equal(bind(server, (struct sockaddr *)&address, size), 0);
    assert_int_equal(dgram_init(&answerer.dgram, server), 0);
    answerer.manners = manners;
    answerer.asked = 0;
    start(answer_requests, NULL);
    assert_int_equal(connect(caller, (struct sockaddr *)&answerer.dgram.bound, size), 0);
    left = bell_attach(caller);
    assert_non_null(left);
    (void)bell_deadline(left, bell_in(20 * BELL_SECOND));
}

static void close_call(void)
{
    kernel = &kernel_real;
    await_others();
    int fd = answerer.dgram.endpoint.fd;
    dgram_finish(&answerer.dgram);
    (void)close(fd);
    bell_abort(left);
}

static struct bell_call_options quickly(int tries)
{
    return (struct bell_call_options){
        .size = sizeof(struct bell_call_options), .tries = tries, .first_wait = BELL_MS};
}

static void expect_answer(const char *request, const char *expected,
                          const struct bell_call_options *options)
{
    char answer[20] = "";
    size_t size = strlen(request);
    assert_int_equal(bell_call(left, request, size, answer, sizeof answer, options),
                     strlen(expected));
    assert_memory_equal(answer, expected, strlen(expected));
}

// ---- A kernel that says what a network may say ------------------------------------------------------

static struct kernel_ops odd_kernel;
static const int *answers; // negative errnos, the last one 0; then the real kernel's
static int calls;

static int next_answer(void)
{
    calls++;
    return *answers ? *answers++ : 0;
}

static int answer_connect(int fd, const struct sockaddr *address, socklen_t size)
{
    int rc = next_answer();
    return rc < 0 ? rc : kernel_real.connect(fd, address, size);
}

static ssize_t answer_send(int fd, const void *from, size_t size, int flags)
{
    int rc = next_answer();
    return rc < 0 ? rc : kernel_real.send(fd, from, size, flags);
}

static ssize_t answer_recv(int fd, void *into, size_t size, int flags)
{
    int rc = next_answer();
    return rc < 0 ? rc : kernel_real.recv(fd, into, size, flags);
}

static ssize_t flood(int fd, void *into, size_t size, int flags)
{
    if (fd != left->endpoint.fd)
        return kernel_real.recv(fd, into, size, flags);
    calls++;
    memset(into, 'x', size);
    return (ssize_t)size;
}

static void use_odd_kernel(const int *list)
{
    odd_kernel = kernel_real;
    answers = list;
    calls = 0;
    kernel = &odd_kernel;
}

// ---- Asking -----------------------------------------------------------------------------------

static void what_is_lost_is_asked_again(void)
{
    open_call("--A");
    struct bell_call_options options = quickly(1000);
    expect_answer("hello", "HELLO", &options);
    assert_int_equal(answerer.asked, 3);
    assert_int_equal(answerer.ports[0], answerer.ports[2]);
    close_call();
}

static void each_question_has_its_own_answer(void)
{
    open_call("2A");
    expect_answer("one", "ONE", NULL);
    expect_answer("two", "TWO", NULL); // not what came twice
    assert_int_not_equal(answerer.ports[0], answerer.ports[1]);
    // The new port is told.
    char local[64];
    (void)snprintf(local, sizeof local, "udp:127.0.0.1:%d", ntohs(answerer.ports[1]));
    assert_string_equal(bell_local(left), local);
    close_call();
}

static bool is_in_capitals(const void *request, size_t size, const void *answer, size_t answer_size,
                           void *arg)
{
    ++*(int *)arg;
    const char *asked = request, *said = answer;
    for (size_t i = 0; i < size; i++)
        if (i >= answer_size || said[i] != toupper(asked[i]))
            return false;
    return true;
}

static void what_does_not_match_is_passed_over(void)
{
    open_call("X2XA");
    int looks = 0;
    struct bell_call_options options = {
        .size = sizeof options, .matches = is_in_capitals, .arg = &looks};
    static const char *const questions[] = {"one", "two", "three", "four"};
    static const char *const expected[] = {"ONE", "TWO", "THREE", "FOUR"};
    for (int i = 0; i < 4; i++)
        expect_answer(questions[i], expected[i], &options);
    assert_true(looks >= 6);
    assert_int_equal(answerer.ports[0], answerer.ports[3]); // it can stay
    close_call();
}

static bool note_size(const void *request, size_t size, const void *answer, size_t answer_size,
                      void *arg)
{
    (void)request, (void)size, (void)answer;
    *(size_t *)arg = answer_size;
    return true;
}

static void an_answer_that_is_too_long_is_told(void)
{
    char answer[3];
    open_call("AA");
    ASSERT_FAILS(bell_call(left, "hello", 5, answer, sizeof answer, NULL), EMSGSIZE);
    assert_int_equal(bell_done(), 3);
    assert_memory_equal(answer, "HEL", 3);
    // Who matches is shown what there is, and no more.
    size_t shown = 0;
    struct bell_call_options options = {
        .size = sizeof options, .matches = note_size, .arg = &shown};
    ASSERT_FAILS(bell_call(left, "hello", 5, answer, sizeof answer, &options), EMSGSIZE);
    assert_int_equal(shown, 3);
    close_call();
}

// ---- Who does not answer ----------------------------------------------------------------------

static void assert_asked(const char *times)
{
    assert_non_null(strstr(bell_error(), ": no answer, asked "));
    assert_int_equal(strncmp(strstr(bell_error(), "asked ") + 6, times, strlen(times)), 0);
}

static void silence_is_told_after_so_many_tries(void)
{
    char answer[10];
    open_call("---");
    struct bell_call_options options = quickly(2);
    options.wait_max = BELL_NEVER; // however long: it makes no difference
    ASSERT_FAILS(bell_call(left, "x", 1, answer, sizeof answer, &options), ETIMEDOUT);
    assert_asked("2 times in ");
    assert_int_equal(bell_done(), 0);
    options = quickly(1);
    options.first_wait = BELL_SECOND;
    options.wait_max = BELL_MS; // the shorter one
    ASSERT_FAILS(bell_call(left, "x", 1, answer, sizeof answer, &options), ETIMEDOUT);
    assert_asked("1 time in ");
    close_call();
}

static void a_deadline_ends_a_call(void)
{
    char answer[10];
    open_call("-");
    (void)bell_deadline(left, bell_in(BELL_MS));
    ASSERT_FAILS(bell_call(left, "x", 1, answer, sizeof answer, NULL), ETIMEDOUT);
    (void)bell_deadline(left, bell_now());
    ASSERT_FAILS(bell_call(left, "x", 1, answer, sizeof answer, NULL), ETIMEDOUT);
    assert_asked("0 times in ");
    if (answerer.asked == 0) // the first deadline may have passed before anything was sent
        wait_cancel_endpoint(&answerer.dgram.endpoint, -ECANCELED);
    close_call();
}

static void the_fate_of_an_earlier_request_is_not_that_of_this_one(void)
{
    static const int refused[] = {-ECONNREFUSED, -ECONNREFUSED, 0};
    open_call("A");
    use_odd_kernel(refused);
    odd_kernel.recv = answer_recv;
    expect_answer("hello", "HELLO", NULL);
    close_call();
}

static void end_answerer(void)
{
    wait_cancel_endpoint(&answerer.dgram.endpoint, -ECANCELED);
}

static void receive_until_cancelled(void *arg)
{
    char byte;
    *(int *)arg = bell_recvfrom(&answerer.dgram, &byte, 1, NULL) < 0 ? -errno : 0;
}

static void open_silent_call(int *ret_result)
{
    open_call("");
    await_others();
    start(receive_until_cancelled, ret_result);
}

static void who_sends_without_end_does_not_keep_a_call_from_being_made(void)
{
    char answer[10];
    int result = 0;
    open_silent_call(&result);
    use_odd_kernel(NULL);
    odd_kernel.recv = flood;
    assert_int_equal(bell_call(left, "x", 1, answer, sizeof answer, NULL), sizeof answer);
    assert_int_equal(calls, 10001);
    kernel = &kernel_real;
    end_answerer();
    close_call();
}

static void what_the_network_says_of_a_request_is_told(void)
{
    static const int no_way[] = {-ENETUNREACH, 0};
    char answer[10];
    int result = 0;
    open_silent_call(&result);
    use_odd_kernel(no_way);
    odd_kernel.send = answer_send;
    ASSERT_FAILS(bell_call(left, "x", 1, answer, sizeof answer, NULL), ENETUNREACH);
    assert_int_equal(calls, 1);
    kernel = &kernel_real;
    end_answerer();
    close_call();
}

static void a_port_that_cannot_be_changed_is_told(void)
{
    static const int at_once[] = {-ENOMEM, 0}, then[] = {0}, late[] = {-ENETUNREACH, 0};
    char answer[10];
    open_call("AAA");
    expect_answer("one", "ONE", NULL);
    use_odd_kernel(at_once);
    odd_kernel.connect = answer_connect;
    ASSERT_FAILS(bell_call(left, "x", 1, answer, sizeof answer, NULL), ENOMEM);
    use_odd_kernel(late);
    odd_kernel.connect = answer_connect;
    ASSERT_FAILS(bell_call(left, "x", 1, answer, sizeof answer, NULL), ENETUNREACH);
    use_odd_kernel(then);
    odd_kernel.connect = answer_connect;
    expect_answer("two", "TWO", NULL); // it may be tried again
    assert_int_equal(calls, 2);
    expect_answer("three", "THREE", NULL);
    close_call();
}

// ---- Who may not call ---------------------------------------------------------------------------

static void options_that_make_no_sense_are_refused(void)
{
    static const struct bell_call_options wrong[] = {
        {.size = 1},
        {.size = sizeof wrong[0], .tries = -1},
        {.size = sizeof wrong[0], .tries = 1001},
        {.size = sizeof wrong[0], .first_wait = -1},
        {.size = sizeof wrong[0], .wait_max = -1},
    };
    char answer[10];
    open_call("A");
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        ASSERT_FAILS(bell_call(left, "x", 1, answer, sizeof answer, &wrong[i]), EINVAL);
    expect_answer("hello", "HELLO", NULL);
    close_call();
}

static void call_in_a_task(void *arg)
{
    char answer[10];
    *(int *)arg = bell_call(left, "x", 1, answer, sizeof answer, NULL) < 0 ? -errno : 0;
}

static void one_call_at_a_time(void)
{
    static const int full[] = {-EAGAIN, 0};
    char answer[10];
    int result = 0;
    open_call("AA");
    start(call_in_a_task, &result);
    while (!left->endpoint.calls[WAIT_IN])
        task_yield(task_here(NULL));
    ASSERT_FAILS(bell_call(left, "x", 1, answer, sizeof answer, NULL), EBUSY);
    ASSERT_FAILS(bell_recv(left, answer, sizeof answer), EBUSY);
    while (!result && left->receiving)
        task_yield(task_here(NULL));
    assert_int_equal(result, 0);
    // Who sends is in the way as well, and the refused call leaves the receiving side free.
    left->sending = true;
    ASSERT_FAILS(bell_call(left, "x", 1, answer, sizeof answer, NULL), EBUSY);
    left->sending = false;
    do_not_wait(left);
    ASSERT_FAILS(bell_recv(left, answer, sizeof answer), ETIMEDOUT);
    (void)bell_deadline(left, BELL_NEVER);
    use_odd_kernel(full); // a request waits for room
    odd_kernel.send = answer_send;
    expect_answer("hello", "HELLO", NULL);
    close_call();
}

static void messages_of_another_kind_are_no_calls(void)
{
    char byte;
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds), 0);
    left = bell_attach(fds[0]);
    right = bell_attach(fds[1]);
    ASSERT_FAILS(bell_call(left, "x", 1, &byte, 1, NULL), EPROTOTYPE);
    abort_pair();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_EACH(what_is_lost_is_asked_again),
        ON_EACH(each_question_has_its_own_answer),
        ON_EACH(what_does_not_match_is_passed_over),
        ON_EACH(an_answer_that_is_too_long_is_told),
        ON_EACH(silence_is_told_after_so_many_tries),
        ON_EACH(a_deadline_ends_a_call),
        ON_EACH(the_fate_of_an_earlier_request_is_not_that_of_this_one),
        ON_EACH(who_sends_without_end_does_not_keep_a_call_from_being_made),
        ON_EACH(what_the_network_says_of_a_request_is_told),
        ON_EACH(a_port_that_cannot_be_changed_is_told),
        ON_EACH(options_that_make_no_sense_are_refused),
        ON_EACH(one_call_at_a_time),
        ON_EACH(messages_of_another_kind_are_no_calls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

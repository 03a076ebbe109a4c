// Writing: bell_write, bell_writev, bell_printf and bell_sendfile.

#include "conn/conn_test.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <wchar.h>

#define MANY ((size_t)1000000)

static struct reading start_reading(bell_conn *conn)
{
    return (struct reading){.conn = conn};
}

// Ends the writer's stream and waits for the reader of it.
static void check_all_came(struct reading *reading, size_t count)
{
    assert_int_equal(bell_shutdown(left, SHUT_WR), 0);
    await_others();
    assert_int_equal(reading->result, 0);
    assert_int_equal(reading->count, count);
    assert_false(reading->wrong);
    assert_int_equal(left->bytes_out, count);
    assert_int_equal(right->bytes_in, count);
}

// ---- Whole writes -----------------------------------------------------------------------------

static void a_write_is_whole(void)
{
    open_pair();
    char *sent = make_bytes(MANY);
    struct reading reading = start_reading(right);
    start(read_all, &reading);
    assert_int_equal(bell_write(left, sent, 0), 0);
    assert_int_equal(bell_write(left, sent, 1), 1);
    assert_int_equal(bell_write(left, sent + 1, MANY - 1), MANY - 1);
    check_all_came(&reading, MANY);
    free(sent);
    abort_pair();
}

static void set_small_buffer(const bell_conn *conn)
{
    int size = 4096;
    assert_int_equal(setsockopt(conn->endpoint.fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size), 0);
}

// Cuts `bytes` into pieces of `size`, with empty ones among them.
static int cut(void *bytes, size_t size, struct iovec *pieces, size_t *ret_sum)
{
    char *sent = bytes;
    size_t at = 0;
    for (int i = 0; i < 1024; i++) {
        pieces[i] = (struct iovec){.iov_base = sent + at, .iov_len = i % 5 == 0 ? 0 : size};
        at += pieces[i].iov_len;
    }
    *ret_sum = at;
    return 1024;
}

static void many_pieces_are_written_as_one(void)
{
    char *sent = make_bytes(MANY);
    static struct iovec pieces[1025], before[1025];
    for (size_t size = 1; size < 1000; size = size * 7 + 2) {
        open_pair();
        set_small_buffer(left);
        struct reading reading = start_reading(right);
        start(read_all, &reading);
        size_t sum = 0;
        int count = cut(sent, size, pieces, &sum);
        memcpy(before, pieces, sizeof pieces);
        assert_int_equal(bell_writev(left, pieces, count), sum);
        assert_memory_equal(before, pieces, sizeof pieces); // the array is not changed
        check_all_came(&reading, sum);
        abort_pair();
    }
    free(sent);
}

static void writev_checks_its_pieces(void)
{
    open_pair();
    static struct iovec pieces[1025];
    memset(pieces, 0, sizeof pieces);
    ASSERT_FAILS(bell_writev(left, pieces, 0), EINVAL);
    ASSERT_FAILS(bell_writev(left, pieces, -1), EINVAL);
    ASSERT_FAILS(bell_writev(left, pieces, 1025), EINVAL);
    assert_int_equal(bell_writev(left, pieces, 1024), 0); // all empty
    pieces[0].iov_len = pieces[1].iov_len = SIZE_MAX / 2;
    ASSERT_FAILS(bell_writev(left, pieces, 2), EINVAL);
    pieces[0].iov_len = SIZE_MAX / 2 + 1; // more than a result can tell
    ASSERT_FAILS(bell_writev(left, pieces, 1), EINVAL);
    assert_int_equal(bell_write(left, "x", 1), 1); // nothing was broken by that
    abort_pair();
}

static struct kernel_ops odd_kernel;
static unsigned sends;

// Few bytes at a time, and now and then none.
static ssize_t send_few(int fd, const void *from, size_t size, int flags)
{
    size_t few = sends++ % 7;
    return few == 0 ? -EAGAIN : kernel_real.send(fd, from, size < few ? size : few, flags);
}

static ssize_t sendmsg_few(int fd, const struct msghdr *message, int flags)
{
    struct msghdr first = *message;
    struct iovec piece = message->msg_iov[0];
    size_t few = sends++ % 7;
    if (few == 0)
        return -EINTR;
    piece.iov_len = piece.iov_len < few ? piece.iov_len : few;
    first.msg_iov = &piece;
    first.msg_iovlen = 1;
    return kernel_real.sendmsg(fd, &first, flags);
}

static void writes_are_whole_however_little_the_kernel_takes(void)
{
    open_pair();
    odd_kernel = kernel_real;
    odd_kernel.send = send_few;
    odd_kernel.sendmsg = sendmsg_few;
    kernel = &odd_kernel;
    char *sent = make_bytes(3000);
    static struct iovec pieces[1024];
    size_t sum = 0;
    struct reading reading = start_reading(right);
    start(read_all, &reading);
    assert_int_equal(bell_write(left, sent, 1000), 1000);
    int count = cut(sent + 1000, 2, pieces, &sum);
    assert_int_equal(bell_writev(left, pieces, count), sum);
    kernel = &kernel_real;
    check_all_came(&reading, 1000 + sum);
    free(sent);
    abort_pair();
}

// ---- Text -------------------------------------------------------------------------------------

static void printf_writes_what_printf_would(void)
{
    open_pair();
    char bytes[3000], wanted[3000];
    assert_int_equal(bell_printf(left, "%s is %d", "one", 1), 8);
    assert_int_equal(bell_readn(right, bytes, 8), 8);
    assert_memory_equal(bytes, "one is 1", 8);
    assert_int_equal(bell_printf(left, "%s", ""), 0);
    for (int width = 250; width < 260; width++) { // where it moves from the stack to the heap
        int length = snprintf(wanted, sizeof wanted, "%*d%c", width, 7, 0);
        assert_int_equal(bell_printf(left, "%*d%c", width, 7, 0), length);
        assert_int_equal(bell_readn(right, bytes, (size_t)length), length);
        assert_memory_equal(bytes, wanted, (size_t)length);
    }
    assert_int_equal(bell_printf(left, "%2999d", 5), 2999);
    assert_int_equal(bell_readn(right, bytes, 2999), 2999);
    assert_int_equal(bytes[2998], '5');
    abort_pair();
}

static void *no_allocation(size_t size)
{
    (void)size;
    return NULL;
}

static void printf_fails_without_memory_or_sense(void)
{
    open_pair();
    ASSERT_FAILS(bell_printf(left, "%lc", (wint_t)0x20ac), EILSEQ); // in the C locale
    odd_kernel = kernel_real;
    odd_kernel.allocate = no_allocation;
    kernel = &odd_kernel;
    ASSERT_FAILS(bell_printf(left, "%300d", 1), ENOMEM);
    kernel = &kernel_real;
    assert_int_equal(bell_printf(left, "%d", 1), 1); // nothing was broken
    abort_pair();
}

// ---- Writes that fail -------------------------------------------------------------------------

static void a_write_that_moved_nothing_may_be_made_again(void)
{
    open_pair();
    char *sent = make_bytes(MANY);
    bell_deadline(left, 1); // long ago
    ASSERT_FAILS(bell_write(left, sent, MANY), ETIMEDOUT);
    assert_int_equal(bell_done(), 0);
    bell_deadline(left, BELL_NEVER);
    struct reading reading = start_reading(right);
    start(read_all, &reading);
    assert_int_equal(bell_write(left, sent, MANY), MANY);
    check_all_came(&reading, MANY);
    free(sent);
    abort_pair();
}

static void after_a_write_that_failed_half_way_nothing_can_be_written(void)
{
    open_pair();
    char *sent = make_bytes(MANY);
    bell_deadline(left, bell_in(BELL_MS));
    ASSERT_FAILS(bell_write(left, sent, MANY), ETIMEDOUT);
    size_t done = bell_done();
    assert_true(done > 0 && done < MANY);
    assert_int_equal(left->bytes_out, done);
    bell_deadline(left, BELL_NEVER);
    struct iovec piece = {.iov_base = sent, .iov_len = 1};
    ASSERT_FAILS(bell_write(left, sent, 1), EPIPE);
    assert_int_equal(bell_done(), 0);
    ASSERT_FAILS(bell_writev(left, &piece, 1), EPIPE);
    ASSERT_FAILS(bell_printf(left, "x"), EPIPE);
    ASSERT_FAILS(bell_sendfile(left, 0, 0, 1), EPIPE);
    send_raw(right, "y", 1);
    char byte;
    assert_int_equal(bell_read(left, &byte, 1), 1); // reading goes on
    struct reading reading = start_reading(right);
    start(read_all, &reading);
    check_all_came(&reading, done);
    free(sent);
    abort_pair();
}

static void nobody_reads_any_more(void)
{
    open_pair();
    bell_abort(right);
    right = NULL;
    ASSERT_FAILS(bell_write(left, "x", 1), EPIPE);
    assert_string_equal(bell_error(), "write unix:: the other end does not read any more");
    abort_pair();
    open_pair();
    assert_int_equal(bell_shutdown(left, SHUT_WR), 0);
    ASSERT_FAILS(bell_write(left, "x", 1), EPIPE);
    abort_pair();
}

struct writing {
    bell_conn *conn;
    const char *bytes;
    size_t size;
    int error;
    size_t done;
};

static void write_all(void *arg)
{
    struct writing *writing = arg;
    if (bell_write(writing->conn, writing->bytes, writing->size) < 0)
        writing->error = errno;
    writing->done = bell_done();
}

static void a_second_writer_is_refused_and_a_reader_is_not(void)
{
    open_pair();
    char *sent = make_bytes(MANY), byte;
    struct writing writing = {.conn = left, .bytes = sent, .size = MANY};
    start(write_all, &writing);
    task_yield(task_here(NULL)); // it waits now
    ASSERT_FAILS(bell_write(left, "x", 1), EBUSY);
    ASSERT_FAILS(bell_sendfile(left, 0, 0, 1), EBUSY);
    ASSERT_FAILS(bell_detach(left, NULL, 0, NULL), EBUSY);
    send_raw(right, "y", 1);
    assert_int_equal(bell_read(left, &byte, 1), 1);
    struct reading reading = start_reading(right);
    start(read_all, &reading);
    while (left->writing)
        task_yield(task_here(NULL));
    assert_int_equal(writing.error, 0);
    check_all_came(&reading, MANY);
    free(sent);
    abort_pair();
}

static void a_reset_is_told_to_the_writer_who_waits(void)
{
    open_tcp_pair();
    char *sent = make_bytes(8 * MANY);
    struct writing writing = {.conn = left, .bytes = sent, .size = 8 * MANY};
    start(write_all, &writing);
    task_yield(task_here(NULL));
    bell_abort(right);
    right = NULL;
    await_others();
    assert_int_equal(writing.error, ECONNRESET);
    assert_true(writing.done > 0);
    ASSERT_FAILS(bell_write(left, "x", 1), EPIPE); // the framing is lost
    char byte;
    ASSERT_FAILS(bell_read(left, &byte, 1), ECONNRESET); // and not: the end of the stream
    free(sent);
    abort_pair();
}

// ---- Files ------------------------------------------------------------------------------------

static int make_file(size_t size)
{
    char *bytes = make_bytes(size);
    int file = memfd_create("doorbell test", MFD_CLOEXEC);
    assert_true(file >= 0);
    assert_int_equal(write(file, bytes, size), size);
    assert_int_equal(lseek(file, 5, SEEK_SET), 5);
    free(bytes);
    return file;
}

static void a_part_of_a_file_is_sent(void)
{
    open_tcp_pair();
    set_small_buffer(left);
    int file = make_file(MANY);
    struct reading reading = {.conn = right, .begin = 1000};
    start(read_all, &reading);
    assert_int_equal(bell_sendfile(left, file, 1000, 0), 0);
    assert_int_equal(bell_sendfile(left, file, 1000, 500000), 500000);
    assert_int_equal(bell_sendfile(left, file, 501000, MANY),
                     MANY - 501000); // the file ends before
    assert_int_equal(bell_sendfile(left, file, MANY + 1, 10), 0);
    assert_int_equal(lseek(file, 0, SEEK_CUR), 5); // its position is not changed
    check_all_came(&reading, MANY - 1000);
    assert_int_equal(close(file), 0);
    abort_pair();
}

static void what_is_not_a_file_is_refused_and_breaks_nothing(void)
{
    open_pair();
    int pipe_ends[2], folder = open("/", O_RDONLY | O_DIRECTORY);
    assert_int_equal(pipe(pipe_ends), 0);
    ASSERT_FAILS(bell_sendfile(left, -1, 0, 1), EBADF);
    assert_string_equal(
        bell_error(),
        "send a file to unix:: descriptor -1 is not a file that can be sent from there");
    ASSERT_FAILS(bell_sendfile(left, pipe_ends[1], 0, 1), EBADF);
    ASSERT_FAILS(bell_sendfile(left, pipe_ends[0], 0, 1), EINVAL);
    ASSERT_FAILS(bell_sendfile(left, folder, 0, 1), EINVAL);
    int file = make_file(10);
    ASSERT_FAILS(bell_sendfile(left, file, -1, 1), EINVAL);
    assert_int_equal(bell_sendfile(left, file, 0, 10), 10);
    assert_int_equal(close(file) | close(folder) | close(pipe_ends[0]) | close(pipe_ends[1]), 0);
    abort_pair();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_EACH(a_write_is_whole),
        ON_EACH(many_pieces_are_written_as_one),
        ON_EACH(writev_checks_its_pieces),
        ON_EACH(writes_are_whole_however_little_the_kernel_takes),
        ON_EACH(printf_writes_what_printf_would),
        ON_EACH(printf_fails_without_memory_or_sense),
        ON_EACH(a_write_that_moved_nothing_may_be_made_again),
        ON_EACH(after_a_write_that_failed_half_way_nothing_can_be_written),
        ON_EACH(nobody_reads_any_more),
        ON_EACH(a_second_writer_is_refused_and_a_reader_is_not),
        ON_EACH(a_reset_is_told_to_the_writer_who_waits),
        ON_EACH(a_part_of_a_file_is_sent),
        ON_EACH(what_is_not_a_file_is_refused_and_breaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

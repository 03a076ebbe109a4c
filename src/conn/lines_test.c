// Reading: bell_read, bell_readn, bell_readline, bell_peek and bell_skip.

#include "conn/conn_test.h"

// ---- bell_read --------------------------------------------------------------------------------

static void a_read_gives_what_is_there(void)
{
    open_pair();
    char bytes[10];
    send_raw(right, "hello", 5);
    assert_int_equal(bell_read(left, bytes, 3), 3);
    assert_memory_equal(bytes, "hel", 3);
    assert_int_equal(bell_read(left, bytes, sizeof bytes), 2);
    assert_memory_equal(bytes, "lo", 2);
    assert_int_equal(bell_read(left, bytes, 0), 0);
    assert_null(left->storage);
    assert_int_equal(left->bytes_in, 5);
    abort_pair();
}

static void the_end_of_the_stream_is_read_again_and_again(void)
{
    open_pair();
    char bytes[10];
    send_raw(right, "x", 1);
    assert_int_equal(bell_shutdown(right, SHUT_WR), 0);
    assert_int_equal(bell_read(left, bytes, sizeof bytes), 1);
    for (int i = 0; i < 3; i++) {
        const void *data;
        assert_int_equal(bell_read(left, bytes, sizeof bytes), 0);
        assert_int_equal(bell_readn(left, bytes, sizeof bytes), 0);
        assert_int_equal(bell_readline(left, bytes, sizeof bytes), 0);
        assert_string_equal(bytes, "");
        assert_int_equal(bell_peek(left, 1, &data), 0);
    }
    assert_int_equal(bell_write(left, "still", 5), 5); // the other direction goes on
    assert_int_equal(bell_read(right, bytes, sizeof bytes), 5);
    abort_pair();
}

static void a_read_ends_at_its_deadline_and_may_go_on_with_a_later_one(void)
{
    open_pair();
    char bytes[10];
    bell_deadline(left, bell_in(BELL_MS));
    ASSERT_FAILS(bell_read(left, bytes, sizeof bytes), ETIMEDOUT);
    assert_int_equal(bell_done(), 0);
    assert_string_equal(bell_error(), "read unix:: timed out");
    bell_deadline(left, bell_in(5 * BELL_SECOND));
    send_raw(right, "x", 1);
    assert_int_equal(bell_read(left, bytes, sizeof bytes), 1);
    abort_pair();
}

static void read_one(void *arg)
{
    char byte;
    ssize_t n = bell_read(left, &byte, 1);
    *(int *)arg = n < 0 ? errno : (int)n;
}

static void a_deadline_is_for_calls_that_begin_later(void)
{
    open_pair();
    int result = -1;
    start(read_one, &result);
    task_yield(task_here(NULL)); // it waits now
    bell_deadline(left, 1);      // long ago
    task_yield(task_here(NULL));
    assert_int_equal(result, -1);
    send_raw(right, "x", 1);
    await_others();
    assert_int_equal(result, 1);
    abort_pair();
}

static void a_second_reader_is_refused_and_a_writer_is_not(void)
{
    open_pair();
    int result = -1;
    char bytes[4];
    const void *data;
    start(read_one, &result);
    task_yield(task_here(NULL));
    ASSERT_FAILS(bell_read(left, bytes, 1), EBUSY);
    ASSERT_FAILS(bell_readn(left, bytes, 1), EBUSY);
    ASSERT_FAILS(bell_readline(left, bytes, 4), EBUSY);
    ASSERT_FAILS(bell_peek(left, 1, &data), EBUSY);
    ASSERT_FAILS(bell_skip(left, 0), EBUSY);
    ASSERT_FAILS(bell_detach(left, NULL, 0, NULL), EBUSY);
    assert_int_equal(bell_write(left, "y", 1), 1);
    send_raw(right, "x", 1);
    await_others();
    assert_int_equal(result, 1);
    abort_pair();
}

// ---- bell_readn -------------------------------------------------------------------------------

static void readn_gives_exactly_so_many_bytes(void)
{
    open_pair();
    char bytes[8];
    send_raw(right, "header..bo", 10);
    assert_int_equal(bell_readn(left, bytes, 8), 8);
    assert_memory_equal(bytes, "header..", 8);
    assert_int_equal(conn_unread(left), 2); // came along with it
    send_raw(right, "dy", 2);
    assert_int_equal(bell_readn(left, bytes, 4), 4);
    assert_memory_equal(bytes, "body", 4);
    assert_int_equal(bell_readn(left, bytes, 0), 0);
    assert_null(left->storage);
    abort_pair();
}

static void readn_gives_fewer_only_at_the_end(void)
{
    open_pair();
    char bytes[8];
    send_raw(right, "half", 4);
    assert_int_equal(bell_shutdown(right, SHUT_WR), 0);
    assert_int_equal(bell_readn(left, bytes, 8), 4);
    assert_memory_equal(bytes, "half", 4);
    assert_int_equal(bell_readn(left, bytes, 8), 0);
    abort_pair();
}

// In pieces, each of which comes after a deadline. `size` is below and above what is read directly.
static void readn_resumes(size_t size)
{
    open_pair();
    char *sent = make_bytes(size), *bytes = malloc(size);
    do_not_wait(left);
    ASSERT_FAILS(bell_readn(left, bytes, size), ETIMEDOUT);
    assert_int_equal(bell_done(), 0);
    for (size_t i = 0; i < 3; i++) {
        send_raw(right, sent + i * 10, 10);
        memset(bytes, 0, size);
        ASSERT_FAILS(bell_readn(left, bytes, size), ETIMEDOUT);
        assert_int_equal(bell_done(), (i + 1) * 10);
    }
    send_raw(right, sent + 30, size - 30);
    memset(bytes, 0, size);
    bell_deadline(left, bell_in(5 * BELL_SECOND));
    assert_int_equal(bell_readn(left, bytes, size), size);
    assert_memory_equal(bytes, sent, size);
    assert_int_equal(left->bytes_in, size);
    free(sent);
    free(bytes);
    abort_pair();
}

static void readn_resumes_after_a_deadline(void)
{
    readn_resumes(100);
    readn_resumes(4095);
    readn_resumes(4096);
    readn_resumes(50000);
}

static void what_readn_kept_other_calls_read(void)
{
    open_pair();
    char *bytes = malloc(10000);
    const void *data;
    do_not_wait(left);
    send_raw(right, "a line\nand more", 15);
    ASSERT_FAILS(bell_readn(left, bytes, 10000), ETIMEDOUT);
    assert_int_equal(bell_readline(left, bytes, 10000), 7);
    assert_string_equal(bytes, "a line\n");
    assert_int_equal(bell_peek(left, 8, &data), 8);
    assert_memory_equal(data, "and more", 8);
    ASSERT_FAILS(bell_peek(left, 9, &data), ETIMEDOUT);
    send_raw(right, "!", 1);
    assert_int_equal(bell_peek(left, 9, &data), 9);
    assert_memory_equal(data, "and more!", 9);
    assert_int_equal(bell_read(left, bytes, 10000), 9);
    free(bytes);
    abort_pair();
}

// ---- bell_readline ----------------------------------------------------------------------------

// With NULs, empty lines, a long one, and no newline at the end.
static const char text[] = "one\n\n\0t\0wo\na line of thirty bytes, or so.\n\n\nlast";
enum { TEXT_SIZE = sizeof text - 1 };

// What bell_readline must give next: its length, and whether it is a piece of a longer line.
static size_t next_line(size_t at, size_t size, bool *ret_piece)
{
    size_t left_over = TEXT_SIZE - at;
    const char *newline = memchr(text + at, '\n', left_over);
    size_t length = newline ? (size_t)(newline - (text + at)) + 1 : left_over;
    *ret_piece = length > size - 1;
    return *ret_piece ? size - 1 : length;
}

// Reads lines until nothing more can be had without waiting; returns where in the text that is.
static size_t read_lines(size_t at, size_t size)
{
    char line[64];
    for (;;) {
        bool piece;
        size_t length = next_line(at, size, &piece);
        errno = 0;
        ssize_t n = bell_readline(left, line, size);
        if (n == 0 || (n < 0 && errno == ETIMEDOUT))
            return at;
        if (piece)
            assert_int_equal(errno, EMSGSIZE);
        assert_int_equal(n, piece ? -1 : (ssize_t)length);
        if (piece)
            assert_int_equal(bell_done(), length);
        assert_memory_equal(line, text + at, length);
        assert_int_equal(line[length], 0);
        at += length;
    }
}

static void read_text_in_parts(const size_t *ends, int parts, size_t size)
{
    open_pair();
    do_not_wait(left);
    size_t at = 0, sent = 0;
    for (int i = 0; i < parts; i++) {
        if (ends[i] > sent)
            send_raw(right, text + sent, ends[i] - sent);
        sent = ends[i];
        at = read_lines(at, size);
    }
    assert_int_equal(bell_shutdown(right, SHUT_WR), 0);
    assert_int_equal(read_lines(at, size), TEXT_SIZE);
    assert_null(left->storage);
    abort_pair();
}

static const size_t sizes[] = {2, 3, 5, 32, 33, 64};

static void lines_are_the_same_however_they_are_split(void)
{
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (size_t first = 0; first <= TEXT_SIZE; first++)
            for (size_t second = first; second <= TEXT_SIZE; second += 5)
                read_text_in_parts((size_t[]){first, second, TEXT_SIZE}, 3, sizes[s]);
}

static void lines_that_come_byte_by_byte_are_not_looked_at_twice(void)
{
    open_pair();
    char line[64];
    do_not_wait(left);
    for (size_t i = 0; i < 20; i++) {
        send_raw(right, "x", 1);
        ASSERT_FAILS(bell_readline(left, line, sizeof line), ETIMEDOUT);
        assert_int_equal(bell_done(), i + 1);
        assert_int_equal(left->scanned, i + 1);
    }
    send_raw(right, "\nrest", 5);
    assert_int_equal(bell_readline(left, line, sizeof line), 21);
    assert_int_equal(left->scanned, 0);
    abort_pair();
    size_t ends[TEXT_SIZE];
    for (size_t i = 0; i < TEXT_SIZE; i++)
        ends[i] = i + 1;
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        read_text_in_parts(ends, TEXT_SIZE, sizes[s]);
}

static void a_line_as_long_as_its_room_fits(void)
{
    open_pair();
    char line[6];
    send_raw(right, "1234\n12345\n12345", 16);
    assert_int_equal(bell_shutdown(right, SHUT_WR), 0);
    assert_int_equal(bell_readline(left, line, sizeof line), 5);
    ASSERT_FAILS(bell_readline(left, line, sizeof line), EMSGSIZE);
    assert_string_equal(line, "12345");
    assert_int_equal(bell_done(), 5);
    assert_int_equal(bell_readline(left, line, sizeof line), 1); // goes on with the rest
    assert_string_equal(line, "\n");
    assert_int_equal(bell_readline(left, line, sizeof line),
                     5); // the last: no newline, and it fits
    assert_string_equal(line, "12345");
    assert_int_equal(bell_readline(left, line, sizeof line), 0);
    abort_pair();
}

static void a_line_needs_room_for_a_byte_and_a_nul(void)
{
    open_pair();
    char line[2];
    ASSERT_FAILS(bell_readline(left, line, 0), EINVAL);
    ASSERT_FAILS(bell_readline(left, line, 1), EINVAL);
    assert_int_equal(bell_done(), 0);
    abort_pair();
}

struct writing {
    bell_conn *conn;
    const char *bytes;
    size_t size;
    ssize_t result;
};

static void write_all(void *arg)
{
    struct writing *writing = arg;
    writing->result = bell_write(writing->conn, writing->bytes, writing->size);
}

// Longer than a buffer, and behind others so that it has to be moved.
static void long_lines_are_bounded_only_by_their_room(void)
{
    enum { LONG = 300000, LINES = 200 };
    open_pair();
    char *sent = malloc(LONG), *line = malloc(LONG + 1);
    size_t size = 0;
    for (size_t i = 0; size + LONG / 2 < LONG && i < LINES; i++) {
        memset(sent + size, 'a', i * 5);
        size += i * 5;
        sent[size++] = '\n';
    }
    memset(sent + size, 'b', LONG - size);
    sent[LONG - 1] = '\n';
    struct writing writing = {.conn = right, .bytes = sent, .size = LONG};
    start(write_all, &writing);
    size_t at = 0;
    while (at < LONG) {
        ssize_t n = bell_readline(left, line, LONG + 1);
        assert_true(n > 0);
        assert_memory_equal(line, sent + at, (size_t)n);
        assert_int_equal(line[n - 1], '\n');
        at += (size_t)n;
    }
    assert_int_equal(at, LONG);
    assert_null(left->storage);
    await_others();
    assert_int_equal(writing.result, LONG);
    free(sent);
    free(line);
    abort_pair();
}

static void short_lines_need_no_memory_beside_the_lent_buffer(void)
{
    static const char one[] = "123456789\n"; // with the NUL, which begins the next line
    const size_t count = 10000;
    open_pair();
    char *sent = malloc(count * sizeof one);
    for (size_t i = 0; i < count; i++)
        memcpy(sent + i * sizeof one, one, sizeof one);
    struct writing writing = {.conn = right, .bytes = sent, .size = count * sizeof one};
    start(write_all, &writing);
    static char line[100000]; // much room
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(bell_readline(left, line, sizeof line), i ? sizeof one : sizeof one - 1);
        assert_true(!left->storage || left->buffer);
    }
    await_others();
    free(sent);
    abort_pair();
}

// ---- bell_peek and bell_skip ------------------------------------------------------------------

static void peek_shows_and_skip_goes_past(void)
{
    open_pair();
    const void *data = NULL;
    char bytes[4];
    send_raw(right, "abcdef", 6);
    assert_int_equal(bell_peek(left, 1, &data), 6);
    assert_memory_equal(data, "abcdef", 6);
    assert_int_equal(bell_peek(left, 6, &data), 6);
    assert_int_equal(bell_skip(left, 2), 0);
    assert_int_equal(bell_read(left, bytes, 1), 1);
    assert_int_equal(bytes[0], 'c');
    ASSERT_FAILS(bell_skip(left, 4), EINVAL);
    assert_int_equal(bell_skip(left, 3), 0);
    assert_null(left->storage);
    assert_int_equal(bell_skip(left, 0), 0);
    ASSERT_FAILS(bell_skip(left, 1), EINVAL);
    ASSERT_FAILS(bell_peek(left, 0, &data), EINVAL);
    ASSERT_FAILS(bell_peek(left, 16385, &data), EINVAL);
    abort_pair();
}

static void peek_gives_less_only_at_the_end(void)
{
    open_pair();
    const void *data = NULL;
    do_not_wait(left);
    send_raw(right, "abc", 3);
    ASSERT_FAILS(bell_peek(left, 4, &data), ETIMEDOUT);
    assert_null(data);
    assert_int_equal(bell_done(), 3);
    assert_int_equal(bell_shutdown(right, SHUT_WR), 0);
    assert_int_equal(bell_peek(left, 4, &data), 3);
    assert_memory_equal(data, "abc", 3);
    assert_int_equal(bell_skip(left, 3), 0);
    assert_int_equal(bell_peek(left, 4, &data), 0);
    assert_non_null(data);
    abort_pair();
}

static void peek_waits_until_so_many_are_together(void)
{
    enum { SIZE = 40000 };
    open_pair();
    char *sent = make_bytes(SIZE), bytes[7];
    struct writing writing = {.conn = right, .bytes = sent, .size = SIZE};
    start(write_all, &writing);
    size_t at = 0;
    const void *data;
    for (; SIZE - at >= 16384; at += 7) {
        ssize_t n = bell_peek(left, 16384, &data);
        assert_true(n >= 16384);
        assert_memory_equal(data, sent + at, (size_t)n);
        assert_int_equal(bell_read(left, bytes, 7), 7);
    }
    await_others();
    free(sent);
    abort_pair();
}

// ---- Short and failing receives ---------------------------------------------------------------

static struct kernel_ops odd_kernel;
static bool no_memory;

static ssize_t receive_one_byte(int fd, void *into, size_t size, int flags)
{
    return kernel_real.recv(fd, into, size ? 1 : 0, flags);
}

static ssize_t receive_nothing_for_ever(int fd, void *into, size_t size, int flags)
{
    (void)fd, (void)into, (void)size, (void)flags;
    return -ETIMEDOUT;
}

static void reads_are_whole_however_little_the_kernel_gives(void)
{
    open_pair();
    odd_kernel = kernel_real;
    odd_kernel.recv = receive_one_byte;
    kernel = &odd_kernel;
    char bytes[100];
    const void *data;
    send_raw(right, "twelve bytesa line\npeeked", 25);
    assert_int_equal(bell_readn(left, bytes, 12), 12);
    assert_memory_equal(bytes, "twelve bytes", 12);
    assert_int_equal(bell_readline(left, bytes, sizeof bytes), 7);
    assert_string_equal(bytes, "a line\n");
    assert_int_equal(bell_peek(left, 6, &data), 6);
    assert_memory_equal(data, "peeked", 6);
    kernel = &kernel_real;
    abort_pair();
}

static void the_kernels_time_out_is_not_ours(void)
{
    open_pair();
    odd_kernel = kernel_real;
    odd_kernel.recv = receive_nothing_for_ever;
    kernel = &odd_kernel;
    char byte;
    send_raw(right, "x", 1);
    ASSERT_FAILS(bell_read(left, &byte, 1), EHOSTUNREACH);
    kernel = &kernel_real;
    assert_int_equal(bell_read(left, &byte, 1), 1);
    assert_int_equal(bell_shutdown(right, SHUT_WR), 0);
    ASSERT_FAILS(bell_read(left, &byte, 1), EHOSTUNREACH); // not the end
    abort_pair();
}

static void *allocate_if_there_is(size_t size)
{
    return no_memory ? NULL : kernel_real.allocate(size);
}

static void without_memory_a_line_fails_and_is_kept(void)
{
    enum { LONG = 50000 };
    open_pair();
    odd_kernel = kernel_real;
    odd_kernel.allocate = allocate_if_there_is;
    kernel = &odd_kernel;
    char *sent = malloc(LONG), *line = malloc(LONG + 1);
    memset(sent, 'x', LONG);
    sent[LONG - 1] = '\n';
    send_raw(right, sent, LONG);
    const void *data;
    assert_true(bell_peek(left, 1, &data) > 0); // a buffer, and the failure's text, are there
    ASSERT_FAILS(bell_skip(left, LONG), EINVAL);
    no_memory = true;
    ASSERT_FAILS(bell_readline(left, line, LONG + 1), ENOMEM);
    no_memory = false;
    assert_int_equal(bell_readline(left, line, LONG + 1), LONG);
    assert_memory_equal(line, sent, LONG);
    kernel = &kernel_real;
    free(sent);
    free(line);
    abort_pair();
}

static void what_readn_cannot_keep_is_told(void)
{
    enum { MUCH = 5000 }; // goes straight into the caller's memory
    open_pair();
    odd_kernel = kernel_real;
    odd_kernel.allocate = allocate_if_there_is;
    kernel = &odd_kernel;
    char bytes[MUCH];
    do_not_wait(left);
    ASSERT_FAILS(bell_readn(left, bytes, MUCH), ETIMEDOUT);
    send_raw(right, "lost", 4);
    no_memory = true;
    ASSERT_FAILS(bell_readn(left, bytes, MUCH), ENOMEM);
    assert_int_equal(bell_done(), 4);
    assert_memory_equal(bytes, "lost", 4); // it has them, and nobody else
    no_memory = false;
    ASSERT_FAILS(bell_readn(left, bytes, MUCH), ETIMEDOUT);
    assert_int_equal(bell_done(), 0);
    kernel = &kernel_real;
    abort_pair();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_EACH(a_read_gives_what_is_there),
        ON_EACH(the_end_of_the_stream_is_read_again_and_again),
        ON_EACH(a_read_ends_at_its_deadline_and_may_go_on_with_a_later_one),
        ON_EACH(a_deadline_is_for_calls_that_begin_later),
        ON_EACH(a_second_reader_is_refused_and_a_writer_is_not),
        ON_EACH(readn_gives_exactly_so_many_bytes),
        ON_EACH(readn_gives_fewer_only_at_the_end),
        ON_EACH(readn_resumes_after_a_deadline),
        ON_EACH(what_readn_kept_other_calls_read),
        ON_EACH(lines_are_the_same_however_they_are_split),
        ON_EACH(lines_that_come_byte_by_byte_are_not_looked_at_twice),
        ON_EACH(a_line_as_long_as_its_room_fits),
        ON_EACH(a_line_needs_room_for_a_byte_and_a_nul),
        ON_EACH(long_lines_are_bounded_only_by_their_room),
        ON_EACH(short_lines_need_no_memory_beside_the_lent_buffer),
        ON_EACH(peek_shows_and_skip_goes_past),
        ON_EACH(peek_gives_less_only_at_the_end),
        ON_EACH(peek_waits_until_so_many_are_together),
        ON_EACH(reads_are_whole_however_little_the_kernel_gives),
        ON_EACH(the_kernels_time_out_is_not_ours),
        ON_EACH(without_memory_a_line_fails_and_is_kept),
        ON_EACH(what_readn_cannot_keep_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

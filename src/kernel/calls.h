// Shows the calls of a program as it makes them, one line each, as a book writes them:
//
//     [811] listen(3, 4096)
//     [811] accept(3) = 4  from 127.0.0.1:51213
//     [811] fork() = 812
//     [811] close(4)  the child still has it
//     [812] recv(4) = 6  "hello\n"
//
// A second table stands in front of the one in force, which carries the calls out. While it is not
// there it costs nothing. A call that had to wait is shown when it has ended: the tries in between,
// and the waiting itself (epoll, eventfd and the like), are no calls of the book.
//
// A line is one write(2), so that those of several processes do not mix. Nothing is disturbed by it:
// neither errno, nor a caller when nobody reads the lines. It may be written in a signal handler.

#pragma once

// Shows calls on `fd`, which stays the caller's; `what` is BELL_CALLS_... of doorbell.h. A negative
// fd ends it. Before anything else runs, as it changes the table in force. -EBADF, -EINVAL.
int calls_show(int fd, unsigned what);

// The same on stderr as the variable BELL_CALLS says: its value is words with commas between them;
// `all` and `times` mean something, any other one (`1`) just says yes, but for `0` alone.
void calls_show_if_wished(void);

// Pieces of the lines that show calls, as pure functions: data in, text out.

#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/text.h"

// So many bytes of what is sent and received are shown.
enum { CALLS_DATA_MAX = 16 };

// "[812] "; of another thread than the main one "[812/815] ".
void calls_print_who(struct text *text, int pid, int thread);

// A point of CLOCK_MONOTONIC, in seconds: "5123.000000042 ".
void calls_print_time(struct text *text, int64_t time);

// How a call ended: " = 4", " failed: connection refused". A 0 that only says that all is well is not
// shown.
void calls_print_result(struct text *text, int64_t result, bool shows_zero);

// "hello\n" in double quotes, as C writes it; everything but printable ASCII is escaped, so that
// no byte of a stranger reaches a terminal. What is left out is told by dots: "GET / HTTP/1.1\r\n"...
void calls_print_data(struct text *text, const void *data, size_t size);

// The same of the first `size` bytes of several pieces.
void calls_print_pieces(struct text *text, const struct msghdr *message, size_t size);

// 127.0.0.1:7464, [::1]:7464, /tmp/x.sock, @name.
void calls_print_address(struct text *text, const struct sockaddr *address, socklen_t size);

// AF_INET, SOCK_STREAM.
void calls_print_kind(struct text *text, int family, int type);

// SO_REUSEADDR, 1. An option that addr/sockopt.h does not know: in numbers, level:name.
void calls_print_option(struct text *text, int level, int name, const void *value, socklen_t size);

// SHUT_WR and so on.
void calls_print_direction(struct text *text, int how);

// How a child ended: "it returned 0", "killed by signal 9". `status` is as of waitpid.
void calls_print_status(struct text *text, int status);

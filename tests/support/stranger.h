// Callers that know nothing of doorbell: plain sockets. Whatever goes wrong on them fails the case.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "server.h"

// Calls the server. A descriptor; its calls give up after the harness's patience.
int call(const struct server *server);
int call_from(const struct server *server, const char *address); // "10.0.0.2"
int call_with_buffer(const struct server *server, int receive_bytes); // a reader with little room

// Calls without a judgement: a descriptor or a negative errno.
int try_to_call(const struct server *server);

// Sends all of it.
void say(int fd, const char *text);
void say_bytes(int fd, const void *data, size_t size);
void say_the_end(int fd); // our FIN; we go on listening

// Sends what the other end takes; false when it is gone.
bool try_to_say(int fd, const char *text);

// Receives until `size` bytes are there or the stream has ended. How many; a reset fails the case.
size_t hear_bytes(int fd, void *buf, size_t size);
void hear(int fd, const char *text);  // exactly this next
size_t hear_line(int fd, char *line, size_t size); // with its '\n'; 0 at the end

// How the stream ends, after whatever still comes: 0 for a FIN, or a negative errno (-ECONNRESET).
int hear_the_end(int fd, size_t *ret_bytes);
void hear_a_polite_end(int fd); // FIN, and nothing before it

// Is there nothing to be heard, now?
bool is_silent(int fd);

void hang_up(int fd); // close
void crash(int fd);   // close by a reset

// Says this, waits for that answer, and hangs up: somebody whom nothing must disturb.
void good_caller(const struct server *server, const char *question, const char *answer);

// ---- Many at once -------------------------------------------------------------------------------

// A caller who sends `size` bytes of his own pattern and gets the same back, whatever the order.
struct chat {
    int fd;
    uint32_t seed;
    size_t size;
    size_t sent, received;
    bool over;
};

unsigned char pattern_byte(uint32_t seed, size_t offset);
void pattern_fill(uint32_t seed, size_t offset, void *buf, size_t size);
bool pattern_fits(uint32_t seed, size_t offset, const void *buf, size_t size);

// Calls, talks, half-closes after the last byte, hears the end, and hangs up: all of them at once.
void chat_all(const struct server *server, struct chat *chats, int count);

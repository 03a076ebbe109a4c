// A kernel for the order of events: the other end of each socket is the test, and time passes when the test says
// so. It ends the program when the library uses a descriptor that is not open, writes a wrong byte, or waits for
// ever for what nobody will do.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Puts it in front of everything, empty.
void fake_begin(void);

// A connected stream socket with the lowest number that is free. It gets and gives bytes of fake_byte.
int fake_connected(void);

// What the other end does. A descriptor that was closed meanwhile is nobody's concern.
void fake_arrive(int fd, size_t count);
void fake_end(int fd);
void fake_reset(int fd);
void fake_make_room(int fd, size_t count);
void fake_pass_time(int64_t ns);

// Somebody calls at what listens, and waits there if there is room. Then he is a connected socket, which the library
// gets by accept.
void fake_call(void);
unsigned fake_accepted(void);
// Who waited at a listener when it was closed.
unsigned fake_turned_away(void);
// The next accept fails.
void fake_fail_accept(int error);

// One of those that are open, or -1.
int fake_socket(unsigned number);

// Whether poll(2) would say so.
bool fake_is_readable(int fd);

// From now on what is written to `to` must be what `from` gets.
void fake_join(int from, int to);

// The next allocations succeed so often, then one fails.
void fake_fail_allocation(unsigned after);

// With which descriptor the next look for events begins, and how many it may tell.
void fake_order(unsigned first, unsigned most);

unsigned fake_id(int fd);
uint8_t fake_byte(unsigned id, size_t position);

// What the library writes to a socket that is not joined.
enum { FAKE_OUT = 1000 };

int fake_descriptors(void);
// Whether one was wanted when all were open.
bool fake_ran_out(void);
long fake_allocations(void);

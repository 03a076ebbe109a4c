// Small facts about sockets, each of which holds of the system's kernel and of the simulated one.
//
// A fact is a line of steps with ; between them. A step is a verb, what it is done to, and what comes
// of it after a =: a number, an errno, or words. Without a = it must succeed. Sockets have letters.
//
//     open A tcp|tcp6|udp|udp6|unix|seq|dgram     socket(2)
//     bind A any|lo|far|path|abstract|auto|to B    bind(2); to B: to the address that B has
//     listen A N; connect A B; accept L A          the rest of the book; connect A to 0: to nobody
//     send A N; recv A N; peek A N; sendto A B N; recvfrom A B N; sendv A N N; trunc A N
//     shut A r|w|rw; close A; reset A; dup A B     reset: SO_LINGER with no time, and close
//     pair A B tcp|unix|seq|dgram                  two that are connected
//     look A EVENTS; poll A EVENTS                 ppoll: as it is now; as soon as there is something
//     set A NAME N; get A NAME
//     name A B; peer A B                           is its name (its peer's) that of B? = yes, no
//     epoll E; add E A EVENTS; mod E A EVENTS; del E A; wait E      wait = A:in,out B:in, or nothing
//     event V; read V; write V N; timer T; after T MS
//     rest                                         a millisecond, in which packets arrive
//     fill A; drain A                              send until it would wait, = some
//     ring N                                       a ring R for N operations
//     put x OPERATION; putq x OPERATION            fills one in, whose name is x; quiet if it ends well
//         nop; recv A N; send A N; recvm A N; sendm A N; accept L A; connect A B; poll A EVENTS; close A;
//         recvb A; recvs A; accepts L A; polls A EVENTS     with buffers; with many ends
//         cancel x; cancelall x; cancelfd A; cancelany; unpoll x
//     enter; ends                                  hands over; what has ended (soon) = x:5+#1, with more to
//                                                  come, in buffer 1
//     hand                                         hands over; how many ends there are
//     buffers N; give I SIZE; holds I              a group of buffers; how many bytes were written

#pragma once

#include <stdbool.h>
#include <stddef.h>

struct fact {
    const char *source; // where it is said
    const char *says;
    const char *steps;
};

struct group {
    const char *name;
    const struct fact *facts;
    size_t count;
    const char *(*is_missing)(bool is_simulated); // why it cannot be tried here; NULL: it can
};

extern const struct group facts_tcp, facts_ends, facts_unix, facts_udp, facts_events, facts_options,
    facts_ring;

// NULL, or why nobody can try the ring: the error of the system.
const char *ring_is_missing(bool is_simulated);

// NULL, or what is not so: "recv A 5: EAGAIN, not 5".
const char *steps_run(const char *steps);

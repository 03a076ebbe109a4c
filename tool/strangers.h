// Whom a server of datagrams answers. Anybody can write any sender on a datagram: what is answered without
// a thought can be made to flood somebody else, or two servers to answer each other for ever.

#pragma once

#include <doorbell.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

// Why a datagram is not answered.
enum refusal {
    ANSWERED,
    LOW_PORT,               // its sender is a well-known service, which would answer us
    OWN_PORT,               // its sender is ourselves
    OVER_RATE,              // of its address there were too many
    TOO_LONG,               // it was cut
    LAST_UNREAD = TOO_LONG, // up to here the service does not get to see it
    NAMELESS,               // a Unix socket without an address
    TO_GROUP,               // it went to a multicast group, or to everybody
    GROWS,      // the answer would be longer than the question, and whose that is nobody knows
    UNSENDABLE, // sendmsg(2) failed
    REFUSALS,
};

enum { STRANGERS_SLOTS = 1 << 14, STRANGERS_PORTS = 32 };

// Shared by all threads and processes of a server.
struct strangers {
    int rate;          // datagrams a second that are answered to one address; 0: any number
    bool rate_at_home; // of loopback's, too
    bool answers_groups;
    struct own_port {
        unsigned port;
        bool is_everywhere; // on every address of this machine
    } ports[STRANGERS_PORTS];
    int port_count;
    uint64_t seed;
    _Atomic int64_t slots[STRANGERS_SLOTS]; // when an address has made up for what it has sent
    atomic_ullong counts[REFUSALS];
    _Atomic int64_t told[REFUSALS]; // when the last one was
};

// Whether who has sent it is on this machine for sure: of loopback, or a Unix socket.
bool strangers_is_home(const struct bell_datagram *about);

// What is to be done with a datagram, judged by where it comes from and went to.
enum refusal strangers_judge(struct strangers *strangers, const struct bell_datagram *about);

// Counts a refusal. Returns whether it is to be told: once a second of a kind.
bool strangers_refuse(struct strangers *strangers, enum refusal refusal);

// The reason in words, and as a key for programs.
const char *refusal_words(enum refusal refusal);
const char *refusal_key(enum refusal refusal);

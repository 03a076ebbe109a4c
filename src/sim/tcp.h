// A TCP connection: what is under way, what has come, and what the other end may still send.
//
// Sequence numbers have 64 bits and begin with 0, which is that of the SYN; so byte n of a stream has
// the number n + 1. Instead of congestion control there is a
// bound on the segments under way: the network has no queues.

#pragma once

#include "sim/socket.h"

enum tcp_state {
    TCP_SIM_SYN_SENT,
    TCP_SIM_SYN_RECEIVED,
    TCP_SIM_OPEN,      // until both directions have ended
    TCP_SIM_TIME_WAIT, // only repeats its last word
    TCP_SIM_DEAD,      // reset, timed out, or over
};

struct tcp {
    struct list node; // in world.tcps
    enum tcp_state state;
    struct host *host;
    struct place local, peer;
    struct socket_file *socket;   // NULL: it was closed, and the rest goes on alone
    struct socket_file *listener; // before it is in the queue of callers
    int64_t last_arrival;

    // Sending.
    struct bytes out; // from `acked` on: what is under way, and what waits
    uint64_t acked;   // the first number that is not
    uint64_t next;    // the next to send
    uint64_t limit;   // the peer takes what is below
    bool ends;        // the FIN is wanted behind the rest
    bool fin_sent, fin_acked;
    int64_t rto, since; // since: when the first unacknowledged byte was first sent; 0: nothing is
    int tries;
    struct timer timer;

    // Receiving.
    struct bytes in;
    uint64_t expected;
    bool fin_received;
    uint64_t fin_at;   // its number; 0: not known
    struct list early; // packets that came before others
    size_t told;       // the window that the peer was told last

    // Keepalive.
    int64_t heard;
    int probes;
    struct timer alive;
};

// ---- tcp.c
struct tcp *tcp_new(struct host *host, const struct place *local, const struct place *peer);
struct tcp *tcp_find(const struct place *local, const struct place *peer);
// Ends it with this error (0: none) for whoever has the socket, and says nothing to the peer.
void tcp_die(struct tcp *tcp, int error);
void tcp_free(struct tcp *tcp);
void tcp_end_all(void);
// Both directions have ended: lingers as a memory, or goes.
void tcp_finish(struct tcp *tcp);

// ---- tcp_out.c
void tcp_connect(struct tcp *tcp);
void tcp_answer_syn(struct tcp *tcp);
// Sends what may be sent.
void tcp_push(struct tcp *tcp);
void tcp_acknowledge(struct tcp *tcp);
void tcp_reset(struct tcp *tcp);
// A reset in answer to a packet that belongs to nobody.
void tcp_refuse(struct host *host, const struct packet *packet);
void tcp_watch_alive(struct tcp *tcp);
// Where the stream ends, as far as it is written.
static inline uint64_t tcp_end(const struct tcp *tcp)
{
    return tcp->acked + tcp->out.size;
}
size_t tcp_window(const struct tcp *tcp);
// sk_stream_is_writeable of Linux: a third of the room is free.
static inline bool tcp_is_writable(const struct tcp *tcp, const struct socket_file *socket)
{
    return 3 * tcp->out.size <= 2 * socket_send_room(socket);
}

// What a TCP connection sends, and when it sends it again.

#include <errno.h>
#include <string.h>

#include "sim/tcp.h"

enum { SYN_TRIES = 6, DATA_TRIES = 15, SEGMENTS_MOST = 64 };

#define RTO_LEAST (200 * SIM_MS)
#define RTO_MOST (120 * SIM_SECOND)
#define ORPHAN_TIME (60 * SIM_SECOND)

size_t tcp_window(const struct tcp *tcp)
{
    size_t room = tcp->socket ? (size_t)tcp->socket->receive_room : 65536;
    return tcp->in.size < room ? room - tcp->in.size : 0;
}

static void send_packet(struct tcp *tcp, unsigned flags, uint64_t sequence, size_t size)
{
    struct packet *packet = packet_new(IPPROTO_TCP, &tcp->local, &tcp->peer, size);
    packet->flags = flags;
    packet->sequence = sequence;
    packet->acknowledges = flags & PACKET_ACK ? tcp->expected : 0;
    packet->window = tcp->told = tcp_window(tcp);
    if (size)
        memcpy(packet->data, bytes_at(&tcp->out, sequence - tcp->acked), size);
    packet_send(tcp->host, packet, &tcp->last_arrival);
}

// ---- Again ------------------------------------------------------------------------------------

static void again(struct timer *timer);

static void set_timer(struct tcp *tcp, int64_t at)
{
    timers_remove(&world.timers, &tcp->timer);
    tcp->timer.at = at;
    tcp->timer.expired = again;
    timers_add(&world.timers, &tcp->timer);
}

static void give_up(struct tcp *tcp)
{
    if (tcp->state == TCP_SIM_SYN_RECEIVED)
        tcp_free(tcp); // no socket yet, and its listener need not know
    else
        tcp_die(tcp, ETIMEDOUT);
}

static bool is_too_long(const struct tcp *tcp)
{
    int64_t most = tcp->socket ? tcp->socket->user_timeout : 0;
    int tries = tcp->state == TCP_SIM_OPEN ? DATA_TRIES : SYN_TRIES;
    return tcp->tries > tries || (most > 0 && tcp->since && world.now - tcp->since >= most);
}

// Nothing came back for what was sent: all of it is sent anew, but only a segment now.
static void send_first_again(struct tcp *tcp)
{
    uint64_t end = tcp_end(tcp);
    size_t size = end - tcp->acked;
    if (size > world.faults.segment)
        size = world.faults.segment;
    if (size > 0) {
        // A window of 0 is probed with a byte.
        send_packet(tcp, PACKET_ACK, tcp->acked, tcp->limit > tcp->acked ? size : 1);
        tcp->next = tcp->acked + size;
        tcp->fin_sent = false;
        if (tcp->limit <= tcp->acked)
            tcp->next = tcp->acked;
    } else if (tcp->ends && !tcp->fin_acked) {
        send_packet(tcp, PACKET_FIN | PACKET_ACK, end, 0);
        tcp->fin_sent = true;
        tcp->next = end + 1;
    }
}

static bool is_waiting(const struct tcp *tcp)
{
    return tcp->out.size > 0 || (tcp->ends && !tcp->fin_acked);
}

static void again(struct timer *timer)
{
    struct tcp *tcp = LIST_ENTRY(timer, struct tcp, timer);
    tcp->tries++;
    if (is_too_long(tcp)) {
        give_up(tcp);
        return;
    }
    tcp->rto = 2 * tcp->rto < RTO_MOST ? 2 * tcp->rto : RTO_MOST;
    if (tcp->state == TCP_SIM_SYN_SENT)
        send_packet(tcp, PACKET_SYN, 0, 0);
    else if (tcp->state == TCP_SIM_SYN_RECEIVED)
        send_packet(tcp, PACKET_SYN | PACKET_ACK, 0, 0);
    else if (is_waiting(tcp))
        send_first_again(tcp);
    else if (!tcp->socket) { // it waits for a FIN that does not come
        tcp_die(tcp, 0);
        return;
    }
    set_timer(tcp, world.now + tcp->rto);
}

// ---- For the first time -----------------------------------------------------------------------

void tcp_connect(struct tcp *tcp)
{
    tcp->next = 1;
    tcp->state = TCP_SIM_SYN_SENT;
    tcp->since = world.now;
    send_packet(tcp, PACKET_SYN, 0, 0);
    set_timer(tcp, world.now + tcp->rto);
}

void tcp_answer_syn(struct tcp *tcp)
{
    tcp->next = 1;
    tcp->state = TCP_SIM_SYN_RECEIVED;
    send_packet(tcp, PACKET_SYN | PACKET_ACK, 0, 0);
    set_timer(tcp, world.now + tcp->rto);
}

void tcp_acknowledge(struct tcp *tcp)
{
    send_packet(tcp, PACKET_ACK, tcp->next, 0);
}

// So many segments are under way at most: what a congestion window would allow.
static uint64_t limit_of(const struct tcp *tcp)
{
    uint64_t most = tcp->acked + SEGMENTS_MOST * world.faults.segment;
    return tcp->limit < most ? tcp->limit : most;
}

static void send_data(struct tcp *tcp)
{
    uint64_t end = tcp_end(tcp), limit = limit_of(tcp);
    while (tcp->next < end && tcp->next < limit) {
        uint64_t most = end < limit ? end : limit;
        size_t size = most - tcp->next;
        if (size > world.faults.segment)
            size = world.faults.segment;
        send_packet(tcp, PACKET_ACK, tcp->next, size);
        tcp->next += size;
    }
    if (tcp->ends && tcp->next == end && !tcp->fin_sent) {
        send_packet(tcp, PACKET_FIN | PACKET_ACK, end, 0);
        tcp->fin_sent = true;
        tcp->next = end + 1;
    }
}

void tcp_push(struct tcp *tcp)
{
    if (tcp->state != TCP_SIM_OPEN)
        return;
    send_data(tcp);
    if (!is_waiting(tcp)) {
        tcp->since = 0;
        timers_remove(&world.timers, &tcp->timer);
        if (!tcp->socket && !tcp->fin_received && tcp->fin_acked)
            set_timer(tcp, world.now + ORPHAN_TIME);
        return;
    }
    if (!tcp->since)
        tcp->since = world.now;
    if (timer_is_set(&tcp->timer))
        return;
    tcp->rto = RTO_LEAST + 2 * world.faults.delay_max;
    tcp->tries = 0;
    set_timer(tcp, world.now + tcp->rto);
}

void tcp_reset(struct tcp *tcp)
{
    send_packet(tcp, PACKET_RST | PACKET_ACK, tcp->next, 0);
}

void tcp_refuse(struct host *host, const struct packet *packet)
{
    if (packet->flags & PACKET_RST)
        return;
    struct packet *reset = packet_new(IPPROTO_TCP, &packet->to, &packet->from, 0);
    reset->flags = PACKET_RST | PACKET_ACK;
    reset->sequence = packet->acknowledges;
    reset->acknowledges = packet->sequence + packet->size + (packet->flags & PACKET_SYN ? 1 : 0);
    int64_t last = 0;
    packet_send(host, reset, &last);
}

// ---- Keepalive --------------------------------------------------------------------------------

static void probe(struct timer *timer)
{
    struct tcp *tcp = LIST_ENTRY(timer, struct tcp, alive);
    const struct socket_file *socket = tcp->socket;
    if (!socket || !socket->keepalive || tcp->state != TCP_SIM_OPEN)
        return;
    int64_t quiet = world.now - tcp->heard;
    if (quiet < socket->keep_idle) {
        tcp->alive.at = tcp->heard + socket->keep_idle;
        tcp->probes = 0;
    } else if (tcp->probes++ < socket->keep_count) {
        send_packet(tcp, PACKET_ACK, tcp->acked - 1, 0);
        tcp->alive.at = world.now + socket->keep_interval;
    } else {
        tcp_die(tcp, ETIMEDOUT);
        return;
    }
    timers_add(&world.timers, &tcp->alive);
}

void tcp_watch_alive(struct tcp *tcp)
{
    timers_remove(&world.timers, &tcp->alive);
    if (!tcp->socket || !tcp->socket->keepalive || tcp->state != TCP_SIM_OPEN)
        return;
    tcp->alive.at = world.now + tcp->socket->keep_idle;
    tcp->alive.expired = probe;
    timers_add(&world.timers, &tcp->alive);
}

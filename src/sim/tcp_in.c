// What a TCP connection makes of the packets that arrive.

#include <errno.h>
#include <string.h>

#include "sim/tcp.h"

// ---- Callers ----------------------------------------------------------------------------------

static struct socket_file *find_listener(const struct host *host, const struct place *to)
{
    struct socket_file *best = NULL;
    for (struct list *node = host->sockets.next; node != &host->sockets; node = node->next) {
        struct socket_file *socket = LIST_ENTRY(node, struct socket_file, bound);
        bool fits = socket->listening && socket->type == SOCK_STREAM && inet_takes(socket, to);
        // An address of its own is better than every interface.
        if (fits && (!best || !place_is_any(&socket->local)))
            best = socket;
    }
    return best;
}

// listen(2): the queue is of callers that are connected; tcp_max_syn_backlog is for the others. A SYN
// that finds it full is dropped, and comes again.
static bool is_full(const struct socket_file *listener)
{
    return listener->queued > listener->backlog;
}

static void receive_syn(struct host *host, const struct packet *packet)
{
    struct socket_file *listener = find_listener(host, &packet->to);
    if (!listener) {
        tcp_refuse(host, packet);
        return;
    }
    if (is_full(listener)) {
        if (world.trace)
            world_trace("  the queue of %s is full", host->name);
        return;
    }
    struct tcp *tcp = tcp_new(host, &packet->to, &packet->from);
    tcp->listener = listener;
    tcp->expected = 1;
    tcp->limit = 1 + packet->window;
    tcp_answer_syn(tcp);
}

// His place in the queue of those to be accepted. False while there is none.
static bool enqueue(struct tcp *tcp)
{
    struct socket_file *listener = tcp->listener;
    if (is_full(listener))
        return false;
    struct socket_file *socket = socket_new(tcp->host, listener->family, SOCK_STREAM, IPPROTO_TCP);
    option_inherit(socket, listener);
    socket->local = tcp->local;
    socket->peer = tcp->peer;
    socket->is_connected = socket->told_connected = socket->is_bound = true;
    list_init(&socket->file.watches);
    socket->tcp = tcp;
    tcp->socket = socket;
    tcp->listener = NULL;
    tcp->state = TCP_SIM_OPEN;
    tcp->acked = 1;
    timers_remove(&world.timers, &tcp->timer);
    list_append(&listener->queue, &socket->in_queue);
    listener->queued++;
    file_wake(&listener->file, EPOLLIN);
    tcp_watch_alive(tcp);
    return true;
}

// ---- What comes in ----------------------------------------------------------------------------

static void receive_reset(struct tcp *tcp, const struct packet *packet)
{
    if (tcp->state == TCP_SIM_SYN_SENT) {
        if (packet->acknowledges == 1)
            tcp_die(tcp, ECONNREFUSED);
    } else if (tcp->state == TCP_SIM_SYN_RECEIVED) {
        tcp_free(tcp);
    } else if (tcp->state == TCP_SIM_TIME_WAIT) {
        return; // RFC 1337
    } else {
        tcp_die(tcp, tcp->fin_received ? EPIPE : ECONNRESET);
    }
}

static void receive_syn_ack(struct tcp *tcp, const struct packet *packet)
{
    tcp->state = TCP_SIM_OPEN;
    tcp->acked = tcp->expected = 1;
    tcp->limit = 1 + packet->window;
    tcp->since = 0;
    timers_remove(&world.timers, &tcp->timer);
    tcp_acknowledge(tcp);
    tcp_watch_alive(tcp);
    if (!tcp->socket)
        return;
    tcp->socket->is_connected = true;
    file_wake(&tcp->socket->file, EPOLLOUT);
}

static void receive_ack(struct tcp *tcp, const struct packet *packet)
{
    uint64_t end = tcp_end(tcp), upto = packet->acknowledges;
    if (upto + packet->window > tcp->limit)
        tcp->limit = upto + packet->window;
    if (upto == tcp->acked && packet->window == 0)
        tcp->tries = 0; // he is there, and only does not read
    if (upto <= tcp->acked || tcp->fin_acked)
        return;
    tcp->fin_acked = tcp->ends && tcp->fin_sent && upto == end + 1;
    size_t count = (upto < end ? upto : end) - tcp->acked;
    bytes_skip(&tcp->out, count);
    tcp->acked += count;
    if (tcp->next < upto)
        tcp->next = upto;
    // The clock begins anew with what is left.
    timers_remove(&world.timers, &tcp->timer);
    tcp->since = 0;
    if (tcp->socket && tcp_is_writable(tcp, tcp->socket))
        file_wake(&tcp->socket->file, EPOLLOUT);
}

// Bytes that continue the stream; what was there before is left out.
static void take_bytes(struct tcp *tcp, const struct packet *packet)
{
    uint64_t end = packet->sequence + packet->size;
    if (end <= tcp->expected || tcp->fin_received)
        return;
    size_t known = tcp->expected - packet->sequence, count = packet->size - known;
    size_t window = tcp_window(tcp);
    if (count > window)
        count = window;
    bytes_add(&tcp->in, packet->data + known, count);
    tcp->expected += count;
}

static void take_fin(struct tcp *tcp)
{
    if (!tcp->fin_at || tcp->fin_received || tcp->expected != tcp->fin_at)
        return;
    tcp->expected++;
    tcp->fin_received = true;
}

static void keep_for_later(struct tcp *tcp, const struct packet *packet)
{
    if (packet->sequence > tcp->expected + tcp_window(tcp))
        return;
    struct packet *copy = world_take(sizeof *packet + packet->size);
    memcpy(copy, packet, sizeof *packet + packet->size);
    memset(&copy->timer, 0, sizeof copy->timer);
    struct list *node = tcp->early.next;
    while (node != &tcp->early && LIST_ENTRY(node, struct packet, node)->sequence < copy->sequence)
        node = node->next;
    list_append(node, &copy->node);
}

static void take_early(struct tcp *tcp)
{
    while (!list_is_empty(&tcp->early)) {
        struct packet *packet = LIST_ENTRY(tcp->early.next, struct packet, node);
        if (packet->sequence > tcp->expected)
            return;
        take_bytes(tcp, packet);
        list_remove(&packet->node);
        world_release(packet);
    }
}

static void receive_data(struct tcp *tcp, const struct packet *packet)
{
    size_t before = tcp->in.size;
    if (packet->flags & PACKET_FIN)
        tcp->fin_at = packet->sequence + packet->size;
    if (packet->sequence > tcp->expected) {
        if (packet->size)
            keep_for_later(tcp, packet);
    } else {
        take_bytes(tcp, packet);
        take_early(tcp);
    }
    bool had_fin = tcp->fin_received;
    take_fin(tcp);
    tcp_acknowledge(tcp);
    if (!tcp->socket)
        return;
    unsigned events = tcp->in.size > before ? EPOLLIN : 0;
    if (tcp->fin_received && !had_fin) {
        tcp->socket->shut_read = true;
        events |= EPOLLIN | EPOLLRDHUP | (tcp->socket->shut_write ? EPOLLHUP : 0);
    }
    if (events)
        file_wake(&tcp->socket->file, events);
}

// Somebody on the way resets it, at both ends.
static bool is_shot(struct tcp *tcp)
{
    if (!world_chance(world.faults.reset) || tcp->host == host_at(tcp->host, &tcp->peer))
        return false;
    if (world.trace)
        world_trace("  a reset from the middle of the way");
    tcp_reset(tcp);
    tcp_die(tcp, ECONNRESET);
    return true;
}

static void receive_open(struct tcp *tcp, const struct packet *packet)
{
    // A new byte for whom nobody reads any more: RFC 1122 4.2.2.13 wants a reset.
    bool in_vain = !tcp->socket && packet->sequence + packet->size > tcp->expected && packet->size;
    if (in_vain) {
        tcp_reset(tcp);
        tcp_die(tcp, 0);
        return;
    }
    if (packet->size && tcp->state == TCP_SIM_OPEN && is_shot(tcp))
        return;
    receive_ack(tcp, packet);
    bool is_probe = packet->sequence + 1 == tcp->expected && packet->sequence + 1 > 0;
    if (packet->size || packet->flags & PACKET_FIN)
        receive_data(tcp, packet);
    else if (packet->flags & PACKET_SYN || (is_probe && !tcp->fin_received))
        tcp_acknowledge(tcp); // our last word was lost, or he asks whether we are there
    tcp_push(tcp);
    tcp_finish(tcp);
}

void tcp_arrive(struct host *host, struct packet *packet)
{
    struct tcp *tcp = tcp_find(&packet->to, &packet->from);
    if (tcp && tcp->state == TCP_SIM_TIME_WAIT && packet->flags == PACKET_SYN && !tcp->socket) {
        tcp_free(tcp);
        tcp = NULL;
    }
    if (!tcp && packet->flags == PACKET_SYN) {
        receive_syn(host, packet);
        return;
    }
    if (!tcp) {
        tcp_refuse(host, packet);
        return;
    }
    tcp->heard = world.now;
    tcp->probes = 0;
    if (packet->flags & PACKET_RST) {
        receive_reset(tcp, packet);
    } else if (tcp->state == TCP_SIM_SYN_SENT) {
        if ((packet->flags & (PACKET_SYN | PACKET_ACK)) == (PACKET_SYN | PACKET_ACK))
            receive_syn_ack(tcp, packet);
    } else if (tcp->state == TCP_SIM_SYN_RECEIVED) {
        if (packet->flags & PACKET_SYN)
            return; // his SYN again: ours comes again by itself
        if (enqueue(tcp))
            receive_open(tcp, packet);
    } else {
        receive_open(tcp, packet);
    }
}

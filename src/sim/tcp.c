// TCP connections: their table, their birth and their end.

#include "sim/tcp.h"

#include <errno.h>
#include <string.h>

static struct list *bucket_of(const struct place *local, const struct place *peer)
{
    unsigned key = local->port * 31U + peer->port + local->ip[15] * 7U + peer->ip[15];
    return &world.tcps[key % (sizeof world.tcps / sizeof *world.tcps)];
}

struct tcp *tcp_new(struct host *host, const struct place *local, const struct place *peer)
{
    struct tcp *tcp = world_take(sizeof *tcp);
    tcp->host = host;
    tcp->local = *local;
    tcp->peer = *peer;
    tcp->rto = SIM_SECOND;
    tcp->heard = world.now;
    list_init(&tcp->early);
    list_append(bucket_of(local, peer), &tcp->node);
    return tcp;
}

struct tcp *tcp_find(const struct place *local, const struct place *peer)
{
    struct list *bucket = bucket_of(local, peer);
    for (struct list *node = bucket->next; node != bucket; node = node->next) {
        struct tcp *tcp = LIST_ENTRY(node, struct tcp, node);
        if (place_same(&tcp->local, local) && place_same(&tcp->peer, peer))
            return tcp;
    }
    return NULL;
}

void tcp_free(struct tcp *tcp)
{
    struct list *node;
    while ((node = list_take(&tcp->early)))
        world_release(LIST_ENTRY(node, struct packet, node));
    timers_remove(&world.timers, &tcp->timer);
    timers_remove(&world.timers, &tcp->alive);
    list_remove(&tcp->node);
    bytes_free(&tcp->out);
    bytes_free(&tcp->in);
    world_release(tcp);
}

void tcp_end_all(void)
{
    for (size_t i = 0; i < sizeof world.tcps / sizeof *world.tcps; i++)
        while (!list_is_empty(&world.tcps[i]))
            tcp_free(LIST_ENTRY(world.tcps[i].next, struct tcp, node));
}

void tcp_die(struct tcp *tcp, int error)
{
    struct socket_file *socket = tcp->socket;
    tcp->state = TCP_SIM_DEAD;
    if (!socket) {
        tcp_free(tcp);
        return;
    }
    timers_remove(&world.timers, &tcp->timer);
    timers_remove(&world.timers, &tcp->alive);
    bytes_skip(&tcp->out, tcp->out.size);
    socket->error = error;
    socket->shut_read = socket->shut_write = true;
    list_remove(&tcp->node); // its place is free for another
    file_wake(&socket->file, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLHUP | EPOLLERR);
}

static void time_is_over(struct timer *timer)
{
    tcp_die(LIST_ENTRY(timer, struct tcp, timer), 0);
}

void tcp_finish(struct tcp *tcp)
{
    bool over = tcp->fin_acked && tcp->fin_received;
    if (!over || tcp->state != TCP_SIM_OPEN)
        return;
    // Unread bytes stay readable until the socket is closed.
    tcp->state = TCP_SIM_TIME_WAIT;
    timers_remove(&world.timers, &tcp->alive);
    timers_remove(&world.timers, &tcp->timer);
    tcp->timer.at = world.now + 60 * SIM_SECOND;
    tcp->timer.expired = time_is_over;
    if (!tcp->socket)
        timers_add(&world.timers, &tcp->timer);
}

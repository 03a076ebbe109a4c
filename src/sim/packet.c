// The way of a packet: how long it takes, and whether it comes.

#include <stdio.h>
#include <string.h>

#include "sim/net.h"

struct packet *packet_new(int protocol, const struct place *from, const struct place *to,
                          size_t size)
{
    struct packet *packet = world_take(sizeof *packet + size);
    packet->protocol = protocol;
    packet->from = *from;
    packet->to = *to;
    packet->size = size;
    return packet;
}

int64_t net_delay(const struct host *from, const struct host *to)
{
    if (from == to)
        return world_between(5000, 50000);
    return world_between(world.faults.delay_min, world.faults.delay_max) + 1000;
}

// ---- The trace --------------------------------------------------------------------------------

static void trace_tcp(const struct packet *packet, char *text, size_t size)
{
    static const char *const names[] = {"SYN ", "", "FIN ", "RST "};
    size_t at = 0;
    for (int i = 0; i < 4; i++)
        if (packet->flags & 1U << i)
            at += (size_t)snprintf(text + at, size - at, "%s", names[i]);
    (void)snprintf(text + at, size - at, "seq %llu+%zu ack %llu window %zu",
                   (unsigned long long)packet->sequence, packet->size,
                   (unsigned long long)packet->acknowledges, packet->window);
}

static void trace(const struct packet *packet, const char *fate)
{
    char from[64], to[64], what[160];
    if (!world.trace)
        return;
    if (packet->flags & PACKET_ICMP)
        (void)snprintf(what, sizeof what, "unreachable");
    else if (packet->protocol == IPPROTO_TCP)
        trace_tcp(packet, what, sizeof what);
    else
        (void)snprintf(what, sizeof what, "%zu bytes", packet->size);
    world_trace("  %s > %s %s %s%s", place_print(&packet->from, from, sizeof from),
                place_print(&packet->to, to, sizeof to),
                packet->protocol == IPPROTO_TCP ? "tcp" : "udp", what, fate);
}

// ---- Arriving ---------------------------------------------------------------------------------

static void drop(struct packet *packet)
{
    list_remove(&packet->node);
    world_release(packet);
}

static void arrive(struct timer *timer)
{
    struct packet *packet = LIST_ENTRY(timer, struct packet, timer);
    if (!packet->target->is_dead && packet->protocol == IPPROTO_TCP)
        tcp_arrive(packet->target, packet);
    else if (!packet->target->is_dead)
        udp_arrive(packet->target, packet);
    drop(packet);
}

static void schedule(struct packet *packet, int64_t at)
{
    packet->timer.at = at;
    packet->timer.expired = arrive;
    timers_add(&world.timers, &packet->timer);
    list_append(&world.packets, &packet->node);
}

static void duplicate(const struct packet *packet, int64_t at)
{
    struct packet *twin = packet_new(packet->protocol, &packet->from, &packet->to, packet->size);
    memcpy(twin, packet, sizeof *packet + packet->size);
    memset(&twin->timer, 0, sizeof twin->timer);
    memset(&twin->node, 0, sizeof twin->node);
    schedule(twin, at);
}

// ---- Sending ----------------------------------------------------------------------------------

static bool is_cut(const struct host *host)
{
    return world.now >= host->cut_from && world.now < host->cut_until;
}

// Why it does not come, or NULL. A reset that was lost would leave the other end in the dark for ever,
// which is what a cut is for.
static const char *loss(const struct host *from, const struct packet *packet)
{
    if (!packet->target)
        return "  nobody there";
    if (packet->target == from)
        return NULL;
    if (is_cut(from) || is_cut(packet->target))
        return "  cut off";
    return !(packet->flags & PACKET_RST) && world_chance(world.faults.loss) ? "  lost" : NULL;
}

void packet_send(struct host *from, struct packet *packet, int64_t *last)
{
    packet->target = host_at(from, &packet->to);
    const char *why = loss(from, packet);
    if (why) {
        trace(packet, why);
        world_release(packet);
        return;
    }
    bool own = packet->target == from;
    bool overtakes = !own && world_chance(world.faults.overtake);
    int64_t at = world.now + net_delay(from, packet->target);
    if (!overtakes && at <= *last)
        at = *last + 1;
    if (at > *last)
        *last = at;
    bool twice = !own && world_chance(world.faults.twice);
    trace(packet, twice ? "  twice" : "");
    if (twice)
        duplicate(packet, at + net_delay(from, packet->target));
    schedule(packet, at);
}

void net_end(void)
{
    while (!list_is_empty(&world.packets))
        drop(LIST_ENTRY(world.packets.next, struct packet, node));
}

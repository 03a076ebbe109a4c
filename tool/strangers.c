// Whom a server of datagrams answers.

#include "strangers.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

// ---- Addresses --------------------------------------------------------------------------------

// As IPv6 has it, whatever the family; false for what has no ports.
struct place {
    struct in6_addr host;
    unsigned port;
};

static bool place_of(const struct sockaddr_storage *address, struct place *ret)
{
    if (address->ss_family == AF_INET6) {
        const struct sockaddr_in6 *six = (const void *)address;
        *ret = (struct place){six->sin6_addr, ntohs(six->sin6_port)};
        return true;
    }
    if (address->ss_family != AF_INET)
        return false;
    const struct sockaddr_in *four = (const void *)address;
    *ret = (struct place){.port = ntohs(four->sin_port)};
    memset(&ret->host.s6_addr[10], 0xff, 2);
    memcpy(&ret->host.s6_addr[12], &four->sin_addr, sizeof four->sin_addr);
    return true;
}

static bool is_loopback(const struct in6_addr *host)
{
    return IN6_IS_ADDR_LOOPBACK(host) ||
           (IN6_IS_ADDR_V4MAPPED(host) && host->s6_addr[12] == IN_LOOPBACKNET);
}

// 224.0.0.0 and above: groups, and 255.255.255.255.
static bool is_group(const struct in6_addr *host)
{
    return IN6_IS_ADDR_MULTICAST(host) || (IN6_IS_ADDR_V4MAPPED(host) && host->s6_addr[12] >= 224);
}

bool strangers_is_home(const struct bell_datagram *about)
{
    struct place peer;
    return !place_of(&about->peer, &peer) || is_loopback(&peer.host);
}

// ---- Rates ------------------------------------------------------------------------------------

// An IPv4 address, or the part of an IPv6 one that a network is given: its owner has all the rest.
static uint64_t key_of(const struct in6_addr *host)
{
    uint64_t halves[2];
    memcpy(halves, host, sizeof halves);
    return IN6_IS_ADDR_V4MAPPED(host) ? halves[1] : halves[0];
}

// The finaliser of SplitMix64: who does not know the seed cannot choose who shares his slot.
static unsigned slot_of(uint64_t key, uint64_t seed)
{
    key = (key ^ seed) + 0x9e3779b97f4a7c15;
    key = (key ^ key >> 30) * 0xbf58476d1ce4e5b9;
    key = (key ^ key >> 27) * 0x94d049bb133111eb;
    return (unsigned)(key >> 40) % STRANGERS_SLOTS;
}

// A bucket of tokens that holds those of a second, as the time at which it would be full again. Two addresses
// may share one; there is no list that strangers could make long.
static bool take_token(struct strangers *strangers, const struct in6_addr *host)
{
    _Atomic int64_t *slot = &strangers->slots[slot_of(key_of(host), strangers->seed)];
    int64_t now = bell_now(), token = BELL_SECOND / strangers->rate;
    int64_t full = atomic_load(slot), later;
    do {
        later = (full > now ? full : now) + token;
        if (later - now > BELL_SECOND)
            return false;
    } while (!atomic_compare_exchange_weak(slot, &full, later));
    return true;
}

// ---- Judging ----------------------------------------------------------------------------------

static bool is_ours(const struct strangers *strangers, const struct place *peer,
                    const struct bell_datagram *about)
{
    struct place local;
    bool same = place_of(&about->local, &local) && IN6_ARE_ADDR_EQUAL(&peer->host, &local.host);
    for (int i = 0; i < strangers->port_count; i++) {
        const struct own_port *own = &strangers->ports[i];
        if (own->port == peer->port && (same || (own->is_everywhere && is_loopback(&peer->host))))
            return true;
    }
    return false;
}

static enum refusal judge_inet(struct strangers *strangers, const struct place *peer,
                               const struct bell_datagram *about)
{
    if (peer->port < IPPORT_RESERVED || is_group(&peer->host))
        return LOW_PORT;
    if (is_ours(strangers, peer, about))
        return OWN_PORT;
    bool counts = strangers->rate && (strangers->rate_at_home || !is_loopback(&peer->host));
    if (counts && !take_token(strangers, &peer->host))
        return OVER_RATE;
    return about->to_group && !strangers->answers_groups ? TO_GROUP : ANSWERED;
}

static bool is_same(const struct bell_datagram *about)
{
    return about->peer_size == about->local_size &&
           !memcmp(&about->peer, &about->local, about->peer_size);
}

enum refusal strangers_judge(struct strangers *strangers, const struct bell_datagram *about)
{
    struct place peer;
    if (about->peer_size <= sizeof(sa_family_t))
        return NAMELESS;
    if (place_of(&about->peer, &peer))
        return judge_inet(strangers, &peer, about);
    return is_same(about) ? OWN_PORT : ANSWERED;
}

// ---- Counting ---------------------------------------------------------------------------------

bool strangers_refuse(struct strangers *strangers, enum refusal refusal)
{
    int64_t now = bell_now(), told = atomic_load(&strangers->told[refusal]);
    atomic_fetch_add(&strangers->counts[refusal], 1);
    if (told && now - told < BELL_SECOND)
        return false;
    return atomic_compare_exchange_strong(&strangers->told[refusal], &told, now);
}

static const struct {
    const char *words, *key;
} reasons[REFUSALS] = {
    [LOW_PORT] = {"from a port below 1024", "low_port"},
    [OWN_PORT] = {"from ourselves", "own_port"},
    [OVER_RATE] = {"over the rate of its address", "over_rate"},
    [TOO_LONG] = {"too long", "too_long"},
    [NAMELESS] = {"without an address to answer to", "nameless"},
    [TO_GROUP] = {"to a group or to everybody", "to_group"},
    [GROWS] = {"shorter than its answer", "grows"},
    [UNSENDABLE] = {"whose answer could not be sent", "unsendable"},
};

const char *refusal_words(enum refusal refusal)
{
    return reasons[refusal].words;
}

const char *refusal_key(enum refusal refusal)
{
    return reasons[refusal].key;
}

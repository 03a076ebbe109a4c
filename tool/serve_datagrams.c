// doorbell serve over udp: and unixgram: each datagram is answered by one, if it may be; and over unixpacket:
// which has callers, and messages.

#include "answers.h"
#include "serve.h"
#include "strangers.h"
#include "tool.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

enum { PEER_SIZE = 160 };

#define RATE_DEFAULT 100

// A datagram, and what becomes of it.
struct letter {
    struct serving *serving;
    const struct service *service;
    bell_dgram *dgram;
    struct bell_datagram about;
    char *data;
    size_t size, room;
};

// ---- What is told -----------------------------------------------------------------------------

static const char *peer_of(const struct letter *letter, char *text)
{
    return bell_datagram_peer(&letter->about, text, PEER_SIZE);
}

static void tell_answer(const struct letter *letter, size_t size, ssize_t answer_size)
{
    char peer[PEER_SIZE];
    size_t sent = answer_size > 0 ? (size_t)answer_size : 0;
    if (letter->serving->common.json)
        tell("datagram", "s:s, s:I, s:I, s:b", "peer", peer_of(letter, peer), "bytes_in",
             (long long)size, "bytes_out", (long long)sent, "answered", answer_size >= 0);
    else if (letter->serving->common.verbose && answer_size >= 0)
        note("doorbell serve: %s: %zu bytes in, %zu out", peer_of(letter, peer), size, sent);
    else if (letter->serving->common.verbose)
        note("doorbell serve: %s: %zu bytes in, and no answer", peer_of(letter, peer), size);
}

// Also unasked, so that who wonders why nothing comes back can see it; but not as often as a stranger likes.
static void refuse(const struct letter *letter, enum refusal refusal, const char *why)
{
    char peer[PEER_SIZE];
    const struct common *common = &letter->serving->common;
    bool is_news = strangers_refuse(letter->serving->strangers, refusal);
    if (common->json)
        tell("unanswered", "s:s, s:I, s:s", "peer", peer_of(letter, peer), "bytes_in",
             (long long)letter->about.size, "reason", refusal_key(refusal));
    else if (is_news || common->verbose)
        note("doorbell serve: %s: %zu bytes in, not answered: it is %s%s%s", peer_of(letter, peer),
             letter->about.size, refusal_words(refusal), *why ? ": " : "", why);
}

static void show(const struct letter *letter, char mark, const char *data, size_t size)
{
    char peer[PEER_SIZE];
    if (letter->serving->manner.show)
        show_traffic(peer_of(letter, peer), &letter->serving->manner, mark, data, size);
}

// ---- Answering --------------------------------------------------------------------------------

static void send_answer(const struct letter *letter, size_t answer_size)
{
    show(letter, '>', letter->data, answer_size);
    if (bell_sendto(letter->dgram, letter->data, answer_size, &letter->about) >= 0)
        tell_answer(letter, letter->size, (ssize_t)answer_size);
    else if (errno != ECANCELED && errno != ESHUTDOWN)
        refuse(letter, UNSENDABLE, strerror(errno));
}

// A letter of its own, with its answer: of --delay.
struct later {
    struct letter letter;
    size_t answer_size;
    char data[];
};

static int send_later(void *arg)
{
    struct later *later = arg;
    if (bell_sleep(later->letter.serving->manner.delay) == 0)
        send_answer(&later->letter, later->answer_size);
    free(later);
    return 0;
}

// Coroutines think of many answers at once; others, and who has no memory left, of one after the other.
static bool may_wait_beside(const struct letter *letter)
{
    return !strncmp(bell_server_choice(letter->serving->dgrams), "coroutines", 10);
}

static void answer_after_delay(const struct letter *letter, size_t answer_size)
{
    struct later *later = may_wait_beside(letter) ? malloc(sizeof *later + answer_size) : NULL;
    if (later) {
        *later = (struct later){.letter = *letter, .answer_size = answer_size};
        later->letter.data = later->data;
        memcpy(later->data, letter->data, answer_size);
        if (bell_go(NULL, send_later, later) == 0)
            return;
        free(later);
    }
    if (bell_sleep(letter->serving->manner.delay) == 0)
        send_answer(letter, answer_size);
}

static void answer_letter(struct letter *letter, enum refusal refusal)
{
    struct serving *serving = letter->serving;
    size_t size = letter->size;
    show(letter, '<', letter->data, size);
    ssize_t n = letter->service->answer(&serving->manner, letter->data, size, letter->room);
    if (n == NO_ANSWER)
        tell_answer(letter, size, n);
    else if (refusal != ANSWERED)
        refuse(letter, refusal, "");
    else if ((size_t)n > size && !strangers_is_home(&letter->about))
        refuse(letter, GROWS, "");
    else if (serving->manner.delay)
        answer_after_delay(letter, (size_t)n);
    else
        send_answer(letter, (size_t)n);
}

// With --once the first one that is read is the last; another worker may have one at the same time.
static void take_letter(struct letter *letter)
{
    struct serving *serving = letter->serving;
    enum refusal refusal = strangers_judge(serving->strangers, &letter->about);
    if (refusal != ANSWERED && refusal <= LAST_UNREAD) {
        refuse(letter, refusal, "");
        return;
    }
    if (serving->once && atomic_fetch_add(&serving->manner.shared->callers, 1) > 0)
        return;
    answer_letter(letter, refusal);
    if (serving->once)
        serving_stop(serving);
}

static int take_letters(struct letter *letter)
{
    size_t longest = letter->serving->longest;
    for (;;) {
        ssize_t n = bell_recvfrom(letter->dgram, letter->data, longest, &letter->about);
        if (n < 0 && errno == EMSGSIZE) {
            char why[64];
            snprintf(why, sizeof why, "%zu bytes are taken (--longest)", longest);
            refuse(letter, TOO_LONG, why);
            continue;
        }
        if (n < 0)
            return errno == ESHUTDOWN || errno == ECANCELED ? 0 : -1;
        letter->size = (size_t)n;
        take_letter(letter);
    }
}

// Room for a message and its answer: too much for a handler's stack.
static char *make_room(const struct serving *serving, size_t *ret_room)
{
    *ret_room = serving->longest > ANSWER_MAX ? serving->longest : ANSWER_MAX;
    return malloc(*ret_room);
}

static int serve_dgram(bell_dgram *dgram, void *arg)
{
    struct serving *serving = arg;
    struct letter letter = {.serving = serving, .dgram = dgram};
    letter.service = parts_of_socket(&serving->parts, dgram);
    letter.data = letter.service ? make_room(serving, &letter.room) : NULL;
    if (!letter.data)
        return -1;
    int result = take_letters(&letter);
    free(letter.data);
    return result;
}

// ---- Messages of callers ----------------------------------------------------------------------

static int send_message(bell_conn *conn, const struct manner *manner, const char *data, size_t size)
{
    if (manner->delay && bell_sleep(manner->delay) < 0)
        return -1;
    if (manner->show)
        show_traffic(bell_peer(conn), manner, '>', data, size);
    return bell_send(conn, data, size) < 0 ? -1 : 0;
}

// 1: it has come to its end.
static int take_message(bell_conn *conn, const struct service *service,
                        const struct serving *serving, char *data, size_t room)
{
    const struct manner *manner = &serving->manner;
    ssize_t n = bell_recv(conn, data, serving->longest);
    if (n < 0)
        return errno == ESHUTDOWN ? 1 : -1;
    if (manner->show)
        show_traffic(bell_peer(conn), manner, '<', data, (size_t)n);
    n = service->answer(manner, data, (size_t)n, room);
    return n == NO_ANSWER ? 0 : send_message(conn, manner, data, (size_t)n);
}

static int speak(bell_conn *conn, const struct service *service, const struct manner *manner,
                 char *data, size_t room)
{
    ssize_t n = service->answer(manner, data, 0, room);
    return n < 0 ? -1 : send_message(conn, manner, data, (size_t)n);
}

static int converse_in_messages(bell_conn *conn, const struct service *service,
                                const struct serving *serving, char *data, size_t room)
{
    int result = 0;
    const struct manner *manner = &serving->manner;
    switch (service->turns) {
    case EACH_MESSAGE:
        while (result == 0)
            result = take_message(conn, service, serving, data, room);
        return result < 0 ? -1 : 0;
    case ONE_MESSAGE:
        return take_message(conn, service, serving, data, room) < 0 ? -1 : 0;
    case UNASKED:
        return speak(conn, service, manner, data, room);
    default:
        while (result == 0 && !manner->shared->stopping)
            result = speak(conn, service, manner, data, room);
        return result == 0 || errno == EPIPE || errno == ECONNRESET ? 0 : -1;
    }
}

int serve_messages(bell_conn *conn, const struct service *service, const struct serving *serving)
{
    size_t room;
    char *data = make_room(serving, &room);
    if (!data)
        return -1;
    int result = converse_in_messages(conn, service, serving, data, room);
    free(data);
    return result;
}

// ---- A server ---------------------------------------------------------------------------------

// All of a server's processes share it.
static struct strangers *make_strangers(const struct serving *serving)
{
    struct strangers *made =
        mmap(NULL, sizeof *made, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (made == MAP_FAILED || getrandom(&made->seed, sizeof made->seed, 0) < 0) {
        complain("out of memory");
        return NULL;
    }
    made->rate = serving->rate ? serving->rate : RATE_DEFAULT;
    made->rate_at_home = serving->rate;
    made->answers_groups = serving->answer_groups;
    return made;
}

int datagrams_open(struct serving *serving)
{
    serving->strangers = make_strangers(serving);
    if (!serving->strangers)
        return EXIT_BROKEN;
    serving->dgrams = bell_server_open_dgram(serve_dgram, serving, &serving->options);
    if (serving->dgrams)
        return EXIT_DONE;
    int code = (int)exit_code_of_listen(errno);
    complain("%s", bell_error());
    return code;
}

static void note_port(struct strangers *strangers, const char *address)
{
    if (strncmp(address, "udp:", 4) != 0 || strangers->port_count == STRANGERS_PORTS)
        return;
    strangers->ports[strangers->port_count++] = (struct own_port){
        .port = (unsigned)strtoul(strrchr(address, ':') + 1, NULL, 10),
        .is_everywhere = is_of_every_interface(address),
    };
}

// RFC 864's datagrams would be a present to whoever wants to flood somebody else.
bool datagrams_may_run(const struct serving *serving)
{
    const char *address;
    for (int i = 0; (address = bell_server_address(serving->dgrams, i)); i++) {
        note_port(serving->strangers, address);
        const struct service *service = parts_of_dgram(&serving->parts, i);
        if (service->turns == WITHOUT_END && !is_local(address)) {
            complain("%s on %.120s: whoever reaches it could have somebody else flooded; over udp "
                     "it is for loopback only",
                     service->name, address);
            return false;
        }
    }
    return true;
}

static void tell_refusals(const struct strangers *strangers, char *text, size_t size)
{
    size_t used = 0;
    text[0] = '\0';
    for (int i = ANSWERED + 1; i < REFUSALS && used < size; i++) {
        unsigned long long count = atomic_load(&strangers->counts[i]);
        if (count)
            used += (size_t)snprintf(text + used, size - used, "%s%llu %s",
                                     used ? ", " : "; not answered: ", count,
                                     refusal_words((enum refusal)i));
    }
}

void datagrams_tell_counts(const struct serving *serving)
{
    struct bell_counts counts;
    char refusals[512];
    uint64_t refused = 0;
    bell_server_counts(serving->dgrams, &counts);
    tell_refusals(serving->strangers, refusals, sizeof refusals);
    for (int i = ANSWERED + 1; i < REFUSALS; i++)
        refused += atomic_load(&serving->strangers->counts[i]);
    note("doorbell serve: %llu datagram%s in, %llu out%s; the kernel dropped %llu",
         (unsigned long long)counts.datagrams_in, plural(counts.datagrams_in),
         (unsigned long long)counts.datagrams_out, refusals,
         (unsigned long long)counts.datagrams_dropped);
    tell("summary", "s:I, s:I, s:I, s:I, s:I, s:I", "datagrams_in", (long long)counts.datagrams_in,
         "datagrams_out", (long long)counts.datagrams_out, "bytes_in", (long long)counts.bytes_in,
         "bytes_out", (long long)counts.bytes_out, "unanswered", (long long)refused, "dropped",
         (long long)counts.datagrams_dropped);
}

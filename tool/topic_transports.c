// doorbell help transports: which applications need what, which transport they use, and which one to take.

#include "pages.h"
#include "tool.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { WIDTH = 80 };

enum verdict { TAKE_TCP, TAKE_UDP, TAKE_EITHER };

// Needs and habits of an application, as they were in 2026.
static const struct application {
    const char *name;
    const char *loss, *bandwidth, *time; // what it needs; loss NULL: not in the first table
    const char *protocol, *transport;    // what it uses; protocol NULL: not in the second table
    enum verdict verdict;
    const char *reason;
} applications[] = {
    {"file transfer", "none", "any", "no", "FTP [959], SFTP, HTTP", "TCP", TAKE_TCP,
     "a file with a hole is worthless, and a late one is not"},
    {"e-mail", "none", "any", "no", "SMTP [5321]", "TCP", TAKE_TCP,
     "every byte must arrive, and nobody waits for it"},
    {"web pages", "none", "any", "no", "HTTP [9110]", "TCP; HTTP/3: QUIC over UDP", TAKE_TCP,
     "nothing of a page may be missing; QUIC repeats what is lost, too"},
    {"live audio and video", "some", "5 kbit/s - 25 Mbit/s", "100s of ms", "RTP [3550], WebRTC",
     "UDP", TAKE_UDP, "what comes late is of no use, and a small gap is hardly noticed"},
    {"stored audio and video", "none", "100 kbit/s - 25 Mbit/s", "a few s",
     "HTTP [9110]: DASH, HLS", "TCP; QUIC over UDP", TAKE_TCP,
     "a buffer of seconds gives time to repeat what is lost"},
    {"interactive games", "some", "some kbit/s up", "100s of ms", "each its own", "UDP", TAKE_UDP,
     "the next position is worth more than the repeat of an old one"},
    {"news and chat", "none", "any", "no", "NNTP [3977], XMPP [6120]", "TCP", TAKE_TCP,
     "every message counts, and a second does not"},
    {"terminals", NULL, NULL, NULL, "SSH [4251]; telnet [854]", "TCP", TAKE_TCP,
     "no key may be lost, and their order counts"},
    {"file servers", NULL, NULL, NULL, "NFSv4 [8881]", "TCP; NFSv3 also UDP", TAKE_TCP,
     "blocks must arrive, many at a time; version 4 allows no transport without congestion "
     "control"},
    {"telephony", NULL, NULL, NULL, "SIP [3261], RTP [3550]", "UDP; SIP also TCP", TAKE_UDP,
     "who talks cannot wait for a repeat"},
    {"names", NULL, NULL, NULL, "DNS [1035]", "UDP; TCP if long", TAKE_EITHER,
     "a question and an answer fit into a datagram each, and asking again is easy; what does not "
     "fit goes "
     "by TCP"},
};

enum { APPLICATIONS = sizeof applications / sizeof *applications };

static void print_table(bool present, FILE *to)
{
    (void)present;
    fprintf(to, "  %-23s %-6s %-23s %s\n", "needs of", "loss", "bandwidth", "time");
    for (int i = 0; i < APPLICATIONS; i++)
        if (applications[i].loss)
            fprintf(to, "  %-23s %-6s %-23s %s\n", applications[i].name, applications[i].loss,
                    applications[i].bandwidth, applications[i].time);
    fprintf(to, "\n  %-23s %-25s %s\n", "uses of", "protocol [RFC]", "transport");
    for (int i = 0; i < APPLICATIONS; i++)
        fprintf(to, "  %-23s %-25s %s\n", applications[i].name, applications[i].protocol,
                applications[i].transport);
}

// ---- An application ---------------------------------------------------------------------------

static const char *word_of(enum verdict verdict)
{
    return verdict == TAKE_TCP ? "TCP" : verdict == TAKE_UDP ? "UDP" : "UDP or TCP";
}

// "TCP: because", in lines of at most 80 columns.
static int advise(enum verdict verdict, const char *reason)
{
    int column = printf("%s:", word_of(verdict));
    while (*reason) {
        int length = (int)strcspn(reason, " ");
        if (column + 1 + length > WIDTH)
            column = printf("\n   ") - 1;
        column += printf(" %.*s", length, reason);
        reason += length;
        reason += strspn(reason, " ");
    }
    putchar('\n');
    return EXIT_DONE;
}

// Other words for some of them.
static const struct {
    const char *word, *name;
} aliases[] = {
    {"file-transfer", "file transfer"},
    {"ftp", "file transfer"},
    {"email", "e-mail"},
    {"mail", "e-mail"},
    {"smtp", "e-mail"},
    {"web", "web pages"},
    {"http", "web pages"},
    {"audio", "live audio and video"},
    {"video", "live audio and video"},
    {"streaming", "stored audio and video"},
    {"games", "interactive games"},
    {"game", "interactive games"},
    {"news", "news and chat"},
    {"chat", "news and chat"},
    {"terminal", "terminals"},
    {"telnet", "terminals"},
    {"ssh", "terminals"},
    {"nfs", "file servers"},
    {"voip", "telephony"},
    {"telephone", "telephony"},
    {"dns", "names"},
};

enum { ALIASES = sizeof aliases / sizeof *aliases };

static const struct application *find_application(const char *text)
{
    for (int i = 0; i < ALIASES; i++)
        if (!strcasecmp(text, aliases[i].word))
            text = aliases[i].name;
    for (int i = 0; i < APPLICATIONS; i++)
        if (!strcasecmp(text, applications[i].name))
            return &applications[i];
    return NULL;
}

// ---- Needs ------------------------------------------------------------------------------------

struct needs {
    bool no_loss, tolerant, to_many;
    int64_t time; // nanoseconds; 0: it does not matter
};

// Takes "100ms", or "100" "ms".
static bool take_time(const char *word, const char *next, int64_t *ret_time, int *ret_used)
{
    char joined[64];
    *ret_used = 1;
    if (parse_time(word, ret_time))
        return true;
    if (!next || !isdigit((unsigned char)word[0]))
        return false;
    snprintf(joined, sizeof joined, "%.30s%.30s", word, next);
    *ret_used = 2;
    return parse_time(joined, ret_time);
}

static bool is_any(const char *word, const char *const *words)
{
    while (*words && strcasecmp(word, *words) != 0)
        words++;
    return *words != NULL;
}

// Takes one need; returns how many words it has, 0 when it is none.
static int take_need(const char *word, const char *next, struct needs *needs)
{
    static const char *const strict[] = {"no-loss", "reliable", "lossless",
                                         "order",   "ordered",  NULL};
    static const char *const loose[] = {"tolerant", "loss-tolerant", "some-loss", NULL};
    static const char *const many[] = {"multicast", "broadcast", "many", NULL};
    int used = 1;
    if (next && !strcasecmp(word, "no") && !strcasecmp(next, "loss")) {
        needs->no_loss = true;
        return 2;
    }
    if (is_any(word, strict))
        needs->no_loss = true;
    else if (is_any(word, loose))
        needs->tolerant = true;
    else if (is_any(word, many))
        needs->to_many = true;
    else if (!take_time(word, next, &needs->time, &used))
        return 0;
    return used;
}

static int weigh(const struct needs *needs)
{
    bool hurries = needs->time > 0 && needs->time <= BELL_SECOND;
    if (needs->to_many)
        return advise(TAKE_UDP, "TCP has two ends; only datagrams go to many at once");
    if (needs->no_loss && hurries)
        return advise(
            TAKE_EITHER,
            "nothing can promise both: TCP repeats what is lost, which takes a round trip or "
            "more; over UDP the program says itself what is worth a repeat");
    if (needs->no_loss)
        return advise(TAKE_TCP, "it repeats what is lost and keeps the order");
    if (hurries)
        return advise(
            TAKE_UDP,
            "a repeat would come too late, and TCP holds back all that follows until it is "
            "there");
    return advise(TAKE_TCP, "nothing is gained by losing anything when there is time to repeat it");
}

static int complain_of_needs(const char *word)
{
    const char *names[ALIASES + APPLICATIONS + 1] = {NULL};
    for (int i = 0; i < ALIASES; i++)
        names[i] = aliases[i].word;
    for (int i = 0; i < APPLICATIONS; i++)
        names[ALIASES + i] = applications[i].name;
    const char *near = nearest(word, names);
    if (near)
        complain("help transports: there is no application %.60s; did you mean %s?", word, near);
    else
        complain("help transports: %.60s is no application of the tables, and no need: no-loss, "
                 "tolerant, a time as 100ms, multicast",
                 word);
    return EXIT_USAGE;
}

// The words as one text, without the commas behind them.
static void join(int count, char **words, char *text, size_t size)
{
    size_t used = 0;
    text[0] = '\0';
    for (int i = 0; i < count && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s%s", i ? " " : "", words[i]);
}

static int answer(int count, char **words)
{
    enum { WORDS_MAX = 16 };
    char text[256];
    const char *parts[WORDS_MAX + 1] = {NULL};
    struct needs needs = {.time = 0};
    join(count, words, text, sizeof text);
    const struct application *application = find_application(text);
    if (application)
        return advise(application->verdict, application->reason);
    int found = 0;
    char *rest = NULL;
    for (char *at = strtok_r(text, ", ", &rest); at && found < WORDS_MAX;
         at = strtok_r(NULL, ", ", &rest))
        parts[found++] = at;
    for (int i = 0, used; i < found; i += used) {
        used = take_need(parts[i], parts[i + 1], &needs);
        if (used == 0)
            return complain_of_needs(parts[i]);
    }
    if (needs.no_loss && needs.tolerant) {
        complain("help transports: no loss and tolerant of loss at once?");
        return EXIT_USAGE;
    }
    return found ? weigh(&needs) : complain_of_needs("");
}

const struct page transports_page = {
    .name = "transports",
    .summary = "what applications need of a transport, what they use, and which to take",
    .usage = (const char *const[]){NULL},
    .description =
        "TCP carries a stream of bytes: all of them, in their order, at a pace that the\n"
        "network bears, after a round trip to begin with. UDP carries messages: each\n"
        "alone, at once, perhaps not at all. Neither promises bandwidth or a time.\n"
        "\n"
        "doorbell help transports APPLICATION tells which to take and why, as does\n"
        "doorbell help transports NEEDS: no-loss, tolerant, a time as 100ms, multicast.\n"
        "\n"
        "The tables are those of the textbooks of 1999, as things stood in 2026: web\n"
        "pages bear no loss, stored video is fetched by HTTP, and much of what was TCP's\n"
        "is QUIC's, which does the same over UDP.",
    .print_table = print_table,
    .answer = answer,
};

// What the services of doorbell serve answer: bytes for bytes, whatever carries them.

#include "answers.h"

#include <arpa/inet.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

// ---- echo, upper, discard ---------------------------------------------------------------------

// NOLINTNEXTLINE(readability-non-const-parameter): an answer_maker
ssize_t answer_echo(const struct manner *manner, char *data, size_t size, size_t room)
{
    (void)manner, (void)data, (void)room;
    return (ssize_t)size;
}

void capitalize(const char *from, size_t size, char *into)
{
    for (size_t i = 0; i < size; i++)
        into[i] = from[i] >= 'a' && from[i] <= 'z' ? (char)(from[i] - 'a' + 'A') : from[i];
}

ssize_t answer_upper(const struct manner *manner, char *data, size_t size, size_t room)
{
    (void)manner, (void)room;
    capitalize(data, size, data);
    return (ssize_t)size;
}

// NOLINTNEXTLINE(readability-non-const-parameter): an answer_maker
ssize_t answer_nothing(const struct manner *manner, char *data, size_t size, size_t room)
{
    (void)manner, (void)data, (void)size, (void)room;
    return NO_ANSWER;
}

// ---- message ----------------------------------------------------------------------------------

void show_message(const char *text, size_t size)
{
    flockfile(stdout);
    fputs("Here is the message: ", stdout);
    fwrite(text, 1, size, stdout);
    putchar('\n');
    fflush(stdout);
    funlockfile(stdout);
}

ssize_t answer_message(const struct manner *manner, char *data, size_t size, size_t room)
{
    static const char received[] = "I got your message";
    (void)manner, (void)room;
    show_message(data, size > 0 && data[size - 1] == '\n' ? size - 1 : size);
    memcpy(data, received, sizeof received - 1);
    return sizeof received - 1;
}

// ---- daytime, time, quote ---------------------------------------------------------------------

// time(2) does not do: it is that of the last tick, and so at the begin of a second tells the one before.
static time_t this_second(void)
{
    struct timespec now = {0};
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec;
}

// The time of day as a text for people, in the way of RFC 867: "Tuesday, February 22, 1982 17:37:43-PST".
ssize_t answer_daytime(const struct manner *manner, char *data, size_t size, size_t room)
{
    struct tm parts;
    time_t now = this_second();
    (void)manner, (void)size;
    if (!localtime_r(&now, &parts))
        return NO_ANSWER;
    return (ssize_t)strftime(data, room, "%A, %B %d, %Y %H:%M:%S-%Z\r\n", &parts);
}

// Seconds since 1900 as four bytes, the highest first. They begin anew at 0 on 7 February 2036, 06:28:16 UTC,
// and a caller has to know in which round he lives. (RFC 868)
ssize_t answer_seconds(const struct manner *manner, char *data, size_t size, size_t room)
{
    static const int64_t from_1900_to_1970 = 2208988800;
    uint32_t now = htonl((uint32_t)(this_second() + from_1900_to_1970));
    (void)manner, (void)size, (void)room;
    memcpy(data, &now, sizeof now);
    return sizeof now;
}

// One of the day, or the text that was given. (RFC 865)
const char *quotation_text(const struct manner *manner)
{
    static const char *const texts[] = {
        "A socket is a promise that somebody might listen.\r\n",
        "Every byte is on its way, and none of them has said when it will be there.\r\n",
        "The network is not slow. It is far.\r\n",
        "Who does not read to the end has read a beginning.\r\n",
        "Write as if the other end had gone; one day it will have.\r\n",
        "A queue that only grows is a leak with good manners.\r\n",
        "Half a line is not a line, however long it looks.\r\n",
    };
    size_t day = (size_t)this_second() / 86400;
    return manner->text ? manner->text : texts[day % (sizeof texts / sizeof *texts)];
}

ssize_t answer_quotation(const struct manner *manner, char *data, size_t size, size_t room)
{
    const char *text = quotation_text(manner);
    size_t length = strlen(text);
    (void)size;
    if (length > room)
        return NO_ANSWER;
    memcpy(data, text, length); // NOLINT(bugprone-not-null-terminated-result): it has a length
    return (ssize_t)length;
}

// ---- chargen ----------------------------------------------------------------------------------

// The printable characters twice, so that a line may begin at each of them.
#define PRINTABLE                        \
    "!\"#$%&'()*+,-./0123456789:;<=>?"   \
    "@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`" \
    "abcdefghijklmnopqrstuvwxyz{|}~ "

const char *chargen_line(unsigned first)
{
    static const char ring[] = PRINTABLE PRINTABLE;
    return &ring[first % CHARGEN_RING];
}

// RFC 864: "a datagram is sent containing a random number (between 0 and 512) of characters".
ssize_t answer_chargen(const struct manner *manner, char *data, size_t size, size_t room)
{
    static atomic_uint next;
    uint16_t chance = 0;
    (void)manner, (void)size, (void)room;
    (void)!getrandom(&chance, sizeof chance, GRND_NONBLOCK);
    size_t wanted = chance % (ANSWER_MAX + 1), used = 0;
    while (used < wanted) {
        char line[CHARGEN_LINE + 2];
        size_t count = wanted - used < sizeof line ? wanted - used : sizeof line;
        memcpy(line, chargen_line(atomic_fetch_add(&next, 1)), CHARGEN_LINE);
        line[CHARGEN_LINE] = '\r';
        line[CHARGEN_LINE + 1] = '\n';
        memcpy(data + used, line, count);
        used += count;
    }
    return (ssize_t)wanted;
}

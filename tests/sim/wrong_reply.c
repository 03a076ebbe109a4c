// Questions and answers by datagrams. Wrong: whatever comes next is taken for the answer.

#include <stdlib.h>

#include "planted.h"

enum { QUESTIONS = 20 };

static int double_numbers(bell_dgram *dgram, void *arg)
{
    (void)arg;
    char text[64];
    struct bell_datagram about;
    ssize_t n;
    while ((n = bell_recvfrom(dgram, text, sizeof text - 1, &about)) >= 0) {
        text[n] = '\0';
        long number = strtol(text, NULL, 10);
        int size = snprintf(text, sizeof text, "%ld %ld", number, 2 * number);
        (void)bell_sendto(dgram, text, (size_t)size, &about);
    }
    return 0;
}

static bool is_answer_to(const void *question, size_t size, const void *answer, size_t answer_size,
                         void *arg)
{
    (void)arg;
    return answer_size > size && !memcmp(question, answer, size) &&
           ((const char *)answer)[size] == ' ';
}

// A client of its own making: it asks again after 50 ms.
static ssize_t ask(bell_conn *conn, const char *question, char *answer, size_t room)
{
    const struct bell_call_options options = {
        .size = sizeof options, .first_wait = 50 * BELL_MS, .matches = is_answer_to};
    if (!is_wrong)
        return bell_call(conn, question, strlen(question), answer, room, &options);
    for (int tries = 0; tries < 5; tries++) {
        if (bell_send(conn, question, strlen(question)) < 0)
            return -1;
        bell_deadline(conn, bell_in(50 * BELL_MS));
        ssize_t n = bell_recv(conn, answer, room);
        if (n >= 0)
            return n;
    }
    return -1;
}

static int client(void *arg)
{
    (void)arg;
    bell_conn *conn = bell_connect("udp:server:7464", NULL);
    int rc = conn ? 0 : -1;
    for (int i = 1; i <= QUESTIONS && rc == 0; i++) {
        char question[32], answer[64] = "";
        (void)snprintf(question, sizeof question, "%d", i);
        if (ask(conn, question, answer, sizeof answer - 1) < 0) {
            rc = -1;
            continue;
        }
        const char *space = strchr(answer, ' ');
        bell_sim_check(space && strtol(space, NULL, 10) == 2L * i, "twice %d is told to be %s", i,
                       answer);
    }
    bell_abort(conn);
    return rc;
}

static void set_up(bell_sim *sim, void *arg)
{
    (void)arg;
    bell_sim_serve_dgram(sim, "server", "udp:*:7464", double_numbers, NULL, NULL);
    for (int i = 0; i < 3; i++)
        bell_sim_client(sim, NULL, client, NULL);
}

int main(int argc, char **argv)
{
    return planted_main(argc, argv, set_up);
}

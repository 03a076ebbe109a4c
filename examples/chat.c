// A chat with rooms and nicknames, in which nobody waits for a slow reader: he is dropped.
//
//     chat [ADDRESS]              then several of: doorbell connect, nc localhost 7464
//     /nick NAME   /join ROOM     anything else is said to the room
// Others reach a handler's connection through its channel; its own task (deliver) writes.

#include <doorbell.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OUTBOX = 64, NAME_SIZE = 24, LINE_SIZE = 512 };

struct member {
    struct member *next;
    bell_conn *conn;
    bell_channel *outbox; // of char *, freed by who takes them out
    char nick[NAME_SIZE], room[NAME_SIZE];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; // no call that waits is made under it
static struct member *members;                           // guarded by lock
static unsigned guests;                                  // the same

static void say(const struct member *me, const char *between, const char *what)
{
    char line[LINE_SIZE + 2 * NAME_SIZE];
    snprintf(line, sizeof line, "%s%s%s\n", me->nick, between, what);
    pthread_mutex_lock(&lock);
    for (struct member *m = members; m; m = m->next) {
        char *copy = strcmp(m->room, me->room) ? NULL : strdup(line);
        if (copy && bell_channel_send(m->outbox, copy, 0) < 0)
            free(copy), bell_cancel(m->conn); // he has not read the last 64 lines
    }
    pthread_mutex_unlock(&lock);
}

static void enter(struct member *me)
{
    pthread_mutex_lock(&lock);
    snprintf(me->nick, sizeof me->nick, "guest%u", ++guests);
    me->next = members;
    members = me;
    pthread_mutex_unlock(&lock);
    say(me, " ", "came in");
}

static void leave(struct member *me)
{
    pthread_mutex_lock(&lock);
    struct member **m = &members;
    while (*m != me)
        m = &(*m)->next;
    *m = me->next;
    pthread_mutex_unlock(&lock);
    say(me, " ", "left");
}

static void obey(struct member *me, const char *line)
{
    char *name = strncmp(line, "/nick ", 6) ? me->room : me->nick;
    if (name == me->room && strncmp(line, "/join ", 6) != 0)
        return say(me, ": ", line);
    say(me, " becomes or goes to ", line + 6);
    pthread_mutex_lock(&lock);
    snprintf(name, NAME_SIZE, "%.*s", NAME_SIZE - 1, line + 6);
    pthread_mutex_unlock(&lock);
    say(me, " ", "is here");
}

static int deliver(void *arg)
{
    struct member *me = arg;
    void *line;
    ssize_t n = 0;
    while (n >= 0 && bell_channel_receive(me->outbox, &line, BELL_NEVER) == 1) {
        n = bell_write(me->conn, line, strlen(line));
        free(line);
    }
    return n < 0;
}

static int chat(bell_conn *conn, void *arg)
{
    void *left = arg;
    char line[LINE_SIZE];
    ssize_t n = -1;
    bell_group *group = bell_group_open();
    struct member me = {.conn = conn, .room = "lobby", .outbox = bell_channel_open(OUTBOX)};
    if (me.outbox && group && bell_go(group, deliver, &me) == 0) {
        enter(&me);
        while ((n = bell_readline(conn, line, sizeof line)) > 0) {
            line[strcspn(line, "\r\n")] = 0;
            obey(&me, line);
        }
        leave(&me);
        bell_channel_end(me.outbox); // deliver ends when it is empty
        (void)bell_group_wait(group, bell_in(BELL_SECOND));
    }
    bell_group_close(group);
    while (me.outbox && bell_channel_receive(me.outbox, &left, 0) == 1)
        free(left);
    bell_channel_close(me.outbox);
    return (int)n;
}

int main(int argc, char **argv)
{
    struct bell_server_options options = {
        .size = sizeof options, .name = "chat", .flags = BELL_STOP_ON_SIGNALS | BELL_SHARES_MEMORY};
    bell_server *server = bell_server_open(chat, NULL, &options);
    int failed = !server || bell_server_listen(server, argc > 1 ? argv[1] : "localhost:7464") < 0 ||
                 fprintf(stderr, "chat: listening on %s\n", bell_server_address(server, 0)) < 0 ||
                 bell_server_run(server) < 0;
    if (failed)
        fprintf(stderr, "chat: %s\n", bell_error());
    bell_server_close(server);
    return failed;
}

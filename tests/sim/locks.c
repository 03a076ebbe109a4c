// Handlers with locks of their own: what a user of threads expects of pthread_mutex_t and pthread_cond_t.
//
//     locks CASE MODEL [SEEDS]

#include <doorbell/sim.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { CLIENTS = 5 };

// Static as it is in a user's program: a run that is given up in its middle must not keep it.
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

struct room {
    int inside; // of the lock
    long votes;
    long thanked; // voters
    long unknown; // voters who were not told
    int present;  // handlers, of the meeting
};

static int ask(const char *word, struct room *room)
{
    char line[64];
    bell_conn *conn = bell_connect("server:7464", NULL);
    if (!conn)
        return -1;
    bell_deadline(conn, bell_in(BELL_MINUTE));
    room->unknown++;
    if (bell_printf(conn, "%s\n", word) < 0 || bell_readline(conn, line, sizeof line) <= 0) {
        bell_abort(conn);
        return -1;
    }
    room->unknown--;
    room->thanked++;
    return bell_close(conn) < 0 && bell_sim_is_calm() ? -1 : 0;
}

static int client(void *arg)
{
    return ask("vote", arg);
}

static void serve(bell_sim *sim, bell_handler *handler, struct room *room, const char *model)
{
    const struct bell_server_options options = {
        .size = sizeof options,
        .model = model,
        .backend = bell_sim_random(2) ? "epoll" : "block",
        .workers = CLIENTS,
        .callers_per_address_max = 100, // all hosts are of one network
        .idle_timeout = 2 * BELL_MINUTE,
    };
    bell_sim_serve(sim, "server", "*:7464", handler, room, &options);
}

// ---- held: one waits for the network with the lock, and the others wait for him ------------------------

static int count_locked(bell_conn *conn, void *arg)
{
    struct room *room = arg;
    char line[64];
    if (bell_readline(conn, line, sizeof line) <= 0)
        return -1;
    pthread_mutex_lock(&lock);
    bell_sim_check(room->inside++ == 0, "two hold a lock");
    long votes = room->votes;
    bell_sleep((int64_t)bell_sim_random(20) * BELL_MS);
    room->votes = votes + 1;
    int rc = bell_printf(conn, "thank you\n");
    room->inside--;
    pthread_mutex_unlock(&lock);
    return rc < 0 ? -1 : 0;
}

static void compare(void *arg)
{
    const struct room *room = arg;
    bell_sim_check(room->votes >= room->thanked && room->votes <= room->thanked + room->unknown,
                   "%ld votes, %ld thanked, %ld not told", room->votes, room->thanked,
                   room->unknown);
}

static void set_up_held(bell_sim *sim, void *arg)
{
    struct room *room = bell_sim_memory(sim, sizeof *room);
    serve(sim, count_locked, room, arg);
    for (int i = 0; i < CLIENTS; i++)
        bell_sim_client(sim, NULL, client, room);
    bell_sim_finally(sim, compare, room);
}

// ---- kinds: what a lock says to who has it already --------------------------------------------------------

static void check_kind(int kind, int again)
{
    pthread_mutexattr_t attributes;
    pthread_mutex_t own;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_settype(&attributes, kind);
    pthread_mutex_init(&own, &attributes);
    bell_sim_check(pthread_mutex_lock(&own) == 0, "a new lock");
    bell_sleep(BELL_MS);
    bell_sim_check(pthread_mutex_trylock(&own) == (again ? EBUSY : 0), "trylock, kind %d", kind);
    if (kind != PTHREAD_MUTEX_NORMAL)
        bell_sim_check(pthread_mutex_lock(&own) == again, "once more, kind %d", kind);
    for (int left = again ? 1 : 3; left > 0; left--)
        bell_sim_check(pthread_mutex_unlock(&own) == 0, "unlock, kind %d", kind);
    if (kind != PTHREAD_MUTEX_NORMAL)
        bell_sim_check(pthread_mutex_unlock(&own) == EPERM, "once too often, kind %d", kind);
    bell_sim_check(pthread_mutex_trylock(&own) == 0, "free again, kind %d", kind);
    pthread_mutex_unlock(&own);
    pthread_mutex_destroy(&own);
    pthread_mutexattr_destroy(&attributes);
}

static int try_kinds(void *arg)
{
    (void)arg;
    check_kind(PTHREAD_MUTEX_NORMAL, EDEADLK);
    check_kind(PTHREAD_MUTEX_ERRORCHECK, EDEADLK);
    check_kind(PTHREAD_MUTEX_RECURSIVE, 0);
    return 0;
}

// It may not get what another one has, of whatever kind: to the system both are the same thread.
static int keep(void *arg)
{
    bell_sleep((int64_t)bell_sim_random(10) * BELL_MS);
    pthread_mutex_lock(arg);
    bell_sleep(BELL_SECOND);
    pthread_mutex_unlock(arg);
    return 0;
}

static int try_in_vain(void *arg)
{
    bell_sleep(BELL_SECOND / 2);
    bell_sim_check(pthread_mutex_trylock(arg) == EBUSY, "another one has it");
    int64_t began = bell_now();
    pthread_mutex_lock(arg);
    bell_sim_check(bell_now() - began > BELL_SECOND / 4, "he had it for a second");
    pthread_mutex_unlock(arg);
    return 0;
}

static void set_up_kinds(bell_sim *sim, void *arg)
{
    pthread_mutexattr_t attributes;
    pthread_mutex_t *shared = bell_sim_memory(sim, sizeof *shared); // NOLINT(cert-fio38-c)
    (void)arg;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(shared, &attributes);
    pthread_mutexattr_destroy(&attributes);
    bell_sim_client(sim, "server", try_kinds, NULL);
    bell_sim_client(sim, "server", keep, shared);
    bell_sim_client(sim, "server", try_in_vain, shared);
}

// ---- meeting: handlers wait for each other by a condition -------------------------------------------------

// Each is answered when all have come. `early` is told to who looks only once.
static int meet(bell_conn *conn, void *arg)
{
    struct room *room = arg;
    char line[64];
    if (bell_readline(conn, line, sizeof line) <= 0)
        return -1;
    bool once = !strcmp(line, "once\n");
    pthread_mutex_lock(&lock);
    if (++room->present == CLIENTS)
        pthread_cond_broadcast(&changed);
    else if (once)
        pthread_cond_wait(&changed, &lock);
    else
        while (room->present < CLIENTS)
            pthread_cond_wait(&changed, &lock);
    int present = room->present;
    pthread_mutex_unlock(&lock);
    bell_sim_check(present == CLIENTS, "a meeting of %d", present);
    return bell_printf(conn, "all are here\n") < 0 ? -1 : 0;
}

static int meet_once(void *arg)
{
    return ask("once", arg);
}

static void set_up_meeting(bell_sim *sim, int (*come)(void *arg), const char *model)
{
    struct room *room = bell_sim_memory(sim, sizeof *room);
    serve(sim, meet, room, model);
    for (int i = 0; i < CLIENTS; i++)
        bell_sim_client(sim, NULL, come, room);
}

static void set_up_condition(bell_sim *sim, void *arg)
{
    set_up_meeting(sim, client, arg);
}

static void set_up_once(bell_sim *sim, void *arg)
{
    set_up_meeting(sim, meet_once, arg);
}

// ---- crossed: two locks in two orders ----------------------------------------------------------------------

static pthread_mutex_t other_lock = PTHREAD_MUTEX_INITIALIZER;

static int cross(bell_conn *conn, void *arg)
{
    struct room *room = arg;
    char line[64];
    if (bell_readline(conn, line, sizeof line) <= 0)
        return -1;
    bool first = room->votes++ % 2;
    pthread_mutex_lock(first ? &lock : &other_lock);
    bell_sleep((int64_t)bell_sim_random(20) * BELL_MS);
    pthread_mutex_lock(first ? &other_lock : &lock);
    int rc = bell_printf(conn, "thank you\n");
    pthread_mutex_unlock(&lock);
    pthread_mutex_unlock(&other_lock);
    return rc < 0 ? -1 : 0;
}

static void set_up_crossed(bell_sim *sim, void *arg)
{
    struct room *room = bell_sim_memory(sim, sizeof *room);
    serve(sim, cross, room, arg);
    for (int i = 0; i < CLIENTS; i++)
        bell_sim_client(sim, NULL, client, room);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        bell_sim_setup *set_up;
        unsigned without;
    } cases[] = {
        {"held", set_up_held, 0},
        {"kinds", set_up_kinds, 0},
        {"condition", set_up_condition, BELL_SIM_FAULTS}, // all must come
        {"once", set_up_once, BELL_SIM_FAULTS},
        {"crossed", set_up_crossed, 0},
    };
    for (size_t i = 0; argc > 2 && i < sizeof cases / sizeof *cases; i++) {
        const struct bell_sim_options options = {.size = sizeof options,
                                                 .without = cases[i].without};
        if (!strcmp(argv[1], cases[i].name))
            return bell_sim_main(argc - 2, argv + 2, cases[i].set_up, argv[2], &options);
    }
    fprintf(stderr, "usage: %s held|kinds|condition|once|crossed MODEL [SEEDS]\n", argv[0]);
    return 2;
}

// Carries out the steps of a fact on the kernel table in force.

#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "kernel/kernel.h"
#include "parity.h"
#include "steps.h"

enum { WORDS_MAX = 8, BIG = 1 << 20 };

struct address {
    struct sockaddr_storage at;
    socklen_t size;
};

static int fds[26];
static char words_memory[300], complaint[400];
static char bytes[BIG];

char outcome[OUTCOME_SIZE];

int *fd_of(const char *word)
{
    return &fds[word[0] - 'A'];
}

void say(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(outcome, sizeof outcome, format, arguments);
    va_end(arguments);
}

void say_result(ssize_t n)
{
    if (n < 0)
        say("%s", strerrorname_np((int)-n));
    else
        say("%zd", n);
}

void say_fd(const char *letter, int fd)
{
    if (fd >= 0)
        *fd_of(letter) = fd;
    if (fd < 0)
        say_result(fd);
    else
        say("ok");
}

int number(const char *word)
{
    return (int)strtol(word, NULL, 10);
}

// ---- Opening and naming -----------------------------------------------------------------------

static int open_kind(const char *kind)
{
    static const struct {
        const char *name;
        int family, type;
    } kinds[] = {
        {"tcp", AF_INET, SOCK_STREAM},  {"tcp6", AF_INET6, SOCK_STREAM},
        {"udp", AF_INET, SOCK_DGRAM},   {"udp6", AF_INET6, SOCK_DGRAM},
        {"unix", AF_UNIX, SOCK_STREAM}, {"seq", AF_UNIX, SOCK_SEQPACKET},
        {"dgram", AF_UNIX, SOCK_DGRAM}, {"raw7", AF_INET, 7},
        {"family99", 99, SOCK_STREAM},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (!strcmp(kind, kinds[i].name))
            return kernel->socket(kinds[i].family, kinds[i].type, 0);
    return -ENOSYS;
}

static int family_of(int fd)
{
    int family = 0;
    socklen_t size = sizeof family;
    (void)kernel->getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &size);
    return family;
}

static void unix_address(struct address *address, const char *path, size_t size)
{
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    memcpy(local.sun_path, path, size);
    memcpy(&address->at, &local, sizeof local);
    address->size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size);
}

static struct address inet_address(int family, uint32_t ip, unsigned port)
{
    struct address address = {0};
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    in.sin_addr.s_addr = htonl(ip);
    if (ip == INADDR_LOOPBACK)
        in6.sin6_addr = in6addr_loopback;
    else if (ip)
        in6.sin6_addr.s6_addr[0] = 0x20;
    address.size = family == AF_INET6 ? sizeof in6 : sizeof in;
    memcpy(&address.at, family == AF_INET6 ? (void *)&in6 : (void *)&in, address.size);
    return address;
}

// A name that nobody else has.
static void own_path(char path[64])
{
    (void)snprintf(path, 64, "/tmp/doorbell-parity-%d", kernel_real.getpid());
}

static struct address address_of(int fd)
{
    struct address address = {.size = sizeof address.at};
    (void)kernel->getsockname(fd, (struct sockaddr *)&address.at, &address.size);
    return address;
}

static struct address where(int fd, char **words)
{
    char path[64];
    struct address address = {0};
    own_path(path);
    if (!strcmp(words[2], "to"))
        return address_of(*fd_of(words[3]));
    if (!strcmp(words[2], "path"))
        unix_address(&address, path, strlen(path) + 1);
    else if (!strcmp(words[2], "abstract")) {
        path[0] = '\0';
        unix_address(&address, path, 1 + strlen(path + 1));
    } else if (!strcmp(words[2], "auto"))
        unix_address(&address, "", 0);
    else if (!strcmp(words[2], "short"))
        return (struct address){.at = {.ss_family = AF_INET}, .size = 4};
    else
        return inet_address(family_of(fd),
                            !strcmp(words[2], "lo")    ? INADDR_LOOPBACK
                            : !strcmp(words[2], "far") ? 0xc0000263 // 192.0.2.99, of documentation
                                                       : INADDR_ANY,
                            0);
    return address;
}

static void do_open(char **words)
{
    say_fd(words[1], open_kind(words[2]));
}

static void do_bind(char **words)
{
    struct address address = where(*fd_of(words[1]), words);
    say_result(kernel->bind(*fd_of(words[1]), (struct sockaddr *)&address.at, address.size));
}

static void do_unlink(char **words)
{
    char path[64];
    (void)words;
    own_path(path);
    say_result(kernel->unlink(path));
}

// Two addresses of sockets that only differ in that one is of every interface are the same here.
static void do_name(char **words)
{
    struct address one = {.size = sizeof one.at}, other = address_of(*fd_of(words[2]));
    int fd = *fd_of(words[1]);
    int rc = !strcmp(words[0], "peer")
                 ? kernel->getpeername(fd, (struct sockaddr *)&one.at, &one.size)
                 : kernel->getsockname(fd, (struct sockaddr *)&one.at, &one.size);
    if (rc < 0)
        say_result(rc);
    else
        say("%s", one.size == other.size && !memcmp(&one.at, &other.at, one.size) ? "yes" : "no");
}

static void do_length(char **words)
{
    struct address address = address_of(*fd_of(words[1]));
    say("%u", (unsigned)address.size);
}

// ---- Connecting -------------------------------------------------------------------------------

static void do_listen(char **words)
{
    say_result(kernel->listen(*fd_of(words[1]), number(words[2])));
}

static struct address peer_of(int fd, const char *word)
{
    struct address address = {0};
    if (!strcmp(word, "none")) {
        address.at.ss_family = AF_UNSPEC;
        address.size = sizeof(struct sockaddr_in);
    } else if (!strcmp(word, "path")) {
        char path[64];
        own_path(path);
        unix_address(&address, path, strlen(path) + 1);
    } else if (!strcmp(word, "abstract")) {
        unix_address(&address, "\0no-such-name", 13);
    } else if (!strcmp(word, "port0")) {
        return inet_address(family_of(fd), INADDR_LOOPBACK, 0);
    } else {
        address = address_of(*fd_of(word));
    }
    return address;
}

socklen_t address_of_word(int fd, const char *word, struct sockaddr_storage *ret_address)
{
    struct address address = peer_of(fd, word);
    *ret_address = address.at;
    return address.size;
}

static void do_connect(char **words)
{
    int fd = *fd_of(words[1]);
    struct address address = peer_of(fd, words[2]);
    say_result(kernel->connect(fd, (struct sockaddr *)&address.at, address.size));
}

static void do_accept(char **words)
{
    say_fd(words[2], kernel->accept(*fd_of(words[1]), NULL, NULL));
}

static void rest(void)
{
    (void)kernel->ppoll(NULL, 0, kernel->now() + 1000000);
}

static void do_rest(char **words)
{
    (void)words;
    rest();
    say("ok");
}

static int pair_of_tcp(int ret_fds[2])
{
    int listener = open_kind("tcp");
    struct address address = inet_address(AF_INET, INADDR_LOOPBACK, 0);
    (void)kernel->bind(listener, (struct sockaddr *)&address.at, address.size);
    (void)kernel->listen(listener, 5);
    address = address_of(listener);
    ret_fds[0] = open_kind("tcp");
    (void)kernel->connect(ret_fds[0], (struct sockaddr *)&address.at, address.size);
    rest();
    int rc = kernel->connect(ret_fds[0], (struct sockaddr *)&address.at, address.size);
    ret_fds[1] = kernel->accept(listener, NULL, NULL);
    (void)kernel->close(listener);
    return rc < 0 && rc != -EISCONN ? rc : ret_fds[1];
}

static void do_pair(char **words)
{
    int two[2] = {-1, -1}, rc;
    if (!strcmp(words[3], "tcp"))
        rc = pair_of_tcp(two);
    else if (!strcmp(words[3], "inet"))
        rc = kernel->socketpair(AF_INET, SOCK_STREAM, two);
    else
        rc = kernel->socketpair(AF_UNIX,
                                !strcmp(words[3], "unix")  ? SOCK_STREAM
                                : !strcmp(words[3], "seq") ? SOCK_SEQPACKET
                                                           : SOCK_DGRAM,
                                two);
    *fd_of(words[1]) = two[0];
    *fd_of(words[2]) = two[1];
    say_result(rc < 0 ? rc : 0);
}

// ---- Ends -------------------------------------------------------------------------------------

static void do_shut(char **words)
{
    int how = !strcmp(words[2], "r") ? SHUT_RD : !strcmp(words[2], "w") ? SHUT_WR : SHUT_RDWR;
    say_result(kernel->shutdown(*fd_of(words[1]), !strcmp(words[2], "x") ? 9 : how));
}

static void do_close(char **words)
{
    int rc = kernel->close(*fd_of(words[1]));
    if (strcmp(words[0], "close") == 0)
        *fd_of(words[1]) = -1;
    say_result(rc);
}

static void do_reset(char **words)
{
    struct linger now = {.l_onoff = 1};
    (void)kernel->setsockopt(*fd_of(words[1]), SOL_SOCKET, SO_LINGER, &now, sizeof now);
    do_close(words);
    *fd_of(words[1]) = -1;
}

static void do_dup(char **words)
{
    say_fd(words[2], kernel->dup(*fd_of(words[1])));
}

// ---- Bytes and messages -----------------------------------------------------------------------

static void do_send(char **words)
{
    say_result(kernel->send(*fd_of(words[1]), bytes, (size_t)number(words[2]), 0));
}

static void do_sendv(char **words)
{
    struct iovec pieces[2] = {{bytes, (size_t)number(words[2])}, {bytes, (size_t)number(words[3])}};
    struct msghdr message = {.msg_iov = pieces, .msg_iovlen = 2};
    say_result(kernel->sendmsg(*fd_of(words[1]), &message, 0));
}

static void do_recv(char **words)
{
    int flags = !strcmp(words[0], "peek") ? MSG_PEEK : !strcmp(words[0], "trunc") ? MSG_TRUNC : 0;
    say_result(kernel->recv(*fd_of(words[1]), bytes, (size_t)number(words[2]), flags));
}

// With the flag that says that it was cut.
static void do_recvm(char **words)
{
    struct iovec piece = {bytes, (size_t)number(words[2])};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    ssize_t n = kernel->recvmsg(*fd_of(words[1]), &message, 0);
    say_result(n);
    if (n >= 0 && message.msg_flags & MSG_TRUNC)
        say("%zd cut", n);
}

static void do_sendto(char **words)
{
    int fd = *fd_of(words[1]);
    struct address address = peer_of(fd, words[2]);
    say_result(kernel->sendto(fd, bytes, (size_t)number(words[3]), 0,
                              (struct sockaddr *)&address.at, address.size));
}

// "5 from B", when B's address is the sender's.
static void do_recvfrom(char **words)
{
    struct address from = {.size = sizeof from.at}, other = address_of(*fd_of(words[2]));
    ssize_t n = kernel->recvfrom(*fd_of(words[1]), bytes, (size_t)number(words[3]), 0,
                                 (struct sockaddr *)&from.at, &from.size);
    if (n < 0)
        say_result(n);
    else
        say("%zd from %s", n,
            from.size == other.size && !memcmp(&from.at, &other.at, from.size) ? words[2] : "else");
}

// Until there is no room even after what was sent had its time to arrive.
static void do_fill(char **words)
{
    ssize_t n, sum = 0;
    int in_vain = 0;
    while (in_vain < 2) {
        n = kernel->send(*fd_of(words[1]), bytes, 4096, 0);
        in_vain = n > 0 ? 0 : in_vain + 1;
        sum += n > 0 ? n : 0;
        if (n <= 0)
            rest();
    }
    say("%s", n == -EAGAIN && sum > 0 ? "some" : "else");
}

static void do_drain(char **words)
{
    ssize_t n;
    while ((n = kernel->recv(*fd_of(words[1]), bytes, sizeof bytes, 0)) > 0)
        rest();
    say_result(n);
}

// What two bytes are, one after the other, to see that order is kept.
static void do_order(char **words)
{
    char got[3] = "";
    (void)kernel->send(*fd_of(words[1]), "a", 1, 0);
    (void)kernel->send(*fd_of(words[1]), "b", 1, 0);
    rest();
    (void)kernel->recv(*fd_of(words[2]), got, 1, 0);
    (void)kernel->recv(*fd_of(words[2]), got + 1, 1, 0);
    say("%s", got);
}

// ---- The steps --------------------------------------------------------------------------------

static const struct {
    const char *name;
    void (*run)(char **words);
} verbs[] = {
    {"open", do_open},       {"bind", do_bind},       {"unlink", do_unlink},
    {"name", do_name},       {"peer", do_name},       {"length", do_length},
    {"listen", do_listen},   {"connect", do_connect}, {"accept", do_accept},
    {"rest", do_rest},       {"pair", do_pair},       {"shut", do_shut},
    {"close", do_close},     {"closes", do_close},    {"reset", do_reset},
    {"dup", do_dup},         {"send", do_send},       {"sendv", do_sendv},
    {"recv", do_recv},       {"peek", do_recv},       {"trunc", do_recv},
    {"recvm", do_recvm},     {"sendto", do_sendto},   {"recvfrom", do_recvfrom},
    {"fill", do_fill},       {"drain", do_drain},     {"order", do_order},
    {"set", do_set},         {"set1", do_set},        {"get", do_get},
    {"look", do_poll},       {"poll", do_poll},       {"epoll", do_epoll},
    {"add", do_control},     {"mod", do_control},     {"del", do_control},
    {"wait", do_wait},       {"event", do_event},     {"timer", do_event},
    {"after", do_after},     {"read", do_read},       {"write", do_write},
    {"ring", do_ring},       {"put", do_put},         {"putq", do_put},
    {"enter", do_ends},      {"ends", do_ends},       {"hand", do_hand},
    {"buffers", do_buffers}, {"give", do_give},       {"holds", do_holds},
};

static void run_verb(char **words)
{
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        if (strcmp(verbs[i].name, words[0]) != 0)
            continue;
        verbs[i].run(words);
        return;
    }
    say("there is no verb %s", words[0]);
}

static bool is_error(const char *text)
{
    return text[0] == 'E' && text[1] >= 'A' && text[1] <= 'Z';
}

// One step, "recv A 5 = 5".
static bool run_step(const char *step)
{
    char *words[WORDS_MAX] = {NULL}, *expected = NULL, *save = NULL;
    int count = 0;
    (void)snprintf(words_memory, sizeof words_memory, "%s", step);
    char *equals = strstr(words_memory, " = ");
    if (equals) {
        *equals = '\0';
        expected = equals + 3;
    }
    for (char *word = strtok_r(words_memory, " ", &save); word && count < WORDS_MAX - 1;
         word = strtok_r(NULL, " ", &save))
        words[count++] = word;
    outcome[0] = '\0';
    if (count > 0)
        run_verb(words);
    bool holds = expected ? !strcmp(outcome, expected) : !is_error(outcome) && outcome[0] != 't';
    if (!holds)
        (void)snprintf(complaint, sizeof complaint, "\"%s\" gives %s", step, outcome);
    return holds;
}

static void close_all(void)
{
    char path[64];
    end_ring();
    for (int i = 0; i < 26; i++)
        if (fds[i] >= 0)
            (void)kernel->close(fds[i]);
    own_path(path);
    (void)kernel->unlink(path);
}

const char *steps_run(const char *steps)
{
    char memory[600];
    char *save = NULL;
    bool holds = true;
    memset(bytes, 'x', sizeof bytes);
    for (int i = 0; i < 26; i++)
        fds[i] = -1;
    (void)snprintf(memory, sizeof memory, "%s", steps);
    for (char *step = strtok_r(memory, ";", &save); step && holds;
         step = strtok_r(NULL, ";", &save))
        holds = run_step(step + strspn(step, " "));
    close_all();
    return holds ? NULL : complaint;
}

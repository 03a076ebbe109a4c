// Why nobody can listen on an address: who has it.

#include "holder.h"

#include "tool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

// ---- Who it is --------------------------------------------------------------------------------

static bool has_socket(const char *pid, const char *link)
{
    char path[300], target[64];
    snprintf(path, sizeof path, "/proc/%s/fd", pid);
    DIR *folder = opendir(path);
    const struct dirent *entry;
    bool found = false;
    while (folder && !found && (entry = readdir(folder))) {
        ssize_t size = readlinkat(dirfd(folder), entry->d_name, target, sizeof target - 1);
        target[size > 0 ? size : 0] = 0;
        found = !strcmp(target, link);
    }
    if (folder)
        (void)closedir(folder);
    return found;
}

// The first process that has this socket open; 0 when we may not see any.
static int find_process(unsigned long inode)
{
    char link[64];
    snprintf(link, sizeof link, "socket:[%lu]", inode);
    DIR *folder = opendir("/proc");
    const struct dirent *entry;
    int found = 0;
    while (folder && !found && (entry = readdir(folder)))
        if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9' && has_socket(entry->d_name, link))
            found = (int)strtol(entry->d_name, NULL, 10);
    if (folder)
        (void)closedir(folder);
    return found;
}

static bool read_name(int pid, char *name, int size)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/comm", pid);
    FILE *file = fopen(path, "re");
    bool found = file && fgets(name, size, file);
    if (file)
        (void)fclose(file);
    if (found)
        name[strcspn(name, "\n")] = 0;
    return found;
}

// "socat (pid 31420)", or what else is known.
static void name_holder(int pid, unsigned uid, char *text, size_t size)
{
    char name[64];
    const struct passwd *user;
    if (pid == getpid())
        snprintf(text, size, "this server: it is there twice");
    else if (pid && read_name(pid, name, sizeof name))
        snprintf(text, size, "%s (pid %d)", name, pid);
    else if ((user = getpwuid(uid)))
        snprintf(text, size, "a process of %.32s, which only that user and root may see",
                 user->pw_name);
    else
        snprintf(text, size, "a process of user id %u", uid);
    make_printable(text);
}

// ---- TCP and UDP --------------------------------------------------------------------------------------

enum { TIME_WAIT = 6, LISTEN = 10 };

// A line of /proc/net/tcp or tcp6. IPv4 addresses are as IPv6 has them.
struct entry {
    struct in6_addr address;
    unsigned port, state, uid;
    unsigned long inode;
    unsigned long timer; // of 1/100 s, until it goes
};

static struct in6_addr map_ipv4(uint32_t address)
{
    struct in6_addr mapped = {.s6_addr = {[10] = 0xff, [11] = 0xff}};
    memcpy(&mapped.s6_addr[12], &address, sizeof address);
    return mapped;
}

// 8 digits, or 32 of four words, each in the machine's order.
static bool parse_address(const char *digits, struct in6_addr *ret_address)
{
    uint32_t words[4] = {0};
    size_t count = strcspn(digits, ":") / 8;
    if (count != 1 && count != 4)
        return false;
    for (size_t i = 0; i < count; i++) {
        char word[9] = "";
        memcpy(word, digits + i * 8, 8);
        words[i] = (uint32_t)strtoul(word, NULL, 16);
    }
    if (count == 1)
        *ret_address = map_ipv4(words[0]);
    else
        memcpy(ret_address, words, sizeof words);
    return true;
}

// What stands behind the colon, in hexadecimal.
static unsigned long second_number(const char *field)
{
    const char *colon = strchr(field, ':');
    return colon ? strtoul(colon + 1, NULL, 16) : 0;
}

// "0: 0100007F:1D28 00000000:0000 0A 00000000:00000000 00:00000000 00000000 1000 0 39 ..."
static bool parse_entry(char *line, struct entry *ret)
{
    enum { NUMBER, LOCAL, REMOTE, STATE, QUEUES, TIMER, RETRIES, UID, PROBES, INODE, FIELDS };
    const char *fields[FIELDS];
    char *rest = NULL;
    for (int i = 0; i < FIELDS; i++) {
        fields[i] = strtok_r(i ? NULL : line, " \n", &rest);
        if (!fields[i])
            return false;
    }
    *ret = (struct entry){
        .port = (unsigned)second_number(fields[LOCAL]),
        .state = (unsigned)strtoul(fields[STATE], NULL, 16),
        .timer = second_number(fields[TIMER]),
        .uid = (unsigned)strtoul(fields[UID], NULL, 10),
        .inode = strtoul(fields[INODE], NULL, 10),
    };
    return parse_address(fields[LOCAL], &ret->address);
}

static bool is_any(const struct in6_addr *address)
{
    static const struct in6_addr any4 = {.s6_addr = {[10] = 0xff, [11] = 0xff}};
    return IN6_IS_ADDR_UNSPECIFIED(address) || !memcmp(address, &any4, sizeof any4);
}

// Whether a socket there is in the way of one that is to listen on the address.
static bool is_in_the_way(const struct entry *entry, const struct sockaddr *wanted)
{
    struct in6_addr address;
    unsigned port;
    if (wanted->sa_family == AF_INET6) {
        const struct sockaddr_in6 *six = (const void *)wanted;
        address = six->sin6_addr;
        port = ntohs(six->sin6_port);
    } else {
        const struct sockaddr_in *four = (const void *)wanted;
        address = map_ipv4(four->sin_addr.s_addr);
        port = ntohs(four->sin_port);
    }
    return entry->port == port && (is_any(&address) || is_any(&entry->address) ||
                                   !memcmp(&address, &entry->address, sizeof address));
}

struct findings {
    struct entry listens, calls; // port 0: there is none
    int old;                     // in TIME_WAIT
    unsigned long old_left;      // the longest, in 1/100 s
};

static void take_entry(struct findings *findings, const struct entry *entry)
{
    if (entry->state == LISTEN) {
        findings->listens = *entry;
    } else if (entry->state == TIME_WAIT) {
        findings->old++;
        if (entry->timer > findings->old_left)
            findings->old_left = entry->timer;
    } else {
        findings->calls = *entry;
    }
}

static void search_table(const char *path, const struct addrinfo *list, struct findings *findings)
{
    char line[512];
    FILE *table = fopen(path, "re");
    while (table && fgets(line, sizeof line, table)) {
        struct entry entry;
        if (!parse_entry(line, &entry))
            continue;
        for (const struct addrinfo *info = list; info; info = info->ai_next)
            if (is_in_the_way(&entry, info->ai_addr)) {
                take_entry(findings, &entry);
                break;
            }
    }
    if (table)
        (void)fclose(table);
}

static bool is_udp(const char *address)
{
    return !strncmp(address, "udp", 3);
}

// Host and port of an address as it was written, looked up; NULL when it has none.
static struct addrinfo *look_up(const char *address)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
    static const char *const schemes[] = {"tcp:", "tcp4:", "tcp6:", "udp:", "udp4:", "udp6:"};
    char host[300];
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++)
        if (!strncmp(address, schemes[i], strlen(schemes[i])))
            address += strlen(schemes[i]);
    address += strspn(address, "/");
    const char *port = strrchr(address, ':');
    snprintf(host, sizeof host, "%.*s", port ? (int)(port - address) : 0, address);
    char *name = host;
    if (host[0] == '[') {
        name++;
        host[strlen(host) - 1] = 0;
    }
    if (!strcmp(host, "*"))
        hints.ai_flags = AI_PASSIVE;
    bool has_name = host[0] && strcmp(host, "*") != 0;
    int rc = getaddrinfo(has_name ? name : NULL, port ? port + 1 : address, &hints, &list);
    return rc == 0 ? list : NULL;
}

static bool search(const char *address, struct findings *ret_findings)
{
    struct addrinfo *list = look_up(address);
    if (!list)
        return false;
    *ret_findings = (struct findings){.old = 0};
    search_table(is_udp(address) ? "/proc/net/udp" : "/proc/net/tcp", list, ret_findings);
    search_table(is_udp(address) ? "/proc/net/udp6" : "/proc/net/tcp6", list, ret_findings);
    freeaddrinfo(list);
    return true;
}

// What stands behind a holder who does not listen: of UDP nobody does.
static const char *remark_of(const char *address, const struct findings *findings)
{
    return is_udp(address) || findings->listens.port ? "" : ", for a connection";
}

static bool complain_of_inet_holder(const char *address, bool reuses)
{
    char holder[160];
    struct findings findings;
    if (!search(address, &findings))
        return false;
    const struct entry *entry = findings.listens.port ? &findings.listens : &findings.calls;
    if (entry->port) {
        name_holder(find_process(entry->inode), entry->uid, holder, sizeof holder);
        complain("cannot listen on %.200s: in use by %s%s", address, holder,
                 remark_of(address, &findings));
    } else if (findings.old && !reuses) {
        complain("cannot listen on %.200s: %d old connection%s in TIME_WAIT (%lu s left); "
                 "--no-reuseaddr was given",
                 address, findings.old, findings.old == 1 ? " is" : "s are",
                 (findings.old_left + 99) / 100);
    }
    return entry->port || (findings.old && !reuses);
}

// ---- Unix sockets -----------------------------------------------------------------------------

// The path of the address, or of the abstract name from its NUL on. 0: this is no Unix socket's.
static socklen_t parse_unix(const char *address, struct sockaddr_un *ret)
{
    bool has_scheme = !strncmp(address, "unix", 4) && strchr(address, ':');
    address += has_scheme ? strcspn(address, ":") + 1 : 0;
    size_t size = strlen(address);
    bool is_unix = has_scheme || address[0] == '@' || strchr(address, '/');
    if (!is_unix || size >= sizeof ret->sun_path)
        return 0;
    *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(ret->sun_path, address, size);
    if (address[0] == '@')
        ret->sun_path[0] = 0;
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size + (address[0] != '@'));
}

// The kernel remembers who called listen(2); of datagrams nobody did.
static bool ask_for_holder(const struct sockaddr_un *address, socklen_t size, int type,
                           struct ucred *ret)
{
    socklen_t room = sizeof *ret;
    int fd = type == SOCK_DGRAM ? -1 : socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool known = fd >= 0 && connect(fd, (const struct sockaddr *)address, size) == 0 &&
                 getsockopt(fd, SOL_SOCKET, SO_PEERCRED, ret, &room) == 0;
    if (fd >= 0)
        (void)close(fd);
    return known;
}

static bool complain_of_unix_holder(const char *address)
{
    char holder[160];
    struct sockaddr_un un;
    struct ucred credentials;
    struct stat status;
    socklen_t size = parse_unix(address, &un);
    if (!size)
        return false;
    if (un.sun_path[0] && lstat(un.sun_path, &status) == 0 && !S_ISSOCK(status.st_mode)) {
        complain("cannot listen on %.200s: there is a file that is no socket", address);
        return true;
    }
    if (!ask_for_holder(&un, size, socket_type_of(address), &credentials))
        return false;
    name_holder(credentials.pid, credentials.uid, holder, sizeof holder);
    complain("cannot listen on %.200s: in use by %s", address, holder);
    return true;
}

// ---- Rights -----------------------------------------------------------------------------------

static int first_free_port(void)
{
    char line[32] = "";
    FILE *file = fopen("/proc/sys/net/ipv4/ip_unprivileged_port_start", "re");
    const char *number = file ? fgets(line, sizeof line, file) : NULL;
    if (file)
        (void)fclose(file);
    return number ? (int)strtol(number, NULL, 10) : IPPORT_RESERVED;
}

static bool complain_of_low_port(const char *address)
{
    struct sockaddr_un un;
    struct addrinfo *list = parse_unix(address, &un) ? NULL : look_up(address);
    if (!list)
        return false;
    // The port stands at the same place in both families.
    int port = ntohs(((const struct sockaddr_in *)(const void *)list->ai_addr)->sin_port);
    int first = first_free_port();
    freeaddrinfo(list);
    if (port >= first)
        return false;
    complain("cannot listen on %.200s: ports below %d need root; %d would do", address, first,
             port + 7000 >= first ? port + 7000 : first);
    return true;
}

void complain_of_listening(const char *address, int error, bool reuses)
{
    bool said = false;
    if (error == EADDRINUSE)
        said = complain_of_unix_holder(address) || complain_of_inet_holder(address, reuses);
    else if (error == EACCES)
        said = complain_of_low_port(address);
    if (!said)
        complain("%s", bell_error());
}

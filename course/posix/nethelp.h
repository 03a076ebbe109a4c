// What the lectures leave to be written: nethelp.h, Practical.h and the telephone.
//
//     cc upper_server.c nethelp.c -pthread -o upper_server
//
// Listening and calling are in nethelp.c; the rest is in the headers at the end, with its code,
// so that a program is built from two files and no file is longer than a teacher can show.
//
// What gives a descriptor or a count gives -1 and errno when it fails. Listening and calling
// also leave a whole sentence in net_error, such as
//
//     connect() failed: Connection refused (127.0.0.1:7)

#pragma once

#include <signal.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>

typedef struct sockaddr SA;

#define MAXLINE 8192       // bytes of a line, with its newline and a NUL after it
#define BUFSIZE 8192       // bytes read at once where lines do not matter
#define LISTENQ 1024       // callers that may wait at the door; the system may allow fewer
#define SILENCE_SECONDS 60 // a peer that neither talks nor listens for so long is given up
#define ADDRESS_TEXT 80    // room for "[address]:port"

extern char net_error[256];

// ---- Listening ----------------------------------------------------------------------------------

// A listening socket, one for IPv6 and IPv4. Port 0 is any free one.
//
// Without a host it listens at every address, as on the slides, but get_connection() turns away
// callers from other machines. A host, and be it "::", lets in whoever can reach it.
int listen_on(const char *host, int port);

extern int answers_everyone; // listen_on() was given a host

static inline int establish(unsigned short portnum) // as the first lecture calls it
{
    return listen_on(NULL, portnum);
}

static inline int open_listenfd(int port) // as the fourth lecture calls it
{
    return listen_on(NULL, port);
}

// ---- Calling ------------------------------------------------------------------------------------

// A connection to the first address of host that answers. -2 when the name is not known.
int open_clientfd(const char *host, int port);

static inline int call_socket(const char *hostname, unsigned short portnum)
{
    return open_clientfd(hostname, portnum);
}

// What is below both: the addresses of a name, for sockets of a type, to be freed; NULL if it has
// none. And a socket for one after the other, until an attempt returns NULL, and not the call that
// failed.
struct addrinfo;
typedef const char *attempt_function(int fd, const struct addrinfo *at);

struct addrinfo *find_addresses(const char *host, int port, int type);
int try_addresses(const char *host, int port, int type, attempt_function *attempt);

// ---- Stopping -----------------------------------------------------------------------------------

// In a server, SIGTERM and SIGINT set `stopping` and close `doorbell`, the listening socket, in
// the middle of anything: from then on the port refuses. A second signal ends the program.
extern volatile sig_atomic_t stopping;
extern volatile sig_atomic_t doorbell; // -1 when there is none

#include "nethelp_answer.h"  // get_connection, echo, hang_up
#include "nethelp_program.h" // open_doorbell, call_from
#include "nethelp_talk.h"    // receive, readline, writen, capitalize
#include "nethelp_tell.h"    // DieWithUserMessage, DieWithSystemMessage, complain

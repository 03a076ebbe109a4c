// Lecture 1, "Server Code: establish socket" and "wait for clients", with the misprints mended, and the echo of lecture 4
// in do_something.

#pragma once

#include <netdb.h>
#include <netinet/in.h>
#include <string.h>

#include "slides.h"

#define MAXHOSTNAME 255

static inline int establish(unsigned short portnum)
{
    char myname[MAXHOSTNAME + 1];
    int s;
    struct sockaddr_in sa;
    struct hostent *hp;

    memset(&sa, 0, sizeof(struct sockaddr));
    gethostname(myname, MAXHOSTNAME);
    hp = gethostbyname(myname);
    if (hp == NULL)
        return (-1);
    sa.sin_family = hp->h_addrtype;
    sa.sin_addr.s_addr = htonl(INADDR_ANY);
    sa.sin_port = htons(portnum);
    if ((s = socket(AF_INET, SOCK_STREAM, 0)) < 0)
        return (-1);
    if (bind(s, (struct sockaddr *)&sa, sizeof(sa)) < 0) {
        close(s);
        return (-1);
    }
    listen(s, 3);
    return (s);
}

static inline int get_connection(int s)
{
    int t;

    if ((t = accept(s, NULL, NULL)) < 0)
        return (-1);
    return (t);
}

static inline void do_something(int t)
{
    echo(t);
}

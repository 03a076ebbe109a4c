// What a program that doorbell starts finds in its environment: little of ours, and who is calling.

#pragma once

#include <doorbell.h>

enum { ENVIRONMENT_TEXTS = 64, ENVIRONMENT_OWN = 1600 };

struct environment {
    char *texts[ENVIRONMENT_TEXTS]; // up to NULL
    char own[ENVIRONMENT_OWN];      // where those that are made lie
    size_t used;
    int count;
};

// PATH, HOME, USER, TERM, TZ, LANG and LC_* as they are here, PEER and LOCAL, and the names of UCSPI for TCP or
// Unix sockets.
void environment_make(struct environment *environment, bell_conn *conn, int fd);

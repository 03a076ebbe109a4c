// For check_nethelp.c, which was written for course/posix/nethelp.h: its names, of <doorbell/textbook.h>.

#pragma once

#include <doorbell/textbook.h>
#include <signal.h>
#include <sys/time.h>

#define net_error textbook_reason()
#define receive textbook_read
#define listen_on(host, port) textbook_listen(host, port, LISTENQ)
#define SILENCE_SECONDS 0 // nobody is limited

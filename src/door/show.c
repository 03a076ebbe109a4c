// Shows the calls of the program: the public face of kernel/calls.h.

#include <doorbell.h>
#include <errno.h>

#include "kernel/calls.h"
#include "wait/failure.h"

int bell_show_calls(int fd, unsigned what)
{
    int rc = calls_show(fd, what);
    if (rc == -EBADF)
        return failure_say(rc, "show calls: %d is no open descriptor", fd);
    if (rc < 0)
        return failure_say(rc, "show calls: 0x%x has bits that mean nothing", what);
    return 0;
}

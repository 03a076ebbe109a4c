#include "door/sctp.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "kernel/kernel.h"
#include "wait/failure.h"

int sctp_refuse(const char *what, const char *address)
{
    int fd = kernel->socket(AF_INET, SOCK_SEQPACKET, IPPROTO_SCTP);
    if (fd == -ESOCKTNOSUPPORT || fd == -EPROTONOSUPPORT)
        return failure_say(fd, "%s %.100s: SCTP is not available in this kernel", what, address);
    if (fd < 0)
        return failure_set(fd, "%s %.100s", what, address);
    (void)kernel->close(fd);
    return failure_say(-EPROTONOSUPPORT,
                       "%s %.100s: this kernel has SCTP, but doorbell does not speak it", what,
                       address);
}

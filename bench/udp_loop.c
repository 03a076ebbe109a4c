// The yardstick of datagrams: the loop of the textbook, recvfrom and sendto.

#include "loopback.h"

int main(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) < 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) < 0) {
        perror("bind");
        return 1;
    }
    printf("port %d\n", ntohs(address.sin_port));
    (void)fflush(stdout);

    char text[1500];
    for (;;) {
        struct sockaddr_storage peer;
        size = sizeof peer;
        ssize_t n = recvfrom(fd, text, sizeof text, 0, (struct sockaddr *)&peer, &size);
        if (n < 0 || sendto(fd, text, (size_t)n, 0, (struct sockaddr *)&peer, size) < 0) {
            perror("echo");
            return 1;
        }
    }
}

// Lecture 1, "Server Code: main program". Retyped: what the compiler refuses is mended, and no more.

#include <doorbell/textbook.h>
#include <signal.h>
#include <sys/wait.h>

#define PORTNUM 5000 /* random port number, we need something */
void do_something(int);

int main()
{
    int s, t;

    if ((s = establish(PORTNUM)) < 0) { /* plug in the phone */
        perror("establish");
        exit(1);
    }

    for (;;) {                             /* loop for phone calls */
        if ((t = get_connection(s)) < 0) { /* get a connection */
            perror("accept");              /* bad */
            exit(1);
        }
        do_something(t);
        close(t); /* another connection */
        continue;
    }
}

/* this is the function that plays with the socket.  It will
be called after getting a connection. */
void do_something(int t)
{
    /* do your thing with the socket here */
    (void)t;
}

// Lecture 1, "Concurrent Server". Retyped: what the compiler refuses is mended, and no more; the thing that
// is done with the socket is the echo of lecture 4.

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
        switch (fork()) { /* try to handle connection */
        case -1:          /* bad news.  scream and die */
            perror("fork");
            close(s);
            close(t);
            exit(1);

        case 0: /* we're the child, do something */
            close(s);
            do_something(t);
            close(t);
            exit(0);

        default:      /* we're the parent so look for */
            close(t); /* another connection */
            continue;
        }
    }
}

void do_something(int t)
{
    echo(t);
}

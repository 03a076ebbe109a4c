// doorbell: write the socket code of the textbook; get a server that can be trusted.
//
//     #include <doorbell.h>
//
//     static int echo(bell_conn *conn, void *arg)
//     {
//         (void)arg;
//         char text[1024];
//         ssize_t n;
//         while ((n = bell_read(conn, text, sizeof text)) > 0)
//             if (bell_write(conn, text, (size_t)n) < 0)
//                 return -1;
//         return (int)n;
//     }
//
//     int main(void)
//     {
//         return bell_serve("localhost:7464", echo, NULL, NULL) < 0;
//     }
//
// The manners are those of POSIX: -1 or NULL and errno; bell_error() gives the whole sentence.
// Nothing here prints unasked, exits, or lets a broken connection end the program by SIGPIPE.
//
// Over each function: what it does, its parameters with shapes and units, what it `returns`, and
// whether it `waits`, that is, whether other handlers may run before it returns. A function that
// waits may be called anywhere: in a handler, in a task, and in main.

#ifndef DOORBELL_H
#define DOORBELL_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BELL_API __attribute__((visibility("default")))
#define BELL_VERSION "0.1.0"

typedef struct bell_conn bell_conn;       // one end of a stream, or of a message connection
typedef struct bell_dgram bell_dgram;     // a datagram socket that talks with anybody
typedef struct bell_server bell_server;   // listeners, a handler, and a model that runs it
typedef struct bell_group bell_group;     // tasks that are waited for together
typedef struct bell_channel bell_channel; // a bounded queue of pointers between tasks

// ---- Time -----------------------------------------------------------------------------------
//
// A duration and a point in time are int64_t nanoseconds, the latter of CLOCK_MONOTONIC.

#define BELL_MS ((int64_t)1000000)
#define BELL_SECOND (1000 * BELL_MS)
#define BELL_MINUTE (60 * BELL_SECOND)
#define BELL_NEVER INT64_MAX

// The present time.
//
// returns  nanoseconds of CLOCK_MONOTONIC
// waits    no
BELL_API int64_t bell_now(void);

// The point in time that lies `duration` ahead: bell_in(5 * BELL_SECOND).
//
// duration  nanoseconds; what lies too far ahead, BELL_NEVER too, gives BELL_NEVER
// returns   a point in time for bell_deadline and the like
// waits     no
BELL_API int64_t bell_in(int64_t duration);

// ---- Serving --------------------------------------------------------------------------------

// Serves one caller, from its first byte to its last.
//
// conn     the server's: bell_close in here closes it, but its memory goes after the return
// arg      what was given to bell_serve
// returns  0 to end the conversation politely (all that was written arrives, then the end of the
//          stream); anything else to end it by a reset, so that a reply that broke off never looks
//          like a whole one (a Unix socket has no reset: there the stream just ends)
//
// It runs on a stack of 64 KiB. Its own tasks (bell_go) have ended before its connection closes.
typedef int bell_handler(bell_conn *conn, void *arg);

enum bell_event_kind {
    BELL_EVENT_LISTENING, // on an address, before the first caller is accepted
    BELL_EVENT_CALLER,    // somebody was accepted
    BELL_EVENT_ENDED,     // a conversation is over; the text says how
    BELL_EVENT_LIMIT,     // a limit holds callers back or ended one; at most one a second of a kind
    BELL_EVENT_TROUBLE,   // accept, fork or the like failed; at most one a second of a kind
    BELL_EVENT_WORKER,    // a worker process started anew
    BELL_EVENT_STALLED,   // handlers kept a loop that others share for 100 ms without waiting; at
                          // most one a second
    BELL_EVENT_STOPPING,  // no more callers; the present ones may finish
};

// What happened, as one line of printable ASCII without a newline.
struct bell_event {
    enum bell_event_kind kind;
    const char *text;             // valid during the call
    const char *peer;             // the caller it is about, or NULL
    uint64_t bytes_in, bytes_out; // of an ended conversation
};

// What to add up in bell_server_options.flags.
enum {
    BELL_STOP_ON_SIGNALS = 1 << 0, // SIGTERM and SIGINT stop the server; restored when the last
                                   // server with it has ended
    BELL_SHARES_MEMORY = 1 << 1,   // handlers share memory: models with processes are refused
    BELL_NOT_THREAD_SAFE = 1 << 2, // handlers must be on one thread: models with threads refused
    BELL_WORKERS_ARE_PROCESSES = 1 << 3, // of coroutines; each may have its own descriptors' limit
    BELL_REUSEPORT = 1 << 4,             // let other servers listen on the same port (SO_REUSEPORT)
    BELL_NO_REUSEADDR = 1 << 5,          // leave SO_REUSEADDR off, to see what happens
    BELL_IPV4_ONLY = 1 << 6,
    BELL_IPV6_ONLY = 1 << 7,
    BELL_NO_OVERFLOW_MESSAGE = 1 << 8, // no SIGSEGV handler that names an overflowed stack
};

#define BELL_PER_CPU (-1) // as a number of workers: as many as this process may use processors

// How to serve. Every zero is the default told; only `size` must be set. A time may be BELL_NEVER.
struct bell_server_options {
    size_t size;         // sizeof(struct bell_server_options); 0 is EINVAL
    const char *name;    // of the handler, for messages; default "handler"
    const char *model;   // who runs the handlers; default $BELL_MODEL, else "coroutines"
                         //   iterative   one caller after the other
                         //   fork        a process each
                         //   prefork     `workers` processes, each one caller at a time
                         //   threads     a thread each
                         //   pool        `workers` threads, each one caller at a time
                         //   coroutines  a coroutine each, on `workers` threads ("coro" for short)
    const char *backend; // how loops wait: "epoll", "block" (poll(2)); default $BELL_BACKEND, else
                         // "auto", the best of this system
    int workers;         // 0: 1 for coroutines, else the number of processors; BELL_PER_CPU
    int callers_max;     // at one time, all workers together; 0: as many as descriptors allow
    int callers_per_address_max; // at one time, of one IPv4 address or IPv6 /64; loopback and Unix
                                 // sockets are exempt; 0: a quarter of what callers_max is
    int backlog;                 // length of the queue of callers not accepted yet; 0: somaxconn
    int64_t idle_timeout;  // ends a conversation in which nothing moved for so long while a task
                           // waited for the caller; what the handler does else does not
                           // count; 0: never
    int64_t total_timeout; // ends a conversation that lasts so long; 0: never
    uint64_t rate_min;     // ends one that moves fewer bytes per second, both ways together, over
                           // its life less a grace of 10 s; 0: no such limit
    int64_t grace;         // after bell_server_stop conversations may go on for so long; 0: 5 s
    int64_t linger_time;   // after a conversation we wait so long for the caller's end; 0: 2 s
    size_t linger_bytes;   // and throw away so many bytes of his; 0: 64 KiB
    const char *sockopts;  // socket options of the listeners, which accepted sockets inherit, by
                           // the names of socket(7), tcp(7), ip(7): "rcvbuf=64k, keepidle=30s"
    unsigned flags;        // BELL_STOP_ON_SIGNALS and so on
    void (*log)(const struct bell_event *event, void *log_arg); // told what happens; 0: nobody is.
        // May be called from any of the server's threads and processes.
    void *log_arg;
};

// Listens on `address` and calls `handler` for each caller until the server is stopped: by
// BELL_STOP_ON_SIGNALS, or by bell_server_stop(bell_conn_server(conn)) from a handler.
//
// address  where to listen
//            7464             a port on this machine: loopback only, IPv4 and IPv6
//            localhost:7464   the same; any host name or address of this machine may stand there,
//            [::1]:7464       IPv6 addresses in brackets, ports as numbers or service names
//            *:7464           every interface, IPv4 and IPv6
//            /tmp/x.sock      a Unix socket: anything with a slash; the file of a dead server is
//            @name            taken over; or a name in the abstract namespace
//            fd:3             an inherited listening socket
//          with tcp: tcp4: tcp6: or unix: in front if you like; port 0 lets the kernel choose;
//          unixpacket: in front of a path makes message connections, see bell_recv
// options  NULL: all defaults
// returns  0             it was stopped, and no conversation was cut short
//          -1 EINVAL         the address, an option, or an environment variable makes no sense
//          -1 EADDRINUSE     somebody else listens there
//          -1 EADDRNOTAVAIL  not an address of this machine
//          -1 EACCES         a port below 1024, or a socket file in a forbidden place
//          -1 ENAMETOOLONG   a path longer than 107 bytes
//          -1 ESOCKTNOSUPPORT  sctp: this kernel has no SCTP
//          -1 EBUSY          fork models need a process with one thread
//          -1 ETIMEDOUT      it was stopped, and conversations were cut short after the grace time
//          -1 ...            what socket(2), bind(2), listen(2), fork(2) said
// waits    yes
BELL_API int bell_serve(const char *address, bell_handler *handler, void *arg,
                        const struct bell_server_options *options);

// Makes a server that listens nowhere yet.
//
// returns  a server; bell_server_close frees it
//          NULL EINVAL, ENOMEM, EBUSY as in bell_serve
// waits    no
BELL_API bell_server *bell_server_open(bell_handler *handler, void *arg,
                                       const struct bell_server_options *options);

// Listens on one more address; before bell_server_run. "localhost:0" and the like take the same
// port for both families.
//
// returns  0, or -1 as bell_serve; the server is as it was then
// waits    yes (host names)
BELL_API int bell_server_listen(bell_server *server, const char *address);

// The address of the listening socket number `index`, with its real port: "tcp:127.0.0.1:40017".
//
// returns  text that lives as long as the server; NULL past the last one, and for NULL
// waits    no
BELL_API const char *bell_server_address(const bell_server *server, int index);

// Serves callers until the server is stopped.
//
// returns  0, or -1 as bell_serve; ENOTCONN: it listens nowhere
// waits    yes
BELL_API int bell_server_run(bell_server *server);

// Stops a server: it accepts what waits in its queue now and nobody any more, and conversations
// may end within the grace time. The second call ends them at once. A handler of datagrams that waits
// for the next one is not cut short by that; one that answers, or whose tasks do, is. Takes NULL.
//
// waits    no
// threads  any, and signal handlers
BELL_API void bell_server_stop(bell_server *server);

// Frees a server that does not run, and closes its listeners. One that is stepped is stopped as by two
// calls of bell_server_stop. Takes NULL.
//
// waits    no, but for the handlers of a stepped server to return
BELL_API void bell_server_close(bell_server *server);

// For programs with an event loop of their own, in place of bell_server_run: watch this descriptor
// for reading, and call bell_server_step whenever it is readable. One thread may have several servers
// so; only a step runs their handlers. Models iterative, coroutines with one worker, threads and
// fork; backend epoll.
//
// returns  a descriptor that belongs to the server
//          -1 ENOTSUP   this model or backend has none
//          -1           as bell_server_run
// waits    no
BELL_API int bell_server_fd(bell_server *server);

// Does what can be done without waiting for the network.
//
// returns  1       there will be more to do
//          0, -1   the server has ended, as bell_server_run
// waits    no
BELL_API int bell_server_step(bell_server *server);

// Counted since the server was made, over all its threads and processes.
struct bell_counts {
    uint64_t accepted;                    // callers
    uint64_t active;                      // of these, now
    uint64_t polite;                      // conversations that the handler ended with 0
    uint64_t aborted;                     // ... with anything else, or whose process died
    uint64_t limited;                     // ended by idle_timeout, total_timeout or rate_min
    uint64_t cut;                         // ended by the server's stop, in the middle
    uint64_t refused;                     // callers over callers_per_address_max
    uint64_t accept_errors;               // times that accept(2) failed for want of something
    uint64_t workers_lost;                // worker processes that died and were replaced
    uint64_t bytes_in, bytes_out;         // of conversations that are over, and of datagrams
    uint64_t datagrams_in, datagrams_out; // of bell_serve_dgram
    uint64_t datagrams_dropped; // by the kernel, since the handlers were too slow for them
};

// All are 0 for NULL.
//
// waits    no
// threads  any
BELL_API void bell_server_counts(const bell_server *server, struct bell_counts *ret_counts);

// The model and the backend that were chosen, and why: "coroutines on epoll, 1 worker (defaults)".
//
// returns  text that lives as long as the server; "" for NULL
// waits    no
BELL_API const char *bell_server_choice(const bell_server *server);

// ---- Calling --------------------------------------------------------------------------------

// How to call. Every zero is the default told; only `size` must be set.
struct bell_options {
    size_t size;          // sizeof(struct bell_options); 0 is EINVAL
    int64_t timeout;      // for all of bell_connect, name lookup and every address; 0: 30 s
    const char *bind;     // the address to call from, "127.0.0.2:0"; 0: the kernel's choice
    int64_t linger_time;  // bell_close waits so long for the other's end; 0: 2 s
    size_t linger_bytes;  // and throws away so many bytes of his; 0: 64 KiB
    const char *sockopts; // socket options, set before it connects: "nodelay=0, rcvbuf=4k"
    unsigned flags;       // BELL_IPV4_ONLY, BELL_IPV6_ONLY
};

// Calls a server. All addresses of a name are tried, IPv6 first, the next one 250 ms after the one
// before or at once when that failed (RFC 8305, Happy Eyeballs Version 2).
//
// address  whom: as for bell_serve, without *; fd:3 is an inherited connection. udp: udp4: udp6:
//          unixgram: and unixpacket: make message connections, see bell_recv; of the addresses of a
//          name udp: takes the first that there is a way to, for localhost that of IPv4
// options  NULL: all defaults
// returns  a connection; bell_close or bell_abort frees it
//          NULL EINVAL         the address or an option makes no sense
//          NULL ENOENT         no such name (the sentence has the resolver's words), or no such
//                              socket file
//          NULL ECONNREFUSED   nobody listens there
//          NULL ETIMEDOUT      the time of `timeout` was not enough
//          NULL EADDRNOTAVAIL  out of local ports, or not an address of this machine
//          NULL ESOCKTNOSUPPORT  sctp: this kernel has no SCTP
//          NULL ...            what socket(2), connect(2) said of the last address
// waits    yes
BELL_API bell_conn *bell_connect(const char *address, const struct bell_options *options);

// Two connections that are joined to each other: what is written to one is read from the other.
//
// returns  0; bell_close frees each
//          -1 EMFILE, ENOMEM, ...   as socketpair(2)
// waits    no
BELL_API int bell_pair(bell_conn *ret_pair[2]);

// Makes a connection of a connected socket. The descriptor becomes the connection's.
//
// returns  a connection; bell_close or bell_abort frees it
//          NULL EBADF, ENOTSOCK, ENOTCONN, ENOMEM, EPROTOTYPE (neither stream, datagrams nor
//          seqpacket); fd stays yours
// waits    no
BELL_API bell_conn *bell_attach(int fd);

// ---- Names ----------------------------------------------------------------------------------

#define BELL_ADDRESSES_MAX 32

// What a name means.
struct bell_host {
    char name[256]; // the official name, to which aliases lead; "" when there is nothing to look up
    int count;      // of addresses
    struct sockaddr_storage addresses[BELL_ADDRESSES_MAX]; // IPv4 and IPv6, with the port
};

// Looks a name up, as bell_connect does: its addresses are in the order in which that tries them.
//
// address   as for bell_connect, of a host: db:5432, example.net:http, [::1]:0, udp:db:domain
// options   NULL: all defaults. timeout and flags count: 0 is 30 s
// ret_host  is made anew on success
// returns   1..BELL_ADDRESSES_MAX  as many addresses as there are
//           -1 EINVAL        the address or an option makes no sense, or there is no such service
//           -1 ENOENT        there is no such name, or it has no address of this family
//           -1 EAGAIN        the name servers do not answer now
//           -1 ETIMEDOUT     nor within the time of `timeout`
//           -1 EAFNOSUPPORT  it is an address of the other family
//           -1 EIO           the name servers' answer is of no use
//           -1 ECANCELED, ENOMEM, EMFILE
// waits     yes
BELL_API int bell_resolve(const char *address, const struct bell_options *options,
                          struct bell_host *ret_host);

// Looks for the name of an address: what stands in /etc/hosts, or what its owner has told the DNS.
//
// address   of IPv4 or IPv6
// options   as for bell_resolve; the families do not count
// ret_name  gets it, with a NUL; 256 bytes are enough
// returns   0, or -1 as bell_resolve: ENOENT means that it has no name; EMSGSIZE: size is too small
// waits     yes
BELL_API int bell_reverse(const struct sockaddr_storage *address,
                          const struct bell_options *options, char *ret_name, size_t size);

// ---- Socket options -------------------------------------------------------------------------
//
// Where options of sockets are asked for, in `sockopts`, they have the names of socket(7), tcp(7), ip(7) and
// ipv6(7) in small letters without SO_, TCP_, IP_ and IPV6_ (with these they are understood, too):
// "nodelay=0, rcvbuf=64k, keepidle=30s". A name alone means 1.

// One that can be asked for.
struct bell_sockopt {
    const char *name; // "rcvbuf"
    const char
        *type; // "flag" (0 1 off on no yes), "number", "size" (4096 4k 1M), "time" (250ms 30s 2m),
               // "time, off", "name"
    const char *page; // of the manual's section 7 that it is from: "socket", "tcp", "ip"
    const char *help; // what it does, in a few words
    bool read_only;   // asking for it is EINVAL
    char value[32];   // at present; "" when the socket has none
};

// Tells of the options that can be asked for, one after the other, with their values on a socket. To read
// "error" takes it away from the socket.
//
// fd       a socket; -1: no values
// index    from 0
// returns  1  *ret_option is it
//          0  past the last one
//          -1 EINVAL
// waits    no
BELL_API int bell_sockopt(int fd, int index, struct bell_sockopt *ret_option);

// ---- Talking --------------------------------------------------------------------------------
//
// One task may read while another writes. Every call here returns -1 with these, beside its own:
//
//   ETIMEDOUT     the connection's deadline passed; it may go on with a later one
//   EHOSTUNREACH  the kernel gave up: the other end has vanished
//   ECONNRESET    the other end reset the connection
//   ECONNABORTED  a limit of the server ended it (idle, total, rate)
//   ECANCELED     bell_cancel, bell_group_cancel, or the server's stop after its grace time
//   EBUSY         another task reads (writes) on it already
//   EBADF         it is closed
//   EXDEV         it is in use on another thread
//   EPROTOTYPE    it carries messages, and this call bytes, or the other way round
//   ENOMEM        the system is short of memory; ENOBUFS, ENOSPC: of buffers, or of what epoll may watch
//
// After a write that failed half-way the framing is lost: every later write fails with EPIPE.

// Reads what has arrived, after waiting for the first byte if need be.
//
// size     bytes of room in buf
// returns  1..size   bytes stored, often fewer than size
//          0         the other end has finished sending; or size is 0
//          -1        as above
// waits    yes
BELL_API ssize_t bell_read(bell_conn *conn, void *buf, size_t size);

// Reads exactly `size` bytes.
//
// returns  size      all of them
//          0..size-1 the stream ended before; these were the last ones
//          -1        as above; bytes that came before it are kept, and a later call begins with them
//                    (bell_done() tells how many)
// waits    yes
BELL_API ssize_t bell_readn(bell_conn *conn, void *buf, size_t size);

// Reads a line.
//
// line     gets the line with its '\n', and a NUL after it; NULs in the line are kept
// size     room in line, at least 2
// returns  1..size-1   its length; only the last line of a stream may lack the '\n'
//          0           the other end has finished sending
//          -1 EMSGSIZE the line is longer than size-1: its first size-1 bytes are in `line`
//                      (bell_done() bytes), and the next call goes on with the rest of it
//          -1 EINVAL   size is below 2
//          -1          as above; a line of which a part has come is kept, and a later call begins
//                      with it
// waits    yes
BELL_API ssize_t bell_readline(bell_conn *conn, char *line, size_t size);

// Shows bytes that have arrived without copying them, after waiting until `count_min` are there.
//
// count_min  1..16384
// ret_data   where they are, until the next call that reads on this connection
// returns    count_min..   as many as are there
//            0..count_min-1   the stream ended: these are the last ones
//            -1 EINVAL     count_min is out of its range
//            -1            as above
// waits      yes
BELL_API ssize_t bell_peek(bell_conn *conn, size_t count_min, const void **ret_data);

// Goes past bytes that bell_peek showed.
//
// count    at most as many as bell_peek returned
// returns  0, or -1 EINVAL
// waits    no
BELL_API int bell_skip(bell_conn *conn, size_t count);

// Writes all of data. There is no partial write to take care of.
//
// returns  size      all bytes are in the kernel's hands
//          -1        as above; bell_done() bytes are
//          -1 EPIPE  the other end does not read any more, we have shut down writing, or an earlier
//                    write failed
// waits    yes
BELL_API ssize_t bell_write(bell_conn *conn, const void *data, size_t size);

// Writes all of several pieces, as one.
//
// count    1..1024 pieces; the array is not changed
// returns  the sum of their sizes, or -1 as bell_write; EINVAL
// waits    yes
BELL_API ssize_t bell_writev(bell_conn *conn, const struct iovec *pieces, int count);

// Writes formatted text, as printf(3).
//
// returns  bytes written, or -1 as bell_write; ENOMEM; EILSEQ: printf's own failure
// waits    yes
BELL_API int bell_printf(bell_conn *conn, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
BELL_API int bell_vprintf(bell_conn *conn, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0)));

// Sends a part of a file, without copying it through the program.
//
// file     a descriptor of a regular file; its position is not used and not changed
// offset   where to begin, in bytes
// count    how many bytes
// returns  bytes sent, fewer than count only if the file ends before
//          -1 as bell_write; EINVAL, EBADF: not a file that can be sent
// waits    yes
BELL_API ssize_t bell_sendfile(bell_conn *conn, int file, off_t offset, size_t count);

// Ends one direction, or both: SHUT_WR sends the end of our stream, after which reading goes on;
// SHUT_RD makes our reads return 0.
//
// returns  0, or -1: EINVAL, ENOTCONN, EBADF, ENOBUFS
// waits    no
BELL_API int bell_shutdown(bell_conn *conn, int how);

// Ends the connection so that what was written arrives: sends the end of our stream, reads and
// throws away what still comes until the other's end, for linger_time and linger_bytes at most, and
// closes. In a handler that goes on by itself; a connection of our own is waited for, unless the
// other's end was read already. Frees a connection of our own; the handler's is freed by the server.
// Takes NULL.
//
// returns  0, or -1: EBADF (closed before), ETIMEDOUT (the other end did not end), ECONNRESET,
//          EHOSTUNREACH, ENOMEM (he was not heard to the end);
//          EXDEV: it is in use on another thread, and stays open
// waits    yes, for a connection of our own
BELL_API int bell_close(bell_conn *conn);

// Ends the connection by a reset, now; frees as bell_close. A Unix socket has no reset: its other end
// reads what was written and then the end, unless bytes of his were not read. When it is in use on
// another thread it is only cancelled, as by bell_cancel. Takes NULL.
//
// waits    no
BELL_API void bell_abort(bell_conn *conn);

// Makes every call on the connection, the ones that wait too, fail with ECANCELED. Takes NULL.
//
// waits    no
// threads  any, as long as the connection is there (its handler has not returned, nobody frees it)
//          and the thread that used it last
BELL_API void bell_cancel(bell_conn *conn);

// Every later call on conn gives up at `deadline`; so do those of other tasks that begin later.
// A new connection has BELL_NEVER.
//
// returns  0
// waits    no
BELL_API int bell_deadline(bell_conn *conn, int64_t deadline);

// Copies between two connections, both ways, until both have ended; passes each end on. The earlier
// of their two deadlines is that of both.
//
// ret_bytes  NULL, or gets the bytes copied: [0] from a to b, [1] from b to a
// returns    0, or -1: what ended it; both are to be aborted then
// waits      yes
BELL_API int bell_relay(bell_conn *a, bell_conn *b, uint64_t ret_bytes[2]);

// Who is at the other end, and which address is ours: "tcp:127.0.0.1:51213", "unix:/tmp/x.sock".
//
// returns  text that lives as long as the connection; "no connection" for NULL
// waits    no
BELL_API const char *bell_peer(bell_conn *conn);
BELL_API const char *bell_local(bell_conn *conn);

// The server whose handler has this connection.
//
// returns  a server; NULL for a connection of our own, and for NULL
// waits    no
BELL_API bell_server *bell_conn_server(bell_conn *conn);

// The descriptor, for getsockopt(2), setsockopt(2) and the like. It is non-blocking and stays the
// connection's. Bytes that have arrived may lie in the connection already.
//
// returns  a descriptor, or -1 EBADF: it is closed, or NULL
// waits    no
BELL_API int bell_fd(bell_conn *conn);

// Takes the descriptor out of the connection, which is freed (a handler's: by the server, which
// then does not close it). The descriptor is the caller's, and stays non-blocking.
//
// unread      NULL, or room for the bytes that have arrived but were not read
// size        of that room
// ret_unread  how many bytes were stored there
// returns     a descriptor
//             -1 ENOBUFS  more than size bytes are unread (*ret_unread says how many); nothing was
//                         changed
//             -1 EBUSY    a task reads or writes on it
//             -1 EXDEV    it is in use on another thread
//             -1 ENOMEM   no room for what has arrived; nothing was lost
//             -1 EBADF    it is closed, or NULL
// waits       no
BELL_API int bell_detach(bell_conn *conn, void *unread, size_t size, size_t *ret_unread);

// ---- Messages -------------------------------------------------------------------------------
//
// A message connection keeps borders: what one bell_send sends, one bell_recv receives. There are
// two kinds. One made by bell_connect of udp: or unixgram: is a connected datagram socket: messages
// may be lost, doubled and swapped (those of unixgram: are not), there is no end, and messages of
// others than the peer are not seen. unixpacket: loses nothing and ends as a stream does; bell_serve
// serves it.

// Receives one message.
//
// size     bytes of room in buf
// returns  0..size        its length; an empty message is 0
//          -1 EMSGSIZE    it is longer than size: its first bell_done() bytes are in buf, the rest is
//                         lost, and bell_error() tells its length
//          -1 ESHUTDOWN   the other end has finished sending (unixpacket: only)
//          -1 ECONNREFUSED  nobody is there: an answer to an earlier message (datagrams only). It is
//                         told once, and the connection may go on
//          -1             as in Talking
// waits    yes
BELL_API ssize_t bell_recv(bell_conn *conn, void *buf, size_t size);

// Sends one message: all of it or nothing.
//
// size     0 is an empty message; UDP takes at most 65,507 bytes over IPv4
// returns  size
//          -1 EMSGSIZE    it is longer than a message can be
//          -1 ECONNREFUSED  as bell_recv; this message was not sent
//          -1 EPIPE       the other end does not receive any more (unixpacket: only)
//          -1             as in Talking
// waits    yes
BELL_API ssize_t bell_send(bell_conn *conn, const void *data, size_t size);

// How bell_call asks. Every zero is the default told; only `size` must be set.
struct bell_call_options {
    size_t size;        // sizeof(struct bell_call_options); 0 is EINVAL
    int tries;          // how often the request is sent; 0: 5
    int64_t first_wait; // for an answer to the first one, before it is repeated; 0: 1 s
    int64_t wait_max;   // the wait doubles with every try up to this; 0: 30 s
    // Whether a message is the answer to this request: where the protocol has something to match (a
    // number, a name). NULL: any message of the peer is.
    bool (*matches)(const void *request, size_t request_size, const void *answer,
                    size_t answer_size, void *arg);
    void *arg; // of matches
};

// Sends a request over a connected datagram socket, and repeats it until it is answered. Each wait is
// up to a half longer than told, by chance, so that clients that lost their server together do not
// come back together: with the defaults a call that nobody answers fails after 31 to 47 s. It works
// with any server that answers a datagram by one; but a server may see a request more than once.
//
// An answer to an earlier call that comes late, or twice, is not taken for one to this: every call but the
// first comes from another port of ours, unless we chose the port, or `matches` tells them apart. (So late
// an answer that its port is another call's by then only `matches` can tell.)
//
// answer   gets the answer, of at most answer_size bytes
// options  NULL: all defaults
// returns  0..answer_size    the length of the answer
//          -1 ETIMEDOUT      no answer, within the tries or the connection's deadline; bell_error()
//                            says how often it asked and how long it waited
//          -1 ECONNREFUSED   nobody is there; told at once
//          -1 EMSGSIZE       the request is too long, or the answer was (then bell_done() is
//                            answer_size)
//          -1 EPROTOTYPE     not a connected datagram socket
//          -1                as bell_send and bell_recv
// waits    yes
BELL_API ssize_t bell_call(bell_conn *conn, const void *request, size_t size, void *answer,
                           size_t answer_size, const struct bell_call_options *options);

// ---- Datagrams ------------------------------------------------------------------------------

// Where a datagram came from and to, or is to go. Plain data: a copy serves for a later reply.
struct bell_datagram {
    size_t size;                   // of the whole datagram in bytes, also when it was cut
    unsigned interface;            // number of the one that it came by; 0: not known, any
    bool to_group;                 // it went to a multicast group, or to everybody (broadcast)
    socklen_t peer_size;           // of peer; 0: it has no address (a nameless Unix socket)
    socklen_t local_size;          // of local; 0: not known
    struct sockaddr_storage peer;  // who sent it; to whom to send
    struct sockaddr_storage local; // which address of ours it went to; to send from
};

// Opens a datagram socket.
//
// address  whose datagrams it gets
//            udp:7464            a port of this machine's loopback (IPv4; udp6: for IPv6)
//            udp:localhost:7464  the same; any host name or address of this machine may stand there
//            udp:*:7464          every interface, IPv4 and IPv6
//            udp:239.1.2.3:7464  what goes to a multicast group, which is joined on the interface that
//            udp:239.1.2.3%eth0:7464  the system chooses, or on this one; of IPv6: [ff02::1%eth0]
//            unixgram:/tmp/x     a Unix socket for datagrams; the file of a dead one is taken over
//            unixgram:@name      in the abstract namespace; unixgram:@ has a name of its own
//          port 0 lets the kernel choose. NULL is a client's udp: any port, every interface
// options  NULL: all defaults. timeout is that of a name lookup; bind and linger are not used.
//          sockopts: "broadcast" lets it send to everybody, multicast_ttl, multicast_loop; "rcvbuf=1M"
//          to drop less. flags: the families, BELL_REUSEPORT
// returns  a datagram socket; bell_dgram_close frees it. NULL as bell_serve; ENODEV: no such interface
// waits    yes (host names)
BELL_API bell_dgram *bell_dgram_open(const char *address, const struct bell_options *options);

// Receives one datagram. That an earlier reply found nobody (ICMP errors) disturbs nobody here.
//
// size      bytes of room in buf; UDP's have at most 65,507 bytes, which do not fit on a handler's stack
// ret_about NULL, or gets all about it
// returns   0..size        its length; an empty datagram is 0
//           -1 EMSGSIZE    it is longer than size: its first bytes are in buf, ret_about is filled in, the
//                          rest is lost
//           -1 ESHUTDOWN   the server stops, and none is left: the handler should return
//           -1 ETIMEDOUT, ECANCELED, EBUSY, EBADF, EXDEV, ENOMEM   as in Talking
// waits     yes
BELL_API ssize_t bell_recvfrom(bell_dgram *dgram, void *buf, size_t size,
                               struct bell_datagram *ret_about);

// Sends one datagram: all of it or nothing. With the `about` of a request it is the reply, and leaves
// from the address that was asked. Several tasks may send at once.
//
// about    peer is to whom. local is from where, unless it is a group; interface counts for groups and
//          link-local addresses only; both may be 0
// returns  size
//          -1 EMSGSIZE    it is longer than a datagram can be
//          -1 EINVAL      about has no peer, or one of another family
//          -1 ENOBUFS     to a Unix socket whose owner does not read, from a handler of bell_serve_dgram,
//                         which does not wait for him (what lies unread there counts against our
//                         own sndbuf); others wait
//          -1 EACCES      broadcast is not allowed: sockopts "broadcast"
//          -1             as bell_recvfrom, and what sendmsg(2) says of the address: EADDRNOTAVAIL,
//                         ENETUNREACH, ECONNREFUSED and ENOENT (Unix), ...
// waits    yes
BELL_API ssize_t bell_sendto(bell_dgram *dgram, const void *data, size_t size,
                             const struct bell_datagram *about);

// Finds whom an address means, for bell_sendto: the first address of a name that has a family of the
// socket's.
//
// address   udp: or unixgram: as for bell_dgram_open, with a host
// ret_about is made anew, with peer and interface
// returns   0, or -1: EINVAL, ENOENT (no such name), ETIMEDOUT (at the socket's deadline), ENODEV, ...
// waits     yes (host names)
BELL_API int bell_dgram_find(bell_dgram *dgram, const char *address,
                             struct bell_datagram *ret_about);

// Every later call on the socket gives up at `deadline`. A new one has BELL_NEVER.
//
// returns  0
// waits    no
BELL_API int bell_dgram_deadline(bell_dgram *dgram, int64_t deadline);

// Its own address: "udp:127.0.0.1:7464".
//
// returns  text that lives as long as the socket; "no socket" for NULL
// waits    no
BELL_API const char *bell_dgram_local(bell_dgram *dgram);

// The descriptor, for getsockopt(2), setsockopt(2) and the like. It is non-blocking and stays the
// socket's.
//
// returns  a descriptor, or -1 EBADF: it is closed, or NULL
// waits    no
BELL_API int bell_dgram_fd(bell_dgram *dgram);

// How many datagrams the kernel has dropped because nobody received the earlier ones in time.
//
// returns  their number since the socket was made; 0 when that is not known, and for NULL
// waits    no
BELL_API uint64_t bell_dgram_dropped(bell_dgram *dgram);

// The server whose handler has this socket.
//
// returns  a server; NULL for a socket of our own, and for NULL
// waits    no
BELL_API bell_server *bell_dgram_server(bell_dgram *dgram);

// Closes a socket of our own, and takes its file away; waiting calls of other tasks end with
// ECANCELED. A handler's is the server's to close. Takes NULL.
//
// returns  0, or -1: EBUSY (a handler's), EXDEV (in use on another thread, and stays open)
// waits    yes, for the calls of other tasks
BELL_API int bell_dgram_close(bell_dgram *dgram);

// Who sent a datagram, and to which address of ours: "udp:127.0.0.1:51213", "unixgram:/tmp/x".
//
// ret_text  gets it, with a NUL; 128 bytes are enough, what does not fit ends in "..."
// returns   ret_text
// waits     no
BELL_API const char *bell_datagram_peer(const struct bell_datagram *about, char *ret_text,
                                        size_t size);
BELL_API const char *bell_datagram_local(const struct bell_datagram *about, char *ret_text,
                                         size_t size);

// Serves datagrams: a loop over bell_recvfrom and bell_sendto, until bell_recvfrom says ESHUTDOWN or
// ECANCELED.
//
// dgram    the server's: never to be closed here
// arg      what was given to bell_serve_dgram
// returns  anything. One that returns before the server is stopped is called anew, so that no stranger's
//          datagram ends a server: at once, or after a rest of up to 1 s if nothing had come
//          meanwhile; when it was not 0 the log is told
//
// It runs on a stack of 64 KiB. Its own tasks (bell_go) have ended before it is called anew.
typedef int bell_dgram_handler(bell_dgram *dgram, void *arg);

// Receives datagrams at `address` and has them handled until the server is stopped, as bell_serve. Of
// the models it has those that say how many handlers share the socket, each on a loop of its own:
// iterative one, prefork `workers` processes, threads and pool `workers` threads, coroutines
// `workers` threads, or one. fork is for callers, which datagrams have not: EINVAL.
//
// At the stop handlers may still receive what lies in the socket, for 100 ms and 64 datagrams at least, and
// have the grace time to return.
//
// address  as for bell_dgram_open; localhost and a port alone are both families, with a handler each
// options  as for bell_serve; the limits and times of callers are not used
// returns  0 or -1 as bell_serve; EMFILE and the like
// waits    yes
BELL_API int bell_serve_dgram(const char *address, bell_dgram_handler *handler, void *arg,
                              const struct bell_server_options *options);

// Makes a server for datagrams that has no socket yet: bell_server_listen, bell_server_run and the
// rest go on from here.
//
// returns  a server; bell_server_close frees it
//          NULL EINVAL, ENOMEM as in bell_serve_dgram
// waits    no
BELL_API bell_server *bell_server_open_dgram(bell_dgram_handler *handler, void *arg,
                                             const struct bell_server_options *options);

// ---- Tasks ----------------------------------------------------------------------------------
//
// A task is a function that runs beside its handler, on a stack of its own and on the same thread:
// they never run at the same time, only one while the others wait. So they share data without locks.

// Makes a group of tasks.
//
// returns  a group; bell_group_close frees it. NULL ENOMEM
// waits    no
BELL_API bell_group *bell_group_open(void);

// Starts a task. It runs when this one waits next.
//
// group    whose task it is; NULL: the handler's own, which the server waits for before it closes
//          the handler's connection. Outside a handler: EINVAL
// run      returns 0, or anything else when it failed
// arg      must live until the task has ended
// returns  0, or -1 ENOMEM (no stack left), EINVAL, ECANCELED (the group was cancelled)
// waits    no
BELL_API int bell_go(bell_group *group, int (*run)(void *arg), void *arg);

// Waits until all tasks of the group have ended.
//
// deadline  when to give up
// returns   0          all have ended, and all with 0
//           1..        how many ended with something else since the last bell_group_wait
//           -1 ETIMEDOUT, ECANCELED; EDEADLK: called by one of them
// waits     yes
BELL_API int bell_group_wait(bell_group *group, int64_t deadline);

// Makes every waiting call of the group's tasks fail with ECANCELED, the present ones too. Takes NULL.
//
// waits    no
BELL_API void bell_group_cancel(bell_group *group);

// Cancels the tasks that are left, waits until they have ended, and frees the group. Takes NULL.
//
// waits    yes
BELL_API void bell_group_close(bell_group *group);

// Lets the others run for a while.
//
// duration  nanoseconds; 0: just one turn of theirs
// returns   0, or -1 ECANCELED
// waits     yes
BELL_API int bell_sleep(int64_t duration);

// Waits until a descriptor of the program's own is ready: a pipe, a pidfd, a foreign library's socket. (For
// a connection there are bell_read and the like.) Several tasks may wait for one descriptor.
//
// fd        of any kind that poll(2) takes; stays yours, and must stay open while this waits
// events    POLLIN, POLLOUT of poll(2), or both
// deadline  when to give up; 0: do not wait
// returns   1..  as poll(2): which of the events hold, and POLLERR, POLLHUP
//           -1 ETIMEDOUT, ECANCELED
//           -1 EBADF           it is closed
//           -1 EINVAL          other events
//           -1 EMFILE, ENOMEM  a second descriptor is needed for the waiting
// waits     yes
BELL_API int bell_wait_fd(int fd, short events, int64_t deadline);

// Runs a function that blocks (disk, a foreign library, a long computation) on a helper thread,
// while other handlers go on. At most 16 run at once; more wait in a queue.
//
// run      must be safe on another thread; nothing of this library may be called in it
// arg      see ECANCELED
// returns  0           it has run; *ret_result (may be NULL) is what it returned
//          -1 ECANCELED  this task was cancelled: the function is left to itself, it may still run,
//                        and arg must stay valid for it
//          -1 EAGAIN     no thread could be made
//          -1 ENOMEM
// waits    yes
BELL_API int bell_block(int (*run)(void *arg), void *arg, int *ret_result);

// ---- Channels -------------------------------------------------------------------------------
//
// The way for one handler to reach another: a connection is written by its own handler's tasks only,
// and they receive what to write from a channel. Any task of any thread may use it; processes of
// the fork models do not share it.

// Makes a channel for at most `capacity` pointers.
//
// capacity  1..1048576
// returns   a channel; bell_channel_close frees it. NULL ENOMEM, EINVAL
// waits     no
BELL_API bell_channel *bell_channel_open(size_t capacity);

// Puts a pointer into the channel, after waiting for room if need be.
//
// deadline  when to give up; 0: do not wait
// returns   0; the pointer's owner is now who receives it
//           -1 ETIMEDOUT  there was no room
//           -1 EPIPE      the channel was ended
//           -1 ECANCELED
// waits     yes
// threads   any
BELL_API int bell_channel_send(bell_channel *channel, void *pointer, int64_t deadline);

// Takes the oldest pointer out of the channel, after waiting for one if need be.
//
// returns  1  *ret_pointer is it
//          0  the channel was ended, and is empty
//          -1 ETIMEDOUT, ECANCELED
// waits    yes
// threads  any
BELL_API int bell_channel_receive(bell_channel *channel, void **ret_pointer, int64_t deadline);

// Ends a channel: nothing can be sent any more; what is in it can be received. Takes NULL.
//
// waits    no
// threads  any
BELL_API void bell_channel_end(bell_channel *channel);

// Frees a channel that nobody uses any more. Pointers in it are forgotten. Takes NULL.
//
// waits    no
BELL_API void bell_channel_close(bell_channel *channel);

// ---- Failures -------------------------------------------------------------------------------

// The last failure of this task, in a sentence: "connect tcp:db:5432: connection refused".
//
// returns  text that is valid until the next failure of this task; "" before the first
// waits    no
BELL_API const char *bell_error(void);

// How far the last failed call of this task had come.
//
// returns  the bytes that it had moved before it failed
// waits    no
BELL_API size_t bell_done(void);

// ---- Seeing the calls -----------------------------------------------------------------------

// What to add up in `what`.
enum {
    BELL_CALLS_ALL = 1 << 0,   // also what is in no book: epoll, poll, eventfd, getsockname, ...
    BELL_CALLS_TIMES = 1 << 1, // when each began and ended, in seconds of CLOCK_MONOTONIC: with
                               // these the lines of several programs can be put in order
};

// Shows each call that the library makes of the system, live, as a book writes it:
// "[812] accept(3) = 4  from 127.0.0.1:51213". In the brackets is the process, and in a thread other
// than the main one also the thread: "[812/815]". A call that has to wait is shown when it has ended.
// To be called before anything else of the library. In the environment BELL_CALLS=1 does the same, on
// stderr, for any program; BELL_CALLS=all, BELL_CALLS=times, BELL_CALLS=all,times.
//
// fd       an open descriptor, which stays yours; lines are left out while they would have to wait for
//          who reads it, and a line says how many. -1: no more of this
// what     0: the calls that are in books; or BELL_CALLS_ALL, BELL_CALLS_TIMES
// returns  0, or -1 EBADF, EINVAL
// waits    no
BELL_API int bell_show_calls(int fd, unsigned what);

#ifdef __cplusplus
}
#endif

#endif

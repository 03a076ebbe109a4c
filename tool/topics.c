// Pages that belong to no single command: the command as a whole, addresses, exit codes.

#include "pages.h"

#include "tool.h"

const struct page doorbell_page = {
    .name = "",
    .summary = "run, call, watch and test network programs",
    .usage = (const char *const[]){"COMMAND [ARGUMENTS]", "help [COMMAND | TOPIC]",
                                   "completion bash | zsh | fish", NULL},
    .description = "Small servers and clients that do the right thing without being asked: a\n"
                   "call half-closes and waits for the answer, its exit code tells whether all of\n"
                   "it arrived, a server listens on this machine only unless told otherwise.",
    .table_title = "Commands",
    .table = "  serve     a small server: echo, upper, chargen, daytime, message, ...\n"
             "  connect   call a server, or wait for one caller: stdin goes there, what comes\n"
             "            from there goes to stdout\n"
             "  resolve   names to addresses and back, and the way there",
    .notes = "Start here, in two terminals:\n"
             "  doorbell serve echo                 listens on localhost:7464\n"
             "  doorbell connect                    calls localhost:7464\n"
             "\n"
             "doorbell help COMMAND says more; doorbell help TOPIC tells what they share:\n"
             "  addresses   how to write whom to call and where to listen\n"
             "  exit-codes  what a script can tell apart\n"
             "  script      the steps of connect --script and --do\n"
             "  options     socket options by name; with their values here\n"
             "  ports       what their numbers mean: doorbell help ports 80\n"
             "  types       the kinds of sockets that this kernel has\n"
             "  transports  TCP or UDP? doorbell help transports no-loss 100ms\n"
             "\n"
             "A command may be cut short: doorbell s, doorbell c.",
    .operands = "serve connect resolve help completion",
};

const struct page addresses_page = {
    .name = "addresses",
    .summary = "how doorbell writes where to listen and whom to call",
    .usage = (const char *const[]){NULL},
    .description =
        "An address says where to listen or whom to call:\n"
        "\n"
        "  7464                     a port on this machine; a server listens on\n"
        "                           loopback only (127.0.0.1 and ::1)\n"
        "  example.net:http         host and port, by name or number\n"
        "  [::1]:7464               IPv6 addresses go in brackets\n"
        "  *:7464                   a server: every interface of this machine\n"
        "  example.net 80           two words, as nc and telnet take it (connect only)\n"
        "  /tmp/x.sock  ./x.sock    a Unix socket: anything with a slash\n"
        "  @name                    a Unix socket in the abstract namespace\n"
        "  fd:3                     a socket that this program was started with\n"
        "\n"
        "In front may stand tcp: (which is what holds without it), tcp4:, tcp6: or unix:,\n"
        "also as a URL has it: tcp://example.net:80. With port 0 the kernel picks one,\n"
        "and a server says which. Without any address, all commands take\n"
        "localhost:7464.\n"
        "\n"
        "Datagrams and messages have their name in front:\n"
        "\n"
        "  udp:7464  udp:*:7464     as above; udp4: and udp6: say which family\n"
        "  udp:239.1.2.3:7464       a multicast group: a server joins it, a client asks\n"
        "                           all its members\n"
        "  udp:239.1.2.3%eth0:7464  ... on this interface; udp:[ff02::1%eth0]:7464\n"
        "  udp:192.0.2.255:7464     everybody there, with --sockopt broadcast\n"
        "  unixgram:/tmp/x.sock     a Unix socket for datagrams; a client takes a name of\n"
        "                           its own, to be answered at, as long as it runs\n"
        "  unixpacket:/tmp/x.sock   a Unix socket for messages: with callers, as a\n"
        "                           stream, and with borders, as datagrams\n"
        "\n"
        "A socket of udp: has one address: a client takes the first one of a name that\n"
        "there is a way to; of localhost that is 127.0.0.1.\n"
        "\n"
        "A name that has several addresses is called at each of them, the next one when\n"
        "the one before failed or has not answered for a quarter of a second.",
};

const struct page exit_codes_page = {
    .name = "exit-codes",
    .summary = "what the exit codes of doorbell tell a script",
    .usage = (const char *const[]){NULL},
    .description = "What a script can tell apart:\n"
                   "\n"
                   "  0    done: all data were delivered\n"
                   "  1    a check failed: what --expect waited for did not come\n"
                   "  2    wrong usage: an option, a service or an address that cannot be\n"
                   "  3    no such name\n"
                   "  4    refused or unreachable\n"
                   "  5    timed out: also name servers, or a datagram that nobody has answered,\n"
                   "       however often it was sent; a server: it was stopped, and that cut\n"
                   "       off callers, or answers to datagrams\n"
                   "  6    broken in the middle: a reset, a full disk; data may be missing\n"
                   "  8    cannot listen: in use, not permitted, not an address of this\n"
                   "       machine, no such folder for a socket file\n"
                   "  9    this kernel does not have it: SCTP\n"
                   "  126  serve exec: the program cannot be run\n"
                   "  127  serve exec: there is no such program\n"
                   "\n"
                   "A failure is told in one line on stderr: what failed, and why.",
};

const struct page script_page = {
    .name = "script",
    .summary = "the language of a peer that does just what is written down",
    .usage = (const char *const[]){NULL},
    .description =
        "doorbell connect --script FILE, or --do STEPS, plays a peer for the test of\n"
        "another program: it calls, or with -l is called, and does step by step what the\n"
        "script says. A step is a line, or stands between semicolons; # begins a remark.\n"
        "The exit code is 0 when all came as expected, and 1 when something did not; the\n"
        "message names the line.\n"
        "\n"
        "  connect [ADDRESS]      call; without it the first step that needs a\n"
        "                         connection calls\n"
        "  accept                 with -l: take the next caller\n"
        "  send \"TEXT\" [times N]  in one write (N writes)\n"
        "  trickle \"TEXT\" TIME    a byte, and after each TIME the next\n"
        "  read N                 read N bytes, whatever they are; N may be 4k\n"
        "  read line, read end    up to a newline, or to the end of the stream\n"
        "  expect \"TEXT\"          what comes next must be TEXT\n"
        "  expect end             ... the end of the stream\n"
        "  expect reset           ... a reset, after whatever comes before it\n"
        "  expect silence TIME    ... nothing, for TIME\n"
        "  half-close             end our stream, and go on reading\n"
        "  close, reset           end the connection, in peace or by a reset\n"
        "  vanish                 go without a word, as a machine that loses its\n"
        "                         power (needs CAP_NET_ADMIN; TCP only)\n"
        "  wait TIME              do nothing\n"
        "  window SIZE            a receive buffer of SIZE for connections to come;\n"
        "                         with -l for all of them\n"
        "  timeout TIME           for each step from now on; 10s at the begin\n"
        "  repeat N ... again     what is between, N times\n"
        "\n"
        "A connect or accept when there is a connection already leaves that one open, and\n"
        "the steps are about the new one. A TEXT may have \\n \\r \\t \\0 \\\\ \\\" and \\xHH.\n"
        "\n"
        "A caller who asks in pieces, and does not listen to the whole answer:\n"
        "\n"
        "  send \"GET / HT\"; wait 20ms; send \"TP/1.0\\r\\n\\r\\n\"\n"
        "  expect \"HTTP/1.\"\n"
        "  reset",
};

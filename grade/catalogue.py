"""The items of the course that a server can show from outside.

A number with M is a mistake or an omission of the slides; a plain number is something that the lectures describe.
"""

from typing import NamedTuple

SOCKET_INTERFACE = "lecture 1, the socket interface"
DOORBELLS = "lecture 2, socket programming: doors and doorbells"
STALLINGS = "lecture 3, sockets after Stallings"
COMMUNICATION = "lecture 4, communication via sockets"
PYTHON = "lecture 5, socket programming in Python"
ALL = "all five lectures"


class Item(NamedTuple):
    number: str
    lecture: str
    program: str
    title: str
    sentence: str


ITEMS = [Item(*fields) for fields in [
    ("M1", ALL, "sentence servers in Java, C and Python", "Four framings for one application",
     "Java ends a sentence with a newline, C with newline and NUL, Python with nothing at all: a server that insists "
     "on one of them and a client that uses another both wait for ever."),
    ("M2", DOORBELLS, "Java TCP client and server", "A message in many writes",
     "writeBytes on a bare socket stream is one write for each byte, so that who takes one read for the message gets "
     "its first letter."),
    ("M3", DOORBELLS, "C TCP server; also Python's (lecture 5) and the message server (lecture 3)",
     "One read is taken for the request",
     "TCP carries bytes and no messages: a read gives what has come so far, which may be a part or several at once."),
    ("M4", DOORBELLS, "C TCP client and all servers that read a line", "Unread input at the close",
     "What a caller said and nobody read (a NUL after the line, a second line) turns the close into a reset."),
    ("M5", DOORBELLS, "C TCP server", "Always the whole buffer is sent",
     "write(fd, buffer, MAXLINE) sends padding after a short answer, and in it what earlier callers have said."),
    ("M7", STALLINGS, "TCPEchoClient4 with the echo server of lecture 4", "A word without a newline gets no echo",
     "The client sends a bare word, the server waits for the end of a line: both wait for ever."),
    ("M8", COMMUNICATION, "echo client and server", "Lines longer than the buffer, and a last line without newline",
     "Reading and writing are tied together line by line, and a line that is none in that sense gets lost or stuck."),
    ("M10", DOORBELLS, "Java TCP server that does not close", "The connection is never closed",
     "Descriptors leak, and a client that waits for the end of the answer hangs."),
    ("M11", SOCKET_INTERFACE, "Java TCP server", "Upper case depends on the locale, and bytes do not survive",
     "toUpperCase follows the language of the machine and may change the length; a default character set destroys "
     "what is not ASCII."),
    ("M14", DOORBELLS, "C TCP server; also the echo server (lecture 4)", "Return codes are not checked",
     "socket, bind, listen, accept, read and write can fail, and a server that does not look goes on with nothing."),
    ("M15", SOCKET_INTERFACE, "phone servers", "Any error of accept ends the server",
     "A caller who gave up, or a want of descriptors, passes; a server waits a little and goes on."),
    ("M16", SOCKET_INTERFACE, "phone server with fork", "A failed fork ends the server",
     "That there is no room for one more process is bad news for one caller, and for no other."),
    ("M18", DOORBELLS, "C TCP server; also the echo server (lecture 4)", "accept's -1 is used as a descriptor",
     "When accept fails there is nobody to talk with, and to try it all the same is a loop that burns the processor."),
    ("M19", COMMUNICATION, "echo server", "The error -1 is counted as a huge number of bytes",
     "size_t has no sign: `n > 0` is true for -1, and the server reports -1 bytes and writes what it has not got."),
    ("M20", ALL, "echo server, Java and Python servers", "One bad caller ends the server",
     "A reset brings SIGPIPE or an exception, a silent close a null: that is the end of one conversation, and must not "
     "be the end of all."),
    ("M21", STALLINGS, "TCPEchoClient4 and every server", "write may take less than it is given",
     "A short write is no error and no success: what is left has to be written, too."),
    ("M22", ALL, "all programs in C", "EINTR is handled nowhere",
     "A signal, or Ctrl-Z and fg, ends a waiting call early; it has to be called again."),
    ("M27", DOORBELLS, "C TCP server", "Bytes are treated as a C string",
     "What comes from a socket has a length and no NUL at its end, and may have a NUL in its middle."),
    ("M36", STALLINGS, "message client and server", "Long lines are cut without a word",
     "What is longer than the buffer is dropped, and nobody is told."),
    ("M38", SOCKET_INTERFACE, "phone server with fork", "Children are never waited for",
     "Each child that has ended stays as a zombie until its parent asks for it; in the end there is no room for more."),
    ("M39", ALL, "phone server, echo server, Python server", "One caller at a time",
     "A single silent caller keeps everybody else waiting; a process, a thread or a pool helps."),
    ("M40", SOCKET_INTERFACE, "phone server with fork", "No limit on the number of children",
     "Whoever calls often enough fills the machine with processes; beyond a limit callers can wait at the door."),
    ("M43", DOORBELLS, "C TCP server", "Another descriptor is closed than the one in use",
     "The connection stays open and leaks."),
    ("M44", ALL, "all servers", "No way to stop",
     "The loop has no end: SIGTERM kills the server in the middle of a conversation."),
    ("M45", STALLINGS, "message server", "One client, then the end",
     "A server is always on: after one caller it is there for the next."),
    ("M46", ALL, "all servers in C", "Descriptors are inherited by programs that are started",
     "Without close-on-exec a program that the server starts holds its port and its callers."),
    ("M48", SOCKET_INTERFACE, "establish() of the phone servers", "A server asks for its own name",
     "To listen at all addresses nobody needs gethostbyname, and where the machine's name is not known it fails."),
    ("M50", ALL, "all servers in C and Python", "IPv4 only",
     "localhost is ::1 as well, and callers with IPv6 are refused."),
    ("M51", STALLINGS, "message server; also the echo server (lecture 4)", "atoi takes anything for a port",
     "atoi makes 0 of abc and 4464 of 70000, and the server listens where nobody looks for it."),
    ("M52", COMMUNICATION, "echo server", "argv is used without a look at argc",
     "Without its argument the server crashes, where it should say how it is used."),
    ("M54", STALLINGS, "message server and all others in C and Python", "No SO_REUSEADDR",
     "For a minute after its last conversation the server cannot be started again: the port counts as in use."),
    ("M56", ALL, "all servers", "Listening at all addresses",
     "Everybody on the network may call, though the exercise was meant for this machine."),
    ("M85", COMMUNICATION, "\"Data in flight still reaches the other end\"", "Data in flight does not survive a reset",
     "close() delivers what was written only if everything that came was read; if not, it resets."),
    ("M91", PYTHON, "listen(1)", "The backlog is a hint",
     "Linux lets one more wait than the number says; who finds the queue full tries again after a second or more."),
    ("9", SOCKET_INTERFACE, "\"full duplex\"", "Two one-way streams",
     "Both sides may talk at the same time, and much."),
    ("61", PYTHON, "the application", "A line in, the same line in capitals out",
     "The client sends a line, the server converts it to upper case and sends it back. (The echo server of lecture 4: "
     "the same line.)"),
    ("84", STALLINGS, "accept()", "Who waits, sleeps",
     "accept and recv block until there is something to do: an idle server needs no processor time."),
    ("98", SOCKET_INTERFACE, "concurrent server", "Master and slave close what is the other's",
     "The master closes the connected socket, the slave the listening one; else the caller sees no end, and the port "
     "stays taken."),
    ("104", COMMUNICATION, "\"Connected vs. Listening Descriptors\"",
     "A connected descriptor lives as long as its caller",
     "It exists only as long as it takes to service the client."),
    ("107", DOORBELLS, "\"Backlog\"", "A few may wait at the door",
     "Several can ring at the same moment, and all get their turn."),
    ("130", COMMUNICATION, "ports", "Port numbers are unique to each host",
     "A second server on a taken port has to say so and end with an error."),
    ("139", COMMUNICATION, "echo server", "EOF is a condition, not a byte",
     "Bytes of every value pass; only the other side's close or half-close is the end."),
]]

BY_NUMBER = {item.number: item for item in ITEMS}

"""Starting, stopping and lasting: the command line, ports and addresses, signals, processes, descriptors, memory."""

import contextlib
import signal
import socket
import time

from . import table
from .caller import Caller
from .program import NotListening, descriptors_of, flags_of, free_port, wait_until
from .launch import NOT_HERE
from .trial import Fault, NotJudged, check, count, show

CLOSE_ON_EXEC = 0o2000000
CALLERS = 10


# ---- The command line ---------------------------------------------------------------------------


@check("no-argument", "without its argument it says how it is used", "M52",
       "A program that crashes when it is called wrongly tells its user nothing.",
       "Look at argc before you use argv; write the usage to stderr and exit with 2.")
def no_argument(trial):
    shortened = [word for word in trial.command if "PORT" not in word]
    if not shortened:
        raise NotJudged("PORT is the command itself")
    with trial.run(shortened) as program:
        wait_until(lambda: not program.is_alive() or program.listening_rows(any_port=True), trial.patience)
        if program.was_killed():
            raise Fault("We started it without the port: it %s." % program.end_text())


@check("bad-port", "what is no port is refused", "M51",
       "atoi gives 0 for abc, and htons takes 70000 for 4464: the server listens where nobody looks for it.",
       "Use strtol, look at where it stopped, and accept 0 to 65535 only; exit with 2.")
def bad_port(trial):
    port = free_port()
    for text in str(port + 65536), "%dx" % port, "-1":
        with trial.run(trial.command, text=text) as program:
            wait_until(lambda: not program.is_alive() or program.listening_rows(any_port=True), trial.patience)
            doors = program.listening_rows(any_port=True)
            if doors:
                raise Fault("We gave it %s for a port: it listened on port %d." % (text, doors[0].port))
            if program.process.poll() == 0:
                raise Fault("We gave it %s for a port: it ended, and its exit code 0 says that all was well." % text)


@check("port-taken", "on a taken port it says so and ends", "130 M14",
       "Port numbers are unique to each host. Who does not look at the result of bind() believes that the server runs.",
       "Check socket, bind and listen; perror and exit(1).")
def port_taken(trial):
    with trial.server() as first, trial.run(trial.command, first.port) as second:
        wait_until(lambda: not second.is_alive(), trial.patience)
        if second.is_alive():
            raise Fault("We started a second one on the same port: it still ran after %g s%s." % (
                trial.patience, second.last_words(1)), "M14")
        if second.process.poll() == 0:
            raise Fault("We started a second one on the same port: it ended, and its exit code 0 says that all was "
                        "well.")
        trial.expect_survival(first, 1 << 20, "We started a second one on the same port")


@check("own-name", "it needs no name of this machine", "M48",
       "establish() looks up the machine's own name to listen at all addresses, and where it is not known it gives up.",
       "Leave gethostname and gethostbyname out: INADDR_ANY, or getaddrinfo with AI_PASSIVE, needs no name.")
def own_name(trial):
    try:
        with trial.server(world="no-name"):
            pass
    except NotListening as problem:
        if "exit code %d" % NOT_HERE in str(problem):
            raise NotJudged("this machine does not let a user have a host name of his own")
        raise Fault("On a machine whose own name nobody knows, %s." % problem)


# ---- Addresses ----------------------------------------------------------------------------------


@check("ipv6", "callers with IPv6 are answered", "M50",
       "localhost is ::1 as well as 127.0.0.1, and many programs try ::1 first.",
       "Listen on an AF_INET6 socket at in6addr_any with IPV6_V6ONLY off: it takes both. Or use getaddrinfo and listen "
       "at all that it gives.")
def ipv6(trial):
    if any("127.0.0." in word or "0.0.0.0" in word for word in trial.command):
        raise NotJudged("the command line names an IPv4 address")
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        raise NotJudged("this machine has no IPv6")
    line = b"hello, six\n"
    with trial.server() as server:
        try:
            caller = Caller(server, trial.patience, address="::1")
        except OSError as error:
            raise Fault("We called it at [::1]:%d: %s." % (server.port, error.strerror))
        with caller:
            trial.put(caller, line)
            trial.expect(caller, line, "We called it at ::1 and sent %s" % show(line))


@check("addresses", "(where it listens)", "M56", "", "")
def addresses(trial):
    """Nothing but an observation: whoever comes from outside may still be turned away."""
    with trial.server() as server:
        doors = {row.address for row in server.listening_rows()}
        if doors & {"0.0.0.0", "::"}:
            trial.observe("It listens at all addresses of the machine (%s), not on this machine only." %
                          " and ".join(sorted(doors)), "M56")


# ---- Stopping and starting ----------------------------------------------------------------------


@check("restart", "it can be started again at once", "M54",
       "The connection that the server closed last is remembered for a minute (TIME_WAIT), and bind() refuses the "
       "port.",
       "setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, ...) before bind(), always.")
def restart(trial):
    with trial.server() as server:
        port = server.port
        caller = trial.caller(server)
        trial.put(caller, b"goodbye\n")
        caller.hear(len(b"goodbye\n"))
        server.end()
        caller.hear_to_the_end()
        caller.close()
    if not wait_until(lambda: any(row.port == port for row in table.rows(table.PAST)),
                      trial.patience):
        raise NotJudged("the last connection is not remembered by this kernel")
    try:
        with trial.server(port=port):
            pass
    except NotListening as problem:
        raise Fault("We ended it during a conversation and started it again on the same port: %s." % problem)


@check("stop", "SIGTERM ends it in peace", "M44",
       "Servers are stopped with SIGTERM or Ctrl-C every day. One that is killed by it cuts off its callers.",
       "On SIGTERM stop accepting (close the listening socket), finish the conversations, exit(0). In the signal "
       "handler only set a flag, and let accept() end with EINTR (sigaction without SA_RESTART).")
def stop(trial):
    first, second = b"one more thing\n", b"good bye\n"
    with trial.server() as server, trial.caller(server) as caller:
        caller.is_accepted()
        if trial.known.talks == "on":
            caller.say(first)
            trial.expect(caller, first, "We sent %s" % show(first))
            caller.heard.clear()
        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: not server.is_alive() or not server.listens(), trial.patience)
        if server.listens() and server.is_alive():
            raise Fault("We sent it SIGTERM: after %g s it still listened." % trial.patience)
        caller.say(second)
        caller.half_close()
        trial.expect(caller, second, "In the middle of a conversation the server got SIGTERM. The caller sent %s" %
                     show(second))
        caller.hear_to_the_end()
        wait_until(lambda: not server.is_alive(), trial.patience)
        if server.process.poll() != 0:
            raise Fault("The server got SIGTERM, and then its last caller left: it %s, and should end with exit code "
                        "0." % server.end_text())


@check("ctrl-z", "it goes on after Ctrl-Z and fg", "M22",
       "A stop and a continue, like every signal, ends some waiting calls with EINTR.",
       "If a call fails with EINTR call it again, or use sigaction with SA_RESTART.")
def ctrl_z(trial):
    with trial.server() as server:
        trial.ask(server, b"before\n")
        with server.held_still():
            pass
        trial.expect_survival(server, 1 << 20, "It was stopped with SIGSTOP and continued")


# ---- Want of everything -------------------------------------------------------------------------


@check("no-descriptors", "it outlives a want of descriptors", "M15 M14 M18",
       "accept() fails with EMFILE when a process has as many descriptors as it may. That passes when callers leave.",
       "After a failed accept() do not use its -1. Go on after EINTR and ECONNABORTED; after EMFILE, ENFILE, ENOBUFS "
       "and ENOMEM wait a little, then go on. Do not exit.")
def no_descriptors(trial):
    with trial.server() as server:
        trial.first_caller(server)
        with server.without_descriptors(), contextlib.ExitStack() as stack:
            callers = []
            for _ in range(2):  # an accept() that waits already has a descriptor for the first one
                with contextlib.suppress(Fault):
                    callers.append(stack.enter_context(trial.caller(server)))
                    callers[-1].say(b"meanwhile\n")
                    callers[-1].half_close()
            rests = comes_to_rest(server, lambda: has_its_callers(callers), trial.patience)
            burns = not rests and not comes_to_rest(server, lambda: True, trial.patience)
        deed = "We let it open no more descriptors for a moment, so that accept() failed"
        trial.expect_survival(server, 1 << 20, deed, *(["M14", "M18"] if server.is_alive() else ["M15"]))
        if burns:
            raise Fault("%s: it went on, but used the processor all the while." % deed, "M14", "M18")


def has_its_callers(callers):
    """Whether each of them has been served or is in the queue."""
    for caller in callers:
        caller.hear(1 << 20, 0)
    return all(caller.end or not caller.is_accepted(0) for caller in callers)


def comes_to_rest(server, condition, seconds):
    """True if it has died, or sleeps and the condition holds, for several looks in a row. (Who is never seen asleep
    wants the processor all the while, even if others let him have little of it.)"""
    looks, end = 0, time.monotonic() + seconds
    while server.is_alive() and looks < 10:
        looks = looks + 1 if server.is_asleep() and condition() else 0
        if looks == 0 and time.monotonic() > end:  # who has been seen asleep until then is looked at further
            return False
        time.sleep(0.002)
    return True


@check("no-process", "it outlives a failed fork", "M16",
       "fork() fails when there are too many processes or there is too little memory. That passes.",
       "When fork() gives -1, say so on stderr, close this connection, and go on with the next caller.")
def no_process(trial):
    if not trial.makes_processes:
        raise NotJudged("it makes no processes for its callers")
    try:
        with trial.server(world="no-fork") as server:
            with trial.caller(server) as caller:
                caller.say(b"hello\n")
                caller.is_accepted()
                comes_to_rest(server, lambda: True, trial.patience)
            if not server.is_alive():
                raise Fault("A caller came and fork() failed: the server %s%s." % (
                    server.end_text(), server.last_words()))
    except NotListening as problem:
        raise NotJudged("it does not start where fork() fails: %s" % problem)


@check("idle", "while it waits it sleeps", "84",
       "A server that asks again and again whether there is something to do takes the processor from all others.",
       "Let accept(), read() or poll() wait.")
def idle(trial):
    with trial.server() as server, trial.caller(server) as caller:
        caller.is_accepted()
        if not comes_to_rest(server, lambda: True, trial.patience):
            raise Fault("With one silent caller it was at work all the time, for %g s." % trial.patience)


# ---- What callers leave behind ------------------------------------------------------------------


def let_callers_come(trial, server, number, line=b"one of many\n"):
    """One after the other; each has been answered and has gone."""
    for _ in range(number):
        with trial.caller(server) as caller:
            trial.put(caller, line)
            caller.half_close()
            caller.hear(len(line))


@check("descriptors", "no descriptor is left of a caller who has gone", "104 M10 M43",
       "A process may have some hundreds of descriptors. Then accept() fails, and nobody is served any more.",
       "close() the connected socket, and no other, on every way out of the conversation; in a server with fork the "
       "parent, too.")
def descriptors(trial):
    with trial.server() as server:
        sockets = trial.first_caller(server)
        let_callers_come(trial, server, CALLERS)
        trial.settle(server, sockets)
        before = server.descriptor_count()
        let_callers_come(trial, server, 2 * CALLERS)
        wait_until(lambda: server.descriptor_count() <= before + CALLERS // 2, trial.patience)
        more = server.descriptor_count() - before
        if more > CALLERS // 2:
            raise Fault("%d callers came, were answered and left: the server has %d descriptors more than before." % (
                2 * CALLERS, more), "M10" if trial.known.talks == "no more" else "M43", "104")


@check("zombies", "no zombie is left of a child that has ended", "M38",
       "Each child stays in the table of processes until its parent asks how it ended; one day there is no room.",
       "A handler for SIGCHLD with while (waitpid(-1, NULL, WNOHANG) > 0); or SA_NOCLDWAIT.")
def zombies(trial):
    if not trial.makes_processes:
        raise NotJudged("it makes no processes for its callers")
    with trial.server() as server:
        let_callers_come(trial, server, CALLERS)
        wait_until(lambda: len(server.children()) == server.zombies(), trial.patience)
        wait_until(lambda: server.zombies() <= CALLERS // 2, trial.patience)
        if server.zombies() > CALLERS // 2:
            raise Fault("%d callers came and left: %d zombies were there." % (CALLERS, server.zombies()))


@check("own-side", "master and slave close what is the other's", "98",
       "While the parent has the connection open the caller sees no end; while a child has the door open the port is "
       "taken, and nobody can start the server again.",
       "After fork() the child closes the listening socket, and the parent the connected one.")
def own_side(trial):
    if not trial.makes_processes:
        raise NotJudged("it makes no processes for its callers")
    with trial.server() as server, trial.caller(server) as caller:
        caller.is_accepted()
        if not wait_until(server.children, trial.patience):
            raise NotJudged("the child was gone too soon")
        row = server.end_of(caller.port)
        connected = row.inode if row else -1
        doors = {row.inode for row in server.listening_rows()}
        main = server.process.pid
        if not wait_until(lambda: connected not in server.socket_inodes([main]), trial.patience):
            raise Fault("During a conversation the parent had the connected socket open, too.")
        if not wait_until(lambda: not doors & server.socket_inodes(server.children()), trial.patience):
            raise Fault("During a conversation the child had the listening socket open, too.")


@check("close-on-exec", "programs that it starts do not inherit its sockets", "M46",
       "A program started by the server would hold its port and its callers, for as long as it runs.",
       "socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0) and accept4(), or fcntl(fd, F_SETFD, FD_CLOEXEC).")
def close_on_exec(trial):
    with trial.server() as server:
        if server.is_java():
            raise NotJudged("Java closes all descriptors when it starts a program")
        doors = {"socket:[%d]" % row.inode for row in server.listening_rows()}
        for pid in server.processes():
            for number, target in descriptors_of(pid).items():
                if target in doors and not flags_of(pid, number) & CLOSE_ON_EXEC:
                    raise Fault("Descriptor %s, on which it listens, is not marked close-on-exec." % number)


@check("memory", "memory does not grow with the number of callers", "104",
       "What is not freed is lost: after a week the server is killed.",
       "free() on every way out of the conversation; valgrind shows what you have forgotten.")
def memory(trial):
    line = b"abcdefgh" * 500 + b"\n"
    with trial.server() as server:
        if server.is_java():
            raise NotJudged("Java gives memory back when it likes")
        sockets, sizes = trial.first_caller(server), []
        for _ in range(4):
            let_callers_come(trial, server, 100, line)
            trial.settle(server, sockets)
            sizes.append(server.memory())
        growth = [after - before for before, after in zip(sizes, sizes[1:])]
        if min(growth) >= 256:
            raise Fault("Three times 100 callers came, sent %s bytes each and left: it had %s KiB more each time." % (
                count(len(line)), ", ".join(map(count, growth))))

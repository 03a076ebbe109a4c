"""Whether the server outlives its callers: those who leave, reset, are silent or deaf, or come all at once.

Races are not left to luck: what has to be read first has been read (the kernel's table says so), and what has to lie
ready before the server looks lies ready, because the server is held still meanwhile.
"""

import contextlib

from .program import wait_until
from .trial import MOST_AT_ONCE, Fault, NotJudged, check, count, show

ONE_BAD_CALLER = "One caller's mishap must not be everybody's: a server is always on."
C_AND_OTHERS = ("In C ignore SIGPIPE (or send with MSG_NOSIGNAL) and take -1 of read and write for the end of this "
                "caller. In Java and Python catch the exception inside the loop over callers.")
LINES = b"one of many lines that nobody waits for\n"


@contextlib.contextmanager
def bad_caller(trial, deed):
    """A server and its bad caller; afterwards the server has to answer the next one."""
    with trial.server() as server:
        sockets = trial.first_caller(server)
        yield server
        trial.expect_survival(server, sockets, deed, "M20")


@check("next-caller", "after one caller there is the next", "M45",
       "A server serves one caller after the other, for ever.", "Put accept() into an endless loop.")
def next_caller(trial):
    with trial.server() as server:
        for number in range(1, 4):
            line = b"caller %d\n" % number
            caller = None
            with contextlib.suppress(Fault):
                caller = trial.ask(server, line)
            if not caller or not trial.is_answer(bytes(caller.heard[:len(line)]), line):
                raise Fault("Caller %d was not answered: the server %s%s." % (
                    number, server.end_text(), server.last_words()))


@check("silent-close", "a caller who leaves without a word harms nobody", "M20",
       ONE_BAD_CALLER,
       "The end may come before anything else: read() gives 0, readLine() gives null, recv() gives b''.")
def silent_close(trial):
    with bad_caller(trial, "A caller connected and closed without a word") as server:
        with trial.caller(server) as caller:
            caller.is_accepted()
            caller.half_close()
            caller.hear_to_the_end()


@check("reset-at-once", "a caller who resets before he is accepted harms nobody", "M20",
       ONE_BAD_CALLER, C_AND_OTHERS)
def reset_at_once(trial):
    with bad_caller(trial, "A caller connected and reset the connection before accept()") as server:
        with server.held_still():
            trial.caller(server).reset()


@check("reset-silent", "a silent caller who resets harms nobody", "M20", ONE_BAD_CALLER, C_AND_OTHERS)
def reset_silent(trial):
    with bad_caller(trial, "A caller connected, was accepted, and reset the connection") as server:
        caller = trial.caller(server)
        caller.is_accepted()
        caller.reset()


@check("reset-half", "a caller who resets in the middle of a line harms nobody", "M20", ONE_BAD_CALLER, C_AND_OTHERS)
def reset_half(trial):
    with bad_caller(trial, "A caller sent half a line and reset the connection when it had been read") as server:
        caller = trial.caller(server)
        caller.say_and_wait(b"hel")
        caller.reset()


@check("reset-answer", "a caller who resets before his answers harms nobody", "M20",
       ONE_BAD_CALLER + " The second write to a connection that was reset raises SIGPIPE, which kills a C program.",
       C_AND_OTHERS)
def reset_answer(trial):
    with bad_caller(trial, "A caller sent 50 lines and reset the connection before they were read") as server:
        for _ in range(3):  # on a busy machine one of them may have his answers before he resets
            if not server.is_alive():
                break
            with server.held_still(), contextlib.suppress(Fault):
                caller = trial.caller(server)
                caller.say(LINES * 50)
                caller.is_taken()
                caller.reset()


@check("deaf", "a caller who never reads harms nobody", "M20 M39",
       ONE_BAD_CALLER + " When nobody reads, write() waits, and with one thread everybody waits with it.",
       "Serve callers in processes, threads or with a pool. " + C_AND_OTHERS)
def deaf(trial):
    deed = "A caller sent lines, read nothing, and reset the connection when the server was stuck"
    with bad_caller(trial, deed) as server:
        caller = trial.caller(server, receive_buffer=4096)
        caller.say_until_stuck(LINES * 100)
        if trial.at_once > 1:
            other = trial.ask(server, b"the other one\n")
            if not other.heard:
                caller.close()
                raise Fault("While one caller sent lines and read nothing, another one sent %s: nothing came for "
                            "%g s." % (show(b"the other one\n"), trial.patience), "M39")
        caller.reset()


@check("negative-count", "an error is not counted as bytes", "M19",
       "read() gives -1 for an error. In a size_t that is the largest number there is: the loop goes on with it.",
       "Keep what read() returns in an ssize_t, and look for < 0 before anything else.")
def negative_count(trial):
    with trial.server() as server:
        sockets = trial.first_caller(server)
        caller = trial.caller(server)
        caller.is_accepted()
        caller.reset()
        with contextlib.suppress(Fault):
            trial.ask(server, b"the next one\n")
        trial.settle(server, sockets)
        line = wait_until(lambda: line_with_an_error_counted(server), 0.5)  # it may be under way
        if line:
            raise Fault("A caller reset the connection: the server printed \"%s\"." % line)


def line_with_an_error_counted(server):
    for line in server.output.decode(errors="replace").splitlines():
        if "-1 bytes" in line or "18446744073709551615" in line or "4294967295" in line:
            return line.strip()
    return None


@check("many", "callers who come at once all get their own answer", "107",
       "Several can ring at the same moment: the queue of listen() holds them, and none must get another's answer.",
       "A listen() with a queue of some dozens at least; buffers and descriptors for each caller, not for all together "
       "(the address of one variable for all threads is the usual mistake).")
def many(trial):
    with trial.server() as server, contextlib.ExitStack() as stack:
        room = server.room_at_the_door()
        number = min(40, (3 if room is None else room) + 1)
        with server.held_still():
            callers = [stack.enter_context(trial.caller(server)) for _ in range(number)]
            lines = [b"caller %d says %s\n" % (i, b"abcdefghij"[i % 10:] * (i + 1)) for i in range(number)]
            for caller, line in zip(callers, lines):
                caller.say(line)
                caller.half_close()
        for caller, line in zip(callers, lines):
            trial.expect(caller, line, "%d callers rang at once; one of them sent %s" % (number, show(line)))


@check("at-once", "(how many callers are served at the same time)", "M39 M40 M91", "", "")
def at_once(trial):
    """Nothing but observations: one at a time is what some of the exercises ask for."""
    if trial.at_once < MOST_AT_ONCE:
        trial.observe("It serves %d caller%s at a time: one who is silent keeps %s." % (
            trial.at_once, "s"[:trial.at_once - 1], "all others waiting" if trial.at_once == 1 else "a place"), "M39")
    else:
        trial.observe("It serves at least %d callers at the same time." % MOST_AT_ONCE)
    with trial.server() as server:
        room = server.room_at_the_door()
        if room is not None and room < 5:
            trial.observe("Its queue is %d long: when more than %d ring at once, the others try again after a second "
                          "or more." % (room, room + 1), "M91")
        if trial.makes_processes:
            observe_children(trial, server)


def observe_children(trial, server, callers=100):
    with contextlib.ExitStack() as stack:
        for _ in range(callers):
            caller = stack.enter_context(trial.caller(server))
            if not caller.is_accepted(trial.patience / 10):
                return trial.observe("It makes a process for each caller, and at most %d." % len(server.children()))
        trial.observe("It makes a process for each caller: %s silent callers, %s processes, and no limit was met." % (
            count(callers), count(len(server.children()))), "M40")


@check("unread", "what was written arrives though more had been said", "M4 M85",
       "close() with something unread sends a reset, and a reset destroys what is on its way to the caller.",
       "After the last write: shutdown(fd, SHUT_WR), read until 0 (for a second at most), then close.")
def unread(trial):
    if trial.known.talks == "no more":
        raise NotJudged("it does not hang up")
    text = b"hello\n" * 4000
    with trial.server() as server, trial.caller(server) as caller:
        caller.say(text)
        if trial.known.waits_for_end:
            caller.half_close()
        caller.hear(max(len(text), trial.known.surplus))
        if caller.end == "end":  # the kernel may have told us the end, and reset the connection right after it
            wait_until(lambda: server.has_closed(caller.port), trial.patience)
        if caller.end == "reset" or (caller.end == "end" and not trial.known.waits_for_end
                                     and not server.end_of(caller.port)):
            raise Fault("We sent %s bytes in lines at once, and closed nothing: %s bytes came, and the connection was "
                        "reset." % (count(len(text)), count(len(caller.heard))))


@check("half-close", "who closes his side gets the rest and then the end", "M10 104",
       "A caller who has said all closes his side and reads up to the end. If the server does not close, he waits for "
       "ever, and the server runs out of descriptors.",
       "When read() returns 0: answer what is left, and close this connection. In a server with fork the parent has to "
       "close it, too, or the end never comes.")
def half_close(trial):
    line = b"the last line\n"
    with trial.server() as server, trial.caller(server) as caller:
        caller.say(line)
        caller.half_close()
        caller.hear_to_the_end()
        if not caller.heard:
            trial.expect(caller, line, "We sent %s and closed our side" % show(line))
        if not caller.end:
            raise Fault("We sent %s and closed our side: the answer came, and no end for %g s." % (
                show(line), trial.patience))

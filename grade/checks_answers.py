"""Whether the answer is right, however the question comes: framings, sizes, bytes."""

from .trial import GREETING, Fault, NotJudged, check, count, show

SENTENCE = b"hello, door\n"
SIZES = [300, 1500, 5000, 20000, 100000]
MEGABYTE = 1 << 20
MAP_OVER_BYTES = ("Treat the service as a map over bytes: read what is there, answer that, and read on until the other "
                  "side ends. Then it does not matter how the bytes were cut.")


@check("answers", "a line is answered", "61",
       "This is the whole application: a line goes in, the same line (echo) or the line in capitals (upper) comes "
       "back.",
       "Read from the connection that accept() gave, and write the answer to the same one, while the caller waits.")
def answers(trial):
    known = trial.known
    if known.waits_for_end and known.heard:
        raise Fault("We sent %s and waited: the answer came only when we had closed our side." % show(GREETING),
                    "M1", "61")
    if trial.problem():
        raise Fault("We sent %s and waited for the answer: %s." % (show(GREETING), trial.problem()))


@check("no-newline", "a word without a newline is answered", "M1 M7",
       "The Python client and TCPEchoClient4 send a bare word and wait. A server that waits for a newline waits for "
       "what will never come, and both wait for ever.", MAP_OVER_BYTES)
def no_newline(trial):
    then = {"a newline": "When we sent a newline, too, it came", "the end": "When we closed our side it came",
            "nothing at all": "It did not come when we sent a newline, either"}
    if trial.without_newline != "nothing more":
        item = "M7" if trial.service == "echo" else "M1"
        raise Fault("We sent %s and waited for the answer: nothing came for %g s. %s." % (
            show(b"hello door 2"), trial.patience, then[trial.without_newline]), item)


@check("pieces", "a line that comes in two pieces is one line", "M3",
       "TCP carries bytes and not messages: what is sent with one write may arrive in several reads, on a network "
       "sooner or later.", "Call read() in a loop. " + MAP_OVER_BYTES)
def pieces(trial):
    with trial.server() as server, trial.caller(server) as caller:
        caller.say_and_wait(SENTENCE[:3])
        trial.put(caller, SENTENCE[3:])
        trial.expect(caller, SENTENCE, "We sent %s, and when it had been read %s" % (
            show(SENTENCE[:3]), show(SENTENCE[3:])))


@check("byte-by-byte", "a line that comes byte by byte is one line", "M2 M3",
       "The Java client of the slides writes one byte at a time, and telnet may, too.",
       "Call read() in a loop, and never take one read for the request.")
def byte_by_byte(trial):
    with trial.server() as server, trial.caller(server) as caller:
        taken = True
        for i in range(len(SENTENCE) - 1):
            caller.say(SENTENCE[i:i + 1])
            taken = taken and caller.is_taken()
        trial.put(caller, SENTENCE[-1:])
        trial.expect(caller, SENTENCE, "We sent %s byte by byte" % show(SENTENCE))


@check("nul-after", "a line with a NUL after it is answered", "M4",
       "The C client of the slides sends the NUL of its string, too. A server that leaves it unread and closes resets "
       "the connection.", "Read everything that has come before you close; what to do with a NUL is yours to define.")
def nul_after(trial):
    with trial.server() as server, trial.caller(server) as caller:
        trial.put(caller, SENTENCE + b"\0")
        caller.hear(len(SENTENCE))
        if not caller.heard.startswith(trial.answer_to(SENTENCE)):  # the NUL may have come back, too
            trial.expect(caller, SENTENCE, "We sent %s with a NUL after it" % show(SENTENCE))
        caller.half_close()
        caller.hear_to_the_end()
        if caller.end == "reset":
            raise Fault("We sent %s with a NUL after it and closed our side: the connection was reset." %
                        show(SENTENCE))


@check("nul-inside", "a NUL in the middle is a byte like any other", "M27",
       "strlen, strcpy, printf(\"%s\") and a loop up to the NUL all stop at the first NUL, or run past the end of the "
       "buffer if there is none.", "Use the number of bytes that read() returned, everywhere.")
def nul_inside(trial):
    text = b"one\0two" + trial.word_end
    with trial.server() as server, trial.caller(server) as caller:
        trial.put(caller, text)
        trial.expect(caller, text, "We sent %s" % show(text))


@check("crlf", "a line that ends with CR LF is answered", "61",
       "telnet, and every protocol of the Internet with lines, ends them with CR LF.",
       "Do not compare with \"\\n\" only; the CR is a byte of the line and goes back with it.")
def crlf(trial):
    text = b"hello, telnet\r\n"
    with trial.server() as server, trial.caller(server) as caller:
        trial.put(caller, text)
        if trial.service == "upper" and bytes(caller.hear(len(text) - 1)) == b"HELLO, TELNET\n":
            return  # as Java's readLine does it
        trial.expect(caller, text, "We sent %s" % show(text))


@check("empty-line", "an empty line is a line", "61",
       "A user who only presses Enter waits for an answer like everybody else.",
       "The end is when read() returns 0. A line of length 0, or an empty string, is not the end.")
def empty_line(trial):
    with trial.server() as server, trial.caller(server) as caller:
        trial.put(caller, b"\n")
        trial.expect(caller, b"\n", "We sent an empty line")


@check("several-lines", "several lines in one segment are all answered", "M3 M10",
       "What was sent with several writes may arrive in one read.",
       "What is left in the buffer after the first line is the beginning of the second; look there before you read "
       "again. A server for one line only has to close after it.")
def several_lines(trial):
    text = b"first\nsecond\nthird\n"
    with trial.server() as server, trial.caller(server) as caller:
        trial.put(caller, text)
        caller.hear(len(text))
        first = trial.answer_to(b"first\n")
        if trial.service == "upper" and caller.end == "end" and trial.is_answer(bytes(caller.heard), b"first\n"):
            return trial.observe("It answers one line for each caller and hangs up.", "61")
        only_first = not caller.end and bytes(caller.heard) == first
        trial.expect(caller, text, "We sent three lines at once, %s" % show(text), "M10" if only_first else "M3")


@check("line-after-line", "a conversation goes on, line after line", "M10 M45",
       "The echo client sends each line when it has seen the answer to the one before.",
       "Loop over the connection until read() returns 0; or, if one line is all there is to be, close after it.")
def line_after_line(trial):
    if trial.known.talks == "no more":
        raise Fault("We sent a second line after the answer to the first: nothing came for %g s, and the connection "
                    "stayed open." % trial.patience, "M10")
    if trial.known.talks == "once" and trial.service == "echo":
        raise Fault("We sent a second line after the echo of the first: the server had hung up.", "M45")


@check("last-line", "a last line without newline is answered at the end", "M8",
       "A file need not end with a newline, and a user may end his input in the middle of a line.",
       "When read() returns 0 answer what is still in the buffer, then close.")
def last_line(trial):
    text = b"no newline at the end" if trial.known.talks != "on" else b"one line\nno newline at the end"
    with trial.server() as server, trial.caller(server) as caller:
        caller.say(text)
        caller.half_close()
        trial.expect(caller, text, "We sent %s and closed our side" % show(text))


@check("long-line", "a line longer than any buffer is answered whole", "M3 M36",
       "The programs of the slides have buffers of 256 to 2048 bytes, and cut, drop or split what is longer.",
       "Do not wait for a whole line before you answer. " + MAP_OVER_BYTES)
def long_line(trial):
    whole = 0
    with trial.server() as server:
        for size in SIZES:
            line = b"abcdefgh" * (size // 8) + b"abc\n"
            with trial.caller(server) as caller:
                trial.put(caller, line)
                trial.expect(caller, line, "We sent a line of %s bytes%s" % (
                    count(len(line)), " (%s had been no problem)" % count(whole) if whole else ""), "M3", "M36")
                whole = len(line)


@check("long-word", "100,000 bytes without a newline come back", "M7 M8",
       "TCPEchoClient4 sends a word of any length, and counts until as much has come back.", MAP_OVER_BYTES)
def long_word(trial):
    if trial.word_end:
        raise NotJudged("it waits for a newline, see no-newline")
    if trial.known.talks != "on":
        raise NotJudged("it takes one read for the request, see long-line")
    word = b"abcdefghij" * 10000
    with trial.server() as server, trial.caller(server) as caller:
        caller.say(word)
        trial.expect(caller, word, "We sent a word of 100,000 bytes without a newline")


@check("both-ways", "a megabyte goes both ways at once", "9 M21",
       "A stream is two one-way streams. Large answers make write() take less than it is given, or wait.",
       "Check what write() returns and write the rest, in a loop.")
def both_ways(trial):
    if trial.known.talks != "on":
        raise NotJudged("it answers one line for each caller")
    text = b"The quick brown fox jumps over the lazy dog 0123456789 again.\n" * (MEGABYTE // 63)
    with trial.server() as server, trial.caller(server) as caller:
        caller.say(text)
        trial.expect(caller, text, "We sent %s bytes and read all the while" % count(len(text)))


@check("slow-reader", "who reads late still gets everything", "M21",
       "When the caller does not read, the buffers between fill up: write() waits, or takes a part of what it is "
       "given.",
       "Check what write() returns and write the rest, in a loop; with O_NONBLOCK wait with poll() for room.")
def slow_reader(trial):
    if trial.known.talks != "on":
        raise NotJudged("it answers one line for each caller")
    line = b"The quick brown fox jumps over the lazy dog 0123456789 again.\n"
    with trial.server() as server, trial.caller(server, receive_buffer=4096) as caller:
        sent = caller.say_until_stuck(line)
        text = (line * (sent // len(line) + 2))[:sent - sent % len(line) + len(line)]
        caller.say(text[sent:])
        caller.half_close()
        trial.expect(caller, text, "We sent %s bytes before we read anything" % count(len(text)))


@check("bytes", "all bytes go through, and only a to z change", "M11 139",
       "toUpperCase and decode look at letters, in some language and some character set: other bytes come out "
       "changed, longer, or as question marks. And no byte is the end: EOF is a condition.",
       "Work on bytes. For upper change 'a' to 'z' and nothing else; as many bytes go out as came in.")
def all_bytes(trial):
    text = bytes(byte for byte in range(1, 256) if byte not in b"\r\n") + b"\n"
    with trial.server() as server, trial.caller(server) as caller:
        trial.put(caller, text)
        caller.hear(len(text))
        right, heard = trial.answer_to(text), bytes(caller.heard)
        if trial.is_answer(heard, text):
            return
        place = next((i for i, (a, b) in enumerate(zip(right, heard)) if a != b), len(heard))
        if place < len(heard):
            raise Fault("We sent the bytes 1 to 255 in one line: for %s came %s." % (
                show(text[place:place + 1]), show(heard[place:place + 3])), "M11")
        trial.expect(caller, text, "We sent the bytes 1 to 255 in one line", "139")


@check("turkish", "the answer is the same under another language", "M11",
       "Under a Turkish locale the capital of i has a dot, and the same server answers something else.",
       "Do not let the locale decide: in C compare with 'a' and 'z', in Java toUpperCase(Locale.ROOT) at least, in "
       "Python bytes.upper().")
def turkish(trial):
    if trial.service != "upper":
        raise NotJudged("only for upper")
    text = b"this is in time\n"
    world = {"LC_ALL": "tr_TR.UTF-8", "LANG": "tr_TR.UTF-8",
             "JAVA_TOOL_OPTIONS": "-Duser.language=tr -Duser.country=TR"}
    with trial.server(environment=world) as server, trial.caller(server) as caller:
        trial.put(caller, text)
        trial.expect(caller, text, "With the language set to Turkish we sent %s" % show(text))


@check("one-piece", "a short answer comes in one piece", "M2",
       "A client that takes one read for the answer sees its first letter only; and each piece is a packet.",
       "Put the answer together and write it with one write; in Java a BufferedOutputStream and a flush().")
def one_piece(trial):
    for _ in range(3):  # the network may send a segment twice, but not three times in a row
        with trial.server() as server, trial.caller(server) as caller:
            trial.put(caller, SENTENCE)
            caller.hear(len(SENTENCE))
            segments = caller.segments()
            if segments is None:
                raise NotJudged("this kernel does not count segments")
            if segments <= 1:
                return
    raise Fault("We sent %s in one piece: the answer came in %d pieces." % (show(SENTENCE), segments))


@check("padding", "nothing comes on top of the answer", "M5",
       "A client for whom the end of the text is the end of the answer shows rubbish, or takes it for the next answer.",
       "write() as many bytes as you mean: the number that read() returned, not the size of the buffer.")
def padding(trial):
    if trial.known.surplus:
        raise Fault("We sent %s bytes and got %s: %s too many." % (
            count(len(GREETING)), count(trial.known.surplus + len(GREETING)),
            count(trial.known.surplus)))


@check("leak", "nobody hears what an earlier caller said", "M5",
       "What is left in a buffer is another person's text; it may have been a password.",
       "write() only as many bytes as this caller has sent; do not rely on old contents of a buffer.")
def leak(trial):
    secret = b"the number of my safe is 4711 and i tell nobody\n"
    with trial.server() as server:
        trial.ask(server, secret)
        with trial.caller(server) as caller:
            trial.put(caller, b"hi\n")
            caller.half_close()
            caller.hear_to_the_end()
    found = bytes(caller.heard).find(b"4711")
    if found >= 0:
        raise Fault("One caller sent %s, the next one %s: he got %s." % (
            show(secret), show(b"hi\n"), show(bytes(caller.heard[:found + 8]))))

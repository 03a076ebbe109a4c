"""The message server: shows each message, and says that it has got it.

    python3 message_server.py [PORT [HOST]]     5000 127.0.0.1
"""

import course

MOST = 8192  # bytes of a message


def take_message(caller):
    """It ends with a newline, with the caller's end, after a second of silence, or when it is too long."""
    message = caller.recv(MOST)
    caller.settimeout(1)
    try:
        while message and b"\n" not in message and len(message) < MOST:
            piece = caller.recv(MOST - len(message))
            if not piece:
                break
            message += piece
    except TimeoutError:
        pass
    caller.settimeout(course.SILENCE)
    if message:
        text = message.partition(b"\n")[0].rstrip(b"\r").decode(errors="replace")
        print("Here is the message:", "".join(c if c.isprintable() else "?" for c in text), flush=True)
        caller.sendall(b"I got your message")


course.serve(take_message, 5000)

"""The sentence client: reads lines, has the server put them in capitals, and shows the answers.

    python3 upper_client.py [HOST [PORT]]     localhost 6789
"""

import sys

import course


def answer_to(server, line):
    """Up to a newline, a NUL, or the end."""
    course.Talker(server, [line], is_all=False)
    answer = b""
    while b"\n" not in answer and b"\0" not in answer:
        piece = server.recv(4096)
        if not piece:
            break
        answer += piece
    return answer


server = course.call(6789)
for line in sys.stdin.buffer:
    try:
        answer = answer_to(server, line if line.endswith(b"\n") else line + b"\n")
    except OSError as error:
        course.fail(error)
    if not answer:
        course.fail("the server closed without an answer")
    answer = answer.partition(b"\n")[0].partition(b"\0")[0].rstrip(b"\r")
    sys.stdout.buffer.write(b"FROM SERVER: " + answer + b"\n")
    sys.stdout.buffer.flush()
server.close()

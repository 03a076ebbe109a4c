"""Does what is in flight arrive when the server closes? It sends 3,000,000 bytes, closes, and only then the caller reads."""

import socket
import threading

SIZE = 3_000_000


def serve(door, reads):
    connection, _ = door.accept()
    if reads:
        connection.recv(100)
    else:
        connection.recv(100, socket.MSG_PEEK)  # it is there, and stays unread
    connection.sendall(bytes(SIZE))
    connection.close()


for reads in (True, False):
    with socket.create_server(("127.0.0.1", 0)) as door, socket.socket() as caller:
        caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        caller.connect(door.getsockname())
        server = threading.Thread(target=serve, args=(door, reads))
        server.start()
        caller.sendall(b"a question\n")
        total, end = 0, "the end"
        try:
            if not reads:
                server.join(0.2)  # it waits for room, as we do not read yet
            while data := caller.recv(65536):
                total += len(data)
        except ConnectionResetError:
            end = "a reset"
        server.join()
        print("the server has %sread the question: %s bytes, and %s" % (
            "" if reads else "not ", "all" if total == SIZE else "not all", end))

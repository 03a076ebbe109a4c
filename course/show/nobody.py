"""What a client of UDP hears when nobody is at the port."""

import socket

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mailbox:
    mailbox.bind(("127.0.0.1", 0))
    nobody = mailbox.getsockname()  # when it has closed

for connected in (False, True):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(0.1)
        if connected:
            client.connect(nobody)
            client.send(b"ding")
        else:
            client.sendto(b"ding", nobody)
        try:
            client.recv(100)
        except OSError as error:
            print("after connect():" if connected else "without connect():", type(error).__name__)

"""The echo client: sends its input to the server, and shows what comes back.

    python3 echo_client.py [HOST [PORT]]     localhost 5000
"""

import course

said, heard = course.converse(course.call(5000))
if heard < said:
    course.fail("the server closed before everything had come back")

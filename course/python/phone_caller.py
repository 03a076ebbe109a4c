"""Calls a phone server, says what its input holds, and shows what comes until it hangs up.

    python3 phone_caller.py [HOST [PORT]]     localhost 5000
"""

import course

said, heard = course.converse(course.call(5000))
if said > 0 and heard == 0:
    course.fail("the server closed without an answer")

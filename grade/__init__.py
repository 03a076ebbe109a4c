"""A teacher's tool: runs the callers of a socket course against any echo or upper-case server.

    catalogue.py   the items of the course: number, lecture, title, one sentence
    table.py       what the kernel tells of sockets: who listens, what is unread, how long the queue is
    program.py     the server under test: started, watched, stopped, starved, ended
    launch.py      starts it in a worse world: where fork fails, or where the host has no name
    caller.py      one connection to it
    trial.py       what a check is given: servers, callers, and what is known of the server
    checks_*.py    the checks, by theme
    report.py      for people and for programs
    main.py        the command line

Nothing here needs more than Python 3 and Linux.
"""

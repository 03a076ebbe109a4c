// SIGTERM and SIGINT, for servers with BELL_STOP_ON_SIGNALS. Nothing happens for those without.

#pragma once

struct bell_server;

// From now on they stop the server. 0, or a negative errno that is noted for bell_error.
int signals_listen(struct bell_server *server);

// And no more. The last one restores what the signals did before.
void signals_restore(struct bell_server *server);

// In a new process: stopping is the parent's affair.
void signals_leave_to_parent(const struct bell_server *server);

// The servers of this process (0: of any) cannot hear them any more.
void signals_forget(int pid);

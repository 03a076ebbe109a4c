// A server that root has started is somebody else's once it listens.

#pragma once

#include <stdbool.h>

struct serving;

// Whether --user and --stay-root make sense here; complains when not.
bool rights_check(const struct serving *serving);

// When the server listens and has no callers yet: root becomes --user, or nobody, for good. Says so.
//
// returns  EXIT_DONE, or an exit code after a complaint
int rights_give_up(const struct serving *serving);

// When the server has ended: waits until its socket files are gone, where that was left to a process that is
// root's still.
void rights_finish(void);

// What the threads and processes of one server count together, in memory that they all share.
//
// Every worker has a column of its own for the callers it has, and is the only one to write it; when
// a worker process dies, its supervisor clears its column. So a limit holds over all workers, and
// nothing is lost or counted twice when one is killed.

#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ledger;

enum ledger_count {
    LEDGER_ACCEPTED,
    LEDGER_POLITE,
    LEDGER_ABORTED,
    LEDGER_LIMITED,
    LEDGER_CUT,
    LEDGER_REFUSED,
    LEDGER_ACCEPT_ERRORS,
    LEDGER_WORKERS_LOST,
    LEDGER_BYTES_IN,
    LEDGER_BYTES_OUT,
    LEDGER_COUNTS,
};

// A ledger with one column for each worker, each with places for `callers_max` callers. NULL without
// memory.
struct ledger *ledger_open(int workers, int callers_max);
void ledger_close(struct ledger *ledger);

void ledger_add(struct ledger *ledger, enum ledger_count count, uint64_t number);
// Datagrams are counted by the workers without a lock, each in its own column.
void ledger_add_datagram(struct ledger *ledger, int worker, bool in, size_t bytes);
uint64_t ledger_datagrams(const struct ledger *ledger, bool in, uint64_t *ret_bytes);

uint64_t ledger_read(const struct ledger *ledger, enum ledger_count count);

// A worker has one caller more or less.
void ledger_enter(struct ledger *ledger, int worker);
void ledger_leave(struct ledger *ledger, int worker);
uint64_t ledger_active(const struct ledger *ledger);

// The same for callers from one address; `key` is not 0. False when all workers together would have
// more than `limit` of them; then nothing was counted.
bool ledger_enter_address(struct ledger *ledger, int worker, uint64_t key, uint32_t limit);
void ledger_leave_address(struct ledger *ledger, int worker, uint64_t key);

// A worker process died: its callers are gone. Returns how many it had.
uint64_t ledger_clear(struct ledger *ledger, int worker);

// Counts the calls of bell_server_stop. Returns how many there were before. Async-signal-safe.
unsigned ledger_stop(struct ledger *ledger);

// What the caller did before ledger_announce_stop is seen by whoever is told here of the stop.
void ledger_announce_stop(struct ledger *ledger);
bool ledger_is_stopped(const struct ledger *ledger);

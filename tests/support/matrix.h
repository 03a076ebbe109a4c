// The conformance suite: what callers and handlers see, in every model and on every backend.
//
// A program is one file of cases, and runs one cell of the matrix:
//
//     MATRIX_MODEL=pool MATRIX_BACKEND=block matrix_talk             all cases, as TAP
//     MATRIX_MODEL=pool MATRIX_BACKEND=block matrix_talk NAME        one of them
//     MATRIX_SLOW=10                                                 all times are ten times longer
//
// Every case runs in a process of its own, with a time limit, so that a crash or a hang is one failure.
// The server under test is a child of that process (server.h), its callers are plain sockets
// (stranger.h), and what a process holds is read from /proc (proc.h). After each case nothing may be
// left: no process, no socket file, no word on stderr.
//
// A case says what must come out, for each model, by hand: EXPECT(n, PER_MODEL(1, 4, 2, 4, 2, 4)).

#pragma once

#include <doorbell.h>
#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// ---- The cell -----------------------------------------------------------------------------------

enum model { ITERATIVE, FORK, PREFORK, THREADS, POOL, COROUTINES, MODELS };

extern enum model matrix_model;
extern const char *matrix_model_name, *matrix_backend_name;
extern char matrix_folder[]; // of this case, for socket files and the like; empty at its end

// Handlers that are processes share no memory with each other.
static inline bool model_has_processes(void)
{
    return matrix_model == FORK || matrix_model == PREFORK;
}

// Under a sanitizer or valgrind (MATRIX_SLOW above 1): sizes shrink where times would explode.
bool matrix_is_slow(void);
int64_t matrix_time(int64_t duration); // nanoseconds, stretched by MATRIX_SLOW

// What must come surely comes within this time; nothing waits so long for what must not come.
int64_t matrix_patience(void);

// ---- Cases --------------------------------------------------------------------------------------

struct matrix_case {
    const char *name;
    void (*run)(void);
    int line;
    struct matrix_case *next;
};

void matrix_add(struct matrix_case *one);

// CASE(a_sentence_about_what_happens) { ... }
#define CASE(name)                                                                                 \
    static void name(void);                                                                        \
    __attribute__((constructor)) static void name##_is_a_case(void)                                \
    {                                                                                              \
        static struct matrix_case one = {#name, name, __LINE__, NULL};                             \
        matrix_add(&one);                                                                          \
    }                                                                                              \
    static void name(void)

// ---- What must hold -----------------------------------------------------------------------------
//
// The first failure of a case ends it, in whatever process of it that happens.

struct row {
    long long of[MODELS];
};

#define PER_MODEL(iterative, fork, prefork, threads, pool, coroutines)                             \
    ((struct row){{(iterative), (fork), (prefork), (threads), (pool), (coroutines)}})
#define EVERYWHERE(value) PER_MODEL(value, value, value, value, value, value)

// The value must be the one of this cell's model.
#define EXPECT(actual, row) matrix_expect(__FILE__, __LINE__, #actual, (long long)(actual), row)
// The text must be this one, in every model.
#define EXPECT_TEXT(actual, text) matrix_expect_text(__FILE__, __LINE__, #actual, actual, text)

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            matrix_fail(__FILE__, __LINE__, "%s (errno: %s)", #condition, strerror(errno));        \
    } while (0)
#define CHECK_EQ(actual, wanted)                                                                   \
    matrix_equal(__FILE__, __LINE__, #actual, (long long)(actual), (long long)(wanted))
#define CHECK_AT_LEAST(actual, least)                                                              \
    matrix_at_least(__FILE__, __LINE__, #actual, (long long)(actual), (long long)(least))
#define CHECK_AT_MOST(actual, most)                                                                \
    matrix_at_most(__FILE__, __LINE__, #actual, (long long)(actual), (long long)(most))
#define CHECK_HAS(text, part) matrix_has(__FILE__, __LINE__, #text, text, part)
#define FAIL(...) matrix_fail(__FILE__, __LINE__, __VA_ARGS__)

// Ends the case: it cannot be run here, and the reason is printed.
#define SKIP(...) matrix_skip(__VA_ARGS__)

// Waits until the condition holds.
#define WAIT_FOR(condition)                                                                        \
    do {                                                                                           \
        int64_t wait_until_ = bell_now() + matrix_patience();                                      \
        for (unsigned wait_round_ = 0; !(condition); wait_round_++) {                              \
            if (bell_now() > wait_until_)                                                          \
                matrix_fail(__FILE__, __LINE__, "waited in vain for: %s", #condition);             \
            matrix_pause(wait_round_);                                                             \
        }                                                                                          \
    } while (0)

_Noreturn void matrix_fail(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
_Noreturn void matrix_skip(const char *format, ...) __attribute__((format(printf, 1, 2)));
void matrix_expect(const char *file, int line, const char *what, long long actual, struct row row);
void matrix_expect_text(const char *file, int line, const char *what, const char *actual,
                        const char *text);
void matrix_equal(const char *file, int line, const char *what, long long actual, long long wanted);
void matrix_at_least(const char *file, int line, const char *what, long long actual,
                     long long least);
void matrix_at_most(const char *file, int line, const char *what, long long actual, long long most);
void matrix_has(const char *file, int line, const char *what, const char *text, const char *part);
void matrix_pause(unsigned round); // between two looks at a condition
void matrix_sleep(int64_t duration); // of a process that has no handlers

// ---- The board ----------------------------------------------------------------------------------
//
// Memory that all processes of a case share: handlers write on it what they saw, cases read it.

enum { BOARD_WORDS = 16, BOARD_EVENTS = BELL_EVENT_STOPPING + 1, BOARD_TEXT = 32 * 1024 };

struct board {
    atomic_int begun, ended; // handlers
    atomic_int inside;       // of these, now
    atomic_int inside_most;
    _Atomic int64_t word[BOARD_WORDS];   // for the case
    atomic_int events[BOARD_EVENTS];     // that the server's log was told
    char event_text[BOARD_EVENTS][512];  // the last one of each kind
    atomic_size_t text_size;
    char text[BOARD_TEXT];
};

extern struct board *board;

// Adds a line to the board, without '\n' at its end in `format`.
void observe(const char *format, ...) __attribute__((format(printf, 1, 2)));

// The same, of a call's result: "read -1 ECONNRESET 0 done" or "read 5".
void observe_call(const char *call, ssize_t result);

// "ECONNRESET"; of errno's values, 0 too.
const char *errno_name(int error);

// Waits until so many handlers have returned, and gives what they observed.
const char *observed(int handlers);

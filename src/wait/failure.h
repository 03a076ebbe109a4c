// The border: a negative errno becomes -1, errno, and a sentence for bell_error().
//
// Each task has the sentence of its last failure, and the number of bytes that were moved before
// it. Both are made here, where public functions return.

#pragma once

#include <stddef.h>
#include <sys/types.h>

struct task;

enum { FAILURE_SIZE = 512 };

struct failure {
    char text[FAILURE_SIZE];
};

// Notes "WHAT: the error in words" as the failure of the running task, sets errno and returns -1.
// `what` is a format: "read tcp:127.0.0.1:4000". Long sentences are cut.
int failure_set(int negative_errno, const char *what, ...) __attribute__((format(printf, 2, 3)));

// The same with a reason in place of strerror's.
int failure_say(int negative_errno, const char *sentence, ...)
    __attribute__((format(printf, 2, 3)));

// What bell_done() returns after the failure of a call that moved bytes.
void failure_note_done(size_t bytes);

// The sentence of the running task, "" before its first failure. Valid until its next.
const char *failure_text(void);
size_t failure_done(void);

// The name of an errno in words, as the sentences have it ("connection refused").
const char *failure_word(int negative_errno);

// At the end of a task.
void failure_forget(struct task *task);

// What the steps share.

#pragma once

#include <sys/socket.h>
#include <sys/types.h>

enum { OUTCOME_SIZE = 300 };

// What came of a step.
extern char outcome[OUTCOME_SIZE];
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
void say_result(ssize_t n); // a number, or the name of an errno
void say_fd(const char *letter, int fd);

// The descriptor with this letter; -1 when it is closed.
int *fd_of(const char *word);
int number(const char *word);

// steps_events.c; the words are those of the step, the verb first, and NULL behind them.
void do_set(char **words);
void do_get(char **words);
void do_poll(char **words);
void do_epoll(char **words);
void do_control(char **words);
void do_wait(char **words);
void do_event(char **words);
void do_after(char **words);
void do_read(char **words);
void do_write(char **words);
unsigned events_of(const char *word);

// The address that connect(2) is given for this word; its size.
socklen_t address_of_word(int fd, const char *word, struct sockaddr_storage *ret_address);

// steps_ring.c, or no_ring.c
void do_ring(char **words);
void end_ring(void);
void do_put(char **words);
void do_ends(char **words);
void do_hand(char **words);
void do_buffers(char **words);
void do_give(char **words);
void do_holds(char **words);

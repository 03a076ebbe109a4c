// Signals, and the end of a process: signal.c.

#pragma once

struct program;

// Runs the program's own handler of this signal, as an event between two others, and interrupts what it waits
// in. Nothing happens where it has none.
void signal_handle(struct program *program, int number);

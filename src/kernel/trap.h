// A system call without the C library's help.
//
// Its functions are points of cancellation (pthread_cancel(3)): in a program with more than one thread each of
// them takes two locked instructions and a dozen lines of code that are nowhere near. That is 3 % of the
// price of a message (bench/README.md, `threads`). And to be cancelled in the middle of a call, with the
// stack of a coroutine, is nothing that this library could bear.
//
// The calls that are made for each message go this way; the others take the C library's.

#pragma once

// Returns what the kernel returns: a negative errno on failure.
long kernel_trap(long number, long a, long b, long c, long d, long e, long f);

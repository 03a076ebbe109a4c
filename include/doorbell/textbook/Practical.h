// The name that lecture 3 has for it, in TCPEchoClient4.c.
#include "../textbook.h"

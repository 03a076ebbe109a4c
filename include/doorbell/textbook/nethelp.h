// The name that lecture 4 has for it.
#include "../textbook.h"

// Files beneath a folder, and nothing else: the only place where the page server opens anything.

#pragma once

#include "webpath.h"

#include <stddef.h>
#include <sys/stat.h>

// Opens a file or a folder beneath `folder` for reading. Each part of the path is opened by itself, in the
// folder before it, and never through a symbolic link: whatever somebody moves or links meanwhile,
// there is no way out.
//
// returns  a descriptor of a regular file or a folder
//          a negative errno; ELOOP: a link is on the way; EACCES: neither file nor folder, or no right
int folder_open(int folder, const char *name, struct stat *ret_status);

// A page of HTML that lists a folder. It is allocated. Hidden files, links, and what else cannot be had
// are left out.
//
// returns  0 or a negative errno
int folder_list(int folder, const struct webpath *path, char **ret_page, size_t *ret_size);

// The path that a request asks for, as a name beneath a folder: text only, no files.

#pragma once

#include <stdbool.h>
#include <stddef.h>

enum { WEBPATH_SIZE = 4096 }; // of a path with its NUL

enum webpath_answer {
    WEBPATH_GOOD,
    WEBPATH_WRONG, // no target that could be served: 400
    WEBPATH_NONE,  // nothing has such a name, or nothing that is shown: 404
    WEBPATH_LONG,  // 414
};

struct webpath {
    char name[WEBPATH_SIZE]; // "a/b.html", "" for the folder itself; no part is empty, "." or ".."
    bool is_folder;          // it ended with a slash
    bool has_hidden;         // a part of it begins with a dot
};

// Understands the target of a request: "/a/b%20c?query", or "http://host/a/b".
//
// The escapes are undone once. A slash that was escaped is no separator, and no name has one. ".." is
// refused, and not undone: browsers do that themselves, and then there is none.
enum webpath_answer webpath_parse(const char *target, size_t size, struct webpath *ret_path);

// A name as a part of a link: what is not a letter, a digit, or one of "-._~" is escaped.
void webpath_escape(const char *name, char *ret_text, size_t text_size);

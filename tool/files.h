// doorbell serve files: the files beneath a folder, by HTTP.

#pragma once

#include <doorbell.h>

struct serving;

// Opens the folder, and sets limits that fit. False after a complaint.
bool files_prepare(struct serving *serving, const char *folder);

// Whether whoever we are now may look into the folder; everybody would be told that he may not. False after a
// complaint.
bool files_may_be_shown(const struct serving *serving);

// The handler; arg is a struct manner.
bell_handler serve_files;

// doorbell serve files: the files beneath a folder, by HTTP.

#pragma once

#include <doorbell.h>

struct serving;

// Opens the folder, and sets limits that fit. False after a complaint.
bool files_prepare(struct serving *serving, const char *folder);

// The handler; arg is a struct manner.
bell_handler serve_files;

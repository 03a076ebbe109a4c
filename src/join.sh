#!/bin/sh
# Joins the objects of an archive into one in which only bell_* is global, and makes an archive of it:
# join.sh OBJECTS ARCHIVE OBJCOPY AR LINKER...
set -e
objects=$1 archive=$2 objcopy=$3 ar=$4
shift 4
"$@" -Wl,--whole-archive "$objects" -o "$archive.o"
"$objcopy" --localize-hidden "$archive.o"
rm -f "$archive"
"$ar" rcs "$archive" "$archive.o"
rm "$archive.o"

// The end of a run that cannot go on: a message on standard error, and exit code 1.
#pragma once

__attribute__((noreturn, format(printf, 1, 2))) void fail(const char *format, ...);

// Returns the memory that an allocator returned, or fails for want of it.
void *checked(void *memory);

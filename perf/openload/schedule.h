// Calls at times that somebody else has decided: read before the run, and told of after it.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "call.h"

// Times are ns from the start of the run.
struct arrival {
    int64_t at, deadline;
    int body;  // which of the request bodies
    int64_t row;  // in the schedule; -1: there is none
};

// Reads a file of lines `at_ns deadline_ns body`, or fails; `at` must not decrease.
void schedule_read(const char *path, int n_bodies);
// Takes the next arrival; returns false when there is none.
bool schedule_next(struct arrival *arrival);
// Remembers what became of a row.
void schedule_note(int64_t row, enum outcome outcome, int64_t took);
// Writes a line `row outcome took_ns` for every row that was noted.
void schedule_write(const char *path);

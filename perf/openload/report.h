// What a run showed, as one JSON object on standard output.
#pragma once

#include <stdbool.h>

// Prints it; returns whether the run says something about the server.
bool report(void);

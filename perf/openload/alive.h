// The calls that are alive, and which of them has to be given up first.
//
// A binary heap: deadlines need not come in the order of arrivals.
#pragma once

#include <stddef.h>

#include "call.h"

// Returns the call with the earliest expiry, or NULL.
struct call *alive_first(void);
void alive_add(struct call *call);
void alive_remove(struct call *call);

// How the sessions of a churn ended.
#pragma once

#include <stdint.h>

enum fate {
    FATE_ANSWERED,   // all answers were waited for
    FATE_CANCELLED,  // the calls were cancelled
    FATE_HALF_SENT,  // so were they, before the requests were complete
    FATE_HUNG_UP,    // the connection was closed with calls open
    FATE_CRASHED,    // it was reset with calls open
    FATES,
};

extern const char *const fate_names[FATES];
extern uint64_t sessions_of[FATES];

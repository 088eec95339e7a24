// Calls leave at the times of independent callers (Poisson), whatever the server does. Latency
// counts from those times, so that a server that stalls cannot slow its own load down.
#include <math.h>
#include <stddef.h>
#include <stdlib.h>

#include "run.h"

static int64_t next_arrival;
// Whom no connection had room for, in the order of their arrival.
static struct call *first_waiting, *last_waiting;
static int turn_of;

static int64_t gap(void) {
    return (int64_t)(-log(1 - drand48()) * 1e9 / run.options.rate);
}

static void begin(void) {
    next_arrival = run.began + gap();
}

static bool is_done(int64_t now) {
    (void)now;
    return next_arrival >= run.measured_until;
}

static int64_t wake_at(void) {
    return is_done(0) ? INT64_MAX : next_arrival;
}

static bool send_somewhere(struct call *call) {
    for (int i = 0; i < run.n_connections; i++) {
        struct connection *connection = &run.connections[(turn_of + i) % run.n_connections];
        if (!run_send(call, connection)) continue;
        turn_of = (turn_of + i + 1) % run.n_connections;
        return true;
    }
    return false;
}

static void wait_for_room(struct call *call) {
    if (first_waiting == NULL) first_waiting = call;
    else last_waiting->next_waiting = call;
    last_waiting = call;
}

static void send_waiting(void) {
    while (first_waiting != NULL && send_somewhere(first_waiting))
        first_waiting = first_waiting->next_waiting;
}

// A call that waits for the server's permission has been late through no fault of ours: the lag
// is taken before it is known whether there is room.
static void arrive(void) {
    struct call *call = run_begin_call(next_arrival);
    if (run_in_window(call->due))
        histogram_record(&run.tally.send_lag, clock_ns() - call->due);
    if (first_waiting != NULL || !send_somewhere(call)) wait_for_room(call);
    next_arrival += gap();
}

static void turn(int64_t now) {
    send_waiting();
    while (next_arrival <= now && !is_done(now)) arrive();
}

static bool counts(const struct call *call, int64_t ended) {
    (void)ended;
    return run_in_window(call->due);
}

// Deadlines come in the order of arrivals: who gives up waiting is always the first to wait.
static void on_end(const struct call *call) {
    if (call == first_waiting) first_waiting = call->next_waiting;
}

const struct pattern open_loop = {
    .name = "open",
    .begin = begin,
    .turn = turn,
    .wake_at = wake_at,
    .on_end = on_end,
    .is_done = is_done,
    .counts = counts,
    .keeps_connections = true,
    .is_punctual = true,
};

// A fixed number of callers, each of whom calls again as soon as it has its answer.
#include <stdlib.h>

#include "fail.h"
#include "run.h"

// Callers who are about to call.
static int *ready;
static int n_ready;
static int64_t n_begun;

static void begin(void) {
    ready = checked(calloc((size_t)run.options.concurrency, sizeof *ready));
    for (int caller = 0; caller < run.options.concurrency; caller++) ready[n_ready++] = caller;
}

static bool is_done(int64_t now) {
    return now >= run.measured_until || (run.options.count && n_begun >= run.options.count);
}

// Whatever happens here follows from an answer, or from a connection that came back.
static int64_t wake_at(void) {
    return INT64_MAX;
}

// A caller stays with its connection, so that all connections stay equally busy.
static bool call_now(int caller, int64_t now) {
    struct connection *connection = &run.connections[caller % run.n_connections];
    if (!connection_has_room(connection)) return false;
    struct call *call = run_begin_call(now);
    call->caller = caller;
    n_begun++;
    return run_send(call, connection);
}

static void turn(int64_t now) {
    int n_waiting = 0;
    for (int i = 0; i < n_ready; i++)
        if (is_done(now) || !call_now(ready[i], now)) ready[n_waiting++] = ready[i];
    n_ready = n_waiting;
}

static void on_end(struct call *call) {
    ready[n_ready++] = call->caller;
}

static bool counts(const struct call *call, int64_t ended) {
    (void)call;
    return run_in_window(ended);
}

const struct pattern closed_loop = {
    .name = "closed",
    .begin = begin,
    .turn = turn,
    .wake_at = wake_at,
    .on_end = on_end,
    .is_done = is_done,
    .counts = counts,
    .keeps_connections = true,
};

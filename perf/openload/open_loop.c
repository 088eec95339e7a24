// Calls leave at the times of independent callers (Poisson), or of a schedule, whatever the server
// does. Latency counts from those times, so that a server that stalls cannot slow its own load down.
#include <math.h>
#include <stddef.h>
#include <stdlib.h>

#include "run.h"

static struct arrival next;
static bool has_next;
// Whom no connection had room for, in the order of their arrival.
static struct call *first_waiting, *last_waiting;
static int turn_of;

static int64_t gap(void) {
    return (int64_t)(-log(1 - drand48()) * 1e9 / run.options.rate);
}

static void draw(int64_t before) {
    int64_t at = before + gap();
    next = (struct arrival){.at = at, .deadline = at + run.deadline_ns, .row = -1};
    has_next = true;
}

static void read_next(void) {
    has_next = schedule_next(&next);
    next.at += run.began;
    next.deadline += run.began;
}

static void begin(void) {
    if (run.options.schedule_file == NULL) draw(run.began);
    else read_next();
}

static bool is_done(int64_t now) {
    (void)now;
    return !has_next || next.at >= run.measured_until;
}

static int64_t wake_at(void) {
    return is_done(0) ? INT64_MAX : next.at;
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
    call->is_waiting = true;
    call->before_waiting = last_waiting;
    if (last_waiting == NULL) first_waiting = call;
    else last_waiting->next_waiting = call;
    last_waiting = call;
}

static void stop_waiting(struct call *call) {
    if (call->before_waiting == NULL) first_waiting = call->next_waiting;
    else call->before_waiting->next_waiting = call->next_waiting;
    if (call->next_waiting == NULL) last_waiting = call->before_waiting;
    else call->next_waiting->before_waiting = call->before_waiting;
    call->is_waiting = false;
}

static void send_waiting(void) {
    while (first_waiting != NULL && send_somewhere(first_waiting)) stop_waiting(first_waiting);
}

// A call that waits for the server's permission has been late through no fault of ours: the lag
// is taken before it is known whether there is room.
static void arrive(void) {
    struct call *call = run_begin_planned(&next);
    if (run_in_window(call->due))
        histogram_record(&run.tally.send_lag, clock_ns() - call->due);
    if (first_waiting != NULL || !send_somewhere(call)) wait_for_room(call);
    if (run.options.schedule_file == NULL) draw(next.at);
    else read_next();
}

static void turn(int64_t now) {
    send_waiting();
    while (!is_done(now) && next.at <= now) arrive();
}

static bool counts(const struct call *call, int64_t ended) {
    (void)ended;
    return run_in_window(call->due);
}

static void on_end(struct call *call) {
    if (call->is_waiting) stop_waiting(call);
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

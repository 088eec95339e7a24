// A run: connections, the calls that are alive, the clock, and what came of it all.
//
// The loop in `run.c` is the same for every pattern. A pattern says when calls begin.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "buffer.h"
#include "call.h"
#include "connection.h"
#include "histogram.h"
#include "options.h"
#include "schedule.h"

struct pattern {
    const char *name;
    void (*begin)(void);
    // Does what is due. Called after every wake-up, and at `wake_at` at the latest.
    void (*turn)(int64_t now);
    int64_t (*wake_at)(void);
    void (*on_end)(struct call *call);
    // Whether nothing more will begin.
    bool (*is_done)(int64_t now);
    // Whether a call is one of those measured.
    bool (*counts)(const struct call *call, int64_t ended);
    // Whether connections that were lost come back by themselves.
    bool keeps_connections;
    // Whether it matters when calls leave. Where it does not, a generator that waits for its turn
    // finds more answers at once, and takes less from the server.
    bool is_punctual;
};

extern const struct pattern open_loop, closed_loop, churn;

struct tally {
    struct histogram latency[OUTCOMES];
    // OK within the deadline, as the caller's clock has it; and by how much the others missed it.
    uint64_t in_time;
    struct histogram late_ok;
    // When calls of an open loop left, later than they were meant to: the generator's own doing.
    struct histogram send_lag;
    int64_t last_end;
};

struct run {
    struct options options;
    const struct pattern *pattern;
    struct endpoint endpoint;
    // Those in use first, then the idle ones.
    struct connection *connections;
    int n_connections, n_idle;
    // Times are ns of the monotonic clock.
    int64_t began, measured_from, measured_until;
    int64_t deadline_ns, grace_ns;
    // The requests, as they go into the body.
    struct buffer *bodies;
    int n_bodies;
    struct call *spare;
    struct tally tally;
    bool is_realtime;
    double cpu_s_before;
    int64_t cpu_read_at;
};

extern struct run run;

int64_t clock_ns(void);
double cpu_s(void);

void run_begin(const struct options *options);
void run_until_done(void);

// Begins a call that was meant for `due`, with the usual deadline and the first of the requests; it
// is alive until `run_end_call`.
struct call *run_begin_call(int64_t due);
// Begins one that somebody else has planned.
struct call *run_begin_planned(const struct arrival *arrival);
// Sends it if the connection has room.
bool run_send(struct call *call, struct connection *connection);
void run_end_call(struct call *call, enum outcome outcome);
bool run_in_window(int64_t at);

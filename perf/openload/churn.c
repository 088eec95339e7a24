// Clients that come and go: each session connects, makes a few calls at once, and ends in one of
// the ways in which clients do. What is looked at is the server, and what it keeps of them.
#include "churn.h"

#include <stdlib.h>

#include "fail.h"
#include "run.h"

const char *const fate_names[FATES] = {"answered", "cancelled", "half_sent", "hung_up", "crashed"};
uint64_t sessions_of[FATES];

enum {
    MOST_CALLS = 8,
    LONGEST_NS = 30000000,  // until a session that does not wait for its answers ends
};

// One for each connection.
struct session {
    enum fate fate;
    bool has_called;
    int64_t ends_at;
};

static struct session *sessions;
static int64_t next_session;
static int64_t n_begun;

static int64_t random_below(int64_t bound) {
    return (int64_t)(drand48() * (double)bound);
}

static void begin(void) {
    sessions = checked(calloc((size_t)run.n_connections, sizeof *sessions));
    next_session = run.began;
}

static bool is_over(int64_t now) {
    return now >= run.measured_until || (run.options.count && n_begun >= run.options.count);
}

static bool is_done(int64_t now) {
    if (!is_over(now)) return false;
    for (int i = 0; i < run.n_connections; i++)
        if (run.connections[i].state != CONNECTION_CLOSED) return false;
    return true;
}

static int64_t wake_at(void) {
    int64_t earliest = is_over(next_session) ? INT64_MAX : next_session;
    for (int i = 0; i < run.n_connections; i++)
        if (sessions[i].has_called && sessions[i].ends_at < earliest)
            earliest = sessions[i].ends_at;
    return earliest;
}

// Mostly short, so that fast servers meet it, too: half are under a sixteenth of the longest.
static int64_t patience(void) {
    double share = drand48();
    return (int64_t)(share * share * share * share * LONGEST_NS);
}

static void start(struct session *session, struct connection *connection, int64_t now) {
    connection_open(connection, now);
    *session = (struct session){.fate = (enum fate)random_below(FATES)};
    n_begun++;
}

static void make_calls(struct session *session, struct connection *connection, int64_t now) {
    size_t half = buffer_length(&run.bodies[0]) / 2;
    size_t held_back = session->fate == FATE_HALF_SENT ? half : 0;
    for (int64_t n = 1 + random_below(MOST_CALLS); n > 0 && connection_has_room(connection); n--)
        connection_send(connection, run_begin_call(now), run.deadline_ns / 1000, held_back);
    session->has_called = true;
    bool waits = session->fate == FATE_ANSWERED;
    session->ends_at = waits ? INT64_MAX : now + patience();
}

static void cancel_calls(struct connection *connection) {
    for (uint32_t i = 0; i < connection->n_places; i++) {
        struct call *call = connection->calls[i];
        if (call == NULL) continue;
        connection_cancel(connection, call);
        run_end_call(call, OUTCOME_ABANDONED);
    }
}

// Who has all the answers has nothing left to cancel.
static void end(struct session *session, struct connection *connection) {
    if (connection->n_calls == 0) session->fate = FATE_ANSWERED;
    if (session->fate == FATE_CANCELLED || session->fate == FATE_HALF_SENT)
        cancel_calls(connection);
    enum farewell farewell = session->fate == FATE_CRASHED ? FAREWELL_RST : FAREWELL_GOAWAY;
    connection_close(connection, farewell, OUTCOME_ABANDONED);
    sessions_of[session->fate]++;
    session->has_called = false;
}

static void go_on(struct session *session, struct connection *connection, int64_t now) {
    if (connection->state == CONNECTION_CLOSED) session->has_called = false;
    else if (connection->state == CONNECTION_OPEN && !session->has_called)
        make_calls(session, connection, now);
    else if (session->has_called && (connection->n_calls == 0 || now >= session->ends_at))
        end(session, connection);
}

static void start_one_if_due(int64_t now) {
    if (now < next_session || is_over(now)) return;
    for (int i = 0; i < run.n_connections; i++) {
        if (run.connections[i].state != CONNECTION_CLOSED) continue;
        start(&sessions[i], &run.connections[i], now);
        break;
    }
    // A server that is too slow for the rate is not owed the sessions it missed.
    next_session = now + (int64_t)(1e9 / run.options.rate);
}

static void give_up_connecting(void) {
    for (int i = 0; i < run.n_connections; i++)
        if (run.connections[i].state == CONNECTION_CONNECTING)
            connection_close(&run.connections[i], FAREWELL_RST, OUTCOME_ABANDONED);
}

static void turn(int64_t now) {
    if (now >= run.measured_until) give_up_connecting();
    for (int i = 0; i < run.n_connections; i++)
        go_on(&sessions[i], &run.connections[i], now);
    start_one_if_due(now);
}

static void on_end(struct call *call) {
    (void)call;
}

static bool counts(const struct call *call, int64_t ended) {
    (void)call, (void)ended;
    return true;
}

const struct pattern churn = {
    .name = "churn",
    .begin = begin,
    .turn = turn,
    .wake_at = wake_at,
    .on_end = on_end,
    .is_done = is_done,
    .counts = counts,
    .keeps_connections = false,
};

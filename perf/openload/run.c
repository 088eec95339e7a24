#define _GNU_SOURCE
#include "run.h"

#include <errno.h>
#include <linux/sched.h>
#include <linux/sched/types.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "alive.h"
#include "fail.h"
#include "hpack.h"

enum {
    MOST_EVENTS = 512,
    NS_PER_S = 1000000000,
    CONNECT_NS = 1000000000,
    CONNECT_TRIES = 10,
    // How often lost connections are looked for.
    CHECK_NS = 10000000,
    SHORT_TURN_NS = 100000,
};

struct run run;

int64_t clock_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * NS_PER_S + time.tv_nsec;
}

static double seconds_of(struct timeval time) {
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

double cpu_s(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime);
}

bool run_in_window(int64_t at) {
    return at >= run.measured_from && at < run.measured_until;
}

struct call *run_begin_planned(const struct arrival *arrival) {
    struct call *call = run.spare;
    if (call != NULL) run.spare = call->next_spare;
    else call = checked(malloc(sizeof *call));
    *call = (struct call){
        .due = arrival->at,
        .deadline = arrival->deadline,
        .expires = arrival->deadline + run.grace_ns,
        .body = &run.bodies[arrival->body],
        .row = arrival->row,
        .grpc_status = -1,
    };
    alive_add(call);
    return call;
}

struct call *run_begin_call(int64_t due) {
    struct arrival arrival = {.at = due, .deadline = due + run.deadline_ns, .row = -1};
    return run_begin_planned(&arrival);
}

bool run_send(struct call *call, struct connection *connection) {
    if (!connection_has_room(connection)) return false;
    int64_t left_us = (call->deadline - clock_ns()) / 1000;
    connection_send(connection, call, left_us, 0);
    return true;
}

static void forget(struct call *call) {
    alive_remove(call);
    call->next_spare = run.spare;
    run.spare = call;
}

static void count(const struct call *call, enum outcome outcome, int64_t ended) {
    int64_t took = ended - call->due;
    histogram_record(&run.tally.latency[outcome], took);
    if (call->row >= 0) schedule_note(call->row, outcome, took);
    run.tally.last_end = ended;
    if (outcome != OUTCOME_OK) return;
    if (ended <= call->deadline) run.tally.in_time++;
    else histogram_record(&run.tally.late_ok, ended - call->deadline);
}

void run_end_call(struct call *call, enum outcome outcome) {
    int64_t ended = clock_ns();
    if (run.pattern->counts(call, ended)) count(call, outcome, ended);
    run.pattern->on_end(call);
    forget(call);
}

static void expire(int64_t now) {
    struct call *call;
    while ((call = alive_first()) != NULL && call->expires <= now) {
        if (call->connection == NULL) {
            run_end_call(call, OUTCOME_NOT_SENT);
        } else {
            connection_cancel(call->connection, call);
            run_end_call(call, OUTCOME_TIMED_OUT);
        }
    }
}

static int wait_for_events(struct epoll_event *events, int64_t until) {
    int64_t left = until - clock_ns();
    if (left < 0) left = 0;
    struct timespec timeout = {left / NS_PER_S, left % NS_PER_S};
    int n = epoll_pwait2(run.endpoint.epoll, events, MOST_EVENTS, &timeout, NULL);
    // Some sandboxes have only the old call, in milliseconds: rather too early than too late.
    if (n < 0 && errno == ENOSYS)
        n = epoll_wait(run.endpoint.epoll, events, MOST_EVENTS, (int)(left / 1000000));
    if (n < 0 && errno != EINTR) fail("epoll: %s", strerror(errno));
    return n;
}

static void handle_events(int64_t until) {
    struct epoll_event events[MOST_EVENTS];
    int n = wait_for_events(events, until);
    for (int i = 0; i < n; i++) connection_is_ready(events[i].data.ptr, events[i].events);
}

// What a turn wrote goes out in one piece for each connection.
static void flush(void) {
    while (run.endpoint.n_unflushed > 0)
        connection_flush(run.endpoint.unflushed[--run.endpoint.n_unflushed]);
}

static int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static void bring_back_connections(int64_t now) {
    for (int i = 0; i < run.n_connections; i++) {
        struct connection *connection = &run.connections[i];
        if (connection->state == CONNECTION_CLOSED && now >= connection->retry_at)
            connection_open(connection, now);
    }
}

static void turn(int64_t until) {
    int64_t wake_at = least(until, run.pattern->wake_at());
    const struct call *first = alive_first();
    if (first != NULL) wake_at = least(wake_at, first->expires);
    handle_events(wake_at);
    int64_t now = clock_ns();
    expire(now);
    run.pattern->turn(now);
    flush();
}

static void start_measuring(int64_t now) {
    run.cpu_s_before = cpu_s();
    run.cpu_read_at = now;
}

void run_until_done(void) {
    run.began = clock_ns();
    run.measured_from = run.began + (int64_t)(run.options.warmup_s * NS_PER_S);
    run.measured_until = run.measured_from + (int64_t)(run.options.duration_s * NS_PER_S);
    run.pattern->begin();
    int64_t check_at = run.began;
    for (int64_t now = run.began; alive_first() != NULL || !run.pattern->is_done(now);
         now = clock_ns()) {
        if (run.cpu_read_at == 0 && now >= run.measured_from) start_measuring(now);
        if (now >= check_at) {
            check_at = now + CHECK_NS;
            if (run.pattern->keeps_connections) bring_back_connections(now);
        }
        turn(check_at);
    }
}

static void read_body(struct buffer *body, const char *path) {
    FILE *file = fopen(path, "rb");
    if (file == NULL) fail("%s: %s", path, strerror(errno));
    enum { PIECE = 65536 };
    size_t n;
    while ((n = fread(buffer_reserve(body, PIECE), 1, PIECE, file)) > 0) body->end += n;
    if (ferror(file)) fail("%s: %s", path, strerror(errno));
    fclose(file);
}

static struct buffer *add_body(void) {
    size_t size = (size_t)(run.n_bodies + 1) * sizeof *run.bodies;
    run.bodies = checked(realloc(run.bodies, size));
    struct buffer *body = &run.bodies[run.n_bodies++];
    *body = (struct buffer){0};
    return body;
}

// Every request begins with five bytes, of which four are the length of what follows.
static void split_bodies(const char *path) {
    enum { PREFIX = 5 };
    struct buffer all = {0};
    read_body(&all, path);
    while (buffer_length(&all) > 0) {
        const uint8_t *front = buffer_front(&all);
        if (buffer_length(&all) < PREFIX) fail("%s: it ends within a request", path);
        size_t length = PREFIX + ((size_t)front[1] << 24 | (size_t)front[2] << 16 |
                                  (size_t)front[3] << 8 | (size_t)front[4]);
        if (buffer_length(&all) < length) fail("%s: it ends within a request", path);
        buffer_append(add_body(), front, length);
        buffer_consume(&all, length);
    }
    free(all.bytes);
}

static void read_bodies(void) {
    for (int i = 0; i < run.options.n_bodies; i++)
        read_body(add_body(), run.options.body_files[i]);
    if (run.options.bodies_file != NULL) split_bodies(run.options.bodies_file);
    for (int i = 0; i < run.n_bodies; i++) {
        size_t length = buffer_length(&run.bodies[i]);
        if (length > run.endpoint.longest_body) run.endpoint.longest_body = length;
    }
}

static int in_state(enum connection_state state, int from, int until) {
    int n = 0;
    for (int i = from; i < until; i++) n += run.connections[i].state == state;
    return n;
}

static void connect_everything(void) {
    int all = run.n_connections + run.n_idle;
    for (int attempt = 0; attempt < CONNECT_TRIES; attempt++) {
        int64_t now = clock_ns(), until = now + CONNECT_NS;
        for (int i = 0; i < all; i++)
            if (run.connections[i].state == CONNECTION_CLOSED)
                connection_open(&run.connections[i], now);
        while (in_state(CONNECTION_CONNECTING, 0, all) > 0 && clock_ns() < until) {
            handle_events(until);
            flush();
        }
        if (in_state(CONNECTION_OPEN, 0, all) == all) return;
    }
    int open = in_state(CONNECTION_OPEN, 0, all);
    fail("127.0.0.1:%d took %d of %d connections", run.options.port, open, all);
}

static void raise_limits(void) {
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static bool schedule(struct sched_attr *attributes) {
    return syscall(SYS_sched_setattr, 0, attributes, 0) == 0;
}

// The server keeps all cores busy, and a generator that queues behind it sends milliseconds late.
// What is asked for here takes no more from the server than what is needed to send; callers on
// other machines would take their cores' time when they like, too.
static void be_punctual(void) {
    // By default the kernel wakes us up to 50 us late, to save wake-ups.
    prctl(PR_SET_TIMERSLACK, 1UL);
    struct sched_attr attributes;
    if (syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0) < 0) return;
    struct sched_attr first = attributes;
    first.sched_policy = SCHED_FIFO;
    first.sched_priority = 1;
    run.is_realtime = schedule(&first);
    if (run.is_realtime) return;
    // Without that right: out of the session, so that we do not share its part of the CPU
    // (autogroup), and in shorter turns, which come sooner (EEVDF, Linux 6.12).
    setsid();
    attributes.sched_runtime = SHORT_TURN_NS;
    schedule(&attributes);
}

static void make_connections(void) {
    int all = run.n_connections + run.n_idle;
    run.connections = checked(calloc((size_t)all, sizeof *run.connections));
    run.endpoint.unflushed = checked(calloc((size_t)all, sizeof(struct connection *)));
    for (int i = 0; i < all; i++) connection_init(&run.connections[i], &run.endpoint);
}

void run_begin(const struct options *options) {
    static const struct pattern *const patterns[] = {
        [PATTERN_OPEN] = &open_loop, [PATTERN_CLOSED] = &closed_loop, [PATTERN_CHURN] = &churn};
    static struct buffer fixed_headers;
    char authority[32];
    raise_limits();
    srand48(options->seed);
    snprintf(authority, sizeof authority, "127.0.0.1:%d", options->port);
    put_fixed_headers(&fixed_headers, options->path, authority);
    for (int i = 0; i < options->n_headers; i++)
        put_header_line(&fixed_headers, options->headers[i]);
    run = (struct run){
        .options = *options,
        .pattern = patterns[options->pattern],
        .endpoint = {
            .port = options->port,
            .epoll = epoll_create1(EPOLL_CLOEXEC),
            .fixed_headers = &fixed_headers,
            .on_end = run_end_call,
        },
        .n_connections = options->connections,
        .n_idle = options->idle_connections,
        .deadline_ns = (int64_t)(options->deadline_ms * 1e6),
        .grace_ns = (int64_t)(options->grace_ms * 1e6),
    };
    read_bodies();
    if (options->schedule_file != NULL) schedule_read(options->schedule_file, run.n_bodies);
    if (run.endpoint.epoll < 0) fail("epoll_create1: %s", strerror(errno));
    if (run.pattern->is_punctual) be_punctual();
    make_connections();
    if (run.pattern->keeps_connections) connect_everything();
}

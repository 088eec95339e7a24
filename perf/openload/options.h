// The command line.
#pragma once

#include <stdint.h>

enum pattern_name { PATTERN_OPEN, PATTERN_CLOSED, PATTERN_CHURN };

enum { MOST_BODIES = 64, MOST_HEADERS = 8 };

struct options {
    enum pattern_name pattern;
    int port;
    const char *path, *schedule_file, *outcomes_file;
    const char *body_files[MOST_BODIES];
    int n_bodies;
    const char *bodies_file;  // requests beside those, one after the other
    const char *headers[MOST_HEADERS];  // `name: value`
    int n_headers;
    double rate;  // open: calls per second; churn: sessions per second
    int concurrency, connections, idle_connections;
    int64_t count;  // closed: the most calls; churn: the most sessions; 0: no such bound
    double warmup_s, duration_s, deadline_ms, grace_ms;
    long seed;
};

// Reads the command line, or explains itself and exits with code 2.
struct options options_read(int argc, char **argv);

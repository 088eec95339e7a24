#include "options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: openload (--rate N | --schedule FILE | --concurrency N | --churn N)\n"
    "                --port N --path /pkg.Svc/Method --body FILE [options]\n"
    "\n"
    "Loads a gRPC server on 127.0.0.1 with unary calls over cleartext HTTP/2 and prints one\n"
    "JSON object. FILE is the request as it goes into the body: five bytes of prefix, then the\n"
    "message. A schedule may have several.\n"
    "\n"
    "  --rate N              open loop: N calls per second, Poisson, whatever the server does\n"
    "  --schedule FILE       open loop: a call for each line `at_ns deadline_ns body`, both times from\n"
    "                        the start of the run, `body` the number of a --body, from 0\n"
    "  --bodies FILE         schedule: more requests, one after the other, as `--body` has each; their\n"
    "                        numbers follow those of --body\n"
    "  --outcomes FILE       schedule: write a line `row outcome took_ns` for each measured call\n"
    "  --concurrency N       closed loop: N callers, each waits for its answer\n"
    "  --churn N             N sessions per second: connect, call, then wait, cancel or hang up\n"
    "  --header 'NAME: TEXT' of every call, beside gRPC's own; NAME in small letters; up to 8 times\n"
    "  --connections N       (4); churn: the most at once\n"
    "  --idle-connections N  open beside them, unused (0)\n"
    "  --warmup-s N          not measured (0)\n"
    "  --duration-s N        measured (5)\n"
    "  --count N             end after so many calls (closed loop) or sessions (churn)\n"
    "  --deadline-ms N       of every call, from the moment it was meant for; a schedule has its own\n"
    "                        (1000)\n"
    "  --grace-ms N          reset a call so much later than that, to see late answers (0)\n"
    "  --seed N              of arrivals and fates (1)\n"
    "\n"
    "Exit codes: 0 measured, 1 could not measure, 2 wrong arguments, 3 measured, but INVALID.\n";

__attribute__((noreturn)) static void refuse(const char *name, const char *why) {
    fprintf(stderr, "openload: %s %s\n\n%s", name, why, usage);
    exit(2);
}

static double number(const char *name, const char *text, double least, double most) {
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || !(value >= least && value <= most))
        refuse(name, "is out of range");
    return value;
}

static void choose(struct options *options, enum pattern_name pattern, const char *name) {
    if (options->pattern != (enum pattern_name)-1) refuse(name, "contradicts another pattern");
    options->pattern = pattern;
}

static const double MOST_PER_S = 1e6, MOST_S = 86400, LEAST = 1e-6;

static void read_pattern(struct options *options, const char *name, const char *value) {
    if (!strcmp(name, "--rate")) {
        choose(options, PATTERN_OPEN, name);
        options->rate = number(name, value, LEAST, MOST_PER_S);
    } else if (!strcmp(name, "--schedule")) {
        choose(options, PATTERN_OPEN, name);
        options->schedule_file = value;
    } else if (!strcmp(name, "--churn")) {
        choose(options, PATTERN_CHURN, name);
        options->rate = number(name, value, LEAST, MOST_PER_S);
    } else if (!strcmp(name, "--concurrency")) {
        choose(options, PATTERN_CLOSED, name);
        options->concurrency = (int)number(name, value, 1, 1e6);
    } else {
        refuse(name, "is not an option");
    }
}

static void add_body(struct options *options, const char *name, const char *value) {
    if (options->n_bodies == MOST_BODIES) refuse(name, "is given too often");
    options->body_files[options->n_bodies++] = value;
}

static void add_header(struct options *options, const char *name, const char *value) {
    if (options->n_headers == MOST_HEADERS) refuse(name, "is given too often");
    if (strstr(value, ": ") == NULL) refuse(name, "is not `NAME: TEXT`");
    options->headers[options->n_headers++] = value;
}

static void read_option(struct options *options, const char *name, const char *value) {
    if (!strcmp(name, "--port")) options->port = (int)number(name, value, 1, 65535);
    else if (!strcmp(name, "--path")) options->path = value;
    else if (!strcmp(name, "--body")) add_body(options, name, value);
    else if (!strcmp(name, "--header")) add_header(options, name, value);
    else if (!strcmp(name, "--bodies")) options->bodies_file = value;
    else if (!strcmp(name, "--outcomes")) options->outcomes_file = value;
    else if (!strcmp(name, "--connections"))
        options->connections = (int)number(name, value, 1, 1e5);
    else if (!strcmp(name, "--idle-connections"))
        options->idle_connections = (int)number(name, value, 0, 1e5);
    else if (!strcmp(name, "--warmup-s")) options->warmup_s = number(name, value, 0, MOST_S);
    else if (!strcmp(name, "--duration-s"))
        options->duration_s = number(name, value, LEAST, MOST_S);
    else if (!strcmp(name, "--count")) options->count = (int64_t)number(name, value, 1, 1e12);
    else if (!strcmp(name, "--deadline-ms"))
        options->deadline_ms = number(name, value, LEAST, MOST_S * 1e3);
    else if (!strcmp(name, "--grace-ms")) options->grace_ms = number(name, value, 0, MOST_S * 1e3);
    else if (!strcmp(name, "--seed")) options->seed = (long)number(name, value, 0, 1e9);
    else read_pattern(options, name, value);
}

struct options options_read(int argc, char **argv) {
    struct options options = {
        .pattern = (enum pattern_name)-1,
        .connections = 4,
        .duration_s = 5,
        .deadline_ms = 1000,
        .seed = 1,
    };
    for (int i = 1; i < argc; i += 2) {
        if (!strcmp(argv[i], "--help")) {
            fputs(usage, stdout);
            exit(0);
        }
        if (i + 1 == argc) refuse(argv[i], "needs a value");
        read_option(&options, argv[i], argv[i + 1]);
    }
    if (options.pattern == (enum pattern_name)-1)
        refuse("--rate, --schedule, --concurrency or --churn", "is needed");
    if (options.port == 0) refuse("--port", "is needed");
    if (options.path == NULL) refuse("--path", "is needed");
    if (options.n_bodies == 0 && options.bodies_file == NULL) refuse("--body", "is needed");
    if (options.outcomes_file != NULL && options.schedule_file == NULL)
        refuse("--outcomes", "needs a --schedule");
    if (options.bodies_file != NULL && options.schedule_file == NULL)
        refuse("--bodies", "needs a --schedule");
    return options;
}

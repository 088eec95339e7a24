#include "report.h"

#include <stdio.h>

#include "churn.h"
#include "run.h"

static const double LAG_LIMIT_MS = 1, MOST_CORES = 0.9;

static double elapsed_s(void) {
    bool was_cut_short = run.options.count > 0 && run.tally.last_end < run.measured_until;
    int64_t until = was_cut_short ? run.tally.last_end : run.measured_until;
    return until > run.measured_from ? (double)(until - run.measured_from) / 1e9 : 0;
}

static uint64_t measured_calls(void) {
    uint64_t calls = 0;
    for (int i = 0; i < OUTCOMES; i++) calls += run.tally.latency[i].count;
    return calls;
}

static void print_distribution(const struct histogram *histogram) {
    printf("{\"count\": %llu, \"p50_ms\": %.4f, \"p90_ms\": %.4f, \"p99_ms\": %.4f, "
           "\"p999_ms\": %.4f, \"max_ms\": %.4f}",
           (unsigned long long)histogram->count, histogram_ms_at(histogram, 0.5),
           histogram_ms_at(histogram, 0.9), histogram_ms_at(histogram, 0.99),
           histogram_ms_at(histogram, 0.999), (double)histogram->max_ns / 1e6);
}

static void print_answers(void) {
    const char *comma = "";
    printf("\"answers\": {");
    for (int i = 0; i < OUTCOMES; i++) {
        if (run.tally.latency[i].count == 0) continue;
        printf("%s\"%s\": ", comma, outcome_name((enum outcome)i));
        print_distribution(&run.tally.latency[i]);
        comma = ", ";
    }
    printf("}, ");
}

static void print_sessions(void) {
    const char *comma = "";
    printf("\"sessions\": {");
    for (int i = 0; i < FATES; i++) {
        printf("%s\"%s\": %llu", comma, fate_names[i], (unsigned long long)sessions_of[i]);
        comma = ", ";
    }
    printf("}, ");
}

static void print_connections(void) {
    int idle_open = 0;
    for (int i = 0; i < run.n_idle; i++)
        idle_open += run.connections[run.n_connections + i].state == CONNECTION_OPEN;
    printf("\"connections\": {\"opened\": %llu, \"failed\": %llu, \"lost\": %llu, "
           "\"goaways\": %llu, \"idle_open\": %d}, ",
           (unsigned long long)run.endpoint.opened, (unsigned long long)run.endpoint.failed,
           (unsigned long long)run.endpoint.lost, (unsigned long long)run.endpoint.goaways,
           idle_open);
}

// Prints why the run says nothing about the server; returns whether there is no such reason.
static bool print_faults(double cores) {
    double lag_ms = histogram_ms_at(&run.tally.send_lag, 0.99);
    bool is_empty = measured_calls() == 0;
    bool is_late = lag_ms > LAG_LIMIT_MS;
    bool is_busy = run.options.pattern == PATTERN_CLOSED && cores > MOST_CORES;
    printf("\"faults\": [");
    if (is_empty) printf("\"no call was measured\"");
    else if (is_late)
        printf("\"the generator sent late: lag p99 %.3g ms, limit %g%s\"", lag_ms, LAG_LIMIT_MS,
               run.is_realtime ? "" : " (without real-time priority)");
    else if (is_busy)
        printf("\"the generator was the limit: it took %.2f of one core\"", cores);
    printf("], ");
    return !is_empty && !is_late && !is_busy;
}

bool report(void) {
    double cpu = cpu_s() - run.cpu_s_before;
    double cores = cpu / ((double)(clock_ns() - run.cpu_read_at) / 1e9);
    printf("{\"pattern\": \"%s\", \"elapsed_s\": %.6f, \"calls\": %llu, \"in_time\": %llu, ",
           run.pattern->name, elapsed_s(), (unsigned long long)measured_calls(),
           (unsigned long long)run.tally.in_time);
    printf("\"late_ok\": ");
    print_distribution(&run.tally.late_ok);
    printf(", \"send_lag\": ");
    print_distribution(&run.tally.send_lag);
    printf(", ");
    print_answers();
    print_sessions();
    print_connections();
    bool is_valid = print_faults(cores);
    printf("\"generator_cpu_s\": %.4f, \"generator_cores\": %.4f, \"is_realtime\": %s, "
           "\"valid\": %s}\n",
           cpu, cores, run.is_realtime ? "true" : "false", is_valid ? "true" : "false");
    return is_valid;
}

#include "schedule.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fail.h"

struct end {
    bool is_known;
    enum outcome outcome;
    int64_t took;
};

static struct arrival *arrivals;
static struct end *ends;
static int64_t n_arrivals, n_places, n_taken;

static FILE *opened(const char *path, const char *mode) {
    FILE *file = fopen(path, mode);
    if (file == NULL) fail("%s: %s", path, strerror(errno));
    return file;
}

static void add(struct arrival arrival) {
    if (n_arrivals == n_places) {
        n_places = n_places > 0 ? 2 * n_places : 1024;
        arrivals = checked(realloc(arrivals, (size_t)n_places * sizeof *arrivals));
    }
    arrivals[n_arrivals++] = arrival;
}

static bool is_sound(const struct arrival *arrival, int64_t earliest, int n_bodies) {
    return arrival->at >= earliest && arrival->deadline > arrival->at && arrival->body >= 0 &&
           arrival->body < n_bodies;
}

void schedule_read(const char *path, int n_bodies) {
    FILE *file = opened(path, "r");
    struct arrival arrival = {0};
    int n;
    while ((n = fscanf(file, "%" SCNd64 " %" SCNd64 " %d", &arrival.at, &arrival.deadline,
                       &arrival.body)) == 3) {
        arrival.row = n_arrivals;
        int64_t earliest = n_arrivals > 0 ? arrivals[n_arrivals - 1].at : 0;
        if (!is_sound(&arrival, earliest, n_bodies)) break;
        add(arrival);
    }
    if (n != EOF || ferror(file)) fail("%s: row %" PRId64 " makes no sense", path, n_arrivals);
    fclose(file);
    ends = checked(calloc((size_t)n_arrivals + 1, sizeof *ends));
}

bool schedule_next(struct arrival *arrival) {
    if (n_taken == n_arrivals) return false;
    *arrival = arrivals[n_taken++];
    return true;
}

void schedule_note(int64_t row, enum outcome outcome, int64_t took) {
    ends[row] = (struct end){.is_known = true, .outcome = outcome, .took = took};
}

void schedule_write(const char *path) {
    FILE *file = opened(path, "w");
    for (int64_t row = 0; row < n_arrivals; row++)
        if (ends[row].is_known)
            fprintf(file, "%" PRId64 " %s %" PRId64 "\n", row, outcome_name(ends[row].outcome),
                    ends[row].took);
    if (fclose(file) != 0) fail("%s: %s", path, strerror(errno));
}

// How durations are distributed: counts in buckets that are half a percent wide, or 1 us.
#pragma once

#include <stdint.h>

enum {
    // Durations below EXACT_US have a bucket for every microsecond. From there on each doubling
    // has half as many buckets as that, until 2^DOUBLINGS times EXACT_US (134 s).
    EXACT_US = 512,
    DOUBLINGS = 18,
    BUCKETS = EXACT_US + DOUBLINGS * EXACT_US / 2,
};

struct histogram {
    uint64_t count;
    int64_t max_ns;
    uint32_t buckets[BUCKETS];
};

void histogram_record(struct histogram *histogram, int64_t ns);

// Returns the duration in ms that `share` (0 to 1) of those recorded do not exceed, rounded up to
// the end of its bucket, but never above the longest; 0 when nothing was recorded.
double histogram_ms_at(const struct histogram *histogram, double share);

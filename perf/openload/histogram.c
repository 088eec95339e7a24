#include "histogram.h"

#include <math.h>

static int bucket_of(uint64_t us) {
    if (us < EXACT_US) return (int)us;
    int doublings = (63 - __builtin_clzll(us)) - (63 - __builtin_clzll(EXACT_US)) + 1;
    if (doublings > DOUBLINGS) return BUCKETS - 1;
    int within = (int)(us >> doublings) - EXACT_US / 2;
    return EXACT_US + (doublings - 1) * (EXACT_US / 2) + within;
}

static int64_t end_of_bucket_ns(int bucket) {
    if (bucket < EXACT_US) return (bucket + 1) * 1000LL;
    int doublings = (bucket - EXACT_US) / (EXACT_US / 2) + 1;
    int within = (bucket - EXACT_US) % (EXACT_US / 2);
    return ((int64_t)(EXACT_US / 2 + within + 1) << doublings) * 1000LL;
}

void histogram_record(struct histogram *histogram, int64_t ns) {
    if (ns < 0) ns = 0;
    if (ns > histogram->max_ns) histogram->max_ns = ns;
    histogram->buckets[bucket_of((uint64_t)ns / 1000)]++;
    histogram->count++;
}

double histogram_ms_at(const struct histogram *histogram, double share) {
    uint64_t rank = (uint64_t)ceil(share * (double)histogram->count), seen = 0;
    for (int bucket = 0; bucket < BUCKETS; bucket++) {
        seen += histogram->buckets[bucket];
        if (seen == 0 || seen < rank) continue;
        return fmin((double)end_of_bucket_ns(bucket), (double)histogram->max_ns) / 1e6;
    }
    return 0;
}

// openload: a load generator for unary gRPC that is light enough to share cores with the server.
//
//     cc -O2 -o openload *.c -lm && ./openload --help
//
// One thread, one epoll loop, one request sent again and again to 127.0.0.1 (or several, at times
// that a schedule names), one JSON object at the end. Latency counts from the moment a call was meant for. Each call has a deadline: it
// travels as grpc-timeout, and the generator resets the call when it passes, as gRPC clients do.
//
// What the generator could not do says so: a run in which it sent late, or had no time left, is
// INVALID ("valid": false, exit code 3), because it measured itself.
#include "report.h"
#include "run.h"

int main(int argc, char **argv) {
    struct options options = options_read(argc, argv);
    run_begin(&options);
    run_until_done();
    if (options.outcomes_file != NULL) schedule_write(options.outcomes_file);
    return report() ? 0 : 3;
}

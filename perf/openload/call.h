// One unary call, and everything that can become of it.
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum outcome {
    // 0 to 16 are gRPC's status codes.
    OUTCOME_OK = 0,
    OUTCOME_UNKNOWN = 2,
    OUTCOME_LAST_CODE = 16,
    // No answer in time; the call was reset, as gRPC clients do.
    OUTCOME_TIMED_OUT,
    // No connection had a free stream until the deadline.
    OUTCOME_NOT_SENT,
    // The server reset the stream, or the connection ended.
    OUTCOME_RESET,
    OUTCOME_BROKEN,
    // An end without grpc-status; OK without a message.
    OUTCOME_NOT_GRPC,
    OUTCOME_EMPTY,
    // Churn: left on purpose.
    OUTCOME_ABANDONED,
    OUTCOMES,
};

const char *outcome_name(enum outcome outcome);

struct connection;

struct call {
    // ns from the start of the run. In an open loop the call was meant for `due`, whenever it left.
    int64_t due;
    struct connection *connection;  // NULL: not sent yet
    uint32_t stream;
    int caller;  // closed loop: who made it
    int grpc_status;  // -1: none has come
    bool has_message;
    // All calls have the same deadline counted from `due`: this list is also ordered by deadline.
    struct call *earlier, *later;
    // Calls that wait for a stream to become free.
    struct call *next_waiting;
};

// What an answer that has ended amounts to.
enum outcome outcome_of(const struct call *call);

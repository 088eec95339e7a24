// One unary call, and everything that can become of it.
#pragma once

#include <stdbool.h>
#include <stddef.h>
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

struct buffer;
struct connection;

struct call {
    // ns of the monotonic clock. In an open loop the call was meant for `due`, whenever it left.
    int64_t due, deadline;
    // When it is given up: the deadline, and some grace.
    int64_t expires;
    const struct buffer *body;
    int64_t row;  // in the schedule; -1: there is none
    struct connection *connection;  // NULL: not sent yet
    uint32_t stream;
    int caller;  // closed loop: who made it
    int grpc_status;  // -1: none has come
    bool has_message;
    // Where it stands among those that are alive.
    size_t place;
    // Calls that are no more, and will be used again.
    struct call *next_spare;
    // Calls that wait for a stream to become free, in the order of their arrival.
    bool is_waiting;
    struct call *before_waiting, *next_waiting;
};

// What an answer that has ended amounts to.
enum outcome outcome_of(const struct call *call);

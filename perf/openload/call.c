#include "call.h"

const char *outcome_name(enum outcome outcome) {
    static const char *const names[OUTCOMES] = {
        "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND",
        "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
        "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS",
        "UNAUTHENTICATED",
        [OUTCOME_TIMED_OUT] = "client:timed_out",
        [OUTCOME_NOT_SENT] = "client:not_sent",
        [OUTCOME_RESET] = "client:reset_by_server",
        [OUTCOME_BROKEN] = "client:connection_broken",
        [OUTCOME_NOT_GRPC] = "client:no_grpc_status",
        [OUTCOME_EMPTY] = "client:ok_without_message",
        [OUTCOME_ABANDONED] = "client:abandoned",
    };
    return names[outcome];
}

enum outcome outcome_of(const struct call *call) {
    if (call->grpc_status < 0) return OUTCOME_NOT_GRPC;
    if (call->grpc_status > OUTCOME_LAST_CODE) return OUTCOME_UNKNOWN;
    if (call->grpc_status == OUTCOME_OK && !call->has_message) return OUTCOME_EMPTY;
    return (enum outcome)call->grpc_status;
}

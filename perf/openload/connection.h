// One HTTP/2 connection to the server: its socket, its streams, and the calls on them.
//
// A connection decides nothing. It sends what it is told to, tells `on_end` what became of each
// call, and remembers whether it can take another.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "buffer.h"
#include "call.h"

enum connection_state {
    CONNECTION_CLOSED,
    CONNECTION_CONNECTING,  // until the server's SETTINGS have come
    CONNECTION_OPEN,
    CONNECTION_LEAVING,  // the server said GOAWAY: what is open may end, nothing more begins
};

// What all connections of a run share.
struct endpoint {
    int port, epoll;
    const struct buffer *fixed_headers;
    size_t longest_body;
    void (*on_end)(struct call *call, enum outcome outcome);
    // Connections with something to write, and that have not written it yet.
    struct connection **unflushed;
    int n_unflushed;
    uint64_t opened, failed, lost, goaways;
};

struct connection {
    struct endpoint *endpoint;
    enum connection_state state;
    int fd;
    struct buffer in, out;
    bool waits_for_room, is_unflushed;
    uint32_t next_stream, most_streams;
    int64_t window, stream_window, unacknowledged;
    int n_calls;
    // Calls by stream: a table that is long enough for any two live calls to have places of
    // their own, so that finding one is a look and not a search.
    struct call **calls;
    uint32_t n_places;
    // After a failure: not before this time.
    int64_t retry_at;
};

void connection_init(struct connection *connection, struct endpoint *endpoint);
void connection_open(struct connection *connection, int64_t now);
// Whether a call can be sent at once.
bool connection_has_room(const struct connection *connection);
// Sends a call with its body and `left_us` until its deadline, except its last `held_back` bytes.
void connection_send(struct connection *connection, struct call *call, int64_t left_us,
                     size_t held_back);
// Cancels a call on the wire. It has no outcome yet: that is the caller's to say.
void connection_cancel(struct connection *connection, struct call *call);
// Reads what there is to read. Whoever gets an answer to write has to be flushed.
void connection_is_ready(struct connection *connection, uint32_t events);
void connection_flush(struct connection *connection);

enum farewell {
    FAREWELL_GOAWAY,  // as a client does that leaves in order
    FAREWELL_RST,     // as one does that crashes
};

// Ends the connection; the calls on it end with `outcome`.
void connection_close(struct connection *connection, enum farewell farewell,
                      enum outcome outcome);

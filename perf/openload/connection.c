#include "connection.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fail.h"
#include "hpack.h"
#include "http2.h"

enum {
    READ_SIZE = 16384,
    FIRST_PLACES = 64,
    RETRY_NS = 10000000,
};

void connection_init(struct connection *connection, struct endpoint *endpoint) {
    *connection = (struct connection){.endpoint = endpoint, .fd = -1, .n_places = FIRST_PLACES};
    connection->calls = checked(calloc(FIRST_PLACES, sizeof *connection->calls));
}

static struct call **place_of(struct connection *connection, uint32_t stream) {
    return &connection->calls[stream / 2 & (connection->n_places - 1)];
}

static struct call *call_on(struct connection *connection, uint32_t stream) {
    struct call *call = *place_of(connection, stream);
    return call != NULL && call->stream == stream ? call : NULL;
}

// Twice as many places keep every two calls apart that were apart before.
static void double_places(struct connection *connection) {
    struct call **before = connection->calls;
    uint32_t n_before = connection->n_places;
    connection->n_places *= 2;
    connection->calls = checked(calloc(connection->n_places, sizeof *connection->calls));
    for (uint32_t i = 0; i < n_before; i++)
        if (before[i] != NULL) *place_of(connection, before[i]->stream) = before[i];
    free(before);
}

static void add_call(struct connection *connection, struct call *call) {
    call->connection = connection;
    call->stream = connection->next_stream;
    connection->next_stream += 2;
    while (*place_of(connection, call->stream) != NULL) double_places(connection);
    *place_of(connection, call->stream) = call;
    connection->n_calls++;
}

static void remove_call(struct connection *connection, struct call *call) {
    *place_of(connection, call->stream) = NULL;
    connection->n_calls--;
}

static void end_call(struct connection *connection, struct call *call, enum outcome outcome) {
    remove_call(connection, call);
    connection->endpoint->on_end(call, outcome);
}

static void watch(struct connection *connection, int operation, bool for_room) {
    struct epoll_event event = {
        .events = EPOLLIN | (for_room ? EPOLLOUT : 0),
        .data.ptr = connection,
    };
    if (epoll_ctl(connection->endpoint->epoll, operation, connection->fd, &event) < 0)
        fail("epoll_ctl: %s", strerror(errno));
    connection->waits_for_room = for_room;
}

static int connect_to(int port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;
    if (fd < 0) fail("socket: %s", strerror(errno));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0 || errno == EINPROGRESS)
        return fd;
    close(fd);
    return -1;
}

void connection_open(struct connection *connection, int64_t now) {
    connection->retry_at = now + RETRY_NS;
    connection->fd = connect_to(connection->endpoint->port);
    if (connection->fd < 0) {
        connection->endpoint->failed++;
        return;
    }
    connection->state = CONNECTION_CONNECTING;
    connection->next_stream = 1;
    connection->most_streams = UINT32_MAX;
    connection->window = connection->stream_window = DEFAULT_WINDOW;
    connection->unacknowledged = 0;
    put_preface(&connection->out);
    watch(connection, EPOLL_CTL_ADD, true);
}

static void must_flush(struct connection *connection) {
    if (connection->is_unflushed) return;
    connection->is_unflushed = true;
    connection->endpoint->unflushed[connection->endpoint->n_unflushed++] = connection;
}

static void forget_unflushed(struct connection *connection) {
    struct endpoint *endpoint = connection->endpoint;
    if (!connection->is_unflushed) return;
    for (int i = 0; i < endpoint->n_unflushed; i++) {
        if (endpoint->unflushed[i] != connection) continue;
        endpoint->unflushed[i] = endpoint->unflushed[--endpoint->n_unflushed];
        break;
    }
    connection->is_unflushed = false;
}

void connection_close(struct connection *connection, enum farewell farewell,
                      enum outcome outcome) {
    if (connection->state == CONNECTION_CLOSED) return;
    if (farewell == FAREWELL_GOAWAY) {
        put_goaway(&connection->out);
        // Whoever does not read is not waited for.
        send(connection->fd, buffer_front(&connection->out), buffer_length(&connection->out),
             MSG_NOSIGNAL);
    } else {
        struct linger at_once = {.l_onoff = 1, .l_linger = 0};
        setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    }
    close(connection->fd);
    connection->fd = -1;
    connection->state = CONNECTION_CLOSED;
    forget_unflushed(connection);
    buffer_clear(&connection->in);
    buffer_clear(&connection->out);
    for (uint32_t i = 0; i < connection->n_places && connection->n_calls > 0; i++)
        if (connection->calls[i] != NULL) end_call(connection, connection->calls[i], outcome);
}

static void lose(struct connection *connection) {
    struct endpoint *endpoint = connection->endpoint;
    if (connection->state == CONNECTION_CONNECTING) endpoint->failed++;
    else endpoint->lost++;
    connection_close(connection, FAREWELL_RST, OUTCOME_BROKEN);
}

bool connection_has_room(const struct connection *connection) {
    return connection->state == CONNECTION_OPEN &&
           (uint32_t)connection->n_calls < connection->most_streams &&
           connection->window >= (int64_t)connection->endpoint->longest_body;
}

void connection_send(struct connection *connection, struct call *call, int64_t left_us,
                     size_t held_back) {
    const struct endpoint *endpoint = connection->endpoint;
    add_call(connection, call);
    connection->window -= (int64_t)(buffer_length(call->body) - held_back);
    put_call(&connection->out, call->stream, endpoint->fixed_headers, left_us, call->body,
             held_back);
    must_flush(connection);
}

void connection_cancel(struct connection *connection, struct call *call) {
    remove_call(connection, call);
    put_reset(&connection->out, call->stream);
    must_flush(connection);
}

void connection_flush(struct connection *connection) {
    connection->is_unflushed = false;
    while (buffer_length(&connection->out) > 0) {
        ssize_t sent = send(connection->fd, buffer_front(&connection->out),
                            buffer_length(&connection->out), MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN) break;
        if (sent < 0) {
            lose(connection);
            return;
        }
        buffer_consume(&connection->out, (size_t)sent);
    }
    bool is_full = buffer_length(&connection->out) > 0;
    if (is_full != connection->waits_for_room) watch(connection, EPOLL_CTL_MOD, is_full);
}

static void read_data(struct connection *connection, const struct frame *frame) {
    struct call *call = call_on(connection, frame->stream);
    connection->unacknowledged += (int64_t)frame->length;
    if (call == NULL) return;
    if (frame->length > 0) call->has_message = true;
    if (frame->flags & FLAG_END_STREAM) end_call(connection, call, outcome_of(call));
}

static void read_headers(struct connection *connection, const struct frame *frame) {
    if (!(frame->flags & FLAG_END_HEADERS)) fail("the server sent headers in several frames");
    struct call *call = call_on(connection, frame->stream);
    if (call == NULL) return;
    if (!read_header_block(frame->payload, frame->length, &call->grpc_status))
        fail("the server sent a malformed header block");
    if (frame->flags & FLAG_END_STREAM) end_call(connection, call, outcome_of(call));
}

static void read_reset(struct connection *connection, const struct frame *frame) {
    struct call *call = call_on(connection, frame->stream);
    if (call != NULL) end_call(connection, call, OUTCOME_RESET);
}

static void read_settings(struct connection *connection, const struct frame *frame) {
    if (frame->flags & FLAG_ACK) return;
    for (size_t at = 0; at + 6 <= frame->length; at += 6) {
        int id = frame->payload[at] << 8 | frame->payload[at + 1];
        uint32_t value = read_u32(frame->payload + at + 2);
        if (id == SETTING_MAX_STREAMS) connection->most_streams = value;
        if (id == SETTING_STREAM_WINDOW) connection->stream_window = value;
    }
    if ((int64_t)connection->endpoint->longest_body > connection->stream_window)
        fail("the request is larger than the server's stream window");
    put_settings_ack(&connection->out);
    must_flush(connection);
    if (connection->state != CONNECTION_CONNECTING) return;
    connection->state = CONNECTION_OPEN;
    connection->endpoint->opened++;
}

static void read_ping(struct connection *connection, const struct frame *frame) {
    if (frame->flags & FLAG_ACK || frame->length < 8) return;
    put_ping_ack(&connection->out, frame->payload);
    must_flush(connection);
}

// The server will not look at calls that it had not seen when it said this.
static void read_goaway(struct connection *connection, const struct frame *frame) {
    connection->endpoint->goaways++;
    connection->state = CONNECTION_LEAVING;
    uint32_t last_seen = frame->length >= 4 ? read_u32(frame->payload) & 0x7fffffff : 0;
    for (uint32_t i = 0; i < connection->n_places; i++) {
        struct call *call = connection->calls[i];
        if (call != NULL && call->stream > last_seen) end_call(connection, call, OUTCOME_RESET);
    }
}

static void read_window_update(struct connection *connection, const struct frame *frame) {
    if (frame->stream == 0 && frame->length >= 4)
        connection->window += read_u32(frame->payload) & 0x7fffffff;
}

static void read_frame(struct connection *connection, const struct frame *frame) {
    switch (frame->type) {
    case FRAME_DATA: read_data(connection, frame); break;
    case FRAME_HEADERS: read_headers(connection, frame); break;
    case FRAME_RST_STREAM: read_reset(connection, frame); break;
    case FRAME_SETTINGS: read_settings(connection, frame); break;
    case FRAME_PING: read_ping(connection, frame); break;
    case FRAME_GOAWAY: read_goaway(connection, frame); break;
    case FRAME_WINDOW_UPDATE: read_window_update(connection, frame); break;
    default: break;  // CONTINUATION cannot follow: `read_headers` has failed already
    }
}

static void acknowledge_data(struct connection *connection) {
    if (connection->unacknowledged < OUR_STREAM_WINDOW) return;
    put_window_update(&connection->out, (uint32_t)connection->unacknowledged);
    connection->unacknowledged = 0;
    must_flush(connection);
}

static void read_frames(struct connection *connection) {
    struct frame frame;
    while (frame_take(&connection->in, &frame)) read_frame(connection, &frame);
    acknowledge_data(connection);
    if (connection->state == CONNECTION_LEAVING && connection->n_calls == 0)
        connection_close(connection, FAREWELL_GOAWAY, OUTCOME_BROKEN);
}

// Returns whether the connection still stands.
static bool receive(struct connection *connection) {
    for (;;) {
        uint8_t *room = buffer_reserve(&connection->in, READ_SIZE);
        ssize_t received = recv(connection->fd, room, READ_SIZE, 0);
        if (received < 0 && errno == EAGAIN) return true;
        if (received <= 0) {
            lose(connection);
            return false;
        }
        connection->in.end += (size_t)received;
        read_frames(connection);
        if (connection->state == CONNECTION_CLOSED) return false;
        if (received < READ_SIZE) return true;
    }
}

void connection_is_ready(struct connection *connection, uint32_t events) {
    if (connection->state == CONNECTION_CLOSED) return;
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR) && !receive(connection)) return;
    if (events & EPOLLOUT) must_flush(connection);
}

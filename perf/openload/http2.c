#include "http2.h"

#include "hpack.h"

enum { FRAME_HEAD = 9, MAX_FRAME = 16384 };

static void put_frame_head(struct buffer *out, size_t length, int type, int flags,
                           uint32_t stream) {
    uint8_t head[FRAME_HEAD] = {
        length >> 16, length >> 8, length, type, flags,
        stream >> 24, stream >> 16, stream >> 8, stream,
    };
    buffer_append(out, head, sizeof head);
}

static void put_u32(struct buffer *out, uint32_t value) {
    uint8_t bytes[4] = {value >> 24, value >> 16, value >> 8, value};
    buffer_append(out, bytes, sizeof bytes);
}

static void put_setting(struct buffer *out, uint16_t id, uint32_t value) {
    uint8_t bytes[2] = {id >> 8, id};
    buffer_append(out, bytes, sizeof bytes);
    put_u32(out, value);
}

void put_preface(struct buffer *out) {
    enum { HEADER_TABLE_SIZE = 1, ENABLE_PUSH = 2, SETTING_SIZE = 6 };
    static const char magic[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    buffer_append(out, magic, sizeof magic - 1);
    put_frame_head(out, 3 * SETTING_SIZE, FRAME_SETTINGS, 0, 0);
    put_setting(out, HEADER_TABLE_SIZE, 0);
    put_setting(out, ENABLE_PUSH, 0);
    put_setting(out, SETTING_STREAM_WINDOW, OUR_STREAM_WINDOW);
    put_window_update(out, OUR_CONNECTION_WINDOW);
}

void put_window_update(struct buffer *out, uint32_t more) {
    put_frame_head(out, 4, FRAME_WINDOW_UPDATE, 0, 0);
    put_u32(out, more);
}

void put_reset(struct buffer *out, uint32_t stream) {
    put_frame_head(out, 4, FRAME_RST_STREAM, 0, stream);
    put_u32(out, ERROR_CANCEL);
}

void put_goaway(struct buffer *out) {
    put_frame_head(out, 8, FRAME_GOAWAY, 0, 0);
    put_u32(out, 0);
    put_u32(out, 0);
}

void put_settings_ack(struct buffer *out) {
    put_frame_head(out, 0, FRAME_SETTINGS, FLAG_ACK, 0);
}

void put_ping_ack(struct buffer *out, const uint8_t *payload) {
    put_frame_head(out, 8, FRAME_PING, FLAG_ACK, 0);
    buffer_append(out, payload, 8);
}

static void put_body(struct buffer *out, uint32_t stream, const struct buffer *body,
                     size_t held_back) {
    const uint8_t *at = buffer_front(body);
    size_t left = buffer_length(body) - held_back;
    do {
        size_t length = left < MAX_FRAME ? left : MAX_FRAME;
        left -= length;
        int flags = left == 0 && held_back == 0 ? FLAG_END_STREAM : 0;
        put_frame_head(out, length, FRAME_DATA, flags, stream);
        buffer_append(out, at, length);
        at += length;
    } while (left > 0);
}

void put_call(struct buffer *out, uint32_t stream, const struct buffer *fixed_headers,
              int64_t left_us, const struct buffer *body, size_t held_back) {
    static struct buffer timeout;
    buffer_clear(&timeout);
    put_timeout(&timeout, left_us);
    size_t length = buffer_length(fixed_headers) + buffer_length(&timeout);
    put_frame_head(out, length, FRAME_HEADERS, FLAG_END_HEADERS, stream);
    buffer_append(out, buffer_front(fixed_headers), buffer_length(fixed_headers));
    buffer_append(out, buffer_front(&timeout), buffer_length(&timeout));
    put_body(out, stream, body, held_back);
}

uint32_t read_u32(const uint8_t *bytes) {
    return (uint32_t)bytes[0] << 24 | bytes[1] << 16 | bytes[2] << 8 | bytes[3];
}

static void trim_padding(struct frame *frame) {
    bool may_be_padded = frame->type == FRAME_DATA || frame->type == FRAME_HEADERS;
    if (!may_be_padded || !(frame->flags & FLAG_PADDED) || frame->length == 0) return;
    size_t padding = frame->payload[0];
    frame->payload++;
    frame->length--;
    frame->length -= padding < frame->length ? padding : frame->length;
}

static void trim_priority(struct frame *frame) {
    enum { PRIORITY = 5 };
    if (frame->type != FRAME_HEADERS || !(frame->flags & FLAG_PRIORITY)) return;
    if (frame->length < PRIORITY) return;
    frame->payload += PRIORITY;
    frame->length -= PRIORITY;
}

bool frame_take(struct buffer *in, struct frame *frame) {
    const uint8_t *head = buffer_front(in);
    if (buffer_length(in) < FRAME_HEAD) return false;
    size_t length = head[0] << 16 | head[1] << 8 | head[2];
    if (buffer_length(in) < FRAME_HEAD + length) return false;
    *frame = (struct frame){
        .type = head[3],
        .flags = head[4],
        .stream = read_u32(head + 5) & 0x7fffffff,
        .payload = head + FRAME_HEAD,
        .length = length,
    };
    trim_padding(frame);
    trim_priority(frame);
    buffer_consume(in, FRAME_HEAD + length);
    return true;
}

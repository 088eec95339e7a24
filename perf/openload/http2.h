// As much of HTTP/2 as a client of unary gRPC calls needs, as bytes in and bytes out.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buffer.h"

enum frame_type {
    FRAME_DATA = 0,
    FRAME_HEADERS = 1,
    FRAME_RST_STREAM = 3,
    FRAME_SETTINGS = 4,
    FRAME_PING = 6,
    FRAME_GOAWAY = 7,
    FRAME_WINDOW_UPDATE = 8,
};

enum {
    FLAG_ACK = 1,
    FLAG_END_STREAM = 1,
    FLAG_END_HEADERS = 4,
    FLAG_PADDED = 8,
    FLAG_PRIORITY = 32,
    SETTING_MAX_STREAMS = 3,
    SETTING_STREAM_WINDOW = 4,
    ERROR_CANCEL = 8,
    DEFAULT_WINDOW = 65535,
    // How much the other side may send before we say that we have read it.
    OUR_STREAM_WINDOW = 1 << 20,
    OUR_CONNECTION_WINDOW = 1 << 30,
};

struct frame {
    uint8_t type, flags;
    uint32_t stream;
    const uint8_t *payload;
    size_t length;
};

uint32_t read_u32(const uint8_t *bytes);

// Takes the first whole frame of the buffer, without padding and priority; false when there is
// none yet. The payload stays where it is until something is written to the buffer.
bool frame_take(struct buffer *in, struct frame *frame);

void put_preface(struct buffer *out);
// One call with so many us left; without its last `held_back` bytes it stays open.
void put_call(struct buffer *out, uint32_t stream, const struct buffer *fixed_headers,
              int64_t left_us, const struct buffer *body, size_t held_back);
void put_reset(struct buffer *out, uint32_t stream);
void put_goaway(struct buffer *out);
void put_settings_ack(struct buffer *out);
void put_ping_ack(struct buffer *out, const uint8_t *payload);
void put_window_update(struct buffer *out, uint32_t more);

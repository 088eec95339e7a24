// Bytes that are written at the back and read at the front.
#pragma once

#include <stddef.h>
#include <stdint.h>

struct buffer {
    uint8_t *bytes;
    size_t begin, end, capacity;
};

// How many bytes wait to be read, and where they are.
size_t buffer_length(const struct buffer *buffer);
const uint8_t *buffer_front(const struct buffer *buffer);

// Makes room for `room` more bytes and returns where they go; `end` is the caller's to move.
uint8_t *buffer_reserve(struct buffer *buffer, size_t room);
void buffer_append(struct buffer *buffer, const void *bytes, size_t length);
void buffer_consume(struct buffer *buffer, size_t length);
void buffer_clear(struct buffer *buffer);

#include "buffer.h"

#include <stdlib.h>
#include <string.h>

#include "fail.h"

size_t buffer_length(const struct buffer *buffer) {
    return buffer->end - buffer->begin;
}

const uint8_t *buffer_front(const struct buffer *buffer) {
    return buffer->bytes + buffer->begin;
}

static void move_to_front(struct buffer *buffer) {
    if (buffer->begin == 0) return;
    memmove(buffer->bytes, buffer->bytes + buffer->begin, buffer_length(buffer));
    buffer->end -= buffer->begin;
    buffer->begin = 0;
}

uint8_t *buffer_reserve(struct buffer *buffer, size_t room) {
    if (buffer->capacity - buffer->end < room) move_to_front(buffer);
    if (buffer->capacity - buffer->end < room) {
        buffer->capacity = (buffer->end + room) * 2;
        buffer->bytes = checked(realloc(buffer->bytes, buffer->capacity));
    }
    return buffer->bytes + buffer->end;
}

void buffer_append(struct buffer *buffer, const void *bytes, size_t length) {
    if (length == 0) return;
    memcpy(buffer_reserve(buffer, length), bytes, length);
    buffer->end += length;
}

void buffer_consume(struct buffer *buffer, size_t length) {
    buffer->begin += length;
    if (buffer->begin == buffer->end) buffer_clear(buffer);
}

void buffer_clear(struct buffer *buffer) {
    buffer->begin = buffer->end = 0;
}

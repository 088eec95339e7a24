// As much of HPACK, HTTP/2's header format, as a client of unary gRPC calls needs.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buffer.h"

// A call's headers are those that are the same in every call, and then its timeout.
void put_fixed_headers(struct buffer *block, const char *path, const char *authority);
// `line` is `name: value`.
void put_header_line(struct buffer *block, const char *line);
void put_timeout(struct buffer *block, int64_t left_us);

// Reads `grpc_status` from a header block and leaves it alone where there is none. Our settings
// forbid a dynamic table, and the static one has no such name: it always comes as a literal.
// False when the block is malformed.
bool read_header_block(const uint8_t *block, size_t length, int *grpc_status);

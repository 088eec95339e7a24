#include "hpack.h"

#include <stdio.h>
#include <string.h>

// HPACK integers fill the low bits of their first byte, then seven bits a byte.
static void put_hpack_length(struct buffer *block, size_t length) {
    uint8_t byte = length < 127 ? length : 127;
    buffer_append(block, &byte, 1);
    if (length < 127) return;
    for (length -= 127; length >= 128; length /= 128) {
        byte = length % 128 + 128;
        buffer_append(block, &byte, 1);
    }
    byte = length;
    buffer_append(block, &byte, 1);
}

static void put_hpack_bytes(struct buffer *block, const char *text, size_t length) {
    put_hpack_length(block, length);
    buffer_append(block, text, length);
}

static void put_hpack_text(struct buffer *block, const char *text) {
    put_hpack_bytes(block, text, strlen(text));
}

// `name` is an index of the static table here; neither side stores such a header.
static void put_indexed_name(struct buffer *block, uint8_t name, const char *value) {
    buffer_append(block, &name, 1);
    put_hpack_text(block, value);
}

// Written out: neither side stores it.
static const uint8_t literal = 0;

static void put_header(struct buffer *block, const char *name, const char *value) {
    buffer_append(block, &literal, 1);
    put_hpack_text(block, name);
    put_hpack_text(block, value);
}

void put_header_line(struct buffer *block, const char *line) {
    const char *end = strstr(line, ": ");
    buffer_append(block, &literal, 1);
    put_hpack_bytes(block, line, (size_t)(end - line));
    put_hpack_text(block, end + 2);
}

void put_fixed_headers(struct buffer *block, const char *path, const char *authority) {
    enum { AUTHORITY = 1, PATH = 4 };
    static const uint8_t post_over_http[] = {0x83, 0x86};
    buffer_append(block, post_over_http, sizeof post_over_http);
    put_indexed_name(block, PATH, path);
    put_indexed_name(block, AUTHORITY, authority);
    put_header(block, "te", "trailers");
    put_header(block, "content-type", "application/grpc");
    put_header(block, "user-agent", "openload");
}

// The spec allows eight digits.
void put_timeout(struct buffer *block, int64_t left_us) {
    char text[24];
    if (left_us < 1) left_us = 1;
    if (left_us > 99999999) snprintf(text, sizeof text, "%lldm", (long long)left_us / 1000);
    else snprintf(text, sizeof text, "%lldu", (long long)left_us);
    put_header(block, "grpc-timeout", text);
}

struct reader {
    const uint8_t *at, *end;
};

// A text as it stands in a header block.
struct text {
    const uint8_t *bytes;
    size_t length;
    bool huffman;
};

static size_t read_hpack_integer(struct reader *reader, int bits) {
    size_t most = (1u << bits) - 1, value = *reader->at++ & most;
    if (value < most) return value;
    for (int shift = 0; reader->at < reader->end && shift < 28; shift += 7) {
        uint8_t byte = *reader->at++;
        value += (size_t)(byte & 127) << shift;
        if (!(byte & 128)) break;
    }
    return value;
}

static bool read_hpack_text(struct reader *reader, struct text *text) {
    if (reader->at >= reader->end) return false;
    text->huffman = *reader->at & 0x80;
    text->length = read_hpack_integer(reader, 7);
    text->bytes = reader->at;
    if (text->length > (size_t)(reader->end - reader->at)) return false;
    reader->at += text->length;
    return true;
}

static bool is_grpc_status(const struct text *name) {
    static const char plain[] = "grpc-status";
    static const uint8_t coded[] = {0x9a, 0xca, 0xc8, 0xb2, 0x12, 0x34, 0xda, 0x8f};
    if (name->huffman)
        return name->length == sizeof coded && !memcmp(name->bytes, coded, sizeof coded);
    return name->length == sizeof plain - 1 && !memcmp(name->bytes, plain, sizeof plain - 1);
}

// Six bits from a bit on; past the end there are ones, as Huffman's padding is.
static unsigned six_bits(const struct text *text, size_t bit) {
    unsigned bits = 0;
    for (size_t i = bit; i < bit + 6; i++) {
        unsigned one = i / 8 < text->length ? text->bytes[i / 8] >> (7 - i % 8) & 1 : 1;
        bits = bits << 1 | one;
    }
    return bits;
}

// In HPACK's code 0 to 2 are the five bits 0 to 2, and 3 to 9 the six bits 0x19 to 0x1f.
static int huffman_number(const struct text *text) {
    int value = 0;
    for (size_t bit = 0; bit + 5 <= text->length * 8;) {
        unsigned bits = six_bits(text, bit);
        if (bits >> 1 <= 2) {
            value = value * 10 + (int)(bits >> 1);
            bit += 5;
        } else if (bits >= 0x19 && bits <= 0x1f) {
            value = value * 10 + (int)(bits - 0x19 + 3);
            bit += 6;
        } else {
            break;
        }
    }
    return value;
}

static int number_of(const struct text *text) {
    if (text->huffman) return huffman_number(text);
    int value = 0;
    for (size_t i = 0; i < text->length && i < 9; i++) value = value * 10 + (text->bytes[i] - '0');
    return value;
}

static bool read_literal(struct reader *reader, int index_bits, int *grpc_status) {
    struct text name = {0}, value;
    size_t index = read_hpack_integer(reader, index_bits);
    if (index == 0 && !read_hpack_text(reader, &name)) return false;
    if (!read_hpack_text(reader, &value)) return false;
    if (index == 0 && is_grpc_status(&name)) *grpc_status = number_of(&value);
    return true;
}

bool read_header_block(const uint8_t *block, size_t length, int *grpc_status) {
    struct reader reader = {block, block + length};
    while (reader.at < reader.end) {
        uint8_t kind = *reader.at;
        if (kind & 0x80) read_hpack_integer(&reader, 7);  // a header of the static table
        else if ((kind & 0xe0) == 0x20) read_hpack_integer(&reader, 5);  // a table size
        else if (!read_literal(&reader, kind & 0x40 ? 6 : 4, grpc_status)) return false;
    }
    return true;
}

#include "fail.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void fail(const char *format, ...) {
    va_list words;
    va_start(words, format);
    fputs("openload: ", stderr);
    vfprintf(stderr, format, words);
    fputc('\n', stderr);
    va_end(words);
    exit(1);
}

void *checked(void *memory) {
    if (memory == NULL) fail("out of memory");
    return memory;
}

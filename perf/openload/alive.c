#include "alive.h"

#include <stdlib.h>

#include "fail.h"

static struct call **calls;
static size_t n_calls, n_places;

static void put(struct call *call, size_t place) {
    calls[place] = call;
    call->place = place;
}

static void move_up(struct call *call, size_t place) {
    while (place > 0) {
        struct call *above = calls[(place - 1) / 2];
        if (above->expires <= call->expires) break;
        put(above, place);
        place = (place - 1) / 2;
    }
    put(call, place);
}

static void move_down(struct call *call, size_t place) {
    for (;;) {
        size_t below = 2 * place + 1;
        if (below >= n_calls) break;
        if (below + 1 < n_calls && calls[below + 1]->expires < calls[below]->expires) below++;
        if (call->expires <= calls[below]->expires) break;
        put(calls[below], place);
        place = below;
    }
    put(call, place);
}

struct call *alive_first(void) {
    return n_calls > 0 ? calls[0] : NULL;
}

void alive_add(struct call *call) {
    if (n_calls == n_places) {
        n_places = n_places > 0 ? 2 * n_places : 1024;
        calls = checked(realloc(calls, n_places * sizeof *calls));
    }
    move_up(call, n_calls++);
}

// The last one takes the free place: it may belong higher or lower.
void alive_remove(struct call *call) {
    struct call *last = calls[--n_calls];
    if (last == call) return;
    size_t place = call->place;
    if (place > 0 && last->expires < calls[(place - 1) / 2]->expires) move_up(last, place);
    else move_down(last, place);
}

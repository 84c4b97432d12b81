// What the lanes of a warp do together: shuffles, votes, __syncwarp.

namespace ptx {

enum Shuffle { UP_BY, DOWN_BY, BUTTERFLY, INDEX };

// shfl.sync: d|p, a, b, c. c holds the last lane of a segment and the mask of its first one.
static void shuffle(Warp& w, const Instruction& i) {
    const uint32_t *a = source<uint32_t>(w, i, 1), *b = source<uint32_t>(w, i, 2);
    const uint32_t* c = source<uint32_t>(w, i, 3);
    uint32_t received[LANES];
    unsigned from_somebody = 0;
    for_lanes(w, [&](int lane) {
        int fixed = c[lane] >> 8 & 31, last = (lane & fixed) | (c[lane] & 31 & ~fixed), other;
        int by = b[lane] & 31;
        bool is_inside;
        switch (i.number) {
            case UP_BY: other = lane - by, is_inside = other >= last; break;
            case DOWN_BY: other = lane + by, is_inside = other <= last; break;
            case BUTTERFLY: other = lane ^ by, is_inside = other <= last; break;
            default: other = (lane & fixed) | (by & ~fixed), is_inside = other <= last;
        }
        if (!is_inside) other = lane;
        bool sent = w.active >> other & 1;
        received[lane] = sent ? a[other] : ~0u;  // NaN from nobody
        from_somebody |= unsigned(is_inside) << lane;
    });
    for_lanes(w, [&](int lane) { result<uint32_t>(w, i)[lane] = received[lane]; });
    if (i.operands[5] != NOWHERE) set(w, i.operands[5], from_somebody);
}

enum Vote { ALL_OF, ANY_OF, UNIFORM, BALLOT };

static void vote(Warp& w, const Instruction& i) {
    unsigned yes = w.predicates[i.operands[1]] & w.active;
    bool result_of[] = {yes == w.active, yes != 0, yes == w.active || !yes};
    if (i.number == BALLOT)
        for_lanes(w, [&](int lane) { result<uint32_t>(w, i)[lane] = yes; });
    else
        set(w, i.operands[0], result_of[i.number] ? ALL : 0);
}

// __syncwarp: what each of them did is known to the others.
static void sync_warp(Warp& w, const Instruction&) {
    w.meetings++;
    for_lanes(w, [&](int a) { for_lanes(w, [&](int b) { w.met[a][b] = w.meetings; }); });
}

static void active_mask(Warp& w, const Instruction& i) {
    for_lanes(w, [&](int lane) { result<uint32_t>(w, i)[lane] = w.active; });
}

static void define_meetings() {
    define("shfl", shuffle), define("vote", vote), define("bar.warp", sync_warp);
    define("activemask", active_mask);
}

}  // namespace ptx

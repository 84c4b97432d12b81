// Shadow memory: who touched a cell last in this launch, and whether a barrier lies between.
//
// Two accesses to a cell of which one writes are a race, unless both are atomic, or one thread does
// both, or one happens after the other: a barrier of their block or a __syncwarp of their warp lies
// between. (A shuffle orders no memory.) Nothing orders blocks, except an atomic operation on a cell
// that both touch, with a fence before the first one and after the second.

namespace ptx {

struct Access {
    uint32_t block, thread, epoch, meetings;
    int32_t line;  // 0: there was none
};

struct Cell {
    Access write, read;
    uint32_t readers;          // lanes of the last reader's warp that have read in this epoch
    bool write_is_atomic;
    bool many_warps, many_blocks;  // have read: in this epoch; at all
    bool read_as_constant;
};

struct Shadow {
    uint64_t begin, end;
    int64_t granule;
    std::vector<Cell> cells;
    bool is_used = false;

    Cell& at(uint64_t address) { return cells[(address - begin) / granule]; }
    void use() {
        if (is_used) return;
        cells.assign((end - begin + granule - 1) / granule, Cell());
        is_used = true;
    }
};

static std::vector<Region> regions;   // apart and in order
static std::vector<Shadow> shadows;   // of the regions
static Shadow of_shared;

// What a release hands on -------------------------------------------------------------------------

// What is known to have happened in a block: all before an epoch, and what a thread did in it.
struct Before {
    uint32_t epoch, thread;
};
typedef std::unordered_map<uint32_t, Before> Known;  // by the blocks' numbers
static std::unordered_map<uint64_t, Known> released;  // by the address of the atomic operation
struct Acquired {
    Known known;
    uint32_t thread, epoch;  // the one who knows at once; the others after its next barrier
};
static std::vector<Acquired> acquired;      // by this block
static std::vector<uint64_t> waiting_for_fence[1024];  // atomics of a thread since its last fence
static std::vector<char> has_fenced(1024);

static void merge(Known& into, const Known& from) {
    for (auto& [block, before] : from) {
        auto [at, is_new] = into.insert({block, before});
        if (!is_new && at->second.epoch < before.epoch) at->second = before;
    }
}

static bool is_known(const Access& past, uint32_t thread) {
    for (const Acquired& what : acquired) {
        if (what.thread != thread && what.epoch >= epoch) continue;
        auto found = what.known.find(past.block);
        if (found == what.known.end()) continue;
        auto [before, by] = found->second;
        if (past.epoch < before || (past.epoch == before && past.thread == by)) return true;
    }
    return false;
}

// An atomic operation after a fence releases what its block did before its last barrier.
static void release(uint64_t address, uint32_t thread) {
    waiting_for_fence[thread].push_back(address);
    if (!has_fenced[thread]) return;
    Known& known = released[address];
    merge(known, {{block_number, {epoch, thread}}});
    for (const Acquired& what : acquired) merge(known, what.known);
}

// A fence after an atomic operation acquires what was released there.
static void fence(uint32_t thread) {
    has_fenced[thread] = true;
    for (uint64_t address : waiting_for_fence[thread])
        acquired.push_back({released[address], thread, epoch});
    waiting_for_fence[thread].clear();
}

static void forget_fences() {
    acquired.clear();
    for (auto& list : waiting_for_fence) list.clear();
    std::fill(has_fenced.begin(), has_fenced.end(), 0);
}

// Races -------------------------------------------------------------------------------------------

// Whether everything that `lanes` did at the time of `past` happened before what `thread` does now.
static bool is_ordered(const Access& past, unsigned lanes, const Warp& w, uint32_t thread) {
    if (past.block != block_number) return is_known(past, thread);
    if (past.epoch != epoch) return true;
    if (past.thread / LANES != thread / LANES) return false;
    int lane = thread % LANES;
    for (unsigned left = lanes & ~(1u << lane); left; left &= left - 1)
        if (w.met[__builtin_ctz(left)][lane] <= past.meetings) return false;
    return true;
}

[[noreturn]] static void race(Problem problem, const Access& past, const Access& now,
                              uint64_t address, int size) {
    throw Finding{problem,    now.line,   past.line,   size,   now.block,
                  now.thread, past.block, past.thread, address};
}

enum Mode { READ, READ_CONSTANT, WRITE, ATOMIC };

static void check_against_write(const Cell& cell, const Warp& w, const Access& now, Mode mode,
                                uint64_t address, int size) {
    if (!cell.write.line) return;
    if (mode == READ_CONSTANT) race(CONSTANT_WRITTEN, cell.write, now, address, size);
    if (mode == ATOMIC && cell.write_is_atomic) return;
    if (is_ordered(cell.write, 1u << cell.write.thread % LANES, w, now.thread)) return;
    bool writes = mode == WRITE || mode == ATOMIC;
    race(writes ? WRITE_AFTER_WRITE : READ_AFTER_WRITE, cell.write, now, address, size);
}

static void write(Cell& cell, const Warp& w, const Access& now, Mode mode, uint64_t address,
                  int size) {
    check_against_write(cell, w, now, mode, address, size);
    if (cell.read.line) {
        if (cell.read_as_constant) race(CONSTANT_WRITTEN, cell.read, now, address, size);
        bool many = cell.many_blocks || (cell.many_warps && cell.read.epoch == epoch);
        if (many || !is_ordered(cell.read, cell.readers, w, now.thread))
            race(WRITE_AFTER_READ, cell.read, now, address, size);
    }
    cell.write = now;
    cell.write_is_atomic = mode == ATOMIC;
}

static void read(Cell& cell, const Warp& w, const Access& now, Mode mode, uint64_t address,
                 int size) {
    check_against_write(cell, w, now, mode, address, size);
    const Access& last = cell.read;
    bool is_first = !last.line;
    bool same_block = !is_first && last.block == now.block;
    bool same_epoch = same_block && last.epoch == now.epoch;
    bool same_warp = same_epoch && last.thread / LANES == now.thread / LANES;
    if (!is_first && !same_block && !is_known(last, now.thread)) cell.many_blocks = true;
    cell.many_warps = same_epoch && (cell.many_warps || !same_warp);
    cell.readers = (same_warp ? cell.readers : 0) | 1u << now.thread % LANES;
    cell.read_as_constant |= mode == READ_CONSTANT;
    cell.read = now;
}

static void touch(Shadow& shadow, const Warp& w, const Instruction& i, int lane, uint64_t address,
                  int size, Mode mode) {
    shadow.use();
    Access now = {block_number, uint32_t(w.number * LANES + lane), epoch, w.meetings, i.line};
    for (uint64_t at = address; at < address + size; at += shadow.granule) {
        Cell& cell = shadow.at(at);
        if (mode == WRITE || mode == ATOMIC) write(cell, w, now, mode, at, size);
        else read(cell, w, now, mode, at, size);
    }
}

}  // namespace ptx

// Runs a launch: blocks one after another, in a block one warp after another until each waits.
#include "machine.h"
// in this order
#include "shadow.h"
#include "memory.h"
#include "arithmetic.h"
#include "convert.h"
#include "meet.h"

namespace ptx {

const long long MOST_STEPS = 1 << 24;  // of a warp between two barriers

static Sizes grid, block;
static std::vector<Warp> warps;
static unsigned order;
static std::mt19937 chance;

// A warp ------------------------------------------------------------------------------------------

// The group that is farthest back, with all that are at the same place; false if none can run.
static bool choose(Warp& w, int& stop) {
    if (w.runnable.empty()) return false;
    w.place = INT_MAX, stop = INT_MAX;
    for (const Group& group : w.runnable) w.place = std::min(w.place, group.place);
    unsigned lanes = 0;
    std::vector<Group> others;
    for (const Group& group : w.runnable)
        if (group.place == w.place) lanes |= group.lanes;
        else others.push_back(group), stop = std::min(stop, group.place);
    w.runnable.swap(others);
    w.active = lanes;
    return true;
}

static std::vector<Group>::iterator group_at(std::vector<Group>& groups, int place) {
    return std::find_if(groups.begin(), groups.end(),
                        [&](const Group& group) { return group.place == place; });
}

// Lanes come to what the lanes of a mask do together. True if they are all there, as active lanes.
static bool all_have_come(Warp& w, const Instruction& i) {
    int lane = __builtin_ctz(w.active);
    unsigned wanted = source<uint32_t>(w, i, 4)[lane] & w.existing;
    auto waiting = group_at(w.at_meeting, w.place);
    unsigned here = w.active | (waiting == w.at_meeting.end() ? 0 : waiting->lanes);
    if ((here & wanted) == wanted) {
        if (waiting != w.at_meeting.end()) w.at_meeting.erase(waiting);
        w.active = here;
        return true;
    }
    if (waiting == w.at_meeting.end()) w.at_meeting.push_back({here, w.place});
    else waiting->lanes = here;
    return false;
}

static const int STAYS = -1;  // the lanes wait or have ended

// What parts lanes, or has some of them wait. `all`: those that came here, of which the active ones
// do it. Returns where they go on together; else they are in w's lists.
static int decide(Warp& w, const Instruction& i, unsigned all) {
    unsigned others = all & ~w.active;
    int next = w.place + 1;
    switch (i.kind) {
        case BRANCH:
            if (!others) return i.number;
            if (!w.active) return next;
            w.runnable.push_back({w.active, (int)i.number});
            w.runnable.push_back({others, next});
            return STAYS;
        case EXIT: w.exited |= w.active; break;
        case BARRIER:
            if (w.active) w.at_barrier.push_back({w.active, w.place});
            break;
        case MEETING:
            if (!w.active) return next;
            if (all_have_come(w, i)) {
                handlers[i.handler](w, i);
                w.runnable.push_back({w.active | others, next});
                return STAYS;
            }
    }
    if (others) w.runnable.push_back({others, next});
    return STAYS;
}

static void run(Warp& w) {
    int stop;
    long long steps = 0;
    while (choose(w, stop)) {
        for (bool goes_on = true; goes_on;) {
            const Instruction& i = program.instructions[w.place];
            unsigned all = w.active;
            if (i.guard != NOWHERE)
                w.active &= w.predicates[i.guard] ^ (i.guard_is_negated ? ALL : 0);
            if (i.kind == PLAIN) {
                if (i.rounding) fesetround(i.rounding);
                if (w.active) handlers[i.handler](w, i);
                if (i.rounding) fesetround(FE_TONEAREST);
                w.place++;
            } else {
                int next = decide(w, i, all);
                if (next == STAYS) break;
                w.place = next;
            }
            w.active = all;
            if (++steps > MOST_STEPS) fail(ENDLESS, w, i, __builtin_ctz(all));
            goes_on = w.place < stop;
            if (!goes_on) w.runnable.push_back({w.active, w.place});
        }
    }
}

// A block -----------------------------------------------------------------------------------------

static void tell_threads_who_they_are(Warp& w, Sizes index) {
    uint32_t same[] = {block.x, block.y, block.z, index.x, index.y, index.z, grid.x, grid.y, grid.z};
    for (unsigned lane = 0; lane < LANES; lane++) {
        unsigned n = w.number * LANES + lane;
        uint32_t own[] = {n % block.x, n / block.x % block.y, n / block.x / block.y, lane};
        auto tell = [&](int which, uint32_t value) {
            int place = program.bound_registers[which];
            if (place >= 0) ((uint32_t*)(w.registers + place))[lane] = value;
        };
        for (int k = 0; k < 4; k++) tell(k, own[k]);
        for (int k = 0; k < 9; k++) tell(4 + k, same[k]);
        tell(13, w.number);
    }
}

static void begin(Warp& w, Sizes index) {
    unsigned threads = block.x * block.y * block.z, before = w.number * LANES;
    w.existing = threads - before >= LANES ? ALL : (1u << (threads - before)) - 1;
    w.exited = w.meetings = 0;
    w.runnable = {{w.existing, 0}};
    w.at_barrier.clear(), w.at_meeting.clear();
    memset(w.met, 0, sizeof w.met);
    memset(w.local, 0xFF, program.local * LANES);
    w.predicates[0] = 0, w.predicates[1] = ALL;
    tell_threads_who_they_are(w, index);
}

[[noreturn]] static void fail_for(Problem problem, const Warp& w, const Group& group,
                                  const Warp& other, unsigned other_lanes, int other_line) {
    Finding finding = {problem, program.instructions[group.place].line, other_line, 0, block_number,
                       uint32_t(w.number * LANES + __builtin_ctz(group.lanes)), block_number,
                       uint32_t(other.number * LANES + __builtin_ctz(other_lanes)), 0};
    throw finding;
}

// All warps wait or have ended: let those at the barrier go on. False if none is there.
static bool release() {
    const Warp* first = nullptr;
    for (const Warp& w : warps)
        if (!first && !w.at_barrier.empty()) first = &w;
    for (Warp& w : warps)
        if (!w.at_meeting.empty()) {
            int line = program.instructions[w.at_meeting[0].place].line;
            fail_for(DEADLOCK, w, w.at_meeting[0], w, w.at_meeting[0].lanes, line);
        }
    if (!first) return false;
    const Group& leader = first->at_barrier[0];
    for (const Warp& w : warps) {
        if (w.exited) fail_for(EXITED_AT_BARRIER, *first, leader, w, w.exited, 0);
        for (const Group& group : w.at_barrier)
            if (group.place != leader.place)
                fail_for(DIVERGENT, *first, leader, w, group.lanes,
                         program.instructions[group.place].line);
    }
    epoch++;
    for (Warp& w : warps) {
        w.runnable = {{w.existing, leader.place + 1}};
        w.at_barrier.clear();
    }
    return true;
}

static void run_block(Sizes index) {
    epoch = 1;
    std::fill(shared_memory.begin(), shared_memory.end(), 0xFF);
    of_shared.is_used = false;
    forget_fences();
    for (Warp& w : warps) begin(w, index);
    std::vector<int> turns(warps.size());
    std::iota(turns.begin(), turns.end(), 0);
    if (order == 1) std::reverse(turns.begin(), turns.end());
    do {
        if (order > 1) std::shuffle(turns.begin(), turns.end(), chance);
        for (int n : turns) run(warps[n]);
    } while (release());
}

// A launch ----------------------------------------------------------------------------------------

static void prepare(std::vector<char>& memory, const Region* memories, int count, int64_t dynamic) {
    unsigned threads = block.x * block.y * block.z;
    warps.resize((threads + LANES - 1) / LANES);
    int64_t of_warp = program.registers + (program.predicates + 2) * 4;
    of_warp = (of_warp + program.local * LANES + 63) & ~63;
    memory.resize(of_warp * warps.size() + 64);
    char* at = (char*)(((uint64_t)memory.data() + 63) & ~63ull);
    for (size_t n = 0; n < warps.size(); n++, at += of_warp) {
        Warp& w = warps[n];
        w.number = n;
        w.registers = at;
        w.predicates = (unsigned*)(at + program.registers);
        w.local = at + program.registers + (program.predicates + 2) * 4;
    }
    shadows.clear();
    for (int n = 0; n < count; n++)
        shadows.push_back({memories[n].begin, memories[n].end, program.granule, {}, false});
    shared_memory.resize(program.shared + dynamic);
    of_shared.begin = 0, of_shared.end = shared_memory.size();
    of_shared.granule = program.shared_granule;
    released.clear();
}

}  // namespace ptx

extern "C" int ptx_functions() {
    if (ptx::names().empty()) {
        ptx::define_memory(), ptx::define_arithmetic();
        ptx::define_conversions(), ptx::define_meetings();
    }
    return ptx::names().size();
}
extern "C" const char* ptx_name(int number) { return ptx::names()[number].c_str(); }

// Returns whether something was found. regions: in order of their addresses, none within another.
extern "C" int ptx_launch(const ptx::Program* program, const unsigned* sizes, void** parameters,
                          unsigned order, const ptx::Region* regions, int count, int64_t dynamic,
                          ptx::Finding* finding) {
    using namespace ptx;
    static std::vector<char> memory;
    ptx::program = *program;
    ptx::parameters = parameters;
    ptx::order = order;
    chance.seed(order);
    grid = {sizes[0], sizes[1], sizes[2]};
    block = {sizes[3], sizes[4], sizes[5]};
    prepare(memory, regions, count, dynamic);
    std::vector<uint32_t> turns((size_t)grid.x * grid.y * grid.z);
    std::iota(turns.begin(), turns.end(), 0);
    if (order == 1) std::reverse(turns.begin(), turns.end());
    if (order > 1) std::shuffle(turns.begin(), turns.end(), chance);
    try {
        for (uint32_t n : turns) {
            block_number = n;
            run_block({n % grid.x, n / grid.x % grid.y, n / grid.x / grid.y});
        }
    } catch (const Finding& found) {
        fesetround(FE_TONEAREST);
        *finding = found;
        return 1;
    }
    return 0;
}

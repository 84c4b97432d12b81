// A machine that executes PTX as a GPU does: a warp of 32 lanes at a time, in step.
//
// A program is a table of instructions (tests/gpu/ptx/program.py writes it). Each names a function of this
// library that does it for all active lanes. Lanes that a branch parts go on as groups, each with a
// place in the program; the group that is farthest back runs, until it meets another one. A warp
// runs until all its lanes have ended or wait at a barrier.
#include <cfenv>
#include <climits>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>

#include <algorithm>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <unordered_map>
#include <vector>

namespace ptx {

const int LANES = 32;
const unsigned ALL = ~0u;
const int NOWHERE = INT_MIN;  // an operand that is not there

struct Sizes {
    unsigned x, y, z;
};

struct Warp;
struct Instruction;
typedef void (*Handler)(Warp&, const Instruction&);

enum Kind { PLAIN, BRANCH, EXIT, BARRIER, MEETING };  // MEETING: the lanes of a mask do it together
enum Space { GLOBAL, SHARED, LOCAL, GENERIC };

// Operands are places in bytes: from 0 on in the warp's registers, below 0 among the constants.
// Those of predicates are numbers.
struct Instruction {
    int32_t handler, kind, guard, guard_is_negated, rounding;
    int32_t line;                   // of the PTX
    int32_t operands[10];           // the result first
    int32_t count;                  // elements of a vector
    int32_t width;                  // bytes of a lane in the register that is loaded or stored
    int32_t address_width, space;   // of a memory access
    int32_t is_constant, is_flushed;
    int64_t number;                 // an offset, a target, a mode: what the function wants
};

struct Region {  // memory that a kernel may touch
    uint64_t begin, end;
};

struct Program {
    const Instruction* instructions;
    const uint64_t* constants;  // 32 lanes of 8 bytes each: see source()
    int64_t length, registers, predicates, shared, local;  // bytes, but for length and predicates
    int64_t granule, shared_granule;  // bytes that are accessed together
    const char* shared_holes;         // for each byte of `shared` whether it belongs to no variable
    int32_t bound_registers[16];      // of what a thread reads about itself: see SPECIAL
    int32_t ulps;                     // by which approximations may be off
};

struct Finding {
    int32_t kind, line, other_line, size;
    uint32_t block, thread, other_block, other_thread;
    uint64_t address;
};

enum Problem {
    OUTSIDE = 1, MISALIGNED, WRITE_AFTER_WRITE, READ_AFTER_WRITE, WRITE_AFTER_READ, CONSTANT_WRITTEN,
    DIVERGENT, EXITED_AT_BARRIER, DEADLOCK, ENDLESS
};

struct Group {
    unsigned lanes;
    int place;
};

struct Warp {
    int number;
    unsigned active;  // the lanes for which the present instruction is done
    int place;        // of the present instruction
    unsigned existing, exited;
    std::vector<Group> runnable, at_barrier, at_meeting;
    char* registers;
    unsigned* predicates;
    char* local;  // of each lane
    // when two lanes last met in a __syncwarp, counted by `meetings`
    uint32_t meetings, met[LANES][LANES];
};

static Program program;
static std::vector<Handler> handlers;
static uint32_t block_number, epoch;  // epoch: the barriers that the block has passed
static void** parameters;
static std::vector<char> shared_memory;

template <class T>
const T* source(const Warp& w, const Instruction& i, int operand) {
    int place = i.operands[operand];
    return (const T*)(place >= 0 ? w.registers + place : (const char*)program.constants - 1 - place);
}
template <class T>
T* result(const Warp& w, const Instruction& i, int operand = 0) {
    return (T*)(w.registers + i.operands[operand]);
}

// to[k] = f(from[k]...) for every active lane.
template <class D, class F, class... S>
inline void apply(const Warp& w, F f, D* to, const S*... from) {
    if (w.active == ALL) {
#pragma GCC ivdep
        for (int k = 0; k < LANES; k++) to[k] = f(from[k]...);
    } else {
        for (unsigned left = w.active; left; left &= left - 1) {
            int k = __builtin_ctz(left);
            to[k] = f(from[k]...);
        }
    }
}

template <class F>
inline void for_lanes(const Warp& w, F f) {
    for (unsigned left = w.active; left; left &= left - 1) f(__builtin_ctz(left));
}

[[noreturn]] static void fail(Problem problem, const Warp& w, const Instruction& i, int lane,
                              uint64_t address = 0, int size = 0) {
    throw Finding{problem, i.line, 0, size, block_number, uint32_t(w.number * LANES + lane), 0, 0,
                  address};
}

// Functions by the names that program.py knows them by.
static std::vector<std::string>& names() {
    static std::vector<std::string> all;
    return all;
}
static void define(const std::string& name, Handler handler) {
    names().push_back(name);
    handlers.push_back(handler);
}

}  // namespace ptx

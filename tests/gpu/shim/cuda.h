// CUDA C on the CPU: as much of the language as the kernels use, executed thread by thread.
//
// Blocks run one after another. Inside a block a CUDA thread runs until it ends or waits (at
// __syncthreads or for its warp); then another one runs. Such a turn of all threads is a phase. A
// thread that waits keeps its stack, a fiber; the others share one, so that a kernel without
// barriers is a plain loop. In which order the threads of a phase run is an argument: a kernel that
// misses a barrier gives a wrong result in one order or another.
//
// emulator.py puts the kernels' text behind this file, in a namespace of its own.
#include <link.h>
#include <math.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include <algorithm>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#define __global__
#define __device__
#define __host__
#define __constant__ static
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __shared__ static thread_local __attribute__((used))  // nothing else here is thread_local

struct dim3 {
    unsigned x = 1, y = 1, z = 1;
};

namespace emulator {

// Fibers ------------------------------------------------------------------------------------------

#ifdef __SANITIZE_ADDRESS__
const size_t STACK = 1 << 20;
#else
const size_t STACK = 1 << 17;
#endif

struct Fiber {
    ucontext_t start;
    jmp_buf left_at;
    bool was_left = false;
    std::unique_ptr<char[]> stack;
};

// Leave one fiber and go on where the other was left. After its start a fiber is entered by
// longjmp, fifty times as fast as swapcontext (no system call); the sanitizer knows only the latter.
static void change(Fiber& from, Fiber& to) {
#ifdef __SANITIZE_ADDRESS__
    swapcontext(&from.start, &to.start);
#else
    if (_setjmp(from.left_at)) return;
    from.was_left = true;
    if (to.was_left) _longjmp(to.left_at, 1);
    setcontext(&to.start);
#endif
}

// A block of threads ------------------------------------------------------------------------------

enum State { READY, AT_BARRIER, IN_SHUFFLE, EXITED };

struct Thread {
    dim3 index;
    int number = 0;
    State state = READY;
    Fiber* fiber = nullptr;             // its stack while it waits
    int line = 0;                       // where it waits
    unsigned lanes = 0;                 // the mask of its shuffle
    int source = 0;                     // the thread whose value it asks for
    unsigned long long sent, received;  // bits
};

typedef void (*Kernel)(void** arguments);

static dim3 grid, block, block_index, thread_index;
static Kernel kernel;
static void** arguments;
static unsigned order;
static std::unique_ptr<char[]> room;  // what `extern __shared__` declares, of the size of the launch
static unsigned room_size;
static std::mt19937 chance;
static std::vector<Thread> threads;
static std::vector<int> turns;  // the threads' numbers in the order in which they run
static size_t turn;
static Thread* current;
static Fiber scheduler, *running;
static std::vector<std::unique_ptr<Fiber>> fibers;
static std::vector<Fiber*> idle;

// 0: forward, 1: backward, 2 and more: any permutation.
static void arrange(std::vector<int>& numbers) {
    if (order > 1) std::shuffle(numbers.begin(), numbers.end(), chance);
}

static std::vector<int> numbered(size_t count) {
    std::vector<int> numbers(count);
    std::iota(numbers.begin(), numbers.end(), 0);
    if (order == 1) std::reverse(numbers.begin(), numbers.end());
    return numbers;
}

static void run(Thread& thread) {
    current = &thread;
    thread_index = thread.index;
}

// The next thread of this phase, if it has not begun yet.
static Thread* next_new_thread() {
    for (; turn < turns.size(); turn++) {
        Thread& thread = threads[turns[turn]];
        if (thread.state != READY) continue;
        if (thread.fiber) return nullptr;
        turn++;
        return &thread;
    }
    return nullptr;
}

// What a fiber does: one thread after another, on the same stack unless one has to wait.
static void work() {
    Fiber* self = running;
    for (;;) {
        while (Thread* thread = next_new_thread()) {
            run(*thread);
            kernel(arguments);
            current->state = EXITED;
        }
        idle.push_back(self);
        change(*self, scheduler);
    }
}

static Fiber* idle_fiber() {
    if (idle.empty()) {
        fibers.emplace_back(new Fiber);
        Fiber& fiber = *fibers.back();
        fiber.stack.reset(new char[STACK]);
        getcontext(&fiber.start);
        fiber.start.uc_stack.ss_sp = fiber.stack.get();
        fiber.start.uc_stack.ss_size = STACK;
        makecontext(&fiber.start, work, 0);
        return &fiber;
    }
    Fiber* fiber = idle.back();
    idle.pop_back();
    return fiber;
}

static void enter(Fiber* fiber) {
    running = fiber;
    change(scheduler, *fiber);
}

static void wait(State state, int line) {
    Thread& self = *current;
    self.state = state;
    self.line = line;
    self.fiber = running;
    change(*running, scheduler);
}

static void run_phase() {
    arrange(turns);
    for (turn = 0; turn < turns.size();) {
        Thread& thread = threads[turns[turn]];
        if (thread.state == READY && !thread.fiber) {
            enter(idle_fiber());
            continue;
        }
        turn++;
        if (thread.state != READY) continue;
        run(thread);
        Fiber* fiber = thread.fiber;
        thread.fiber = nullptr;
        enter(fiber);
    }
}

// Who may go on -----------------------------------------------------------------------------------

// The threads with which this one exchanges values, by number; empty while one is still missing.
static std::vector<int> partners(const Thread& thread) {
    std::vector<int> found;
    int first = thread.number & ~31;
    for (int number = first; number < std::min(first + 32, (int)threads.size()); number++) {
        if (!(thread.lanes >> (number & 31) & 1)) continue;
        const Thread& other = threads[number];
        bool same = other.lanes == thread.lanes && other.line == thread.line;
        if (other.state != IN_SHUFFLE || !same) return {};
        found.push_back(number);
    }
    bool takes_part = std::find(found.begin(), found.end(), thread.number) != found.end();
    return takes_part ? found : std::vector<int>();
}

static bool is_first_of_its_lanes(const Thread& thread) {
    unsigned own = 1u << (thread.number & 31);
    return thread.lanes & own && !(thread.lanes & (own - 1));
}

// Deliver what complete warps have sent. In a random order some of them have to wait for a while:
// warps do not keep step.
static bool release_shuffles() {
    bool released = false;
    for (int number : turns) {
        const Thread& first = threads[number];
        if (first.state != IN_SHUFFLE || !is_first_of_its_lanes(first)) continue;
        std::vector<int> group = partners(first);
        if (group.empty()) continue;
        if (order > 1 && released && chance() % 2) continue;
        for (int member : group) {
            Thread& thread = threads[member];
            bool sent = std::binary_search(group.begin(), group.end(), thread.source);
            thread.received = sent ? threads[thread.source].sent : ~0ull;  // NaN from nobody
        }
        for (int member : group) threads[member].state = READY;
        released = true;
    }
    return released;
}

static std::string described(const Thread& thread) {
    const char* doing = thread.state == EXITED ? "has exited"
                        : thread.state == AT_BARRIER ? "waits at the barrier of line %d"
                                                     : "waits in the shuffle of line %d";
    char where[64], does[64];
    snprintf(where, sizeof where, "thread (%u, %u, %u) ", thread.index.x, thread.index.y,
             thread.index.z);
    snprintf(does, sizeof does, doing, thread.line);
    return std::string(where) + does;
}

// All threads wait for ever, or not for the same: say why.
static void fail(const char* problem, const Thread& waiting) {
    std::string message = std::string(problem) + ": " + described(waiting);
    for (const Thread& other : threads)
        if (other.state != waiting.state || (other.state != EXITED && other.line != waiting.line))
            throw message + ", " + described(other);
    throw message;
}

// Let the threads that wait go on; false if none waits.
static bool release() {
    if (release_shuffles()) return true;
    int waiting = 0, exited = 0, first = -1;
    bool same_line = true;
    for (const Thread& thread : threads) {
        if (thread.state == IN_SHUFFLE) fail("deadlock", thread);
        exited += thread.state == EXITED;
        if (thread.state != AT_BARRIER) continue;
        if (!waiting++) first = thread.number;
        same_line = same_line && thread.line == threads[first].line;
    }
    if (waiting && (exited || !same_line)) fail("divergent barrier", threads[first]);
    for (Thread& thread : threads)
        if (waiting) thread.state = READY;
    return waiting;
}

// Launch ------------------------------------------------------------------------------------------

thread_local char anchor = 1;  // touched, so that this memory exists

// Fill this library's thread-local memory, which is the shared memory, with 0xFF: NaN, -1.
static int poison(dl_phdr_info* library, size_t, void*) {
    bool ours = false;
    const ElfW(Phdr)* memory = nullptr;
    for (int i = 0; i < library->dlpi_phnum; i++) {
        const ElfW(Phdr)& part = library->dlpi_phdr[i];
        if (part.p_type == PT_TLS) memory = &part;
        size_t offset = (size_t)&order - (size_t)library->dlpi_addr - part.p_vaddr;
        ours = ours || (part.p_type == PT_LOAD && offset < part.p_memsz);
    }
    if (ours && memory) memset(library->dlpi_tls_data, 0xFF, memory->p_memsz);
    return ours;
}

static void run_block() {
    if (anchor) dl_iterate_phdr(poison, nullptr);
    memset(room.get(), 0xFF, room_size);
    for (size_t i = 0; i < threads.size(); i++) {
        Thread& thread = threads[i] = Thread();
        thread.number = i;
        thread.index = dim3{unsigned(i % block.x), unsigned(i / block.x % block.y),
                            unsigned(i / block.x / block.y)};
    }
    do run_phase();
    while (release());
}

// Run a kernel; nullptr, or what went wrong.
static const char* launch(Kernel body, const unsigned* blocks, const unsigned* sizes,
                          unsigned shared, void** values, unsigned thread_order) {
    static std::string problem;
    kernel = body;
    arguments = values;
    order = thread_order;
    chance.seed(order);
    room.reset(new char[room_size = shared]);
    grid = dim3{blocks[0], blocks[1], blocks[2]};
    block = dim3{sizes[0], sizes[1], sizes[2]};
    threads.resize(block.x * block.y * block.z);
    turns = numbered(threads.size());
    std::vector<int> block_turns = numbered((size_t)grid.x * grid.y * grid.z);
    arrange(block_turns);
    try {
        for (unsigned i : block_turns) {
            block_index = dim3{i % grid.x, i / grid.x % grid.y, i / grid.x / grid.y};
            run_block();
        }
    } catch (const std::string& message) {
        fibers.clear();
        idle.clear();
        problem = message;
        return problem.c_str();
    }
    return nullptr;
}

template <class T>
T exchange(int line, unsigned lanes, T value, int lane, int width) {
    static_assert(sizeof(T) <= sizeof(Thread::sent), "a shuffle moves 8 bytes at most");
    Thread& self = *current;
    int own = self.number & 31;
    memcpy(&self.sent, &value, sizeof value);
    self.lanes = lanes;
    self.source = self.number - own + (lane / width == own / width ? lane : own);
    wait(IN_SHUFFLE, line);
    memcpy(&value, &self.received, sizeof value);
    return value;
}

inline int lane() { return current->number & 31; }
template <class T>
T shuffle_down(int line, unsigned lanes, T value, unsigned away, int width = 32) {
    return exchange(line, lanes, value, lane() + (int)away, width);
}
template <class T>
T shuffle_xor(int line, unsigned lanes, T value, int bits, int width = 32) {
    return exchange(line, lanes, value, lane() ^ bits, width);
}
template <class T>
T shuffle(int line, unsigned lanes, T value, int source, int width = 32) {
    return exchange(line, lanes, value, lane() / width * width + source % width, width);
}

template <class To, class From>
To bits_of(From value) {
    static_assert(sizeof(To) == sizeof(From));
    To bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

}  // namespace emulator

// What kernels call -------------------------------------------------------------------------------

static const dim3 &gridDim = emulator::grid, &blockDim = emulator::block;
static const dim3 &blockIdx = emulator::block_index, &threadIdx = emulator::thread_index;
static const int warpSize = 32;

#define __syncthreads() emulator::wait(emulator::AT_BARRIER, __LINE__)
#define __syncwarp(...) emulator::shuffle_xor(__LINE__, ~0u, 0, 0)
inline void __threadfence() {}
#define __shfl_sync(...) emulator::shuffle(__LINE__, __VA_ARGS__)
#define __shfl_down_sync(...) emulator::shuffle_down(__LINE__, __VA_ARGS__)
#define __shfl_xor_sync(...) emulator::shuffle_xor(__LINE__, __VA_ARGS__)

// One thread runs at a time, so every operation is atomic. Only the types that CUDA has.
#define ATOMIC_ADD(T)                    \
    inline T atomicAdd(T* at, T value) { \
        T old = *at;                     \
        *at += value;                    \
        return old;                      \
    }
ATOMIC_ADD(int) ATOMIC_ADD(unsigned) ATOMIC_ADD(unsigned long long) ATOMIC_ADD(float)
ATOMIC_ADD(double)

#define EXTREMES(T)                                    \
    inline T max(T a, T b) { return a < b ? b : a; }   \
    inline T min(T a, T b) { return b < a ? b : a; }
EXTREMES(int) EXTREMES(unsigned) EXTREMES(long long) EXTREMES(unsigned long long)
inline float max(float a, float b) { return fmaxf(a, b); }  // a NaN loses
inline float min(float a, float b) { return fminf(a, b); }
inline double max(double a, double b) { return fmax(a, b); }
inline double min(double a, double b) { return fmin(a, b); }

inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline float rsqrtf(float x) { return 1 / sqrtf(x); }
inline double rsqrt(double x) { return 1 / sqrt(x); }
inline int __float_as_int(float x) { return emulator::bits_of<int>(x); }
inline unsigned __float_as_uint(float x) { return emulator::bits_of<unsigned>(x); }
inline float __int_as_float(int x) { return emulator::bits_of<float>(x); }
inline float __uint_as_float(unsigned x) { return emulator::bits_of<float>(x); }
inline unsigned __umulhi(unsigned a, unsigned b) { return (unsigned long long)a * b >> 32; }
template <class T>
T __ldg(const T* at) { return *at; }

// What every kernel file begins with (launch.py puts this text before them).
//
// The kernels of a compiled step (conv_*, dense_*, norm_*, *_dinput, dropout, loss, update_*) are made
// for replay as a CUDA graph: everything that changes between steps lies in device memory, no two
// threads add to one cell, and an activation is part of the kernel before it (forward) or after it
// (backward).
//
// `real` is float; the tests in float64 compile the same text with -DREAL=double. Cell is the number of
// a cell: 64 bits, or 32 in a plan whose arrays are known to be small (literal.py). Notation as in
// reference.py: N images, C channels, H x W picture, KH x KW kernel, stride SH, SW, padding PH, PW,
// dilation DH, DW, OH x OW output.
#ifndef REAL
#define REAL float
#endif
typedef REAL real;
#ifndef CELL
#define CELL long long
#endif
typedef CELL Cell;
#ifdef LITERALS
#define UNROLL _Pragma("unroll")  // a loop that is written out where its count is a literal
#else
#define UNROLL
#endif
#define INFINITE (1 / real(0))

// A pixel as a number, rounded as on the CPU. From sm_100 on the compiler makes x / 255 in float32 a
// product by 1 / 255 where it may flush subnormal numbers, unless the quotient is asked for by name.
__device__ inline float over_255(float x) { return __fdiv_rn(x, 255); }
__device__ inline double over_255(double x) { return x / 255; }

// With T threads in the grid, thread t takes the cells t, t + T, t + 2 T, ...: any launch covers any
// count, and neighbouring threads work on neighbouring cells.
#define FOR_CELLS(k, count)                                                              \
    for (Cell k = blockIdx.x * (Cell)blockDim.x + threadIdx.x; k < (Cell)(count);        \
         k += (Cell)gridDim.x * blockDim.x)

// COUNT neighbouring cells, read or written at once: four of float32 are the 16 bytes that a thread
// can move in one instruction. They have to begin at a multiple of 16 bytes.
template <unsigned COUNT>
struct alignas(COUNT == 4 ? 16 : sizeof(real)) Cells {
    real a[COUNT];
};

__device__ inline bool is_aligned(const void* at) { return (unsigned long long)at % 16 == 0; }

// Four cells, `step` apart, of which `count` exist; zeros for the others. wide: neighbours, aligned.
template <class Count>
__device__ inline Cells<4> four_cells(const real* at, long long step, Count count, bool wide) {
    if (wide && count >= 4) return *(const Cells<4>*)at;
    Cells<4> four;
    for (int q = 0; q < 4; q++) four.a[q] = q < count ? at[q * step] : real(0);
    return four;
}

// Write four neighbouring cells, of which `count` exist. wide: aligned.
template <class Count>
__device__ inline void put_four(real* at, Count count, bool wide, Cells<4> four) {
    if (wide && count >= 4) *(Cells<4>*)at = four;
    else
        for (int q = 0; q < 4 && q < count; q++) at[q] = four.a[q];
}

// FOR_CELLS with four neighbouring cells a thread: those of k = 4 q, 4 q + 1, ..., of which `left` exist.
#define FOR_FOURS(k, left, count)                                                              \
    for (Cell k = 4 * (blockIdx.x * (Cell)blockDim.x + threadIdx.x), left = (Cell)(count)-k; left > 0; \
         k += 4 * (gridDim.x * (Cell)blockDim.x), left = (Cell)(count)-k)

enum { NONE, SIGMOID, TANH, RELU };

// 1 / (1 + exp(-x)) from exp(-|x|), which cannot overflow.
__device__ inline real sigmoid_of(real x) {
    real e = exp(x < 0 ? x : -x);
    return (x < 0 ? e : real(1)) / (1 + e);
}

__device__ inline real activated(real x, int kind) {
    if (kind == SIGMOID) return sigmoid_of(x);
    if (kind == TANH) return tanh(x);
    if (kind == RELU) return x < 0 ? real(0) : x;  // NaN stays NaN
    return x;
}

// dy times the slope of an activation, computed from its result y.
__device__ inline real sloped(real dy, real y, int kind) {
    if (kind == SIGMOID) return dy * y * (1 - y);
    if (kind == TANH) return dy * (1 - y * y);
    if (kind == RELU) return y <= 0 ? real(0) : dy;  // not dy times 0: dy may be infinite
    return dy;
}

// The same, with cell k of the result, which is not read where there is no activation.
__device__ inline real slope_times(real dy, const real* __restrict__ result, Cell k,
                                   int kind) {
    return kind == NONE ? dy : sloped(dy, result[k], kind);
}

// A sum of many numbers: of 64 at a time, then of these sums, so that float32 loses little.
struct LongSum {
    real of_64 = 0, of_all = 0;
    int count = 0;
    __device__ void add(real a) {
        of_64 += a;
        count++;
        if (count == 64) {
            of_all += of_64;
            of_64 = 0;
            count = 0;
        }
    }
    __device__ real value() const { return of_all + of_64; }
};

// The window's place o along an axis whose tap k is at cell `at`: o S + k D - P = at; -1: none.
__device__ inline int window_at(int at, int k, int S, int P, int D, int O) {
    int from = at + P - k * D;
    return from >= 0 && from % S == 0 && from / S < O ? from / S : -1;
}

// The sum over the 32 threads of a warp, in its first thread.
__device__ inline real warp_sum(real a) {
    for (int away = 16; away > 0; away /= 2) a += __shfl_down_sync(0xffffffffu, a, away);
    return a;
}

// The sum over a block of up to 1024 threads, a multiple of 32, in its first thread.
__device__ inline real block_sum(real a) {
    __shared__ real of_warp[32];
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
    a = warp_sum(a);
    __syncthreads();  // somebody may still read the last sum
    if (lane == 0) of_warp[warp] = a;
    __syncthreads();
    a = threadIdx.x < warps ? of_warp[threadIdx.x] : real(0);
    return warp == 0 ? warp_sum(a) : real(0);
}

// The same, in each of the block's threads.
__device__ inline real sum_for_all(real a) {
    __shared__ real total;
    a = block_sum(a);
    if (threadIdx.x == 0) total = a;
    __syncthreads();
    return total;
}

// What every kernel file begins with (gpu.py puts this text before it).
//
// `real` is float; the tests in float64 compile the same text with -DREAL=double. Cells are counted
// in 64 bits. Notation as in reference.py: N images, C channels, H x W picture, KH x KW kernel,
// stride SH, SW, padding PH, PW, dilation DH, DW, OH x OW output.
#ifndef REAL
#define REAL float
#endif
typedef REAL real;
#define INFINITE (1 / real(0))

// Every thread takes every so-many-th cell, as many as the grid has threads: any launch covers any
// count, and neighbouring threads work on neighbouring cells.
#define FOR_CELLS(k, count)                                                              \
    for (long long k = blockIdx.x * (long long)blockDim.x + threadIdx.x; k < (count);    \
         k += (long long)gridDim.x * blockDim.x)

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

// dy times the slope of an activation, told from cell k of its result; not read where there is none.
__device__ inline real slope_times(real dy, const real* __restrict__ result, long long k,
                                   int kind) {
    if (kind == NONE) return dy;
    real y = result[k];
    if (kind == SIGMOID) return dy * y * (1 - y);
    if (kind == TANH) return dy * (1 - y * y);
    return y <= 0 ? real(0) : dy;  // not dy times 0: dy may be infinite
}

// A cell's step of gradient descent; the formula is in optim.SGD. v: 0 where there is no momentum.
__device__ inline void descend(real* p, const real* g, real* v, long long k, real lr,
                               real momentum, real undamped, real weight_decay, bool nesterov,
                               bool maximize) {
    real d = maximize ? -g[k] : g[k];
    if (weight_decay != 0) d += weight_decay * p[k];
    if (v != 0) {
        v[k] = momentum * v[k] + undamped * d;
        d = nesterov ? d + momentum * v[k] : v[k];
    }
    p[k] -= lr * d;
}

// A cell's step of Adam (optim.Adam). size: lr over m's correction, root: one over that of sqrt(v);
// part1, part2: 1 - beta1, 1 - beta2. largest: 0 without amsgrad.
__device__ inline void adapt(real* p, const real* g, real* m, real* v, real* largest, long long k,
                             real lr, real size, real root, real part1, real part2, real eps,
                             real weight_decay, bool decoupled, bool maximize) {
    real d = maximize ? -g[k] : g[k], kept = 1;
    if (decoupled) kept -= lr * weight_decay;
    else if (weight_decay != 0) d += weight_decay * p[k];
    m[k] = (1 - part1) * m[k] + part1 * d;
    v[k] = (1 - part2) * v[k] + part2 * (d * d);
    real w = v[k];
    if (largest != 0) {
        if (w <= largest[k]) w = largest[k];  // a NaN is larger
        largest[k] = w;
    }
    p[k] = kept * p[k] - size * m[k] / (root * sqrt(w) + eps);
}

// A cell's step of Adadelta (optim.Adadelta). part: 1 - rho.
__device__ inline void adapt_delta(real* p, const real* g, real* v, real* u, long long k, real lr,
                                   real part, real eps, real weight_decay, bool maximize) {
    real d = maximize ? -g[k] : g[k];
    if (weight_decay != 0) d += weight_decay * p[k];
    v[k] = (1 - part) * v[k] + part * (d * d);
    d *= sqrt(u[k] + eps) / sqrt(v[k] + eps);
    u[k] = (1 - part) * u[k] + part * (d * d);
    p[k] -= lr * d;
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

// Philox4x32-10: see reference.philox. Word k % 4 of block k / 4.
__device__ inline unsigned int philox_word(unsigned long long k, unsigned long long draw,
                                           unsigned long long seed) {
    unsigned long long block = k / 4;
    unsigned int c[4] = {(unsigned int)block, (unsigned int)(block >> 32), (unsigned int)draw,
                         (unsigned int)(draw >> 32)};
    unsigned int k0 = (unsigned int)seed, k1 = (unsigned int)(seed >> 32);
    for (int round = 0; round < 10; round++) {
        unsigned long long p0 = 0xD2511F53ull * c[0], p1 = 0xCD9E8D57ull * c[2];
        unsigned int c1 = c[1], c3 = c[3];
        c[0] = (unsigned int)(p1 >> 32) ^ c1 ^ k0;
        c[1] = (unsigned int)p1;
        c[2] = (unsigned int)(p0 >> 32) ^ c3 ^ k1;
        c[3] = (unsigned int)p0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return c[k % 4];
}

// Number k of a set, in [0, 1): the upper 24 bits of its word.
__device__ inline float uniform_at(unsigned long long k, unsigned long long draw,
                                   unsigned long long seed) {
    return (philox_word(k, draw, seed) >> 8) * 0x1p-24f;
}

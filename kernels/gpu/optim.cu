// Gradient descent: an array at a time in eager mode (launch: blocks of 256, any grid), all parameters
// at once in compiled steps.

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

// A step of gradient descent for one array.
extern "C" __global__ void sgd(
    real* p, const real* __restrict__ g, real* v, long long cells, real lr, real momentum,
    real dampening, real weight_decay, int nesterov, int maximize) {
    real* velocity = momentum != 0 ? v : (real*)0;
    FOR_CELLS(k, cells)
        descend(p, g, velocity, k, lr, momentum, 1 - dampening, weight_decay, nesterov, maximize);
}

// A step of Adam for one array; the numbers are those of adapt.
extern "C" __global__ void adam(
    real* p, const real* __restrict__ g, real* m, real* v, real* largest, long long cells, real lr,
    real size, real root, real part1, real part2, real eps, real weight_decay, int amsgrad,
    int decoupled, int maximize) {
    FOR_CELLS(k, cells)
        adapt(p, g, m, v, amsgrad ? largest : (real*)0, k, lr, size, root, part1, part2, eps,
              weight_decay, decoupled, maximize);
}

// A step of Adadelta for one array.
extern "C" __global__ void adadelta(real* p, const real* __restrict__ g, real* v, real* u,
                                    long long cells, real lr, real part, real eps,
                                    real weight_decay, int maximize) {
    FOR_CELLS(k, cells) adapt_delta(p, g, v, u, k, lr, part, eps, weight_decay, maximize);
}

// The update: the last launch of a step. It adds up the parts of each gradient, takes the optimiser's
// step, and ends with what else is summed up: the losses. `table` has a row for each gradient, `places`
// for each block but the last one its row and its number within the row: it takes 256 cells, a thread
// each; or 32 of a gradient of many parts, which its 8 warps share.
#define FEW_PARTS 8

// A row: the addresses of p (0: nobody's; its gradient is wanted all the same), of g and of what is
// kept for p (0: nothing), the number of cells, of g's parts, and of p's step without the clock's.
struct Row {
    real *p, *g, *first, *second, *third;
    long long cells, parts, step;
    __device__ Row(const unsigned long long* table, const unsigned long long* clock, int number) {
        const unsigned long long* row = table + 8ll * number;
        p = (real*)row[0];
        g = (real*)row[1];
        first = (real*)row[2];
        second = (real*)row[3];
        third = (real*)row[4];
        cells = row[5];
        parts = row[6];
        step = row[7] + clock[BEGUN];
    }

    // The cell of this thread, whose gradient is now whole: its parts, added in a fixed order, lie in
    // the first one. -1: it has none to update.
    __device__ long long own_cell(long long block) const {
        __shared__ real of_warp[8][32];
        int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
        bool is_shared = parts > FEW_PARTS;
        long long k = is_shared ? 32 * block + lane : 256 * block + threadIdx.x;
        real sum = 0;
        if (k < cells)
            for (long long part = is_shared ? warp : 0; part < parts; part += is_shared ? 8 : 1)
                sum += g[part * cells + k];
        if (is_shared) {
            of_warp[warp][lane] = sum;
            __syncthreads();
            for (int w = 1; warp == 0 && w < 8; w++) sum += of_warp[w][lane];
        }
        if (k >= cells || (is_shared && warp > 0)) return -1;
        if (parts > 1) g[k] = sum;
        return p != 0 ? k : -1;
    }
};

// The last block's work: the draws of the masks go on, the step is counted, and the losses are summed
// up.
__device__ inline bool is_last(unsigned long long* keys, int masks, unsigned long long* clock,
                               const real* __restrict__ of_images, real* result, real* totals,
                               long long* correct, int N) {
    if (blockIdx.x != gridDim.x - 1) return false;
    count_masks(keys, masks);
    end_step(clock);
    add_losses(of_images, result, totals, correct, N);
    return true;
}

// A step of gradient descent for all parameters; the settings are those of optim.SGD.
extern "C" __global__ void update_sgd(
    const unsigned long long* __restrict__ table, const int* __restrict__ places,
    const real* __restrict__ settings, unsigned long long* keys, int masks,
    unsigned long long* clock, const real* __restrict__ of_images, real* result, real* totals,
    long long* correct, int N) {
    if (is_last(keys, masks, clock, of_images, result, totals, correct, N)) return;
    Row row(table, clock, places[2 * blockIdx.x]);
    const real* of = settings + OF_UPDATE;
    real lr = of[0], momentum = of[1], undamped = row.step == 1 ? real(1) : 1 - of[2];
    real weight_decay = of[3];
    bool nesterov = of[4] != 0, maximize = of[5] != 0;
    long long k = row.own_cell(places[2 * blockIdx.x + 1]);
    if (k >= 0)
        descend(row.p, row.g, row.first, k, lr, momentum, undamped, weight_decay, nesterov, maximize);
}

// A step of Adam for all parameters. Settings: lr, log beta1, log beta2, 1 - beta1, 1 - beta2, eps,
// weight_decay, decoupled, maximize: in float32, 1 - beta would be wrong in the fourth place.
extern "C" __global__ void update_adam(
    const unsigned long long* __restrict__ table, const int* __restrict__ places,
    const real* __restrict__ settings, unsigned long long* keys, int masks,
    unsigned long long* clock, const real* __restrict__ of_images, real* result, real* totals,
    long long* correct, int N) {
    if (is_last(keys, masks, clock, of_images, result, totals, correct, N)) return;
    Row row(table, clock, places[2 * blockIdx.x]);
    const real* of = settings + OF_UPDATE;
    real step = row.step, size = of[0] / -expm1(step * of[1]);  // lr / (1 - beta1^step)
    real root = 1 / sqrt(-expm1(step * of[2]));
    bool decoupled = of[7] != 0, maximize = of[8] != 0;
    long long k = row.own_cell(places[2 * blockIdx.x + 1]);
    if (k >= 0)
        adapt(row.p, row.g, row.first, row.second, row.third, k, of[0], size, root, of[3], of[4],
              of[5], of[6], decoupled, maximize);
}

// A step of Adadelta for all parameters. Settings: lr, 1 - rho, eps, weight_decay, maximize.
extern "C" __global__ void update_adadelta(
    const unsigned long long* __restrict__ table, const int* __restrict__ places,
    const real* __restrict__ settings, unsigned long long* keys, int masks,
    unsigned long long* clock, const real* __restrict__ of_images, real* result, real* totals,
    long long* correct, int N) {
    if (is_last(keys, masks, clock, of_images, result, totals, correct, N)) return;
    Row row(table, clock, places[2 * blockIdx.x]);
    const real* of = settings + OF_UPDATE;
    long long k = row.own_cell(places[2 * blockIdx.x + 1]);
    if (k >= 0)
        adapt_delta(row.p, row.g, row.first, row.second, k, of[0], of[1], of[2], of[3], of[4] != 0);
}

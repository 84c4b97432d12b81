// What is done cell by cell or row by row: activations, the loss, gradient descent, random numbers.
// Launch: blocks of 256, any grid.

// y = activation(x). Moves 8 bytes a cell.
extern "C" __global__ void activate(const real* __restrict__ x, real* __restrict__ y,
                                    long long cells, int kind) {
    FOR_CELLS(k, cells) y[k] = activated(x[k], kind);
}

// dx = slope * dy. Moves 12 bytes a cell.
extern "C" __global__ void activate_backward(const real* __restrict__ dy,
                                             const real* __restrict__ y, real* __restrict__ dx,
                                             long long cells, int kind) {
    FOR_CELLS(k, cells) dx[k] = slope_times(dy[k], y, k, kind);
}

// losses[m] = log(sum_c exp(logits[m, c])) - logits[m, target[m]] and the softmax; a target of -1
// has no loss. A warp takes a row, so that its threads read neighbouring classes.
extern "C" __global__ void softmax_cross_entropy(
    const real* __restrict__ logits, const long long* __restrict__ target,
    real* __restrict__ losses, real* __restrict__ probabilities, int rows, int C) {
    int lane = threadIdx.x % 32, warps = gridDim.x * blockDim.x / 32;
    int first = (blockIdx.x * blockDim.x + threadIdx.x) / 32;
    for (int m = first; m < rows; m += warps) {
        const real* row = logits + (long long)m * C;
        real* p = probabilities + (long long)m * C;
        real largest = -INFINITE;
        for (int c = lane; c < C; c += 32) largest = row[c] > largest ? row[c] : largest;
        for (int away = 16; away > 0; away /= 2) {
            real other = __shfl_xor_sync(0xffffffffu, largest, away);
            largest = other > largest ? other : largest;
        }
        real sum = 0;
        for (int c = lane; c < C; c += 32) sum += p[c] = exp(row[c] - largest);
        sum = __shfl_sync(0xffffffffu, warp_sum(sum), 0);
        for (int c = lane; c < C; c += 32) p[c] /= sum;
        if (lane == 0) {
            long long t = target[m];
            losses[m] = t < 0 ? real(0) : log(sum) - (row[t] - largest);
        }
    }
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

// The draw-th set of uniform numbers of a seed: see reference.random_uniform.
extern "C" __global__ void random_uniform(float* __restrict__ numbers, long long cells,
                                          unsigned long long seed, unsigned long long draw) {
    FOR_CELLS(k, cells) numbers[k] = uniform_at(k, draw, seed);
}

// Gradient descent: an array at a time in eager mode, all parameters at once in compiled steps.
// Launch: blocks of 256, any grid.

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

// A parameter's part in an update: row blockIdx.y of the table has the addresses of p, g and what is
// kept for it (0: nothing), the number of cells, and that of the step.
struct Row {
    real *p, *first, *second, *third;
    const real* g;
    long long cells, step;
    __device__ explicit Row(const unsigned long long* table) {
        const unsigned long long* row = table + 7 * blockIdx.y;
        p = (real*)row[0];
        g = (const real*)row[1];
        first = (real*)row[2];
        second = (real*)row[3];
        third = (real*)row[4];
        cells = row[5];
        step = row[6];
    }
};

// A step of gradient descent for all parameters; the settings are those of optim.SGD.
extern "C" __global__ void update_sgd(const unsigned long long* __restrict__ table,
                                      const real* __restrict__ settings,
                                      unsigned long long* keys, int masks) {
    Row row(table);
    const real* of = settings + OF_UPDATE;
    real lr = of[0], momentum = of[1], undamped = row.step == 1 ? real(1) : 1 - of[2];
    real weight_decay = of[3];
    bool nesterov = of[4] != 0, maximize = of[5] != 0;
    FOR_CELLS(k, row.cells)
        descend(row.p, row.g, row.first, k, lr, momentum, undamped, weight_decay, nesterov, maximize);
    count_masks(keys, masks);
}

// A step of Adam for all parameters. Settings: lr, log beta1, log beta2, 1 - beta1, 1 - beta2, eps,
// weight_decay, decoupled, maximize: in float32, 1 - beta would be wrong in the fourth place.
extern "C" __global__ void update_adam(const unsigned long long* __restrict__ table,
                                       const real* __restrict__ settings,
                                       unsigned long long* keys, int masks) {
    Row row(table);
    const real* of = settings + OF_UPDATE;
    real step = row.step, size = of[0] / -expm1(step * of[1]);  // lr / (1 - beta1^step)
    real root = 1 / sqrt(-expm1(step * of[2]));
    bool decoupled = of[7] != 0, maximize = of[8] != 0;
    FOR_CELLS(k, row.cells)
        adapt(row.p, row.g, row.first, row.second, row.third, k, of[0], size, root, of[3], of[4],
              of[5], of[6], decoupled, maximize);
    count_masks(keys, masks);
}

// A step of Adadelta for all parameters. Settings: lr, 1 - rho, eps, weight_decay, maximize.
extern "C" __global__ void update_adadelta(const unsigned long long* __restrict__ table,
                                           const real* __restrict__ settings,
                                           unsigned long long* keys, int masks) {
    Row row(table);
    const real* of = settings + OF_UPDATE;
    FOR_CELLS(k, row.cells)
        adapt_delta(row.p, row.g, row.first, row.second, k, of[0], of[1], of[2], of[3], of[4] != 0);
    count_masks(keys, masks);
}

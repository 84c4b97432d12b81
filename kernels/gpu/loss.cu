// The loss: a warp takes an image, so that its threads read neighbouring classes.

enum { GRADIENT, SMOOTHING, OF_UPDATE };  // settings: the loss's, then those of the update

// losses[m] = log(sum_c exp(logits[m, c])) - logits[m, target[m]] and the softmax; a target of -1
// has no loss. Launch: blocks of 256, any grid; a warp takes a row.
extern "C" __global__ void softmax_cross_entropy(
    const real* __restrict__ logits, const long long* __restrict__ target,
    real* __restrict__ losses, real* __restrict__ probabilities, int rows, int C) {
    int lane = threadIdx.x % 32, warps = gridDim.x * blockDim.x / 32;
    int first = (blockIdx.x * blockDim.x + threadIdx.x) / 32;
    for (int m = first; m < rows; m += warps) {
        const real* row = logits + (Cell)m * C;
        real* p = probabilities + (Cell)m * C;
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

// What the mean of the losses divides by: the sum of the classes' weights over all images; 1 where
// the reduction is a sum. A label that is no class makes it NaN. Every block computes it for itself.
__device__ inline real divisor_of(const long long* __restrict__ target,
                                  const real* __restrict__ weight, int N, int C,
                                  long long ignore_index, int is_mean) {
    real count = 0;
    for (int m = threadIdx.x; m < N; m += blockDim.x) {
        long long t = target[m];
        if (t != ignore_index) count += t >= 0 && t < C ? weight[t] : INFINITE - INFINITE;
    }
    count = sum_for_all(count);
    return is_mean || isnan(count) ? count : real(1);
}

// Whether logit a of class i wins against b of class j: a NaN does, and of equals the first class.
__device__ inline bool wins(real a, int i, real b, int j) {
    if (isnan(a) || isnan(b)) return isnan(a) && (!isnan(b) || i < j);
    return a > b || (a == b && i < j);
}

// The loss of an image with logits x and target t, its gradient dx (which may lie where x does), and
// whether the prediction is right, by the threads of a warp; `of_image` takes loss and 1 or 0.
//     loss = sum_c q_c w_c (-log p_c),  q_c = (1 - s) [c = t] + s / C,  s: label smoothing
//     dx = scale (p sum_k q_k w_k - q w), times the slope of the activation that x came from
__device__ inline void cross_entropy(const real* x, real* dx, int C, long long t, bool is_ignored,
                                     const real* __restrict__ weight, real smoothing, real scale,
                                     int kind, real* loss, real* is_right) {
    int lane = threadIdx.x % 32, best = C;
    real largest = -INFINITE;
    for (int c = lane; c < C; c += 32)
        if (wins(x[c], c, largest, best)) {
            largest = x[c];
            best = c;
        }
    for (int away = 16; away > 0; away /= 2) {
        real other = __shfl_xor_sync(0xffffffffu, largest, away);
        int of_other = __shfl_xor_sync(0xffffffffu, best, away);
        if (wins(other, of_other, largest, best)) {
            largest = other;
            best = of_other;
        }
    }
    real e = 0, qw = 0, sum = 0;
    for (int c = lane; c < C; c += 32) e += exp(x[c] - largest);
    e = __shfl_sync(0xffffffffu, warp_sum(e), 0);
    for (int c = lane; c < C; c += 32) {
        real q = smoothing / C + (c == t ? 1 - smoothing : real(0));
        qw += q * weight[c];
        if (q != 0) sum += q * weight[c] * (log(e) - (x[c] - largest));
    }
    qw = __shfl_sync(0xffffffffu, warp_sum(qw), 0);
    sum = warp_sum(sum);
    for (int c = lane; c < C; c += 32) {  // each thread writes over what it alone has read
        real q = smoothing / C + (c == t ? 1 - smoothing : real(0));
        real d = scale * (exp(x[c] - largest) / e * qw - q * weight[c]);
        dx[c] = is_ignored ? real(0) : sloped(d, x[c], kind);
    }
    if (lane != 0) return;
    *loss = is_ignored ? real(0) : sum;
    *is_right = best == t;
}

// Softmax cross-entropy with class weights and label smoothing. A target that is ignore_index does not
// count; one that is no class makes the loss NaN. of_images: the loss of each image, then 1 where its
// prediction is right, then what the sum of the losses is divided by: 2 N + 1 numbers, which the
// update adds up. Launch: blocks of 256, 8 images each.
extern "C" __global__ void loss(
    const real* __restrict__ logits, const long long* __restrict__ target,
    const real* __restrict__ weight, const real* __restrict__ settings,
    real* __restrict__ dlogits, real* __restrict__ of_images, int N, int C, long long ignore_index,
    int is_mean, int kind) {
    real divisor = divisor_of(target, weight, N, C, ignore_index, is_mean);
    real smoothing = settings[SMOOTHING], scale = settings[GRADIENT] / divisor;
    if (blockIdx.x == 0 && threadIdx.x == 0) of_images[(Cell)N + N] = divisor;
    int warps = blockDim.x / 32;
    for (Cell m = blockIdx.x * (Cell)warps + threadIdx.x / 32; m < N; m += gridDim.x * (Cell)warps)
        cross_entropy(logits + m * C, dlogits + m * C, C, target[m], target[m] == ignore_index,
                      weight, smoothing, scale, kind, of_images + m, of_images + N + m);
}

// The loss of the batch, and the sums of an epoch: of loss * N, and of correct predictions. One block,
// so that the numbers are added in one order.
__device__ inline void add_losses(const real* __restrict__ of_images, real* result, real* totals,
                                  long long* correct, int N) {
    real sum = 0, right = 0;
    for (int m = threadIdx.x; m < N; m += blockDim.x) {
        sum += of_images[m];
        right += of_images[(Cell)N + m];
    }
    sum = block_sum(sum);
    right = block_sum(right);
    if (threadIdx.x != 0) return;
    *result = sum / of_images[(Cell)N + N];
    *totals += *result * N;
    *correct += (long long)right;
}

// Of eager mode: see the functions of these names in reference_batches.py and reference.py.

// The class of each row, -1 where it is ignored, and how much it counts. Launch: any grid.
extern "C" __global__ void class_indices(
    const long long* __restrict__ labels, const real* __restrict__ weight,
    long long* __restrict__ indices, real* __restrict__ row_weights, long long cells,
    int has_weight, int C, long long ignore_index) {
    FOR_CELLS(m, cells) {
        long long t = labels[m];
        bool is_ignored = t == ignore_index, is_class = t >= 0 && t < C;
        indices[m] = is_ignored ? -1 : is_class ? t : 0;
        real counts = !is_class ? INFINITE - INFINITE : has_weight ? weight[t] : real(1);
        row_weights[m] = is_ignored ? real(0) : counts;
    }
}

// result[0]: the weighted sum of the losses over result[1], the sum of the weights or 1. One block, so
// that the numbers are added in one order.
extern "C" __global__ void reduce_losses(const real* __restrict__ losses,
                                         const real* __restrict__ weight,
                                         real* __restrict__ result, long long rows, int is_mean) {
    LongSum of_losses, of_weights;
    for (long long m = threadIdx.x; m < rows; m += blockDim.x) {
        of_losses.add(losses[m] * weight[m]);
        of_weights.add(weight[m]);
    }
    real sum = block_sum(of_losses.value()), weights = block_sum(of_weights.value());
    if (threadIdx.x != 0) return;
    result[1] = is_mean ? weights : real(1);
    result[0] = sum / result[1];
}

// dlogits[m, c] = dlosses[m] (p[m, c] - [c = target[m]]), or 0 where target[m] is -1. Moves 8 bytes a
// cell. Launch: any grid.
extern "C" __global__ void softmax_cross_entropy_backward(
    const real* __restrict__ p, const long long* __restrict__ target,
    const real* __restrict__ dlosses, real* __restrict__ dlogits, long long cells, int C) {
    FOR_CELLS(k, cells) {
        Cell m = k / C;
        int c = k % C;
        real d = dlosses[m] * (p[k] - (c == target[m] ? real(1) : real(0)));
        dlogits[k] = target[m] < 0 ? real(0) : d;
    }
}

// total += loss N, correct += the rows whose largest logit is that of their target. One block.
extern "C" __global__ void count_batch(
    real* total, long long* correct, const real* __restrict__ loss,
    const real* __restrict__ logits, const long long* __restrict__ target, int N, int C) {
    int right = 0;
    for (int m = threadIdx.x; m < N; m += blockDim.x) {
        const real* x = logits + (Cell)m * C;
        int best = 0;
        for (int c = 1; c < C; c++)
            if (wins(x[c], c, x[best], best)) best = c;
        right += best == target[m];
    }
    real sum = block_sum(real(right));
    if (threadIdx.x != 0) return;
    *total += *loss * N;
    *correct += (long long)sum;
}

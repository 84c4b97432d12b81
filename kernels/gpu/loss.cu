// The loss: a warp takes a row in eager mode, one block all rows in compiled steps.

enum { GRADIENT, SMOOTHING, OF_UPDATE };  // settings: the loss's, then those of the update

// losses[m] = log(sum_c exp(logits[m, c])) - logits[m, target[m]] and the softmax; a target of -1
// has no loss. A warp takes a row, so that its threads read neighbouring classes.
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

// Softmax cross-entropy with class weights w and label smoothing s, its gradient, and the sums of an
// epoch. One block of 256 threads, each of which takes whole rows: made for tens of classes.
//     loss_m = sum_c q_c w_c (-log p_c),  q_c = (1 - s) [c = target_m] + s / C
//     dlogits = gradient / divisor (p sum_k q_k w_k - q w),  divisor: the sum of w[target], or 1
// A target that is ignore_index does not count; one that is no class makes the loss NaN.
// result: the loss; totals: the sum of loss * N; correct: the number of correct predictions.
extern "C" __global__ void loss(
    const real* __restrict__ logits, const long long* __restrict__ target,
    const real* __restrict__ weight, const real* __restrict__ settings,
    real* __restrict__ dlogits, real* result, real* totals, long long* correct, int N, int C,
    long long ignore_index, int is_mean) {
    __shared__ real divisor;
    real count = 0;
    for (int m = threadIdx.x; m < N; m += blockDim.x) {
        long long t = target[m];
        if (t != ignore_index) count += t >= 0 && t < C ? weight[t] : INFINITE - INFINITE;
    }
    count = block_sum(count);
    if (threadIdx.x == 0) divisor = is_mean || isnan(count) ? count : real(1);
    __syncthreads();

    real smoothing = settings[SMOOTHING], scale = settings[GRADIENT] / divisor;
    real sum = 0, right = 0;
    for (int m = threadIdx.x; m < N; m += blockDim.x) {
        const real* x = logits + (Cell)m * C;
        real* dx = dlogits + (Cell)m * C;
        long long t = target[m];
        int best = 0;
        for (int c = 1; c < C; c++)
            if (x[c] > x[best] || (isnan(x[c]) && !isnan(x[best]))) best = c;
        right += best == t;
        real e = 0, qw = 0;
        for (int c = 0; c < C; c++) e += exp(x[c] - x[best]);
        for (int c = 0; c < C; c++) {
            real q = smoothing / C + (c == t ? 1 - smoothing : real(0));
            qw += q * weight[c];
            if (t != ignore_index && q != 0) sum += q * weight[c] * (log(e) - (x[c] - x[best]));
        }
        for (int c = 0; c < C; c++) {
            real q = smoothing / C + (c == t ? 1 - smoothing : real(0));
            real d = scale * (exp(x[c] - x[best]) / e * qw - q * weight[c]);
            dx[c] = t == ignore_index ? real(0) : d;
        }
    }
    sum = block_sum(sum);
    right = block_sum(right);
    if (threadIdx.x == 0) {
        *result = sum / divisor;
        *totals += *result * N;
        *correct += (long long)right;
    }
}

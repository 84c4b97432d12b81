// Batch normalisation, in compiled steps.

// The cells k of channel c, H W of each image: a block takes the channel, every thread takes every
// 256th cell. Needs N, C and HW.
#define FOR_CHANNEL(k, c)                                               \
    for (Cell n = threadIdx.x / HW, place = threadIdx.x % HW, k;   \
         k = (n * C + (c)) * HW + place, n < N;                         \
         place += blockDim.x, n += place / HW, place %= HW)

// mean[c] = sum x / m, var[c] = sum (x - mean)^2 / m over the m = N H W cells of a channel, and
//     running_mean += momentum (mean - running_mean)
//     running_var += momentum (var m / (m - 1) - running_var)
// An infinite momentum stands for that of the average over all batches, 1 / (1 + those before).
// Launch: C blocks of 256. Moves: x read twice.
extern "C" __global__ void norm_moments(
    const real* __restrict__ x, real* __restrict__ mean, real* __restrict__ var,
    real* __restrict__ running_mean, real* __restrict__ running_var,
    const long long* __restrict__ batches, const real* __restrict__ momentum, int N, int C,
    int HW) {
    int c = blockIdx.x;
    real m = real((Cell)N * HW);
    LongSum sum, squares;
    FOR_CHANNEL(k, c) sum.add(x[k]);
    real center = sum_for_all(sum.value()) / m;
    FOR_CHANNEL(k, c) squares.add((x[k] - center) * (x[k] - center));
    real spread = block_sum(squares.value()) / m;
    if (threadIdx.x != 0) return;
    mean[c] = center;
    var[c] = spread;
    real part = *momentum == INFINITE ? 1 / real(*batches + 1) : *momentum;
    if (part == 0) return;  // 0 times a NaN would be one
    running_mean[c] += part * (center - running_mean[c]);
    running_var[c] += part * (spread * (m / (m - 1)) - running_var[c]);
}

// y = activation(gamma z + beta), z = (x - mean) / sqrt(var + eps). Where `counts` is set, it counts
// the batch: all of norm_moments has then read the number. cells: N C H W. Moves 8 bytes a cell.
extern "C" __global__ void norm_forward(
    const real* __restrict__ x, const real* __restrict__ gamma, const real* __restrict__ beta,
    const real* __restrict__ mean, const real* __restrict__ var, real* __restrict__ y,
    long long* batches, long long cells, int has_affine, int counts, int kind, real eps, int C,
    int HW) {
    if (counts && blockIdx.x == 0 && threadIdx.x == 0) *batches += 1;
    FOR_CELLS(k, cells) {
        int c = k / HW % C;
        real z = (x[k] - mean[c]) / sqrt(var[c] + eps);
        y[k] = activated(has_affine ? z * gamma[c] + beta[c] : z, kind);
    }
}

// dgamma[c] = sum dy z, dbeta[c] = sum dy. Launch: C blocks of 256. Moves: x and dy read.
extern "C" __global__ void norm_dweight(
    const real* __restrict__ x, const real* __restrict__ dy, const real* __restrict__ mean,
    const real* __restrict__ var, real* __restrict__ dgamma, real* __restrict__ dbeta, real eps,
    int N, int C, int HW) {
    int c = blockIdx.x;
    real center = mean[c], scale = 1 / sqrt(var[c] + eps);
    LongSum of_dy, of_dy_z;
    FOR_CHANNEL(k, c) {
        of_dy.add(dy[k]);
        of_dy_z.add(dy[k] * ((x[k] - center) * scale));
    }
    real sum = block_sum(of_dy.value()), sum_z = block_sum(of_dy_z.value());
    if (threadIdx.x != 0) return;
    dgamma[c] = sum_z;
    dbeta[c] = sum;
}

// dx = slope * gamma / sqrt(var + eps) * (dy - (dbeta + z dgamma) / m), without what is subtracted
// where mean and var do not depend on x (`is_fixed`). saved: x, where it is an activation's result.
// cells: N C H W. Moves 12 bytes a cell.
extern "C" __global__ void norm_dinput(
    const real* __restrict__ x, const real* __restrict__ dy, const real* __restrict__ gamma,
    const real* __restrict__ mean, const real* __restrict__ var,
    const real* __restrict__ dgamma, const real* __restrict__ dbeta,
    const real* __restrict__ saved, real* __restrict__ dx, long long cells, int has_affine,
    int is_fixed, int kind, real eps, int N, int C, int HW) {
    real m = real((Cell)N * HW);
    FOR_CELLS(k, cells) {
        int c = k / HW % C;
        real s = sqrt(var[c] + eps), z = (x[k] - mean[c]) / s;
        real d = is_fixed ? dy[k] : dy[k] - (dbeta[c] + z * dgamma[c]) / m;
        dx[k] = slope_times((has_affine ? gamma[c] * d : d) / s, saved, k, kind);
    }
}

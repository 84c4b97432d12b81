// Batch normalisation, in compiled steps. A block takes one of S splits of the images, of one channel:
// block c S + s. What is summed up over a channel is left in parts, one a split, and whoever needs the
// sum adds them up, always in the same order. S is at most 32: a part for each thread of a warp.

// The images of a block's split: from `first` on, `count` of them.
struct Split {
    int c, s, first, count;
    __device__ Split(int N, int S) {
        int most = (N + S - 1) / S;
        c = blockIdx.x / S, s = blockIdx.x % S;
        first = min(N, s * most), count = min(N, first + most) - first;
    }
};

// The number of images in split s.
__device__ inline int images_of(int s, int N, int S) {
    int most = (N + S - 1) / S;
    return max(0, min(N, s * most + most) - s * most);
}

// The cells of a split: a thread takes EACH neighbours at k, then those 256 EACH further on. Needs C
// and HW. Neighbours of four lie in one image where HW is a multiple of four.
#define EACH (HW % 4 == 0 ? 4 : 1)
#define FOR_SPLIT(k, split)                                                                    \
    for (Cell n = threadIdx.x * EACH / HW, place = threadIdx.x * EACH % HW, k;                 \
         k = ((split.first + n) * C + split.c) * HW + place, n < split.count;                  \
         place += 256 * EACH % HW, n += 256 * EACH / HW + (place >= HW), place -= place >= HW ? HW : 0)

// The sum over the threads of a warp, in each of them.
__device__ inline real sum_of_warp(real a) { return __shfl_sync(0xffffffffu, warp_sum(a), 0); }

// Of each split of a channel its mean, and the sum of squares around that. Block 0 counts the batch.
// parts: (C, S, 2). Launch: C S blocks of 256. Moves: x read, once from memory and once from the cache.
extern "C" __global__ void norm_moments(
    const real* __restrict__ x, real* __restrict__ parts, long long* batches, int N, int C, int HW,
    int S) {
    if (blockIdx.x == 0 && threadIdx.x == 0) *batches += 1;
    const Split split(N, S);
    bool wide = is_aligned(x);
    LongSum sum, squares;
    FOR_SPLIT(k, split) {
        Cells<4> of_x = four_cells(x + k, 1, EACH, wide);
        for (int q = 0; q < EACH; q++) sum.add(of_x.a[q]);
    }
    real cells = real((Cell)split.count * HW);
    real center = split.count > 0 ? sum_for_all(sum.value()) / cells : real(0);
    FOR_SPLIT(k, split) {
        Cells<4> of_x = four_cells(x + k, 1, EACH, wide);
        for (int q = 0; q < EACH; q++) squares.add((of_x.a[q] - center) * (of_x.a[q] - center));
    }
    real spread = block_sum(squares.value());
    if (threadIdx.x != 0) return;
    parts[2 * (Cell)blockIdx.x] = center;
    parts[2 * (Cell)blockIdx.x + 1] = spread;
}

// mean = sum x / m, var = sum (x - mean)^2 / m over the m = N H W cells of a channel, from the parts:
// around the mean, the squares of a split are its own and cells * (its mean - mean)^2.
__device__ inline void moments_of(const real* __restrict__ parts, int c, int N, int HW, int S,
                                  real& mean, real& var) {
    int s = threadIdx.x % 32;
    bool is_one = s < S;  // an empty split has parts too, 0 and 0
    real m = real((Cell)N * HW), cells = is_one ? real((Cell)images_of(s, N, S) * HW) : real(0);
    const real* part = parts + 2 * ((Cell)c * S + s);
    mean = sum_of_warp(is_one ? cells * part[0] : real(0)) / m;
    real away = is_one ? part[0] - mean : real(0);
    var = sum_of_warp(is_one ? part[1] + cells * away * away : real(0)) / m;
}

// y = activation(gamma z + beta), z = (x - mean) / sqrt(var + eps). Mean and variance are given
// (`is_fixed`), or come from the parts, and then move the running ones:
//     running_mean += momentum (mean - running_mean)
//     running_var += momentum (var m / (m - 1) - running_var)
// An infinite momentum stands for that of the average over all batches, one over their number.
// Launch: C S blocks of 256. Moves 8 bytes a cell.
extern "C" __global__ void norm_forward(
    const real* __restrict__ x, const real* __restrict__ gamma, const real* __restrict__ beta,
    const real* __restrict__ parts, real* mean, real* var, real* running_mean, real* running_var,
    const long long* __restrict__ batches, const real* __restrict__ momentum,
    real* __restrict__ y, real eps, int N, int has_affine, int is_fixed, int kind, int C, int HW,
    int S) {
    if (N == 0) return;
    const Split split(N, S);
    int c = split.c;
    real center, spread, m = real((Cell)N * HW);
    if (is_fixed) {
        center = mean[c];
        spread = var[c];
    } else moments_of(parts, c, N, HW, S, center, spread);
    if (!is_fixed && split.s == 0 && threadIdx.x == 0) {
        mean[c] = center;
        var[c] = spread;
        real part = *momentum == INFINITE ? 1 / real(*batches) : *momentum;
        if (part != 0) {  // 0 times a NaN would be one
            running_mean[c] += part * (center - running_mean[c]);
            running_var[c] += part * (spread * (m / (m - 1)) - running_var[c]);
        }
    }
    real scale = 1 / sqrt(spread + eps), of_c = has_affine ? gamma[c] : real(1);
    real shift = has_affine ? beta[c] : real(0);
    bool wide = is_aligned(x) && is_aligned(y);
    FOR_SPLIT(k, split) {
        Cells<4> four = four_cells(x + k, 1, EACH, wide);
        for (int q = 0; q < EACH; q++)
            four.a[q] = activated((four.a[q] - center) * scale * of_c + shift, kind);
        put_four(y + k, EACH, wide, four);
    }
}

// The parts of dgamma[c] = sum dy z and of dbeta[c] = sum dy: (S, C) each.
// Launch: C S blocks of 256. Moves: x and dy read.
extern "C" __global__ void norm_dweight(
    const real* __restrict__ x, const real* __restrict__ dy, const real* __restrict__ mean,
    const real* __restrict__ var, real* __restrict__ dgamma, real* __restrict__ dbeta, real eps,
    int N, int C, int HW, int S) {
    const Split split(N, S);
    real center = mean[split.c], scale = 1 / sqrt(var[split.c] + eps);
    bool wide = is_aligned(x) && is_aligned(dy);
    LongSum of_dy, of_dy_z;
    FOR_SPLIT(k, split) {
        Cells<4> of_x = four_cells(x + k, 1, EACH, wide), d = four_cells(dy + k, 1, EACH, wide);
        for (int q = 0; q < EACH; q++) {
            of_dy.add(d.a[q]);
            of_dy_z.add(d.a[q] * ((of_x.a[q] - center) * scale));
        }
    }
    real sum = block_sum(of_dy.value()), sum_z = block_sum(of_dy_z.value());
    if (threadIdx.x != 0) return;
    dgamma[(Cell)split.s * C + split.c] = sum_z;
    dbeta[(Cell)split.s * C + split.c] = sum;
}

// dx = slope * gamma / sqrt(var + eps) * (dy - (dbeta + z dgamma) / m), without what is subtracted
// where mean and var do not depend on x (`is_fixed`). saved: x, where it is an activation's result.
// Launch: C S blocks of 256. Moves 12 bytes a cell.
extern "C" __global__ void norm_dinput(
    const real* __restrict__ x, const real* __restrict__ dy, const real* __restrict__ gamma,
    const real* __restrict__ mean, const real* __restrict__ var,
    const real* __restrict__ dgamma, const real* __restrict__ dbeta, real* __restrict__ dx, real eps,
    int N, int has_affine, int is_fixed, int kind, int C, int HW, int S) {
    const Split split(N, S);
    int c = split.c, s = threadIdx.x % 32;
    real m = real((Cell)N * HW), scale = 1 / sqrt(var[c] + eps), center = mean[c];
    real of_c = has_affine ? gamma[c] * scale : scale, of_z = 0, of_all = 0;
    if (!is_fixed) {
        of_all = sum_of_warp(s < S ? dbeta[(Cell)s * C + c] : real(0)) / m;
        of_z = sum_of_warp(s < S ? dgamma[(Cell)s * C + c] : real(0)) / m;
    }
    bool wide = is_aligned(x) && is_aligned(dy) && is_aligned(dx);
    FOR_SPLIT(k, split) {
        Cells<4> of_x = four_cells(x + k, 1, EACH, wide), d = four_cells(dy + k, 1, EACH, wide);
        for (int q = 0; q < EACH; q++) {
            real z = (of_x.a[q] - center) * scale;
            real without = is_fixed ? d.a[q] : d.a[q] - (of_all + z * of_z);
            d.a[q] = sloped(of_c * without, of_x.a[q], kind);
        }
        put_four(dx + k, EACH, wide, d);
    }
}

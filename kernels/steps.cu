// The kernels of a compiled training step (minicnn/compiler/gpu/), made for replay as a CUDA graph:
// everything that changes between steps lies in device memory, no two threads add to one cell, and
// an activation is part of the kernel before it (forward) or after it (backward).

// x = pixels / 255. Moves 5 bytes a cell.
extern "C" __global__ void load_pixels(const unsigned char* __restrict__ pixels,
                                       real* __restrict__ x, long long cells) {
    FOR_CELLS(k, cells) x[k] = pixels[k] / real(255);
}

// Convolution -------------------------------------------------------------------------------------

#define ROWS 4  // output (or input) channels that a thread computes from the same cells

// y[n, o, oh, ow] = activation(b[o] + sum_{c,i,j} w[o, c, i, j] x_padded[n, c, oh SH + i DH, ...])
// cells: N ceil(O / 4) OH OW. Moves: x and w read (from the cache but for the first time), y written.
extern "C" __global__ void conv_forward(
    const real* __restrict__ x, const real* __restrict__ w, const real* __restrict__ b,
    real* __restrict__ y, long long cells, int has_bias, int kind, int O, int C, int H, int W,
    int KH, int KW, int SH, int SW, int PH, int PW, int DH, int DW, int OH, int OW) {
    int OHW = OH * OW, groups = (O + ROWS - 1) / ROWS, taps = C * KH * KW;
    FOR_CELLS(k, cells) {
        int place = k % OHW, first = k / OHW % groups * ROWS;
        long long n = k / OHW / groups;
        int top = place / OW * SH - PH, left = place % OW * SW - PW;
        real sum[ROWS];
        for (int q = 0; q < ROWS; q++) sum[q] = has_bias && first + q < O ? b[first + q] : real(0);
        for (int c = 0; c < C; c++)
            for (int i = 0; i < KH; i++) {
                int h = top + i * DH;
                if (h < 0 || h >= H) continue;
                const real* line = x + ((n * C + c) * H + h) * W;
                for (int j = 0; j < KW; j++) {
                    int at = left + j * DW, tap = (c * KH + i) * KW + j;
                    if (at < 0 || at >= W) continue;
                    for (int q = 0; q < ROWS; q++)
                        sum[q] += w[(long long)min(first + q, O - 1) * taps + tap] * line[at];
                }
            }
        for (int q = 0; q < ROWS && first + q < O; q++)
            y[(n * O + first + q) * OHW + place] = activated(sum[q], kind);
    }
}

// dx[n, c, h, w] = slope * sum_{o,i,j} w[o, c, i, j] dy[n, o, oh, ow], the windows that saw the cell.
// saved: x, where it is an activation's result. cells: N ceil(C / 4) H W.
extern "C" __global__ void conv_dinput(
    const real* __restrict__ dy, const real* __restrict__ w, const real* __restrict__ saved,
    real* __restrict__ dx, long long cells, int kind, int O, int C, int H, int W, int KH, int KW,
    int SH, int SW, int PH, int PW, int DH, int DW, int OH, int OW) {
    int HW = H * W, groups = (C + ROWS - 1) / ROWS, KK = KH * KW;
    FOR_CELLS(k, cells) {
        int place = k % HW, first = k / HW % groups * ROWS;
        long long n = k / HW / groups;
        real sum[ROWS] = {0};
        for (int i = 0; i < KH; i++) {
            int oh = window_at(place / W, i, SH, PH, DH, OH);
            for (int j = 0; oh >= 0 && j < KW; j++) {
                int ow = window_at(place % W, j, SW, PW, DW, OW);
                if (ow < 0) continue;
                for (int o = 0; o < O; o++) {
                    real g = dy[((n * O + o) * OH + oh) * OW + ow];
                    for (int q = 0; q < ROWS; q++)
                        sum[q] += w[((long long)o * C + min(first + q, C - 1)) * KK + i * KW + j] * g;
                }
            }
        }
        for (int q = 0; q < ROWS && first + q < C; q++) {
            long long at = (n * C + first + q) * HW + place;
            dx[at] = slope_times(sum[q], saved, at, kind);
        }
    }
}

// dW[o, c, i, j] = sum_{n,oh,ow} dy[n, o, oh, ow] x_padded[n, c, oh SH + i DH, ow SW + j DW], and
// behind the weights db[o] = sum dy. A block takes a sum: launch O C KH KW + O blocks of 256.
extern "C" __global__ void conv_dweight(
    const real* __restrict__ x, const real* __restrict__ dy, real* __restrict__ dw,
    real* __restrict__ db, int N, int O, int C, int H, int W, int KH, int KW, int SH, int SW,
    int PH, int PW, int DH, int DW, int OH, int OW) {
    int OHW = OH * OW, weights = O * C * KH * KW, is_bias = blockIdx.x >= weights;
    int b = is_bias ? blockIdx.x - weights : blockIdx.x;
    int j = b % KW, i = b / KW % KH, c = b / (KW * KH) % C, o = is_bias ? b : b / (KW * KH * C);
    LongSum sum;
    long long n = threadIdx.x / OHW;
    for (int place = threadIdx.x % OHW; n < N; place += blockDim.x) {
        if (place >= OHW) {
            n += place / OHW;
            place %= OHW;
            if (n >= N) break;
        }
        real g = dy[(n * O + o) * OHW + place];
        if (is_bias) {
            sum.add(g);
            continue;
        }
        int h = place / OW * SH - PH + i * DH, w = place % OW * SW - PW + j * DW;
        if (h >= 0 && h < H && w >= 0 && w < W) sum.add(g * x[((n * C + c) * H + h) * W + w]);
    }
    real total = block_sum(sum.value());
    if (threadIdx.x == 0) (is_bias ? db : dw)[b] = total;
}

// Batch normalisation -----------------------------------------------------------------------------

// The cells k of channel c, H W of each image: a block takes the channel, every thread takes every
// 256th cell. Needs N, C and HW.
#define FOR_CHANNEL(k, c)                                               \
    for (long long n = threadIdx.x / HW, place = threadIdx.x % HW, k;   \
         k = (n * C + (c)) * HW + place, n < N;                         \
         place += blockDim.x, n += place / HW, place %= HW)

// The sum over a block, in each of its threads.
__device__ inline real sum_for_all(real a) {
    __shared__ real total;
    a = block_sum(a);
    if (threadIdx.x == 0) total = a;
    __syncthreads();
    return total;
}

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
    real m = real((long long)N * HW);
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
    real m = real((long long)N * HW);
    FOR_CELLS(k, cells) {
        int c = k / HW % C;
        real s = sqrt(var[c] + eps), z = (x[k] - mean[c]) / s;
        real d = is_fixed ? dy[k] : dy[k] - (dbeta[c] + z * dgamma[c]) / m;
        dx[k] = slope_times((has_affine ? gamma[c] * d : d) / s, saved, k, kind);
    }
}

// Pooling -----------------------------------------------------------------------------------------

// dx[cell] = slope * sum of dy over the windows that it won. index: from max_pool. cells: N C H W.
extern "C" __global__ void max_pool_dinput(
    const real* __restrict__ dy, const long long* __restrict__ index,
    const real* __restrict__ saved, real* __restrict__ dx, long long cells, int kind, int H, int W,
    int KH, int KW, int SH, int SW, int PH, int PW, int DH, int DW, int OH, int OW) {
    FOR_CELLS(k, cells) {
        long long plane = k / (H * W);
        int cell = k % (H * W);
        real sum = 0;
        for (int i = 0; i < KH; i++) {
            int oh = window_at(cell / W, i, SH, PH, DH, OH);
            for (int j = 0; oh >= 0 && j < KW; j++) {
                int ow = window_at(cell % W, j, SW, PW, DW, OW);
                long long window = (plane * OH + oh) * OW + ow;
                if (ow >= 0 && index[window] == cell) sum += dy[window];
            }
        }
        dx[k] = slope_times(sum, saved, k, kind);
    }
}

// Dense layers ------------------------------------------------------------------------------------

#define TILE 16

// sum_k a(m, k) b(k, n) for this thread's cell (m, n) of a 16 x 16 tile; a(m, k) lies at
// a[m am + k ak], b(k, n) at b[k bk + n bn]. Outside the matrices both are 0; where `ones` is set,
// b(k, N) is 1 for all k: the bias is the weight of an input that is always 1.
__device__ real product_at(const real* __restrict__ a, long long am, long long ak,
                           const real* __restrict__ b, long long bk, long long bn, int M, int N,
                           int K, int tile_m, int tile_n, bool ones) {
    __shared__ real tile_a[TILE][TILE + 1], tile_b[TILE][TILE + 1];  // + 1: no bank twice
    int x = threadIdx.x % TILE, y = threadIdx.x / TILE;
    // neighbouring threads read neighbouring cells: along k where these are neighbours
    int am_in = ak == 1 ? y : x, ak_in = ak == 1 ? x : y, m = tile_m * TILE + am_in;
    int bn_in = bk == 1 ? y : x, bk_in = bk == 1 ? x : y, n = tile_n * TILE + bn_in;
    real outside = ones && n == N ? real(1) : real(0);
    LongSum sum;
    for (int k0 = 0; k0 < K; k0 += TILE) {
        int ka = k0 + ak_in, kb = k0 + bk_in;
        tile_a[am_in][ak_in] = m < M && ka < K ? a[m * am + ka * ak] : real(0);
        tile_b[bn_in][bk_in] = kb >= K ? real(0) : n < N ? b[kb * bk + n * bn] : outside;
        __syncthreads();
        real of_tile = 0;
        for (int q = 0; q < TILE; q++) of_tile += tile_a[y][q] * tile_b[x][q];
        sum.add(of_tile);
        __syncthreads();
    }
    return sum.value();
}

// y[n, o] = activation(b[o] + sum_k x[n, k] w[o, k]). Launch: ceil(N / 16) ceil(O / 16) blocks of 256.
extern "C" __global__ void dense_forward(
    const real* __restrict__ x, const real* __restrict__ w, const real* __restrict__ b,
    real* __restrict__ y, int has_bias, int kind, int N, int O, int K) {
    int across = (O + TILE - 1) / TILE;
    int tile_m = blockIdx.x / across, tile_n = blockIdx.x % across;
    real sum = product_at(x, K, 1, w, 1, K, N, O, K, tile_m, tile_n, false);
    int n = tile_m * TILE + threadIdx.x / TILE, o = tile_n * TILE + threadIdx.x % TILE;
    if (n < N && o < O) y[(long long)n * O + o] = activated(has_bias ? sum + b[o] : sum, kind);
}

// All gradients of a dense layer: the first blocks take the tiles of
//     dW[o, k] = sum_n dy[n, o] x[n, k],   db[o] = sum_n dy[n, o]: column K, x being 1 there
// the others those of dx[n, k] = slope * sum_o dy[n, o] w[o, k]; saved: x, where it is an
// activation's result. Launch: ceil(O / 16) ceil((K + 1) / 16) + ceil(N / 16) ceil(K / 16) blocks.
extern "C" __global__ void dense_backward(
    const real* __restrict__ x, const real* __restrict__ dy, const real* __restrict__ w,
    const real* __restrict__ saved, real* __restrict__ dw, real* __restrict__ db,
    real* __restrict__ dx, int has_bias, int kind, int N, int O, int K) {
    int across = (K + TILE) / TILE, of_weights = (O + TILE - 1) / TILE * across;
    int x_in = threadIdx.x % TILE, y_in = threadIdx.x / TILE;
    if (blockIdx.x < of_weights) {
        int tile_m = blockIdx.x / across, tile_n = blockIdx.x % across;
        real sum = product_at(dy, 1, O, x, K, 1, O, K, N, tile_m, tile_n, true);
        int o = tile_m * TILE + y_in, k = tile_n * TILE + x_in;
        if (o < O && k < K) dw[(long long)o * K + k] = sum;
        if (o < O && k == K && has_bias) db[o] = sum;
    } else {
        across = (K + TILE - 1) / TILE;
        int tile_m = (blockIdx.x - of_weights) / across, tile_n = (blockIdx.x - of_weights) % across;
        real sum = product_at(dy, O, 1, w, K, 1, N, K, O, tile_m, tile_n, false);
        int n = tile_m * TILE + y_in, k = tile_n * TILE + x_in;
        long long at = (long long)n * K + k;
        if (n < N && k < K) dx[at] = slope_times(sum, saved, at, kind);
    }
}

// Cell by cell ------------------------------------------------------------------------------------

// y = slope * x * mask, the mask being 1 / (1 - p) where u >= p and 0 elsewhere (0 times an infinite
// x is NaN, as in eager mode); u: number k of set
// (seed, draw) = keys[0], keys[1]. Forward with kind NONE; backward the same mask is drawn again.
extern "C" __global__ void dropout(const real* __restrict__ x, const real* __restrict__ saved,
                                   real* __restrict__ y, long long cells,
                                   const unsigned long long* __restrict__ keys, real p, int kind) {
    FOR_CELLS(k, cells) {
        real mask = real(uniform_at(k, keys[1], keys[0])) >= p ? 1 / (1 - p) : real(0);
        y[k] = slope_times(x[k] * mask, saved, k, kind);
    }
}

// Loss and update ---------------------------------------------------------------------------------

enum { GRADIENT, SMOOTHING, OF_UPDATE };  // settings: the loss's, then those of the update

// Softmax cross-entropy with class weights w and label smoothing s, its gradient, and what is told
// of an epoch. One block of 256 threads, a thread a row: made for tens of classes.
//     loss_m = sum_c q_c w_c (-log p_c),  q_c = (1 - s) [c = target_m] + s / C
//     dlogits = gradient / divisor (p sum_k q_k w_k - q w),  divisor: the sum of w[target], or 1
// A target that is ignore_index does not count; one that is no class makes the loss NaN.
// result: the loss; totals: the sum of loss * N; hits: of right answers.
extern "C" __global__ void loss(
    const real* __restrict__ logits, const long long* __restrict__ target,
    const real* __restrict__ weight, const real* __restrict__ settings,
    real* __restrict__ dlogits, real* result, real* totals, long long* hits, int N, int C,
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
        const real* x = logits + (long long)m * C;
        real* dx = dlogits + (long long)m * C;
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
        *hits += (long long)right;
    }
}

// The update's last act: the draws of the dropout masks go on by the number of masks.
__device__ inline void count_masks(unsigned long long* keys, int masks) {
    if (blockIdx.x == 0 && blockIdx.y == 0)
        for (int m = threadIdx.x; m < masks; m += blockDim.x) keys[2 * m + 1] += masks;
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

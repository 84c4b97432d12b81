// Dense layers, in compiled steps (cuBLAS computes eager mode's matrix products).

#define TILE 16

// sum_k a(m, k) b(k, n) for this thread's cell (m, n) of a 16 x 16 tile; a(m, k) lies at
// a[m am + k ak], b(k, n) at b[k bk + n bn]. Outside the matrices both are 0; where `ones` is set,
// b(k, N) is 1 for all k: the bias is the weight of an input that is always 1.
__device__ real product_at(const real* __restrict__ a, long long am, long long ak,
                           const real* __restrict__ b, long long bk, long long bn, int M, int N,
                           int K, int tile_m, int tile_n, bool ones) {
    // a row of 17: the 16 cells of a column then lie in different banks of the shared memory
    __shared__ real tile_a[TILE][TILE + 1], tile_b[TILE][TILE + 1];
    int x = threadIdx.x % TILE, y = threadIdx.x / TILE;
    // the cell of each tile that this thread loads: neighbouring threads read neighbouring addresses,
    // along k where k's cells lie next to each other (ak == 1, bk == 1)
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
        // the cell (y, x) that it computes
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
    if (n < N && o < O) y[(Cell)n * O + o] = activated(has_bias ? sum + b[o] : sum, kind);
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
        if (o < O && k < K) dw[(Cell)o * K + k] = sum;
        if (o < O && k == K && has_bias) db[o] = sum;
    } else {
        across = (K + TILE - 1) / TILE;
        int tile_m = (blockIdx.x - of_weights) / across, tile_n = (blockIdx.x - of_weights) % across;
        real sum = product_at(dy, O, 1, w, K, 1, N, K, O, tile_m, tile_n, false);
        int n = tile_m * TILE + y_in, k = tile_n * TILE + x_in;
        Cell at = (Cell)n * K + k;
        if (n < N && k < K) dx[at] = slope_times(sum, saved, at, kind);
    }
}

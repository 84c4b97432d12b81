// Sums over axes, in eager mode: y[b] = sum_{a,c} x[a, b, c], x being (A, B, C).

// Where C is 1: a warp reads 32 neighbouring columns, the 8 warps of a block share the rows and meet in
// shared memory. Launch: ceil(B / 32) blocks of 256.
extern "C" __global__ void sum_rows(const real* __restrict__ x, real* __restrict__ y, long long A,
                                    long long B) {
    __shared__ real of_warp[8][32];
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    long long b = 32ll * blockIdx.x + lane;
    LongSum sum;
    for (long long a = warp; b < B && a < A; a += 8) sum.add(x[a * B + b]);
    of_warp[warp][lane] = sum.value();
    __syncthreads();
    if (warp > 0 || b >= B) return;
    real total = 0;
    for (int w = 0; w < 8; w++) total += of_warp[w][lane];
    y[b] = total;
}

// A block takes a sum, of so few terms that an int counts them. Launch: B blocks of 256.
extern "C" __global__ void sum_each(const real* __restrict__ x, real* __restrict__ y, int A,
                                    long long B, int C) {
    LongSum sum;
    for (int k = threadIdx.x; k < A * C; k += blockDim.x)
        sum.add(x[(k / C * B + blockIdx.x) * C + k % C]);
    real total = block_sum(sum.value());
    if (threadIdx.x == 0) y[blockIdx.x] = total;
}

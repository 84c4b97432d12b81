// How a step begins: its batch is gathered from where a data set lies, and the step is counted.
// Launch: blocks of 256; a block takes an image, any grid.

// The clock counts the steps, for what changes from one to the next without the host: the first kernel
// of a step counts it in BEGUN, the last one in ENDED. Each reads only what the other counts, so no
// thread reads a number that another is writing.
enum { BEGUN, ENDED };

// The last act of a step. One block's work.
__device__ inline void end_step(unsigned long long* clock) {
    if (threadIdx.x == 0) clock[ENDED] += 1;
}

// Where the rows of a batch lie: the addresses of pictures, labels and the epoch's order (0: the rows
// as they lie); the value of ENDED at the epoch's first batch, and the rows from a batch to the next
// (0: every batch is the first); the address of what each channel's pixels are multiplied by, then of
// what is added, float32 (0: they are divided by 255).
enum { PICTURES, LABELS, ORDER, FIRST, ROWS, SCALE };

// The row of image n of the step's batch.
__device__ inline long long row_of(const unsigned long long* source,
                                   const unsigned long long* clock, int n) {
    const long long* order = (const long long*)source[ORDER];
    long long at = (clock[ENDED] - source[FIRST]) * source[ROWS] + n;
    return order == 0 ? at : order[at];
}

// A pixel of a channel as a number. Rounded twice, as on the CPU: no fused multiply-add.
__device__ inline real scaled(unsigned char pixel, const float* scale, int channel, int C) {
    return __fadd_rn(__fmul_rn(pixel, scale[channel]), scale[C + channel]);
}

// The pictures and labels of a batch, of type `given`, with C channels of HW cells each.
template <typename given>
__device__ inline void gather(const unsigned long long* source, unsigned long long* clock, real* x,
                              long long* labels, int N, int C, int HW) {
    const float* scale = (const float*)source[SCALE];
    int size = C * HW;
    for (int n = blockIdx.x; n < N; n += gridDim.x) {
        long long row = row_of(source, clock, n);
        const given* picture = (const given*)source[PICTURES] + row * size;
        for (int k = threadIdx.x; k < size; k += blockDim.x)
            x[(Cell)n * size + k] = sizeof(given) > 1 ? picture[k]
                                    : scale != 0      ? scaled(picture[k], scale, k / HW, C)
                                                      : over_255(real(picture[k]));
        if (threadIdx.x == 0) labels[n] = ((const long long*)source[LABELS])[row];
    }
    if (blockIdx.x == 0 && threadIdx.x == 0) clock[BEGUN] += 1;
}

// x = pixels / 255, or scaled. Moves 5 bytes a cell.
extern "C" __global__ void gather_pixels(
    const unsigned long long* __restrict__ source, unsigned long long* clock, real* __restrict__ x,
    long long* __restrict__ labels, int N, int C, int HW) {
    gather<unsigned char>(source, clock, x, labels, N, C, HW);
}

// x = pictures that are numbers already. Moves 8 bytes a cell.
extern "C" __global__ void gather_numbers(
    const unsigned long long* __restrict__ source, unsigned long long* clock, real* __restrict__ x,
    long long* __restrict__ labels, int N, int C, int HW) {
    gather<real>(source, clock, x, labels, N, C, HW);
}

// A batch for eager mode: row n is picture rows[n] / 255, `size` cells, and its label; float32 whatever
// `real` is. Moves 5 bytes a cell. Launch: blocks of 256; a block takes an image, any grid.
extern "C" __global__ void pick_pixels(
    const unsigned char* __restrict__ pixels, const long long* __restrict__ labels,
    const long long* __restrict__ rows, float* __restrict__ x, long long* __restrict__ y, int N,
    int size) {
    for (int n = blockIdx.x; n < N; n += gridDim.x) {
        const unsigned char* picture = pixels + rows[n] * size;
        for (int k = threadIdx.x; k < size; k += blockDim.x)
            x[(Cell)n * size + k] = over_255(float(picture[k]));
        if (threadIdx.x == 0) y[n] = labels[rows[n]];
    }
}

// Convolution: im2col and col2im for eager mode, direct convolutions for compiled steps. One thread
// computes one cell of the result and reads what that cell needs: no two threads add to one cell.
// Launch, where nothing else is said: blocks of 256, any grid.

// columns[n, (c, i, j), (oh, ow)] = x_padded[n, c, oh SH + i DH, ow SW + j DW]
// Moves: N C KH KW OH OW cells written, as many read (most of them from the cache).
extern "C" __global__ void im2col(
    const real* __restrict__ x, real* __restrict__ columns, long long cells, int C, int H, int W,
    int KH, int KW, int SH, int SW, int PH, int PW, int DH, int DW, int OH, int OW) {
    FOR_CELLS(k, cells) {
        Cell row = k / (OH * OW);  // n, c, i, j
        int place = k % (OH * OW);
        int tap = row % (KH * KW);
        Cell plane = row / (KH * KW);
        int h = place / OW * SH - PH + tap / KW * DH;
        int w = place % OW * SW - PW + tap % KW * DW;
        bool inside = h >= 0 && h < H && w >= 0 && w < W;
        columns[k] = inside ? x[(plane * H + h) * W + w] : real(0);
    }
}

// x[n, c, h, w] = the sum of the columns' cells that im2col copied from there.
// Moves: N C KH KW OH OW cells read, N C H W written.
extern "C" __global__ void col2im(
    const real* __restrict__ columns, real* __restrict__ x, long long cells, int C, int H, int W,
    int KH, int KW, int SH, int SW, int PH, int PW, int DH, int DW, int OH, int OW) {
    FOR_CELLS(k, cells) {
        Cell plane = k / (H * W);
        int h = k % (H * W) / W, w = k % W;
        real sum = 0;
        for (int i = 0; i < KH; i++) {
            int oh = window_at(h, i, SH, PH, DH, OH);
            for (int j = 0; oh >= 0 && j < KW; j++) {
                int ow = window_at(w, j, SW, PW, DW, OW);
                if (ow >= 0) sum += columns[(((plane * KH + i) * KW + j) * OH + oh) * OW + ow];
            }
        }
        x[k] = sum;
    }
}

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
        Cell n = k / OHW / groups;
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
        Cell n = k / HW / groups;
        real sum[ROWS] = {0};
        for (int i = 0; i < KH; i++) {
            int oh = window_at(place / W, i, SH, PH, DH, OH);
            for (int j = 0; oh >= 0 && j < KW; j++) {
                int ow = window_at(place % W, j, SW, PW, DW, OW);
                if (ow < 0) continue;
                for (int o = 0; o < O; o++) {
                    real g = dy[((n * O + o) * OH + oh) * OW + ow];
                    for (int q = 0; q < ROWS; q++)
                        sum[q] += w[((Cell)o * C + min(first + q, C - 1)) * KK + i * KW + j] * g;
                }
            }
        }
        for (int q = 0; q < ROWS && first + q < C; q++) {
            Cell at = (n * C + first + q) * HW + place;
            dx[at] = slope_times(sum[q], saved, at, kind);
        }
    }
}

// dW[o, c, i, j] = sum_{n,oh,ow} dy[n, o, oh, ow] x_padded[n, c, oh SH + i DH, ow SW + j DW], and
// db[o] = sum dy. A block takes one sum, those of db come last: launch O C KH KW + O blocks of 256.
extern "C" __global__ void conv_dweight(
    const real* __restrict__ x, const real* __restrict__ dy, real* __restrict__ dw,
    real* __restrict__ db, int N, int O, int C, int H, int W, int KH, int KW, int SH, int SW,
    int PH, int PW, int DH, int DW, int OH, int OW) {
    int OHW = OH * OW, weights = O * C * KH * KW, is_bias = blockIdx.x >= weights;
    int b = is_bias ? blockIdx.x - weights : blockIdx.x;
    int j = b % KW, i = b / KW % KH, c = b / (KW * KH) % C, o = is_bias ? b : b / (KW * KH * C);
    LongSum sum;
    Cell n = threadIdx.x / OHW;
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

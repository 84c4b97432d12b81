// Pooling. One thread computes one cell of the result and reads what that cell needs: no two threads
// add to one cell, except in max_pool_backward. Launch: blocks of 256, any grid.

// The largest cell of each window and its place h W + w (-1: the window lies in the padding). Of
// equal cells the first wins; a NaN beats every number. Moves: each window read, 12 bytes written.
extern "C" __global__ void max_pool(
    const real* __restrict__ x, real* __restrict__ y, long long* __restrict__ index,
    long long cells, int H, int W, int KH, int KW, int SH, int SW, int PH, int PW, int DH, int DW,
    int OH, int OW) {
    FOR_CELLS(k, cells) {
        const real* plane = x + k / (OH * OW) * H * W;
        int top = k % (OH * OW) / OW * SH - PH, left = k % OW * SW - PW;
        real best = -INFINITE;
        Cell at = -1;
        for (int i = 0; i < KH; i++)
            for (int j = 0; j < KW; j++) {
                int h = top + i * DH, w = left + j * DW;
                if (h < 0 || h >= H || w < 0 || w >= W) continue;
                real value = plane[h * W + w];
                if (at < 0 || value > best || (isnan(value) && !isnan(best))) {
                    best = value;
                    at = h * W + w;
                }
            }
        y[k] = best;
        index[k] = at;
    }
}

// dx[index] += dy, on zeros. Windows that overlap may add to one cell at once: hence atomicAdd.
extern "C" __global__ void max_pool_backward(
    const real* __restrict__ dy, const long long* __restrict__ index, real* __restrict__ dx,
    long long cells, int OHW, int HW) {
    FOR_CELLS(k, cells) {
        if (index[k] >= 0) atomicAdd(&dx[k / OHW * HW + index[k]], dy[k]);
    }
}

// y[n, c, oh, ow] = sum(window) / divisor[oh, ow]
extern "C" __global__ void avg_pool(
    const real* __restrict__ x, const real* __restrict__ divisor, real* __restrict__ y,
    long long cells, int H, int W, int KH, int KW, int SH, int SW, int PH, int PW, int OH,
    int OW) {
    FOR_CELLS(k, cells) {
        const real* plane = x + k / (OH * OW) * H * W;
        int top = k % (OH * OW) / OW * SH - PH, left = k % OW * SW - PW;
        real sum = 0;
        for (int h = max(top, 0); h < min(top + KH, H); h++)
            for (int w = max(left, 0); w < min(left + KW, W); w++) sum += plane[h * W + w];
        y[k] = sum / divisor[k % (OH * OW)];
    }
}

// dx[cell] = slope * sum of dy / divisor over the windows that see it; saved: x, where it is an
// activation's result.
extern "C" __global__ void avg_pool_dinput(
    const real* __restrict__ dy, const real* __restrict__ divisor, const real* __restrict__ saved,
    real* __restrict__ dx, long long cells, int kind, int H, int W, int KH, int KW, int SH, int SW,
    int PH, int PW, int OH, int OW) {
    FOR_CELLS(k, cells) {
        Cell plane = k / (H * W);
        int cell = k % (H * W);
        real sum = 0;
        for (int i = 0; i < KH; i++) {
            int oh = window_at(cell / W, i, SH, PH, 1, OH);
            for (int j = 0; oh >= 0 && j < KW; j++) {
                int ow = window_at(cell % W, j, SW, PW, 1, OW);
                if (ow >= 0) sum += dy[(plane * OH + oh) * OW + ow] / divisor[oh * OW + ow];
            }
        }
        dx[k] = slope_times(sum, saved, k, kind);
    }
}

// dx[cell] = slope * sum of dy over the windows that it won. index: from max_pool. cells: N C H W.
extern "C" __global__ void max_pool_dinput(
    const real* __restrict__ dy, const long long* __restrict__ index,
    const real* __restrict__ saved, real* __restrict__ dx, long long cells, int kind, int H, int W,
    int KH, int KW, int SH, int SW, int PH, int PW, int DH, int DW, int OH, int OW) {
    FOR_CELLS(k, cells) {
        Cell plane = k / (H * W);
        int cell = k % (H * W);
        real sum = 0;
        for (int i = 0; i < KH; i++) {
            int oh = window_at(cell / W, i, SH, PH, DH, OH);
            for (int j = 0; oh >= 0 && j < KW; j++) {
                int ow = window_at(cell % W, j, SW, PW, DW, OW);
                Cell window = (plane * OH + oh) * OW + ow;
                if (ow >= 0 && index[window] == cell) sum += dy[window];
            }
        }
        dx[k] = slope_times(sum, saved, k, kind);
    }
}

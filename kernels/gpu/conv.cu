// Convolution: im2col and col2im for eager mode, direct convolutions for compiled steps. No two
// threads add to one cell. Launch, where nothing else is said: blocks of 256, any grid.

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

// Compiled steps: direct convolutions -------------------------------------------------------------
//
// A block copies what it needs of the picture and of the weights into shared memory, a chunk of
// channels (and of taps, where the kernel is large) at a time, and each thread keeps a tile of sums
// in registers. Here a thread's tile of the forward pass has TH x TW = 2 x 2 places of Q channels:
//
//     picture x in its frame       weights                   the thread's sums
//     +-----------------+          [c][i][j][o]              q = 0   q = 1   q = 2
//     | . . a b c d . . |          Q neighbouring numbers    +---+   +---+   +---+
//     | . . e f g h . . |          are the weights of one    |0 1|   |0 1|   |0 1|
//     | . .             |          tap for all of the tile   |2 3|   |2 3|   |2 3|
//     +-----------------+                                    +---+   +---+   +---+
//
// For tap (i, j) place 0 wants the cell that place 1 wanted for tap (i, j - 1). As sizes are literals
// the compiler sees that, and reads the 2 x 3 cells of a row of taps (0, 1) once. How large tiles,
// chunks and blocks are is chosen in compiler/gpu/tiling.py.
//
// Sizes of these kernels, here and in conv_backward.cu: O, C, H, W, KH, KW, SH, SW, PH, PW, DH, DW,
// OH, OW as above, and
//     pool, QH, QW   the pooling after the activation: windows of QH x QW that do not overlap
//     G              images of a block
//     CC, CI, CJ     of a chunk: channels, rows and columns of the kernel
//     LINE           from a row of a picture to the next in shared memory: such that the threads of a
//                    warp, which read different rows, find their cells in different banks

enum { NO_POOLING, AVERAGE, MAXIMUM };
#define MOST_CHANNELS 8  // of a tile
#define MOST_PLACES 16

__device__ inline int up(int a, int to) { return (a + to - 1) / to * to; }
__device__ inline int pieces(int a, int of) { return (a + of - 1) / of; }

// 4 neighbouring cells of shared memory, at once.
__device__ inline void store(real* to, const real* cells) {
    UNROLL for (int e = 0; e < 4; e++) to[e] = cells[e];
}

// XH rows from `top` on and XW columns from `left` on, of CC channels from c0 on, of G images from n on:
// zeros around the picture, and lines of LINE cells. A thread copies 4 neighbouring cells.
__device__ inline void load_pictures(real* to, const real* __restrict__ x, int n, int N, int G,
                                     int c0, int C, int CC, int top, int left, int XH, int XW,
                                     int LINE, int H, int W) {
    for (int k = threadIdx.x; k < G * CC * XH * (XW / 4); k += blockDim.x) {
        int row = k / (XW / 4), column = k % (XW / 4) * 4;
        int h = top + row % XH, c = row / XH % CC, image = n + row / XH / CC;
        bool is_there = image < N && c0 + c < C && h >= 0 && h < H;
        const real* line = x + (((Cell)image * C + c0 + c) * H + h) * W;
        real cells[4];
        UNROLL for (int e = 0; e < 4; e++) {
            int w = left + column + e;
            cells[e] = is_there && w >= 0 && w < W ? line[w] : real(0);
        }
        store(to + row * LINE + column, cells);
    }
}

// The weights of a chunk as [tap][lane], tap = (channel that is summed over, i, j). The channels of
// a block's tiles are the lanes, `lanes` of the `many` there are from `first` on: 4 to a thread.
//     step   between two lanes in w,   channel_step   between two channels that are summed over
__device__ inline void load_weights(real* to, const real* __restrict__ w, int first, int many,
                                    int lanes, int step, int c0, int C, int CC, int channel_step,
                                    int i0, int CI, int KH, int j0, int CJ, int KW, int width) {
    for (int k = threadIdx.x; k < CC * CI * CJ * pieces(lanes, 4); k += blockDim.x) {
        int tap = k % (CC * CI * CJ), lane = k / (CC * CI * CJ) * 4;
        int c = c0 + tap / (CI * CJ), i = i0 + tap / CJ % CI, j = j0 + tap % CJ;
        bool is_there = c < C && i < KH && j < KW;
        const real* from = w + (Cell)c * channel_step + i * KW + j;
        real cells[4];
        UNROLL for (int e = 0; e < 4; e++) {
            bool is_one = is_there && first + lane + e < many;
            cells[e] = is_one ? from[(Cell)(first + lane + e) * step] : real(0);
        }
        store(to + tap * width + lane, cells);
    }
}

// y[n, o, oh, ow] = activation(b[o] + sum_{c,i,j} w[o, c, i, j] x_padded[n, c, oh SH + i DH, ...]),
// and its pooling. A thread's tile are Q channels of TH x TW places, or of one window of the pooling;
// a block has TO x TR x TC tiles of G images. With a pooling, y (for the slope before an average) and
// the winners of a maximum are for the way back, and written where `keeps` says so.
// Launch: pieces of G images x of rows x of columns x of channels.
extern "C" __global__ void conv_forward(
    const real* __restrict__ x, const real* __restrict__ w, const real* __restrict__ b,
    real* __restrict__ y, real* __restrict__ pooled, unsigned char* __restrict__ winner, int N,
    int has_bias, int kind, int keeps, int pool, int QH, int QW, int O, int C, int H, int W, int KH,
    int KW, int SH, int SW, int PH, int PW, int DH, int DW, int OH, int OW, int Q, int TH, int TW,
    int TO, int TR, int TC, int G, int CC, int CI, int CJ, int LINE) {
    extern __shared__ __align__(16) real room[];
    // tiles of the whole picture; a pooling may leave some of its cells out
    int rows = pool ? OH / TH : pieces(OH, TH), columns = pool ? OW / TW : pieces(OW, TW);
    int across = pieces(columns, TC), down = pieces(rows, TR), deep = pieces(O, TO * Q);
    int place = blockIdx.x / deep, first = blockIdx.x % deep * TO * Q;
    int column = place % across * TC, row = place / across % down * TR;
    int n = place / across / down * G;

    // what this thread computes: tile (row + r, column + s) of image n + g, channels o, o + 1, ...
    int t = threadIdx.x, s = t % TC, r = t / TC % TR, g = t / TC / TR % G, q0 = t / TC / TR / G * Q;
    bool works = q0 < TO * Q && n + g < N && row + r < rows && column + s < columns;
    real sum[MOST_CHANNELS][MOST_PLACES];
    for (int q = 0; q < Q; q++)
        for (int p = 0; p < TH * TW; p++)
            sum[q][p] = has_bias && works && first + q0 + q < O ? b[first + q0 + q] : real(0);

    // the picture of a chunk, XH x XW, and its weights, Q TO of them for each tap
    int XH = (TR * TH - 1) * SH + (CI - 1) * DH + 1;
    int XW = up((TC * TW - 1) * SW + (CJ - 1) * DW + 1, 4), WO = up(TO * Q, 8) + 4;
    real *xs = room, *ws = room + G * CC * XH * LINE;
    for (int c0 = 0; c0 < C; c0 += CC)
        for (int i0 = 0; i0 < KH; i0 += CI)
            for (int j0 = 0; j0 < KW; j0 += CJ) {
                __syncthreads();
                int top = row * TH * SH - PH + i0 * DH, left = column * TW * SW - PW + j0 * DW;
                load_pictures(xs, x, n, N, G, c0, C, CC, top, left, XH, XW, LINE, H, W);
                load_weights(ws, w, first, O, TO * Q, C * KH * KW, c0, C, CC, KH * KW, i0, CI, KH,
                             j0, CJ, KW, WO);
                __syncthreads();
                if (!works) continue;
                for (int c = 0; c < CC; c++)
#pragma unroll 1
                    for (int i = 0; i < min(CI, KH - i0); i++) {
                        int line = (g * CC + c) * XH + r * TH * SH + i * DH;
                        const real* xi = xs + line * LINE + s * TW * SW;
                        const real* wi = ws + (c * CI + i) * CJ * WO + q0;
                        UNROLL for (int j = 0; j < CJ; j++) {
                            // a weight of 0 would not do: the cell may be infinite
                            if (KW % CJ != 0 && j0 + j >= KW) continue;
                            UNROLL for (int p = 0; p < TH * TW; p++) {
                                int cell = p / TW * SH * LINE + p % TW * SW;
                                UNROLL for (int q = 0; q < Q; q++)
                                    sum[q][p] += wi[j * WO + q] * xi[cell + j * DW];
                            }
                        }
                    }
            }
    if (!works) return;
    UNROLL for (int q = 0; q < Q; q++) {
        int o = first + q0 + q;
        if (o >= O) break;
        Cell plane = (Cell)(n + g) * O + o;
        real best = 0;
        int at = 0;
        UNROLL for (int p = 0; p < TH * TW; p++) {
            int oh = (row + r) * TH + p / TW, ow = (column + s) * TW + p % TW;
            real a = activated(sum[q][p], kind);
            bool is_kept = pool ? keeps && pool == AVERAGE : oh < OH && ow < OW;
            if (is_kept) y[(plane * OH + oh) * OW + ow] = a;
            if (pool == AVERAGE) best += a;
            if (pool == MAXIMUM && (p == 0 || a > best || (isnan(a) && !isnan(best)))) {
                best = a;
                at = p;
            }
        }
        Cell window = (plane * rows + row + r) * columns + column + s;
        if (pool) pooled[window] = pool == AVERAGE ? best / (QH * QW) : best;
        if (keeps && pool == MAXIMUM) winner[window] = at;
    }
}

// Convolution backward, in compiled steps. What conv.cu says of tiles, chunks and sizes holds here too.

// As load_pictures, of the gradient with respect to what a convolution computed before activation and
// pooling; columns from `right` on are zeros too. dy is the gradient with respect to what conv_forward
// wrote. Without a pooling that was the activation, and dy has its slope. Of an average all cells get
// their share, times the slope; of a maximum the winner gets all, and dy has the slope. A thread
// writes 4 neighbouring cells.
__device__ inline void load_gradients(real* to, const real* __restrict__ dy,
                                      const real* __restrict__ y,
                                      const unsigned char* __restrict__ winner, int n, int N, int G,
                                      int o0, int O, int CC, int top, int left, int right, int YH,
                                      int YW, int LINE, int kind, int pool, int QH, int QW, int OH,
                                      int OW) {
    int rows = OH / QH, columns = OW / QW;  // of windows; without a pooling they are cells
    for (int k = threadIdx.x; k < G * CC * YH * (YW / 4); k += blockDim.x) {
        int row = k / (YW / 4), column = k % (YW / 4) * 4, oh = top + row % YH;
        int o = o0 + row / YH % CC, image = n + row / YH / CC;
        bool is_there = image < N && o < O && oh >= 0 && oh < rows * QH;
        Cell plane = (Cell)image * O + o;
        real cells[4], d = 0;
        int won = 0;
        UNROLL for (int e = 0; e < 4; e++) {
            int ow = left + column + e;
            cells[e] = 0;
            if (!is_there || ow < 0 || ow >= min(right, columns * QW)) continue;
            if (e == 0 || ow % QW == 0) {  // another window
                Cell window = (plane * rows + oh / QH) * columns + ow / QW;
                d = dy[window];
                if (pool == MAXIMUM) won = winner[window];
            }
            if (pool == NO_POOLING) cells[e] = d;
            if (pool == AVERAGE)
                cells[e] = slope_times(d / (QH * QW), y, (plane * OH + oh) * OW + ow, kind);
            if (pool == MAXIMUM && won == oh % QH * QW + ow % QW) cells[e] = d;
        }
        store(to + row * LINE + column, cells);
    }
}

// dx[n, c, h, w] = slope * sum_{o,i,j} w[o, c, i, j] dy[n, o, oh, ow] where oh SH + i DH = h + PH and
// ow SW + j DW = w + PW. Of a stride SH, row h + PH = u SH + a meets only the taps for which i DH - a is
// a multiple of it: a block takes the rows and columns of one such phase (a, b), numbered by u and v:
//     oh = u + (a - i DH) / SH,   ow = v + (b - j DW) / SW
// A thread's tile has Q channels of one row u and TW columns v. saved: x, where it is the result of an
// activation, `before`. Launch: pieces of G images x phases x rows x of columns x of channels.
extern "C" __global__ void conv_dinput(
    const real* __restrict__ dy, const real* __restrict__ y,
    const unsigned char* __restrict__ winner, const real* __restrict__ w,
    const real* __restrict__ saved, real* __restrict__ dx, int N, int before, int kind, int pool,
    int QH, int QW, int O, int C, int H, int W, int KH, int KW, int SH, int SW, int PH, int PW,
    int DH, int DW, int OH, int OW, int Q, int TW, int TO, int TR, int TC, int G, int CC, int CI,
    int CJ, int LINE) {
    extern __shared__ __align__(16) real room[];
    // rows and columns of a phase, the first of them, and how many tiles they are
    int U0 = PH / SH, V0 = PW / SW, rows = (PH + H - 1) / SH - U0 + 1;
    int columns = pieces((PW + W - 1) / SW - V0 + 1, TW);
    int across = pieces(columns, TC), down = pieces(rows, TR), deep = pieces(C, TO * Q);
    int place = blockIdx.x / deep, first = blockIdx.x % deep * TO * Q;
    int v0 = V0 + place % across * TC * TW, u0 = U0 + place / across % down * TR;
    int b = place / across / down % SW, a = place / across / down / SW % SH;
    int n = place / across / down / SW / SH * G;

    // neighbouring threads: other channels of the same row, for which the same taps count
    int t = threadIdx.x, q0 = t % TO * Q, s = t / TO % TC, r = t / TO / TC % TR;
    int g = t / TO / TC / TR;
    int u = u0 + r, v = v0 + s * TW, h = SH * u + a - PH;
    bool works = g < G && n + g < N && h < H;
    real sum[MOST_CHANNELS][MOST_PLACES];
    for (int q = 0; q < Q; q++)
        for (int p = 0; p < TW; p++) sum[q][p] = 0;

    // dy of a chunk, YH x YW: its last taps look MH rows further up than the first, MW to the left
    int MH = ((CI - 1) * DH + 2 * SH - 2) / SH, MW = ((CJ - 1) * DW + 2 * SW - 2) / SW;
    // where a tile is a whole row, the compiler knows which products would be with the frame
    bool whole = SW == 1 && columns == 1 && CJ == KW;
    int YH = min(TR + MH, OH), YW = up(whole ? OW : TC * TW + MW, 4), WC = up(TO * Q, 8) + 4;
    real *ys = room, *ws = room + G * CC * YH * LINE;
    for (int o0 = 0; o0 < O; o0 += CC)
        for (int i0 = 0; i0 < KH; i0 += CI)
            for (int j0 = 0; j0 < KW; j0 += CJ) {
                __syncthreads();
                int top = u0 - i0 * DH / SH - MH, left = v0 - j0 * DW / SW - MW;
                if (YH == OH) top = 0;
                if (whole) left = 0;
                load_gradients(ys, dy, y, winner, n, N, G, o0, O, CC, top, left, OW, YH, YW, LINE,
                               kind, pool, QH, QW, OH, OW);
                load_weights(ws, w, first, C, TO * Q, KH * KW, o0, O, CC, C * KH * KW, i0, CI, KH,
                             j0, CJ, KW, WC);
                __syncthreads();
                if (!works) continue;
                for (int o = 0; o < CC; o++)
#pragma unroll 1
                    for (int i = 0; i < min(CI, KH - i0); i++) {
                        int away = a - (i0 + i) * DH, oh = u + away / SH;
                        if (away % SH != 0 || oh < 0 || oh >= OH) continue;
                        const real* yi = ys + ((g * CC + o) * YH + oh - top) * LINE;
                        const real* wi = ws + (o * CI + i) * CJ * WC + q0;
                        UNROLL for (int j = 0; j < CJ; j++) {
                            int aside = b - (j0 + j) * DW;
                            if (aside % SW != 0 || (KW % CJ != 0 && j0 + j >= KW)) continue;
                            UNROLL for (int p = 0; p < TW; p++) {
                                int ow = v + p + aside / SW;
                                if (whole && (ow < 0 || ow >= OW)) continue;
                                UNROLL for (int q = 0; q < Q; q++)
                                    sum[q][p] += wi[j * WC + q] * yi[ow - left];
                            }
                        }
                    }
            }
    if (!works || h < 0) return;
    UNROLL for (int q = 0; q < Q; q++) {
        int c = first + q0 + q;
        if (c >= C) break;
        UNROLL for (int p = 0; p < TW; p++) {
            int wide = SW * (v + p) + b - PW;
            Cell at = (((Cell)(n + g) * C + c) * H + h) * W + wide;
            if (wide >= 0 && wide < W) dx[at] = slope_times(sum[q][p], saved, at, before);
        }
    }
}

// The products of `count` neighbouring cells of dy, and of the cells of x that their windows see:
// sum[q][j] += sum_s y[q, s] x[s SW + j DW].  plane: of dy, from one channel to the next.
__device__ inline void add_products(real sum[MOST_CHANNELS][MOST_CHANNELS], const real* x,
                                    const real* y, int count, int Q, int CJ, int plane, int SW,
                                    int DW) {
    UNROLL for (int s = 0; s < count; s++)
        UNROLL for (int q = 0; q < Q; q++)
            UNROLL for (int j = 0; j < CJ; j++) sum[q][j] += y[q * plane + s] * x[s * SW + j * DW];
}

// Parts of db[o] = sum dy and of
//     dW[o, c, i, j] = sum_{n,oh,ow} dy[n, o, oh, ow] x_padded[n, c, oh SH + i DH, ow SW + j DW]
// `groups` blocks have all weights once:
//     a block's:    TO tiles of Q channels o, CC channels c, CI rows i, CJ columns j
//     a thread's:   Q x CJ sums, of one c and one i, over every `slices`-th row of dy
// The images (and pieces of TR rows and TC columns, where they are large) are shared out to
// gridDim.x / groups such sets of blocks, each of which leaves a part that the update adds to the
// others. Along a row a thread takes TW columns at a time; there too the compiler sees which cells of x
// several taps want.
extern "C" __global__ void conv_dweight(
    const real* __restrict__ x, const real* __restrict__ dy, const real* __restrict__ y,
    const unsigned char* __restrict__ winner, real* __restrict__ dw, real* __restrict__ db, int N,
    int has_bias, int kind, int pool, int QH, int QW, int O, int C, int H, int W, int KH, int KW,
    int SH, int SW, int PH, int PW, int DH, int DW, int OH, int OW, int Q, int TW, int TO, int TR,
    int TC, int slices, int CC, int CI, int CJ, int LINE) {
    extern __shared__ __align__(16) real room[];
    int of_o = pieces(O, TO * Q), of_c = pieces(C, CC);
    int of_i = pieces(KH, CI), of_j = pieces(KW, CJ);
    int groups = of_o * of_c * of_i * of_j, group = blockIdx.x % groups;
    int j0 = group % of_j * CJ, i0 = group / of_j % of_i * CI, c0 = group / of_j / of_i % of_c * CC;
    int o0 = group / of_j / of_i / of_c * TO * Q;
    bool sums_biases = has_bias && c0 == 0 && i0 == 0 && j0 == 0;

    int owners = TO * CC * CI, t = threadIdx.x, owner = t % owners, slice = t / owners;
    int i = owner % CI, c = owner / CI % CC, q0 = owner / CI / CC * Q;
    real total[MOST_CHANNELS][MOST_CHANNELS], bias = 0;
    UNROLL for (int q = 0; q < Q; q++)
        UNROLL for (int j = 0; j < CJ; j++) total[q][j] = 0;

    // a piece of the picture, XH x XW, and of dy, TR x YW
    int XH = (TR - 1) * SH + (CI - 1) * DH + 1, YW = up(up(TC, TW), 4);
    int XW = up((up(TC, TW) - 1) * SW + (CJ - 1) * DW + 1, 4);
    real *xs = room, *ys = room + CC * XH * LINE;
    int down = pieces(OH, TR), across = pieces(OW, TC);
    Cell count = (Cell)N * down * across;
    for (Cell piece = blockIdx.x / groups; piece < count; piece += gridDim.x / groups) {
        int n = piece / (down * across);
        int oh0 = piece / across % down * TR, ow0 = piece % across * TC;
        __syncthreads();
        int top = oh0 * SH - PH + i0 * DH, left = ow0 * SW - PW + j0 * DW;
        load_pictures(xs, x, n, N, 1, c0, C, CC, top, left, XH, XW, LINE, H, W);
        load_gradients(ys, dy, y, winner, n, N, 1, o0, O, TO * Q, oh0, ow0, min(ow0 + TC, OW), TR,
                       YW, YW, kind, pool, QH, QW, OH, OW);
        __syncthreads();
        if (slice < slices) {
            // of dy; zeros beyond it would not do: the cells of x may be infinite
            int rows = OH % TR ? min(TR, OH - oh0) : TR;
            int columns = OW % TC ? min(TC, OW - ow0) : TC;
            // a sum for each piece, then of these, so that float32 loses little
            real sum[MOST_CHANNELS][MOST_CHANNELS];
            UNROLL for (int q = 0; q < Q; q++)
                UNROLL for (int j = 0; j < CJ; j++) sum[q][j] = 0;
#pragma unroll 1
            for (int r = slice; r < rows; r += slices) {
                const real* xi = xs + (c * XH + r * SH + i * DH) * LINE;
                const real* yi = ys + (q0 * TR + r) * YW;
                int s = 0;
                for (; s + TW <= columns; s += TW)
                    add_products(sum, xi + s * SW, yi + s, TW, Q, CJ, TR * YW, SW, DW);
                if (OW % TW != 0 && s < columns)
                    add_products(sum, xi + s * SW, yi + s, OW % TW, Q, CJ, TR * YW, SW, DW);
            }
            UNROLL for (int q = 0; q < Q; q++)
                UNROLL for (int j = 0; j < CJ; j++) total[q][j] += sum[q][j];
        }
        // each thread's share of the biases: channel t % (TO Q)
        if (sums_biases) {
            real sum = 0;
            const real* yo = ys + t % (TO * Q) * TR * YW;
            for (int k = t / (TO * Q); k < TR * YW / 4; k += blockDim.x / (TO * Q))
                for (int e = 0; e < 4; e++) sum += yo[4 * k + e];
            bias += sum;
        }
    }

    // the slices' sums meet in shared memory
    dw += blockIdx.x / groups * (Cell)(O * C * KH * KW);
    __syncthreads();
    if (slice < slices)
        UNROLL for (int q = 0; q < Q; q++)
            UNROLL for (int j = 0; j < CJ; j++) {
                bool is_there = o0 + q0 + q < O && c0 + c < C && i0 + i < KH && j0 + j < KW;
                Cell at = ((Cell)((o0 + q0 + q) * C + c0 + c) * KH + i0 + i) * KW + j0 + j;
                if (slices > 1) room[((slice * Q + q) * CJ + j) * owners + owner] = total[q][j];
                else if (is_there) dw[at] = total[q][j];
            }
    __syncthreads();
    for (int k = t; slices > 1 && k < Q * CJ * owners; k += blockDim.x) {
        int o = o0 + k / owners / CJ + k % owners / CI / CC * Q;
        int channel = c0 + k % owners / CI % CC;
        int row = i0 + k % owners % CI, column = j0 + k / owners % CJ;
        real sum = 0;
        for (int from = 0; from < slices; from++) sum += room[from * Q * CJ * owners + k];
        if (o < O && channel < C && row < KH && column < KW)
            dw[((Cell)(o * C + channel) * KH + row) * KW + column] = sum;
    }
    if (!sums_biases) return;
    __syncthreads();
    room[t] = bias;
    __syncthreads();
    if (t < TO * Q && o0 + t < O) {
        real sum = 0;
        for (int k = t; k < (int)blockDim.x / (TO * Q) * (TO * Q); k += TO * Q) sum += room[k];
        db[(Cell)(blockIdx.x / groups) * O + o0 + t] = sum;
    }
}

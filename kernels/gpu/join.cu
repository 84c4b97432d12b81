// Where branches of a net meet, and frames. Launch: blocks of 256, any grid.

// y = a + b, four neighbouring cells a thread. Moves 12 bytes a cell.
extern "C" __global__ void add(const real* __restrict__ a, const real* __restrict__ b,
                               real* __restrict__ y, long long cells) {
    bool wide = is_aligned(a) && is_aligned(b) && is_aligned(y);
    FOR_FOURS(k, left, cells) {
        Cells<4> sum = four_cells(a + k, 1, left, wide), of_b = four_cells(b + k, 1, left, wide);
        for (int q = 0; q < 4; q++) sum.a[q] += of_b.a[q];
        put_four(y + k, left, wide, sum);
    }
}

// Some cells of each image of x (image, x_length), those from x_begin on, to y (image, y_length),
// from y_begin on: `length` of them, `cells` of all images together. Moves 8 bytes a cell.
extern "C" __global__ void copy_cells(const real* __restrict__ x, real* __restrict__ y,
                                      long long cells, int length, int x_length, int y_length,
                                      int x_begin, int y_begin) {
    FOR_CELLS(k, cells) {
        Cell image = k / length, cell = k % length;
        y[image * y_length + y_begin + cell] = x[image * x_length + x_begin + cell];
    }
}

// y[c, h, w] = slope * x[c - front, h - top, w - left], or `value` where x has no such cell, in each
// image; x is XC x XH x XW, y C x H x W. saved: where y is a gradient, the activation's result.
// Moves 8 bytes a cell.
extern "C" __global__ void pad(const real* __restrict__ x, const real* __restrict__ saved,
                               real* __restrict__ y, long long cells, int kind, real value, int C,
                               int H, int W, int XC, int XH, int XW, int front, int top, int left) {
    FOR_CELLS(k, cells) {
        int w = k % W - left, h = k / W % H - top, c = k / (W * H) % C - front;
        Cell n = k / ((Cell)C * H * W);  // of the image
        bool inside = c >= 0 && c < XC && h >= 0 && h < XH && w >= 0 && w < XW;
        real moved = inside ? x[((n * XC + c) * XH + h) * XW + w] : value;
        y[k] = slope_times(moved, saved, k, kind);
    }
}

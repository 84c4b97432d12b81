// Where branches of a net meet. Launch: blocks of 256, any grid.

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

// Where branches of a net meet. Launch: blocks of 256, any grid.

// y = a + b. Moves 12 bytes a cell.
extern "C" __global__ void add(const real* __restrict__ a, const real* __restrict__ b,
                               real* __restrict__ y, long long cells) {
    FOR_CELLS(k, cells) y[k] = a[k] + b[k];
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

// What is done cell by cell: activations, dropout, pixels as numbers. Launch: blocks of 256, any grid.

// x = pixels / 255. Moves 5 bytes a cell.
extern "C" __global__ void load_pixels(const unsigned char* __restrict__ pixels,
                                       real* __restrict__ x, long long cells) {
    FOR_CELLS(k, cells) x[k] = pixels[k] / real(255);
}

// y = activation(x). Moves 8 bytes a cell.
extern "C" __global__ void activate(const real* __restrict__ x, real* __restrict__ y,
                                    long long cells, int kind) {
    FOR_CELLS(k, cells) y[k] = activated(x[k], kind);
}

// dx = slope * dy. Moves 12 bytes a cell.
extern "C" __global__ void activate_backward(const real* __restrict__ dy,
                                             const real* __restrict__ y, real* __restrict__ dx,
                                             long long cells, int kind) {
    FOR_CELLS(k, cells) dx[k] = slope_times(dy[k], y, k, kind);
}

// y = slope * x * mask, the mask being 1 / (1 - p) where u >= p and 0 elsewhere (0 times an infinite
// x is NaN, as in eager mode); u: number k of set
// (seed, draw) = keys[0], keys[1]. Forward with kind NONE; backward the same mask is drawn again.
extern "C" __global__ void dropout(const real* __restrict__ x, const real* __restrict__ saved,
                                   real* __restrict__ y, long long cells,
                                   const unsigned long long* __restrict__ keys, real p, int kind) {
    FOR_CELLS(k, cells) {
        real mask = real(uniform_at(k, keys[1], keys[0])) >= p ? 1 / (1 - p) : real(0);
        y[k] = slope_times(x[k] * mask, saved, k, kind);
    }
}

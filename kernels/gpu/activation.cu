// What is done cell by cell: activations, dropout, pixels as numbers. A thread takes four neighbouring
// cells. Launch: blocks of 256, any grid.

// x = pixels / 255. Moves 5 bytes a cell.
extern "C" __global__ void load_pixels(const unsigned char* __restrict__ pixels,
                                       real* __restrict__ x, long long cells) {
    bool wide = is_aligned(x);
    FOR_FOURS(k, left, cells) {
        Cells<4> of_x;
        for (int q = 0; q < 4; q++) of_x.a[q] = q < left ? over_255(real(pixels[k + q])) : real(0);
        put_four(x + k, left, wide, of_x);
    }
}

// y = activation(x). Moves 8 bytes a cell.
extern "C" __global__ void activate(const real* __restrict__ x, real* __restrict__ y,
                                    long long cells, int kind) {
    bool wide = is_aligned(x) && is_aligned(y);
    FOR_FOURS(k, left, cells) {
        Cells<4> four = four_cells(x + k, 1, left, wide);
        for (int q = 0; q < 4; q++) four.a[q] = activated(four.a[q], kind);
        put_four(y + k, left, wide, four);
    }
}

// dx = slope * dy. Moves 12 bytes a cell.
extern "C" __global__ void activate_backward(const real* __restrict__ dy,
                                             const real* __restrict__ y, real* __restrict__ dx,
                                             long long cells, int kind) {
    bool wide = is_aligned(dy) && is_aligned(y) && is_aligned(dx);
    FOR_FOURS(k, left, cells) {
        Cells<4> four = four_cells(dy + k, 1, left, wide), of_y = four_cells(y + k, 1, left, wide);
        for (int q = 0; q < 4; q++) four.a[q] = sloped(four.a[q], of_y.a[q], kind);
        put_four(dx + k, left, wide, four);
    }
}

// What dropout multiplies by, from a word of philox: 1 / (1 - p) where u >= p and 0 elsewhere.
__device__ inline real mask_from(unsigned int word, real p) {
    return real(uniform_from(word)) >= p ? 1 / (1 - p) : real(0);
}

// The mask of cell k; u is number k of set (seed, draw) = key[0], key[1].
__device__ inline real mask_of(long long k, const unsigned long long* __restrict__ key, real p) {
    return mask_from(word_of(philox(k / 4, key[1], key[0]), k % 4), p);
}

// y = slope * x * mask (0 times an infinite x is NaN, as in eager mode). Forward with kind NONE;
// backward the same mask is drawn again. Moves 8 bytes a cell, 12 with a slope.
extern "C" __global__ void dropout(const real* __restrict__ x, const real* __restrict__ saved,
                                   real* __restrict__ y, long long cells,
                                   const unsigned long long* __restrict__ keys, real p, int kind) {
    bool wide = is_aligned(x) && is_aligned(saved) && is_aligned(y);
    FOR_FOURS(k, left, cells) {
        Philox drawn = philox(k / 4, keys[1], keys[0]);
        Cells<4> four = four_cells(x + k, 1, left, wide), of_saved = four;
        if (kind != NONE) of_saved = four_cells(saved + k, 1, left, wide);
        for (int q = 0; q < 4; q++)
            four.a[q] = sloped(four.a[q] * mask_from(drawn.words[q], p), of_saved.a[q], kind);
        put_four(y + k, left, wide, four);
    }
}

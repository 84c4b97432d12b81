// Random numbers. Launch: blocks of 256, any grid.

// Philox4x32-10: see reference.philox. Word k % 4 of block k / 4.
__device__ inline unsigned int philox_word(unsigned long long k, unsigned long long draw,
                                           unsigned long long seed) {
    unsigned long long block = k / 4;
    unsigned int c[4] = {(unsigned int)block, (unsigned int)(block >> 32), (unsigned int)draw,
                         (unsigned int)(draw >> 32)};
    unsigned int k0 = (unsigned int)seed, k1 = (unsigned int)(seed >> 32);
    for (int round = 0; round < 10; round++) {
        unsigned long long p0 = 0xD2511F53ull * c[0], p1 = 0xCD9E8D57ull * c[2];
        unsigned int c1 = c[1], c3 = c[3];
        c[0] = (unsigned int)(p1 >> 32) ^ c1 ^ k0;
        c[1] = (unsigned int)p1;
        c[2] = (unsigned int)(p0 >> 32) ^ c3 ^ k1;
        c[3] = (unsigned int)p0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return c[k % 4];
}

// Number k of a set, in [0, 1): the upper 24 bits of its word.
__device__ inline float uniform_at(unsigned long long k, unsigned long long draw,
                                   unsigned long long seed) {
    return (philox_word(k, draw, seed) >> 8) * 0x1p-24f;
}

// The draw-th set of uniform numbers of a seed: see reference.random_uniform.
extern "C" __global__ void random_uniform(float* __restrict__ numbers, long long cells,
                                          unsigned long long seed, unsigned long long draw,
                                          unsigned long long first) {
    FOR_CELLS(k, cells) numbers[k] = uniform_at(first + k, draw, seed);
}

// The update's last act: the draws of the dropout masks go on by the number of masks.
__device__ inline void count_masks(unsigned long long* keys, int masks) {
    if (blockIdx.x == 0 && blockIdx.y == 0)
        for (int m = threadIdx.x; m < masks; m += blockDim.x) keys[2 * m + 1] += masks;
}

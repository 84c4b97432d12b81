// Random numbers. Launch: blocks of 256, any grid.

// Philox4x32-10, see reference.philox: the four words of a block.
struct Philox {
    unsigned int words[4];
};

__device__ inline Philox philox(unsigned long long block, unsigned long long draw,
                                unsigned long long seed) {
    Philox c = {(unsigned int)block, (unsigned int)(block >> 32), (unsigned int)draw,
                (unsigned int)(draw >> 32)};
    unsigned int k0 = (unsigned int)seed, k1 = (unsigned int)(seed >> 32);
    for (int round = 0; round < 10; round++) {
        unsigned long long p0 = 0xD2511F53ull * c.words[0], p1 = 0xCD9E8D57ull * c.words[2];
        unsigned int c1 = c.words[1], c3 = c.words[3];
        c.words[0] = (unsigned int)(p1 >> 32) ^ c1 ^ k0;
        c.words[1] = (unsigned int)p1;
        c.words[2] = (unsigned int)(p0 >> 32) ^ c3 ^ k1;
        c.words[3] = (unsigned int)p0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return c;
}

// Word k of four, which are in registers: there is no address to be computed from k.
__device__ inline unsigned int word_of(Philox drawn, int k) {
    unsigned int low = k % 2 ? drawn.words[1] : drawn.words[0];
    unsigned int high = k % 2 ? drawn.words[3] : drawn.words[2];
    return k / 2 ? high : low;
}

// A number in [0, 1): the upper 24 bits of a word.
__device__ inline float uniform_from(unsigned int word) { return (word >> 8) * 0x1p-24f; }

// The draw-th set of uniform numbers of a seed: see reference.random_uniform.
extern "C" __global__ void random_uniform(float* __restrict__ numbers, long long cells,
                                          unsigned long long seed, unsigned long long draw,
                                          unsigned long long first) {
    FOR_CELLS(k, cells)
        numbers[k] = uniform_from(word_of(philox((first + k) / 4, draw, seed), (first + k) % 4));
}

// The draws of the dropout masks go on by the number of masks. One block's work.
__device__ inline void count_masks(unsigned long long* keys, int masks) {
    for (int m = threadIdx.x; m < masks; m += blockDim.x) keys[2 * m + 1] += masks;
}

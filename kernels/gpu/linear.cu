// Dense layers, in compiled steps: all are matrix products out(m, n) = sum_k a(m, k) b(k, n), and a
// launch computes several (cuBLAS computes eager mode's).
//
//     forward   y(image, o)  = activation(b(o) + sum_k x(image, k) w(o, k))
//     dinput    dx(image, k) = slope * sum_o dy(image, o) w(o, k)
//     dweight   dw(o, k)     = sum_image dy(image, o) x(image, k),  db(o): column K, x being 1 there
//
// A block of 256 threads computes a tile of TILE x TILE cells. It takes 1024 cells of a and of b at a
// time, DEEP = 1024 / TILE along k:
//
//               n                 a thread adds up 4 x 4 cells of the tile: of each k it reads
//           +-------+             four cells of a and four of b, for 16 products;
//         k |   b   | DEEP
//           +-------+             a slice of (TILE / 4)^2 threads covers the tile, so there are
//        k                        4096 / TILE^2 slices: 16, 4 or 1. They share the DEEP places
//     +------+-------+            along k, and are added up at the end.
//   m |  a   |  out  | TILE
//     +------+-------+
#define ROOM 4096  // cells of shared memory: TILE x TILE for each slice
#define PAD 4      // cells between two k's tiles: they begin in other banks of the shared memory

enum { FORWARD, DINPUT, DWEIGHT };

// Row `number` of the table of products. a(m, k) lies at a[m a_m + k a_k], b(k, n) at b[k b_k + n b_n].
// Where k is cut in splits of `length`, split s writes its sums to out[s M N] (dweight: dw[s M N],
// db[s M]); forward and dinput then leave activation and slope to dense_sum. extra: the bias (0: none),
// x where it is an activation's result, or db.
struct Product {
    const real *a, *b;
    real *out, *extra;
    long long M, N, K, a_m, a_k, b_k, b_n, length;
    int what, kind;
    __device__ Product(const unsigned long long* table, int number) {
        const unsigned long long* row = table + 14ll * number;
        a = (const real*)row[0];
        b = (const real*)row[1];
        out = (real*)row[2];
        extra = (real*)row[3];
        M = row[4], N = row[5], K = row[6];
        a_m = row[7], a_k = row[8], b_k = row[9], b_n = row[10];
        length = row[11], what = row[12], kind = row[13];
    }

    __device__ void write(long long m, long long n, long long split, real sum) const {
        long long at = split * M * N + m * N + n;
        if (m >= M || n > N || (n == N && what != DWEIGHT)) return;
        if (n == N) {
            if (extra != 0) extra[split * M + m] = sum;
            return;
        }
        if (what == FORWARD && extra != 0 && split == 0) sum += extra[n];
        if (length < K) out[at] = sum;
        else if (what == FORWARD) out[at] = activated(sum, kind);
        else out[at] = kind == NONE ? sum : sloped(sum, extra[at], kind);
    }
};

// One of the two operands: the four cells of it that this thread brings to shared memory, neighbours
// along k where k's cells lie next to each other, and otherwise along its rows (m, or n).
template <unsigned TILE>
struct Operand {
    enum { DEEP = 1024 / TILE };
    const real* at;           // the first of them
    long long step, forward;  // how far the next one is; and the first one of the next chunk
    int r, k;                 // where they lie in shared memory
    int lines, left;          // how many rows there are from here on (-1 to 4), and how many terms
    bool along_k, wide, has_ones;
    __device__ Operand(const real* from, long long r_step, long long k_step, long long first,
                       long long rows, int begin, int end, bool ones) {
        along_k = k_step == 1;
        // neighbouring threads write neighbouring cells of a k
        r = along_k ? threadIdx.x % TILE : threadIdx.x % (TILE / 4) * 4;
        k = along_k ? threadIdx.x / TILE * 4 : threadIdx.x / (TILE / 4);
        at = from + (first + r) * r_step + (begin + k) * k_step;
        step = along_k ? 1 : r_step;
        forward = DEEP * k_step;
        // four at once, if the next row (or the next k) begins at a multiple of 16 bytes too
        wide = is_aligned(from) && (along_k ? r_step : k_step) % 4 == 0 && step == 1;
        rows -= first + r;
        lines = rows > 4 ? 4ll : rows < -1 ? -1ll : rows;
        left = end - begin - k;
        has_ones = ones && lines >= 0 && lines < (along_k ? 1 : 4);
    }

    // The next chunk's; zeros where there are none. The row after the last one is all ones, for dbias:
    // beyond the last term too, where the other operand is 0.
    __device__ Cells<4> next() {
        int count = along_k ? left : lines;
        if (along_k ? lines <= 0 : left <= 0) count = 0;
        Cells<4> four = four_cells(at, step, count, wide);
        for (int q = 0; has_ones && q < 4; q++)
            if (along_k || q == lines) four.a[q] = 1;
        at += forward;
        left -= DEEP;
        return four;
    }

    __device__ void put(real* tile, Cells<4> four) const {
        real* to = tile + k * (TILE + PAD) + r;
        if (!along_k) *(Cells<4>*)to = four;
        for (int q = 0; along_k && q < 4; q++) to[q * (TILE + PAD)] = four.a[q];
    }
};

template <unsigned TILE>
__device__ void multiply(const unsigned long long* __restrict__ table,
                         const int* __restrict__ places) {
    enum { DEEP = 1024 / TILE, ACROSS = TILE / 4, SLICE = ACROSS * ACROSS, OWN = ACROSS };
    __shared__ Cells<4> room[ROOM / 4];
    real *tile_a = (real*)room, *tile_b = tile_a + DEEP * (TILE + PAD);
    const int* place = places + 4ll * blockIdx.x;  // product, tile along m and n, split
    const Product product(table, place[0]);
    int split = place[3], begin = split * product.length;
    int end = min(product.K, begin + product.length);
    long long first_m = place[1] * (long long)TILE, first_n = place[2] * (long long)TILE;
    Operand<TILE> a(product.a, product.a_m, product.a_k, first_m, product.M, begin, end, false);
    Operand<TILE> b(product.b, product.b_n, product.b_k, first_n, product.N, begin, end,
                    product.what == DWEIGHT);

    // the cells that this thread adds up, and the first of its slice's OWN places along k
    int slice = threadIdx.x / SLICE, y = threadIdx.x % SLICE / ACROSS * 4;
    int x = threadIdx.x % ACROSS * 4, own = slice * OWN;
    real sum[4][4] = {}, of_64[4][4] = {};
    Cells<4> next_a = a.next(), next_b = b.next();
    int chunks = 0;
    for (int k0 = begin; k0 < end; k0 += DEEP) {
        a.put(tile_a, next_a);
        b.put(tile_b, next_b);
        __syncthreads();
        // on their way while this chunk is added up; beyond the end these are zeros
        next_a = a.next();
        next_b = b.next();
#pragma unroll
        for (int k = 0; k < OWN; k++) {
            Cells<4> of_a = *(const Cells<4>*)(tile_a + (own + k) * (TILE + PAD) + y);
            Cells<4> of_b = *(const Cells<4>*)(tile_b + (own + k) * (TILE + PAD) + x);
#pragma unroll
            for (int i = 0; i < 4; i++)
#pragma unroll
                for (int j = 0; j < 4; j++) of_64[i][j] += of_a.a[i] * of_b.a[j];
        }
        chunks++;
        if (chunks * OWN % 64 == 0 || k0 + DEEP >= end) {  // float32 loses less in sums of sums
#pragma unroll
            for (int i = 0; i < 4; i++)
#pragma unroll
                for (int j = 0; j < 4; j++) {
                    sum[i][j] += of_64[i][j];
                    of_64[i][j] = 0;
                }
        }
        __syncthreads();
    }
    real* sums = (real*)room;  // each slice's tile, one after the other
#pragma unroll
    for (int i = 0; i < 4; i++)
#pragma unroll
        for (int j = 0; j < 4; j++) sums[(slice * TILE + y + i) * TILE + x + j] = sum[i][j];
    __syncthreads();
    for (int cell = threadIdx.x; cell < TILE * TILE; cell += 256) {
        real total = 0;
        for (int at = cell; at < ROOM; at += TILE * TILE) total += sums[at];
        product.write(first_m + cell / TILE, first_n + cell % TILE, split, total);
    }
}

// Launch: a block of 256 for each tile and split; `places` has its product, both tiles' numbers and
// the split's.
extern "C" __global__ void dense_16(const unsigned long long* __restrict__ table,
                                    const int* __restrict__ places) {
    multiply<16>(table, places);
}

extern "C" __global__ void dense_32(const unsigned long long* __restrict__ table,
                                    const int* __restrict__ places) {
    multiply<32>(table, places);
}

extern "C" __global__ void dense_64(const unsigned long long* __restrict__ table,
                                    const int* __restrict__ places) {
    multiply<64>(table, places);
}

// y = activation(the sum of the splits), or dx = slope * that sum; saved: x. Launch: any grid.
extern "C" __global__ void dense_sum(const real* __restrict__ splits,
                                     const real* __restrict__ saved, real* __restrict__ y,
                                     long long cells, int count, int kind, int is_backward) {
    FOR_CELLS(k, cells) {
        real sum = 0;
        for (int s = 0; s < count; s++) sum += splits[s * cells + k];
        y[k] = is_backward ? slope_times(sum, saved, k, kind) : activated(sum, kind);
    }
}

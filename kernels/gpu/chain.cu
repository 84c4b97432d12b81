// The last dense layers of a net in one launch: forward, the loss, and backward the gradients with
// respect to what each layer reads. A block takes two images through all of it; what the layers
// compute stays in shared memory, their weights are read where they lie.
//
//     cells:  x  | result of layer 0 | result of layer 1 | ... | logits      for each image
//             dx | dy of layer 0     | dy of layer 1     | ... | dlogits     on the way back,
//
// each gradient in the place of the result, once nobody reads that any more.
#define IMAGES 2          // of a block: each weight that a thread reads serves a product of each
#define OUTPUTS 4         // of a layer, that a warp computes together
#define CHAIN_CELLS 3072  // of shared memory, for all images

// Row `number` of the chain's table. A dense layer, y = activation(b + w x) with w (O, K); or, where
// w is 0, dropout, whose key lies where otherwise b does.
struct Layer {
    const real *w, *b;
    real *y, *dx;  // where the result, and the gradient with respect to x, are wanted too; 0: nowhere
    const unsigned long long* key;
    int K, O, from, to;  // where x and y begin among an image's cells
    int kind, x_kind;    // the activations that y and x have been through
    bool wide;           // whether four neighbouring weights may be read at once
    __device__ Layer(const unsigned long long* table, int number) {
        const unsigned long long* row = table + 10ll * number;
        w = (const real*)row[0];
        b = (const real*)row[1];
        key = (const unsigned long long*)row[1];
        y = (real*)row[2];
        dx = (real*)row[3];
        K = row[4], O = row[5], from = row[6], to = row[7];
        kind = row[8], x_kind = row[9];
        wide = K % 4 == 0 && is_aligned(w);
    }
};

// The images of a block: their cells in shared memory, `stride` apart.
struct Images {
    real *cells, *meeting;  // meeting: room for the sums of slices
    int stride, count;      // of IMAGES those that exist
    long long first;
    __device__ Images(real* room, real* sums, int cells_of_one, int N) {
        cells = room, meeting = sums, stride = cells_of_one;
        first = IMAGES * (long long)blockIdx.x;
        count = N - first < IMAGES ? N - first : IMAGES;
    }

    // Write cell k of an image's vector of `length`, in shared memory and where else it is wanted.
    __device__ void put(int image, int at, int k, int length, real value, real* wanted) const {
        cells[image * stride + at + k] = value;
        if (wanted != 0 && image < count) wanted[(first + image) * length + k] = value;
    }
};

// The sums of 8 numbers over the 32 threads of a warp: thread t gets that of number t / 4. Each time
// half of the threads go on with half of the numbers.
__device__ inline real sum_of_each(real (&numbers)[8]) {
    int lane = threadIdx.x % 32;
#pragma unroll
    for (int half = 4, away = 16; half > 0; half /= 2, away /= 2)
#pragma unroll
        for (int n = 0; n < half; n++) {
            bool upper = lane & away;
            real kept = upper ? numbers[n + half] : numbers[n];
            real given = upper ? numbers[n] : numbers[n + half];
            numbers[n] = kept + __shfl_xor_sync(0xffffffffu, given, away);
        }
    real sum = numbers[0];
    sum += __shfl_xor_sync(0xffffffffu, sum, 2);
    return sum + __shfl_xor_sync(0xffffffffu, sum, 1);
}

// y = activation(b + w x). A warp takes 4 outputs; its threads share the K products of each.
template <unsigned COUNT>
__device__ void layer_forward(const Layer& layer, const Images& images) {
    typedef const Cells<COUNT> Some;
    int lane = threadIdx.x % 32, K = layer.K, O = layer.O;
    const real* x = images.cells + layer.from;
    for (int first = threadIdx.x / 32 * OUTPUTS; first < O; first += 8 * OUTPUTS) {
        const real* w[OUTPUTS];  // the rows of the outputs; there may be fewer
        for (int q = 0; q < OUTPUTS; q++) w[q] = layer.w + min(first + q, O - 1) * (long long)K;
        real sums[OUTPUTS * IMAGES] = {};
#pragma unroll 2
        for (int k = lane * COUNT; k < K; k += 32 * COUNT) {
            Cells<COUNT> of_x[IMAGES];
            for (int i = 0; i < IMAGES; i++) of_x[i] = *(Some*)(x + i * images.stride + k);
            for (int q = 0; q < OUTPUTS; q++) {
                Cells<COUNT> of_w = *(Some*)(w[q] + k);
                for (int i = 0; i < IMAGES; i++)
                    for (int v = 0; v < COUNT; v++)
                        sums[q * IMAGES + i] += of_w.a[v] * of_x[i].a[v];
            }
        }
        real sum = sum_of_each(sums);
        int o = first + lane / 4 / IMAGES, image = lane / 4 % IMAGES;
        if (lane % 4 != 0 || o >= O) continue;
        if (layer.b != 0) sum += layer.b[o];
        images.put(image, layer.to, o, O, activated(sum, layer.kind), layer.y);
    }
}

// dx = slope * w^T dy. A thread takes neighbouring cells of dx; where there are fewer than threads,
// slices of them share the outputs, and meet in shared memory.
template <unsigned COUNT>
__device__ void layer_backward(const Layer& layer, const Images& images) {
    real* meeting = images.meeting;
    int K = layer.K, O = layer.O;
    const real* dy = images.cells + layer.to;
    for (int begin = 0; begin < K; begin += 256 * COUNT) {
        int cells = min(K - begin, 256 * (int)COUNT), units = cells / COUNT, slices = 256 / units;
        int unit = threadIdx.x % units, slice = threadIdx.x / units;
        real sums[IMAGES][COUNT] = {};
        const real* w = layer.w + begin + unit * COUNT;
#pragma unroll 4
        for (int o = slice; slice < slices && o < O; o += slices) {
            Cells<COUNT> of_w = *(const Cells<COUNT>*)(w + o * (long long)K);
            for (int i = 0; i < IMAGES; i++)
                for (int v = 0; v < COUNT; v++)
                    sums[i][v] += dy[i * images.stride + o] * of_w.a[v];
        }
        for (int i = 0; slice < slices && i < IMAGES; i++)
            for (int v = 0; v < COUNT; v++)
                meeting[(slice * IMAGES + i) * cells + unit * COUNT + v] = sums[i][v];
        __syncthreads();
        for (int at = threadIdx.x; at < IMAGES * cells; at += 256) {
            int image = at / cells, k = begin + at % cells;
            real sum = 0;
            for (int s = 0; s < slices; s++) sum += meeting[s * IMAGES * cells + at];
            real x = images.cells[image * images.stride + layer.from + k];
            images.put(image, layer.from, k, K, sloped(sum, x, layer.x_kind), layer.dx);
        }
        __syncthreads();
    }
}

// y = x * mask; on the way back dx = slope * dy * mask, the mask being drawn again.
__device__ inline void layer_dropout(const Layer& layer, const Images& images, real p, bool back) {
    for (int at = threadIdx.x; at < IMAGES * layer.K; at += 256) {
        int image = at / layer.K, k = at % layer.K;
        const real* cells = images.cells + image * images.stride + k;
        real x = cells[layer.from], dy = cells[layer.to];
        real mask = mask_of((images.first + image) * layer.K + k, layer.key, p);
        if (back)
            images.put(image, layer.from, k, layer.K, sloped(dy * mask, x, layer.x_kind), layer.dx);
        else images.put(image, layer.to, k, layer.K, x * mask, layer.y);
    }
}

// What a net computes from x (N, K of layer 0) on. rates: p of each dropout.
__device__ inline void chain_forward(const Images& images, const real* __restrict__ x,
                                     const unsigned long long* __restrict__ table,
                                     const real* __restrict__ rates, int layers) {
    int K = Layer(table, 0).K;
    for (int image = 0; image < IMAGES; image++)
        for (int k = threadIdx.x; k < K; k += 256)
            images.cells[image * images.stride + k] =
                image < images.count ? x[(images.first + image) * K + k] : real(0);
    for (int l = 0; l < layers; l++) {
        const Layer layer(table, l);
        __syncthreads();
        if (layer.w == 0) layer_dropout(layer, images, rates[l], false);
        else if (layer.wide) layer_forward<4>(layer, images);
        else layer_forward<1>(layer, images);
    }
}

// A prediction. stride: the cells of an image in shared memory. Launch: ceil(N / 2) blocks of 256.
extern "C" __global__ void dense_chain(
    const real* __restrict__ x, const unsigned long long* __restrict__ table,
    const real* __restrict__ rates, int layers, int stride, int N) {
    __shared__ Cells<4> cells[CHAIN_CELLS / 4];
    chain_forward(Images((real*)cells, 0, stride, N), x, table, rates, layers);
}

// A step: the loss too (see there), and all gradients, back to the first layer that needs them: one
// whose dx is wanted nowhere is the last. Launch: ceil(N / 2) blocks of 256.
extern "C" __global__ void dense_chain_loss(
    const real* __restrict__ x, const unsigned long long* __restrict__ table,
    const real* __restrict__ rates, int layers, int stride, int N,
    const long long* __restrict__ target, const real* __restrict__ weight,
    const real* __restrict__ settings, real* __restrict__ dlogits, real* __restrict__ of_images,
    long long ignore_index, int is_mean) {
    __shared__ Cells<4> cells[CHAIN_CELLS / 4], meeting[256 * IMAGES];
    const Images images((real*)cells, (real*)meeting, stride, N);
    chain_forward(images, x, table, rates, layers);

    const Layer last(table, layers - 1);
    // whose sum waits for all threads: the logits are there
    real divisor = divisor_of(target, weight, N, last.O, ignore_index, is_mean);
    if (blockIdx.x == 0 && threadIdx.x == 0) of_images[(Cell)N + N] = divisor;
    int image = threadIdx.x / 32;
    if (image < images.count) {
        long long m = images.first + image, t = target[m];
        real* logits = images.cells + image * stride + last.to;
        cross_entropy(logits, logits, last.O, t, t == ignore_index, weight, settings[SMOOTHING],
                      settings[GRADIENT] / divisor, last.kind, of_images + m, of_images + N + m);
        for (int c = threadIdx.x % 32; c < last.O; c += 32) dlogits[m * last.O + c] = logits[c];
    }
    for (int l = layers - 1; l >= 0; l--) {
        const Layer layer(table, l);
        if (layer.dx == 0) return;
        __syncthreads();
        if (layer.w == 0) layer_dropout(layer, images, rates[l], true);
        else if (layer.wide) layer_backward<4>(layer, images);
        else layer_backward<1>(layer, images);
    }
}

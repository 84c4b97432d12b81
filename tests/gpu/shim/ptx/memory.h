// Loads, stores and atomic operations, each of them checked.

namespace ptx {

// Addresses of the two windows in which shared and local memory lie for generic accesses.
const uint64_t SHARED_WINDOW = 1ull << 60, LOCAL_WINDOW = 1ull << 61;

static uint64_t address_of(const Warp& w, const Instruction& i, int lane) {
    uint64_t base = i.address_width == 8 ? source<uint64_t>(w, i, 8)[lane]
                                         : source<uint32_t>(w, i, 8)[lane];
    return base + i.number;
}

static Shadow* shadow_of(uint64_t address, uint64_t size) {
    static size_t last = 0;  // most accesses are to the same array as the one before
    auto holds = [&](size_t n) {
        return n < shadows.size() && address >= shadows[n].begin && address + size <= shadows[n].end;
    };
    if (holds(last)) return &shadows[last];
    auto after = std::upper_bound(shadows.begin(), shadows.end(), address,
                                  [](uint64_t a, const Shadow& s) { return a < s.begin; });
    last = after - shadows.begin() - 1;
    return after != shadows.begin() && holds(last) ? &shadows[last] : nullptr;
}

// Where the bytes of an access lie, after all checks.
static char* checked(const Warp& w, const Instruction& i, int lane, uint64_t size, Mode mode) {
    uint64_t address = address_of(w, i, lane);
    int space = i.space;
    if (space == GENERIC) {
        space = address & SHARED_WINDOW ? SHARED : address & LOCAL_WINDOW ? LOCAL : GLOBAL;
        address &= ~(SHARED_WINDOW | LOCAL_WINDOW);
    }
    if (address % size) fail(MISALIGNED, w, i, lane, address, size);
    if (space == LOCAL) {
        if (address + size > (uint64_t)program.local) fail(OUTSIDE, w, i, lane, address, size);
        return w.local + lane * program.local + address;
    }
    if (space == SHARED) {
        bool is_inside = address + size <= shared_memory.size();
        for (uint64_t at = address; is_inside && at < address + size; at += size - 1 ? size - 1 : 1)
            is_inside = at >= (uint64_t)program.shared || !program.shared_holes[at];
        if (!is_inside) fail(OUTSIDE, w, i, lane, address, size);
        touch(of_shared, w, i, lane, address, size, mode);
        return shared_memory.data() + address;
    }
    Shadow* shadow = shadow_of(address, size);
    if (!shadow) fail(OUTSIDE, w, i, lane, address, size);
    touch(*shadow, w, i, lane, address, size, mode);
    return (char*)address;
}

// A value of a narrow type fills its register.
template <class T>
void put(char* registers, int width, int lane, T value) {
    int64_t wide = value;
    memcpy(registers + lane * width, &wide, width);
}

template <class T>
void load(Warp& w, const Instruction& i) {
    Mode mode = i.is_constant ? READ_CONSTANT : READ;
    for_lanes(w, [&](int lane) {
        T values[4];
        memcpy(values, checked(w, i, lane, sizeof(T) * i.count, mode), sizeof(T) * i.count);
        for (int n = 0; n < i.count; n++)
            if (i.operands[n] != NOWHERE) put(result<char>(w, i, n), i.width, lane, values[n]);
    });
}

template <class T>
void store(Warp& w, const Instruction& i) {
    for_lanes(w, [&](int lane) {
        T values[4];
        for (int n = 0; n < i.count; n++)
            memcpy(&values[n], source<char>(w, i, n) + lane * i.width, sizeof(T));
        memcpy(checked(w, i, lane, sizeof(T) * i.count, WRITE), values, sizeof(T) * i.count);
    });
}

template <class T>
void load_parameter(Warp& w, const Instruction& i) {
    T value;
    memcpy(&value, (char*)parameters[i.address_width] + i.number, sizeof value);
    for_lanes(w, [&](int lane) { put(result<char>(w, i), i.width, lane, value); });
}

// operands: the old value (or nowhere), b, and c for cas.
template <class F, class T>
void atomic(Warp& w, const Instruction& i) {
    for_lanes(w, [&](int lane) {
        T* at = (T*)checked(w, i, lane, sizeof(T), ATOMIC);
        T old = *at, b = source<T>(w, i, 1)[lane];
        T c = i.operands[2] == NOWHERE ? T() : source<T>(w, i, 2)[lane];
        *at = F::of(old, b, c);
        if (i.operands[0] != NOWHERE) result<T>(w, i)[lane] = old;
        release((uint64_t)at, w.number * LANES + lane);
    });
}

static void fence(Warp& w, const Instruction& i) {
    for_lanes(w, [&](int lane) { fence(w.number * LANES + lane); });
}

struct AtomicAdd { template <class T> static T of(T a, T b, T) { return a + b; } };
struct AtomicMax { template <class T> static T of(T a, T b, T) { return std::max(a, b); } };
struct AtomicMin { template <class T> static T of(T a, T b, T) { return std::min(a, b); } };
struct AtomicExch { template <class T> static T of(T, T b, T) { return b; } };
struct AtomicCas { template <class T> static T of(T a, T b, T c) { return a == b ? c : a; } };
struct AtomicInc { template <class T> static T of(T a, T b, T) { return a >= b ? 0 : a + 1; } };
struct AtomicAnd { template <class T> static T of(T a, T b, T) { return a & b; } };
struct AtomicOr { template <class T> static T of(T a, T b, T) { return a | b; } };

static void define_memory() {
    define("ld.u8", load<uint8_t>), define("ld.s8", load<int8_t>);
    define("ld.u16", load<uint16_t>), define("ld.s16", load<int16_t>);
    define("ld.u32", load<uint32_t>), define("ld.s32", load<int32_t>);
    define("ld.u64", load<uint64_t>);
    define("st.8", store<uint8_t>), define("st.16", store<uint16_t>);
    define("st.32", store<uint32_t>), define("st.64", store<uint64_t>);
    define("ld.param.u8", load_parameter<uint8_t>), define("ld.param.s8", load_parameter<int8_t>);
    define("ld.param.u16", load_parameter<uint16_t>);
    define("ld.param.s16", load_parameter<int16_t>);
    define("ld.param.u32", load_parameter<uint32_t>);
    define("ld.param.s32", load_parameter<int32_t>);
    define("ld.param.u64", load_parameter<uint64_t>);
    define("atom.add.f32", atomic<AtomicAdd, float>);
    define("atom.add.f64", atomic<AtomicAdd, double>);
    define("atom.add.u32", atomic<AtomicAdd, uint32_t>);
    define("atom.add.u64", atomic<AtomicAdd, uint64_t>);
    define("atom.max.u32", atomic<AtomicMax, uint32_t>);
    define("atom.max.s32", atomic<AtomicMax, int32_t>);
    define("atom.max.u64", atomic<AtomicMax, uint64_t>);
    define("atom.min.u32", atomic<AtomicMin, uint32_t>);
    define("atom.min.s32", atomic<AtomicMin, int32_t>);
    define("atom.exch.u32", atomic<AtomicExch, uint32_t>);
    define("atom.exch.u64", atomic<AtomicExch, uint64_t>);
    define("atom.cas.u32", atomic<AtomicCas, uint32_t>);
    define("atom.cas.u64", atomic<AtomicCas, uint64_t>);
    define("atom.inc.u32", atomic<AtomicInc, uint32_t>);
    define("atom.and.u32", atomic<AtomicAnd, uint32_t>);
    define("atom.or.u32", atomic<AtomicOr, uint32_t>);
    define("fence", fence);
}

}  // namespace ptx

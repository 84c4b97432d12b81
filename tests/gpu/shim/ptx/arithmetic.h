// What PTX computes: integers, floating point, comparisons, conversions.

namespace ptx {

// Shared parts ------------------------------------------------------------------------------------

static float flushed(float x) { return std::fabs(x) < 0x1p-126f ? std::copysign(0.0f, x) : x; }
static double flushed(double x) { return x; }
template <class T> T flushed(T x) { return x; }

// A hardware approximation, off by up to `ulps` in a direction that depends on its bits. Powers of
// two are exact: CUDA's tanh for double relies on exp2 of an integer.
static float inexact(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    if (!program.ulps || !std::isfinite(x) || !(bits & 0x7FFFFF)) return x;
    bits += int((bits * 2654435761u >> 16) % (2 * program.ulps + 1)) - program.ulps;
    memcpy(&x, &bits, sizeof x);
    return x;
}
static double inexact(double x) {  // the lower half of the result is 0
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    bits &= ~0xFFFFFFFFull;
    memcpy(&x, &bits, sizeof x);
    return x;
}

template <class F, class T>
void unary(Warp& w, const Instruction& i) {
    apply(w, [](T a) -> T { return F::of(a); }, result<T>(w, i), source<T>(w, i, 1));
}
template <class F, class T>
void binary(Warp& w, const Instruction& i) {
    apply(w, [](T a, T b) -> T { return F::of(a, b); }, result<T>(w, i), source<T>(w, i, 1),
          source<T>(w, i, 2));
}
template <class F, class T>
void ternary(Warp& w, const Instruction& i) {
    apply(w, [](T a, T b, T c) -> T { return F::of(a, b, c); }, result<T>(w, i),
          source<T>(w, i, 1), source<T>(w, i, 2), source<T>(w, i, 3));
}
// float with -ftz: subnormal numbers are 0, before and after.
template <class F>
void unary_flushed(Warp& w, const Instruction& i) {
    apply(w, [](float a) -> float { return flushed(F::of(flushed(a))); }, result<float>(w, i),
          source<float>(w, i, 1));
}
template <class F>
void binary_flushed(Warp& w, const Instruction& i) {
    apply(w, [](float a, float b) -> float { return flushed(F::of(flushed(a), flushed(b))); },
          result<float>(w, i), source<float>(w, i, 1), source<float>(w, i, 2));
}
template <class F>
void ternary_flushed(Warp& w, const Instruction& i) {
    apply(
        w,
        [](float a, float b, float c) -> float {
            return flushed(F::of(flushed(a), flushed(b), flushed(c)));
        },
        result<float>(w, i), source<float>(w, i, 1), source<float>(w, i, 2),
        source<float>(w, i, 3));
}

template <class T> const char* name_of();
#define NAMED(T, name) template <> const char* name_of<T>() { return name; }
NAMED(uint8_t, "u8") NAMED(int8_t, "s8") NAMED(uint16_t, "u16") NAMED(int16_t, "s16")
NAMED(uint32_t, "u32") NAMED(int32_t, "s32") NAMED(uint64_t, "u64") NAMED(int64_t, "s64")
NAMED(float, "f32") NAMED(double, "f64")

template <class F, class... T> void define_unary(std::string name) {
    (define(name + "." + name_of<T>(), unary<F, T>), ...);
}
template <class F, class... T> void define_binary(std::string name) {
    (define(name + "." + name_of<T>(), binary<F, T>), ...);
}
template <class F, class... T> void define_ternary(std::string name) {
    (define(name + "." + name_of<T>(), ternary<F, T>), ...);
}
#define INTEGERS uint16_t, int16_t, uint32_t, int32_t, uint64_t, int64_t
#define REALS float, double
#define BITS uint16_t, uint32_t, uint64_t

#define UNARY(Name, expression) \
    struct Name { template <class T> static T of(T a) { return expression; } };
#define BINARY(Name, expression) \
    struct Name { template <class T> static T of(T a, T b) { return expression; } };
#define TERNARY(Name, expression) \
    struct Name { template <class T> static T of(T a, T b, T c) { return expression; } };

// Integers ----------------------------------------------------------------------------------------

template <class T> struct Twice;
template <> struct Twice<uint16_t> { typedef uint32_t type; };
template <> struct Twice<int16_t> { typedef int32_t type; };
template <> struct Twice<uint32_t> { typedef uint64_t type; };
template <> struct Twice<int32_t> { typedef int64_t type; };
template <> struct Twice<uint64_t> { typedef unsigned __int128 type; };
template <> struct Twice<int64_t> { typedef __int128 type; };
template <class T> T reversed(T a) {
    T result = 0;
    for (size_t n = 0; n < sizeof(T) * 8; n++) result |= (a >> n & 1) << (sizeof(T) * 8 - 1 - n);
    return result;
}
template <class T> T upper(T a, T b) { return (typename Twice<T>::type)a * b >> (sizeof(T) * 8); }

BINARY(Add, a + b) BINARY(Sub, a - b) BINARY(Mul, a * b) TERNARY(Mad, a * b + c)
BINARY(MulHi, upper(a, b)) TERNARY(MadHi, upper(a, b) + c)
BINARY(Div, b == 0 ? ~T(0) : b == T(-1) ? T(a * b) : T(a / b))
BINARY(Rem, b == 0 ? a : b == T(-1) && T(-1) < T(0) ? T(0) : T(a % b))
BINARY(Min, b < a ? b : a) BINARY(Max, a < b ? b : a)
UNARY(Neg, -a) UNARY(Abs, a < 0 ? -a : a)
BINARY(And, a & b) BINARY(Or, a | b) BINARY(Xor, a ^ b) UNARY(Not, ~a) UNARY(Mov, a)
UNARY(Popc, __builtin_popcountll(a)) UNARY(Brev, reversed(a))
UNARY(Clz, a ? __builtin_clzll(a) - 64 + int(sizeof(T)) * 8 : int(sizeof(T)) * 8)

template <class T> void mul_wide(Warp& w, const Instruction& i) {
    typedef typename Twice<T>::type D;
    apply(w, [](T a, T b) { return (D)a * b; }, result<D>(w, i), source<T>(w, i, 1),
          source<T>(w, i, 2));
}
template <class T> void mad_wide(Warp& w, const Instruction& i) {
    typedef typename Twice<T>::type D;
    apply(w, [](T a, T b, D c) { return (D)a * b + c; }, result<D>(w, i), source<T>(w, i, 1),
          source<T>(w, i, 2), source<D>(w, i, 3));
}

// Shifts count in 32 bits; by the whole width or more, nothing is left but the sign.
template <class T> void shl(Warp& w, const Instruction& i) {
    apply(w, [](T a, uint32_t n) -> T { return n < sizeof(T) * 8 ? a << n : 0; }, result<T>(w, i),
          source<T>(w, i, 1), source<uint32_t>(w, i, 2));
}
template <class T> void shr(Warp& w, const Instruction& i) {
    apply(w, [](T a, uint32_t n) -> T { return n < sizeof(T) * 8 ? a >> n : T(a < 0 ? -1 : 0); },
          result<T>(w, i), source<T>(w, i, 1), source<uint32_t>(w, i, 2));
}
template <bool LEFT, bool WRAP> void shift_pair(Warp& w, const Instruction& i) {
    apply(
        w,
        [](uint32_t low, uint32_t high, uint32_t n) -> uint32_t {
            n = WRAP ? n & 31 : std::min(n, 32u);
            uint64_t both = (uint64_t)high << 32 | low;
            return LEFT ? both << n >> 32 : both >> n;
        },
        result<uint32_t>(w, i), source<uint32_t>(w, i, 1), source<uint32_t>(w, i, 2),
        source<uint32_t>(w, i, 3));
}

template <class T> T field_mask(uint32_t length) {
    return length >= sizeof(T) * 8 ? ~T(0) : (T(1) << length) - 1;
}
template <class T> void bfi(Warp& w, const Instruction& i) {
    apply(
        w,
        [](T a, T b, uint32_t at, uint32_t length) -> T {
            at &= 255, length &= 255;
            T mask = at < sizeof(T) * 8 ? field_mask<T>(length) << at : 0;
            return at < sizeof(T) * 8 ? (b & ~mask) | (a << at & mask) : b;
        },
        result<T>(w, i), source<T>(w, i, 1), source<T>(w, i, 2), source<uint32_t>(w, i, 3),
        source<uint32_t>(w, i, 4));
}
template <class T> void bfe(Warp& w, const Instruction& i) {
    apply(
        w,
        [](T a, uint32_t at, uint32_t length) -> T {
            typedef std::make_unsigned_t<T> U;
            uint32_t bits = sizeof(T) * 8;
            at &= 255, length = std::min(length & 255, bits);
            if (!length) return 0;
            U sign = a < 0 ? ~U(0) : 0;
            U shifted = at < bits ? U(a) >> at | (at ? sign << (bits - at) : 0) : sign;
            bool negative = std::is_signed_v<T> && (shifted >> (length - 1) & 1);
            U mask = field_mask<U>(length);
            return negative ? shifted | ~mask : shifted & mask;
        },
        result<T>(w, i), source<T>(w, i, 1), source<uint32_t>(w, i, 2),
        source<uint32_t>(w, i, 3));
}
static void permute(Warp& w, const Instruction& i) {  // bytes of a pair
    apply(
        w,
        [](uint32_t a, uint32_t b, uint32_t which) {
            uint64_t both = (uint64_t)b << 32 | a;
            uint32_t result = 0;
            for (int n = 0; n < 4; n++) {
                uint32_t selector = which >> 4 * n & 15, byte = both >> 8 * (selector & 7) & 255;
                if (selector & 8) byte = byte & 128 ? 255 : 0;
                result |= byte << 8 * n;
            }
            return result;
        },
        result<uint32_t>(w, i), source<uint32_t>(w, i, 1), source<uint32_t>(w, i, 2),
        source<uint32_t>(w, i, 3));
}
static void logic3(Warp& w, const Instruction& i) {  // bit (a, b, c) of the table
    unsigned table = i.number;
    apply(
        w,
        [table](uint32_t a, uint32_t b, uint32_t c) {
            uint32_t result = 0;
            for (int n = 0; n < 8; n++)
                if (table >> n & 1) result |= (n & 4 ? a : ~a) & (n & 2 ? b : ~b) & (n & 1 ? c : ~c);
            return result;
        },
        result<uint32_t>(w, i), source<uint32_t>(w, i, 1), source<uint32_t>(w, i, 2),
        source<uint32_t>(w, i, 3));
}

// A register and its parts, the lowest first. The whole is operand 9, or the result.
template <class D, class S> void unpack(Warp& w, const Instruction& i) {
    for_lanes(w, [&](int lane) {
        D value = source<D>(w, i, 9)[lane];
        for (size_t n = 0; n < sizeof(D) / sizeof(S); n++)
            if (i.operands[n] != NOWHERE) result<S>(w, i, n)[lane] = value >> n * sizeof(S) * 8;
    });
}
template <class D, class S> void pack(Warp& w, const Instruction& i) {
    for_lanes(w, [&](int lane) {
        D value = 0;
        for (size_t n = 0; n < sizeof(D) / sizeof(S); n++)
            value |= D(source<S>(w, i, n + 1)[lane]) << n * sizeof(S) * 8;
        result<D>(w, i)[lane] = value;
    });
}

// Floating point ----------------------------------------------------------------------------------

BINARY(Quotient, a / b) TERNARY(Fma, std::fma(a, b, c)) UNARY(Sqrt, std::sqrt(a))
BINARY(Smaller, std::fmin(a, b)) BINARY(Larger, std::fmax(a, b))
BINARY(SmallerNan, a != a ? a : b != b ? b : std::fmin(a, b))
BINARY(LargerNan, a != a ? a : b != b ? b : std::fmax(a, b))
UNARY(Magnitude, std::fabs(a)) BINARY(CopySign, std::copysign(b, a))
UNARY(Saturate, a > 0 ? std::fmin(a, T(1)) : T(0))
UNARY(Reciprocal, 1 / a)
UNARY(ReciprocalNear, inexact(1 / a)) UNARY(SqrtNear, inexact(std::sqrt(a)))
UNARY(RsqrtNear, inexact(1 / std::sqrt(a))) UNARY(Exp2Near, inexact(std::exp2(a)))
UNARY(Log2Near, inexact(std::log2(a))) UNARY(TanhNear, inexact(std::tanh(a)))
UNARY(SinNear, inexact(std::sin(a))) UNARY(CosNear, inexact(std::cos(a)))
BINARY(QuotientNear, inexact(a / b))

template <class F> void define_real_unary(std::string name) {
    define_unary<F, REALS>(name), define(name + ".ftz.f32", unary_flushed<F>);
}
template <class F> void define_real_binary(std::string name) {
    define_binary<F, REALS>(name), define(name + ".ftz.f32", binary_flushed<F>);
}
template <class F> void define_real_ternary(std::string name) {
    define_ternary<F, REALS>(name), define(name + ".ftz.f32", ternary_flushed<F>);
}

static void define_arithmetic() {
    define_unary<Mov, BITS>("mov");
    define_binary<Add, INTEGERS>("add"), define_binary<Sub, INTEGERS>("sub");
    define_binary<Mul, INTEGERS>("mul.lo"), define_ternary<Mad, INTEGERS>("mad.lo");
    define_binary<MulHi, INTEGERS>("mul.hi"), define_ternary<MadHi, INTEGERS>("mad.hi");
    define_binary<Div, INTEGERS>("div"), define_binary<Rem, INTEGERS>("rem");
    define_binary<Min, INTEGERS>("min"), define_binary<Max, INTEGERS>("max");
    define_unary<Neg, INTEGERS>("neg"), define_unary<Abs, INTEGERS>("abs");
    define_binary<And, BITS>("and"), define_binary<Or, BITS>("or"), define_binary<Xor, BITS>("xor");
    define_unary<Not, BITS>("not"), define_unary<Brev, uint32_t>("brev");
    define_unary<Popc, uint32_t>("popc"), define_unary<Clz, uint32_t>("clz");
    define("mul.wide.u16", mul_wide<uint16_t>), define("mul.wide.s16", mul_wide<int16_t>);
    define("mul.wide.u32", mul_wide<uint32_t>), define("mul.wide.s32", mul_wide<int32_t>);
    define("mad.wide.u16", mad_wide<uint16_t>), define("mad.wide.s16", mad_wide<int16_t>);
    define("mad.wide.u32", mad_wide<uint32_t>), define("mad.wide.s32", mad_wide<int32_t>);
    define("shl.u16", shl<uint16_t>), define("shl.u32", shl<uint32_t>);
    define("shl.u64", shl<uint64_t>), define("shr.u16", shr<uint16_t>);
    define("shr.s16", shr<int16_t>), define("shr.u32", shr<uint32_t>);
    define("shr.s32", shr<int32_t>), define("shr.u64", shr<uint64_t>);
    define("shr.s64", shr<int64_t>);
    define("shf.l.wrap.u32", shift_pair<true, true>);
    define("shf.l.clamp.u32", shift_pair<true, false>);
    define("shf.r.wrap.u32", shift_pair<false, true>);
    define("shf.r.clamp.u32", shift_pair<false, false>);
    define("bfi.u32", bfi<uint32_t>), define("bfi.u64", bfi<uint64_t>);
    define("bfe.u32", bfe<uint32_t>), define("bfe.s32", bfe<int32_t>);
    define("bfe.u64", bfe<uint64_t>), define("bfe.s64", bfe<int64_t>);
    define("prmt.u32", permute), define("lop3.u32", logic3);
    define("unpack.u64.u32", unpack<uint64_t, uint32_t>);
    define("unpack.u32.u16", unpack<uint32_t, uint16_t>);
    define("unpack.u64.u16", unpack<uint64_t, uint16_t>);
    define("pack.u64.u32", pack<uint64_t, uint32_t>);
    define("pack.u32.u16", pack<uint32_t, uint16_t>);
    define("pack.u64.u16", pack<uint64_t, uint16_t>);

    define_real_binary<Add>("add"), define_real_binary<Sub>("sub"), define_real_binary<Mul>("mul");
    define_real_ternary<Fma>("fma"), define_real_binary<Quotient>("div");
    define_real_binary<QuotientNear>("div.full"), define_real_binary<QuotientNear>("div.approx");
    define_real_binary<Smaller>("min"), define_real_binary<Larger>("max");
    define_real_binary<SmallerNan>("min.NaN"), define_real_binary<LargerNan>("max.NaN");
    define_real_unary<Neg>("neg"), define_real_unary<Magnitude>("abs");
    define_real_binary<CopySign>("copysign"), define_real_unary<Saturate>("saturate");
    define_real_unary<Sqrt>("sqrt"), define_real_unary<SqrtNear>("sqrt.approx");
    define_real_unary<Reciprocal>("rcp"), define_real_unary<ReciprocalNear>("rcp.approx");
    define_real_unary<RsqrtNear>("rsqrt.approx"), define_real_unary<TanhNear>("tanh.approx");
    define_real_unary<Exp2Near>("ex2.approx"), define_real_unary<Log2Near>("lg2.approx");
    define_real_unary<SinNear>("sin.approx"), define_real_unary<CosNear>("cos.approx");
    define("rcp.approx.ftz.f64", unary<ReciprocalNear, double>);
    define("rsqrt.approx.ftz.f64", unary<RsqrtNear, double>);
}

}  // namespace ptx

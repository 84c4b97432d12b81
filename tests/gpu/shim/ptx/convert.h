// Predicates and what depends on them; conversions between types.

namespace ptx {

// A predicate is a mask of 32 lanes; only the active ones change.
static void set(Warp& w, int predicate, unsigned mask) {
    unsigned& old = w.predicates[predicate];
    old = (old & ~w.active) | (mask & w.active);
}

template <class F, class T, bool FLUSH>
void compare(Warp& w, const Instruction& i) {
    const T *a = source<T>(w, i, 1), *b = source<T>(w, i, 2);
    unsigned mask = 0;
    for (int k = 0; k < LANES; k++) {
        T x = FLUSH ? flushed(a[k]) : a[k], y = FLUSH ? flushed(b[k]) : b[k];
        mask |= unsigned(F::of(x, y)) << k;
    }
    set(w, i.operands[0], mask);
}

#define COMPARISON(Name, expression) \
    struct Name { template <class T> static bool of(T a, T b) { return expression; } };
COMPARISON(Eq, a == b) COMPARISON(Lt, a < b) COMPARISON(Le, a <= b)
COMPARISON(Gt, a > b) COMPARISON(Ge, a >= b)
COMPARISON(Ne, a < b || a > b)  // false for NaN
COMPARISON(Equ, !(a < b || a > b)) COMPARISON(Neu, a != b) COMPARISON(Ltu, !(a >= b))
COMPARISON(Leu, !(a > b)) COMPARISON(Gtu, !(a <= b)) COMPARISON(Geu, !(a < b))
COMPARISON(Num, a == a && b == b) COMPARISON(Nan, a != a || b != b)

template <class F, class... T> void define_compare(std::string name) {
    (define("setp." + name + "." + name_of<T>(), compare<F, T, false>), ...);
}
template <class F> void define_compare_reals(std::string name) {
    define_compare<F, REALS>(name);
    define("setp." + name + ".ftz.f32", compare<F, float, true>);
}
template <class F> void define_compare_all(std::string name) {
    define_compare<F, INTEGERS>(name), define_compare_reals<F>(name);
}

struct AndMasks { static unsigned of(unsigned a, unsigned b) { return a & b; } };
struct OrMasks { static unsigned of(unsigned a, unsigned b) { return a | b; } };
struct XorMasks { static unsigned of(unsigned a, unsigned b) { return a ^ b; } };
template <class F> void masks(Warp& w, const Instruction& i) {
    set(w, i.operands[0], F::of(w.predicates[i.operands[1]], w.predicates[i.operands[2]]));
}
static void not_mask(Warp& w, const Instruction& i) {
    set(w, i.operands[0], ~w.predicates[i.operands[1]]);
}
static void move_mask(Warp& w, const Instruction& i) {
    set(w, i.operands[0], w.predicates[i.operands[1]]);
}

template <class T> void select(Warp& w, const Instruction& i) {
    unsigned chosen = w.predicates[i.operands[3]];
    T* to = result<T>(w, i);
    const T *a = source<T>(w, i, 1), *b = source<T>(w, i, 2);
    for_lanes(w, [&](int k) { to[k] = chosen >> k & 1 ? a[k] : b[k]; });
}

// Conversions: 8 bits lie in a register of 16 -------------------------------------------------------

template <class T> struct Held { typedef T type; };
template <> struct Held<uint8_t> { typedef uint16_t type; };
template <> struct Held<int8_t> { typedef int16_t type; };

enum ToInteger { AS_IT_IS, NEAREST, TOWARDS_ZERO, DOWN, UP };

template <class T> T rounded(T x, int how) {
    switch (how) {
        case NEAREST: return std::nearbyint(x);
        case TOWARDS_ZERO: return std::trunc(x);
        case DOWN: return std::floor(x);
        case UP: return std::ceil(x);
    }
    return x;
}

// A floating-point number that an integer type does not hold becomes its nearest; NaN becomes 0.
template <class D, class S> D clamped(S x) {
    const S most = std::ldexp(S(1), sizeof(D) * 8 - std::is_signed_v<D>);
    if (x != x) return 0;
    if (x >= most) return std::numeric_limits<D>::max();
    if (x <= (std::is_signed_v<D> ? -most : S(0))) return std::numeric_limits<D>::min();
    return (D)x;
}

template <class D, class S> void convert(Warp& w, const Instruction& i) {
    typedef typename Held<D>::type HeldD;
    typedef typename Held<S>::type HeldS;
    auto* to = result<HeldD>(w, i);
    auto* from = source<HeldS>(w, i, 1);
    for_lanes(w, [&](int k) {
        S x = (S)from[k];
        if constexpr (std::is_floating_point_v<S>) {
            x = rounded(i.is_flushed ? flushed(x) : x, i.number);
            if constexpr (std::is_integral_v<D>) to[k] = clamped<D>(x);
            else to[k] = i.is_flushed ? flushed((D)x) : (D)x;
        } else {
            to[k] = (D)x;
        }
    });
}

template <class D, class... S> void define_convert_to() {
    (define(std::string("cvt.") + name_of<D>() + "." + name_of<S>(), convert<D, S>), ...);
}

static void define_conversions() {
#define TYPES uint8_t, int8_t, INTEGERS, REALS
    define_convert_to<uint8_t, TYPES>(), define_convert_to<int8_t, TYPES>();
    define_convert_to<uint16_t, TYPES>(), define_convert_to<int16_t, TYPES>();
    define_convert_to<uint32_t, TYPES>(), define_convert_to<int32_t, TYPES>();
    define_convert_to<uint64_t, TYPES>(), define_convert_to<int64_t, TYPES>();
    define_convert_to<float, TYPES>(), define_convert_to<double, TYPES>();

    define_compare_all<Eq>("eq"), define_compare_all<Ne>("ne"), define_compare_all<Lt>("lt");
    define_compare_all<Le>("le"), define_compare_all<Gt>("gt"), define_compare_all<Ge>("ge");
    define_compare_reals<Equ>("equ"), define_compare_reals<Neu>("neu");
    define_compare_reals<Ltu>("ltu"), define_compare_reals<Leu>("leu");
    define_compare_reals<Gtu>("gtu"), define_compare_reals<Geu>("geu");
    define_compare_reals<Num>("num"), define_compare_reals<Nan>("nan");
    define("and.pred", masks<AndMasks>), define("or.pred", masks<OrMasks>);
    define("xor.pred", masks<XorMasks>), define("not.pred", not_mask);
    define("mov.pred", move_mask);
    define("selp.u16", select<uint16_t>), define("selp.u32", select<uint32_t>);
    define("selp.u64", select<uint64_t>);
}

}  // namespace ptx

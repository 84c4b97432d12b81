// `int` as a checked number of 16 bits. A kernel that counts cells in `int` goes wrong from 2^31
// cells on; with this it goes wrong from 2^15 on, and says so. An operator gives a plain int, so
// `cond ? a + 1 : -1` has one type; with other operands (long long, real) it gives theirs.
struct narrow {
    int value;

    narrow() = default;
    template <class T> narrow(T x) : value(checked((long long)x)) {}
    operator int() const { return value; }
    narrow operator++(int) { return checked(value++ + 1LL) - 1; }
    narrow operator--(int) { return checked(value-- - 1LL) + 1; }

    static int checked(long long x) {
        if (x == (short)x) return x;
        fprintf(stderr, "%lld does not fit into an int of 16 bits\n", x);
        abort();
    }
};
template <class T> constexpr bool is_int = std::is_same_v<T, int> || std::is_same_v<T, narrow>;
#define CHECKED(op)                                                                       \
    template <class A, class B>                                                           \
    std::enable_if_t<is_int<A> && is_int<B>, int> operator op(A a, B b) {                 \
        return narrow::checked((long long)a op (long long)b);                             \
    }                                                                                     \
    template <class B>                                                                    \
    narrow& operator op##=(narrow& a, B b) { return a = (long long)a op (long long)b; }
CHECKED(+) CHECKED(-) CHECKED(*) CHECKED(/) CHECKED(%)
#define int narrow

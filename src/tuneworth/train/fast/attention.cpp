// Self-attention over sequences that lie end to end, without padding: rows starts[s] .. starts[s + 1] are sequence s, and a
// row holds all heads, side by side. Each head of each sequence is a piece of work of its own, small enough for the second
// cache, so no sum depends on the number of threads.
//
// Weights lie key by key, queries beside each other: then softmax runs down the keys in as many lanes as there are queries, and
// no vector is ever summed up across.
//
// Small products are made here, since a library's cost more to call than they take: those of bfloat16 by pairs, where the
// processor has the instruction for it, all others in float32.

#include "lanes.h"

// What one step of a product takes from its left side: a number, or a pair of bfloat16 that are neighbours in the sum.
template <class T>
struct Unit {
    typedef float Type;
    static const Int PAIR = 1;
};
#ifdef __AVX512BF16__
template <>
struct Unit<bf16> {
    typedef uint32_t Type;
    static const Int PAIR = 2;
};
static inline Lanes step(Lanes sum, uint32_t a, Lanes b) {
    return (Lanes)_mm512_dpbf16_ps((__m512)sum, (__m512bh)_mm512_set1_epi32(a), (__m512bh)b);
}
#endif
static inline Lanes step(Lanes sum, float a, Lanes b) { return sum + a * b; }

static inline float number(float x) { return x; }
static inline float number(bf16 x) {
    uint32_t bits = uint32_t(x.bits) << 16;
    float y;
    std::memcpy(&y, &bits, 4);
    return y;
}
static inline void unit(const float* from, float& to) { to = *from; }
static inline void unit(const bf16* from, float& to) { to = number(*from); }
static inline void unit(const bf16* from, uint32_t& to) { std::memcpy(&to, from, 4); }

const Int PADDED = 16;  // queries are padded to a multiple of it, whatever the processor
static inline Int up(Int n, Int multiple) { return (n + multiple - 1) / multiple * multiple; }

// A left side: the unit of output row i and step k is at[i * row + k * next].
template <class U>
struct Left {
    const U* at;
    Int row, next;
};

// Rows of memory as a left side whose sums run along them; copied to `room` where they are not units already.
static inline Left<float> along(const float* x, Int stride, Int, Int, float*) { return {x, stride, 1}; }
static inline Left<float> along(const bf16* x, Int stride, Int rows, Int cols, float* room) {
    for (Int i = 0; i < rows; i++)
        EACH (j, n, cols) store(room + i * cols + j, load(x + i * stride + j, n), n);
    return {room, cols, 1};
}
static inline Left<uint32_t> along(const bf16* x, Int stride, Int, Int, uint32_t*) {
    return {reinterpret_cast<const uint32_t*>(x), stride / 2, 1};
}

// A right side is units[step][column], the columns in whole vectors. Here sums run along the rows, which become columns.
template <class T, class U>
static void turned(const T* x, Int stride, Int rows, Int cols, U* to, Int width) {
    for (Int step = 0; step < cols / Unit<T>::PAIR; step++) {
        for (Int row = 0; row < rows; row++) unit(x + row * stride + step * Unit<T>::PAIR, to[step * width + row]);
        for (Int row = rows; row < width; row++) to[step * width + row] = 0;
    }
}
// Here they run down the columns.
static void down(const float* x, Int stride, Int rows, Int cols, float* to, Int width) {
    for (Int i = 0; i < rows; i++) EACH (j, n, cols) store(to + i * width + j, load(x + i * stride + j, n));
}
static void down(const bf16* x, Int stride, Int rows, Int cols, float* to, Int width) {
    for (Int i = 0; i < rows; i++) EACH (j, n, cols) store(to + i * width + j, load(x + i * stride + j, n));
}
static void down(const bf16* x, Int stride, Int rows, Int cols, uint32_t* to, Int width) {
    for (Int i = 0; i < rows; i += 2)
        EACH (j, n, cols) {
            Bits first = (Bits)load(x + i * stride + j, n) >> 16, second = {};
            if (i + 1 < rows) second = (Bits)load(x + (i + 1) * stride + j, n);
            Bits both = first | second;
            std::memcpy(to + i / 2 * width + j, &both, sizeof both);
        }
}

template <Int ROWS, Int VECTORS, class U>
static inline void block(Left<U> a, const U* b, Int width, Int steps, float* c, Int stride) {
    Lanes sums[ROWS][VECTORS] = {};
    for (Int k = 0; k < steps; k++) {
        Lanes right[VECTORS];
        for (Int v = 0; v < VECTORS; v++) std::memcpy(&right[v], b + k * width + v * WIDTH, sizeof right[v]);
        for (Int i = 0; i < ROWS; i++)
            for (Int v = 0; v < VECTORS; v++) sums[i][v] = step(sums[i][v], a.at[i * a.row + k * a.next], right[v]);
    }
#pragma GCC unroll 8  // or GCC writes all sums to the stack and copies them from there
    for (Int i = 0; i < ROWS; i++)
#pragma GCC unroll 8
        for (Int v = 0; v < VECTORS; v++) store(c + i * stride + v * WIDTH, sums[i][v]);
}
template <Int VECTORS, class U>
static inline void columns(Left<U> a, const U* b, Int width, Int rows, Int steps, float* c, Int stride) {
    Int i = 0;
    for (; i + 6 <= rows; i += 6) block<6, VECTORS>({a.at + i * a.row, a.row, a.next}, b, width, steps, c + i * stride, stride);
    for (; i + 2 <= rows; i += 2) block<2, VECTORS>({a.at + i * a.row, a.row, a.next}, b, width, steps, c + i * stride, stride);
    for (; i < rows; i++) block<1, VECTORS>({a.at + i * a.row, a.row, a.next}, b, width, steps, c + i * stride, stride);
}
// c = a b: (rows, steps) (steps, width) -> rows of `width` floats, which is a number of whole vectors.
template <class U>
static void product(Left<U> a, const U* b, Int width, Int rows, Int steps, float* c) {
    Int j = 0;
    for (; j + 4 * WIDTH <= width; j += 4 * WIDTH) columns<4>(a, b + j, width, rows, steps, c + j, width);
    for (; j + 2 * WIDTH <= width; j += 2 * WIDTH) columns<2>(a, b + j, width, rows, steps, c + j, width);
    for (; j < width; j += WIDTH) columns<1>(a, b + j, width, rows, steps, c + j, width);
}

template <class T>
static void put_rows(const float* from, Int width, T* to, Int stride, Int rows, Int cols) {
    for (Int i = 0; i < rows; i++) EACH (j, n, cols) store(to + i * stride + j, load(from + i * width + j), n);
}

struct Piece {
    Int keys, queries, padded, at_query, at_key, at_weight;
};

// How the work is cut. `asked`: so many queries a sequence, in a matrix that has no other rows, and as many rows of context;
// 0: a query a row. Weights of a head: its keys times `padded` queries; those of sequence s begin at heads * before[s].
struct Cut {
    const Int* starts;
    Int count, asked, heads, width;
    std::vector<Int> before;
    Int longest = 0;

    Cut(const Int* starts, Int count, Int asked, Int heads, Int width)
        : starts(starts), count(count), asked(asked), heads(heads), width(width), before(count + 1) {
        for (Int s = 0; s < count; s++) {
            before[s + 1] = before[s] + keys(s) * padded(s);
            longest = std::max(longest, keys(s));
        }
    }
    Int keys(Int s) const { return starts[s + 1] - starts[s]; }
    Int queries(Int s) const { return asked ? asked : keys(s); }
    Int padded(Int s) const { return up(queries(s), PADDED); }
    Int row() const { return heads * width; }
    // One head of one sequence, and where its first query (or row of context), key (or value) and weight are.
    Piece piece(Int number) const {
        Int s = number / heads, head = number % heads, query_row = asked ? s * asked : starts[s];
        return {keys(s), queries(s), padded(s), query_row * row() + head * width, starts[s] * row() + head * width,
                heads * before[s] + head * keys(s) * padded(s)};
    }
};

// Room for one head's work, a thread's own.
template <class T>
struct Room {
    typedef typename Unit<T>::Type U;
    std::vector<float> scores, out;
    std::vector<T> one, other;
    std::vector<U> turned, down, left, pairs;
    std::vector<uint8_t> bytes;

    explicit Room(const Cut& cut) {
        Int keys = cut.longest + 1, queries = up(std::max(cut.longest, cut.asked), PADDED), across = up(cut.width, WIDTH);
        Int most = std::max(keys, queries);
        scores.resize(keys * queries), one.resize(keys * queries), other.resize(keys * queries), pairs.resize(keys * queries);
        out.resize(most * across), turned.resize(across * queries), down.resize(most * across);
        left.resize(keys * std::max(queries, across)), bytes.resize(keys * queries + SPARE);
    }
};

// The units of a left side whose sums run down the keys, from one key's or a pair's lanes.
static inline void pair(Lanes first, Lanes, float* to) { store(to, first); }
static inline void pair(Lanes first, Lanes second, uint32_t* to) {
    Bits both = rounded(first) >> 16 | rounded(second);
    std::memcpy(to, &both, sizeof both);
}

// weights = softmax(factor q k'), context = (weights with their dropout) v.
template <class T>
static void attention(const T* q, const T* k, const T* v, T* weights, T* context, const Int* starts, Int count, Int asked,
                      Int heads, Int width, float factor, uint64_t seed, int threshold, float scale, int threads) {
    const Cut cut(starts, count, asked, heads, width);
    const Int PAIR = Unit<T>::PAIR, row = cut.row(), across = up(width, WIDTH);
#pragma omp parallel num_threads(threads)
    {
        Room<T> room(cut);
#pragma omp for schedule(dynamic)
        for (Int number = 0; number < count * heads; number++) {
            auto [keys, queries, padded, at_query, at_key, at_weight] = cut.piece(number);
            float* scores = room.scores.data();
            turned(q + at_query, row, queries, width, room.turned.data(), padded);
            product(along(k + at_key, row, keys, width, room.left.data()), room.turned.data(), padded, keys, width / PAIR,
                    scores);
            const uint8_t* drawn = threshold ? draw(seed, at_weight, keys * padded, room.bytes.data()) : nullptr;
            for (Int j = 0; j < padded; j += WIDTH) {
                Lanes top = wide(-INFINITY), sum = {};
                for (Int i = 0; i < keys; i++) {
                    Lanes score = load(scores + i * padded + j) * factor;
                    top = top < score ? score : top;
                }
                for (Int i = 0; i < keys; i++) {
                    Lanes power = exp_(load(scores + i * padded + j) * factor - top);
                    sum += power;
                    store(scores + i * padded + j, power);
                }
                Lanes share = 1.0f / sum;
                for (Int i = 0; i < keys; i += PAIR) {
                    Lanes dropped[2] = {};
                    for (Int of = 0; of < std::min(PAIR, keys - i); of++) {
                        Int at = (i + of) * padded + j;
                        Lanes weight = load(scores + at) * share;
                        store(weights + at_weight + at, weight);
                        dropped[of] = threshold ? weight * kept(drawn + at, threshold, scale) : weight;
                    }
                    pair(dropped[0], dropped[1], room.pairs.data() + i / PAIR * padded + j);
                }
            }
            down(v + at_key, row, keys, width, room.down.data(), across);
            product({room.pairs.data(), 1, padded}, room.down.data(), across, queries, up(keys, PAIR) / PAIR, room.out.data());
            put_rows(room.out.data(), across, context + at_query, row, queries, width);
        }
    }
}

// With w the weights, m their mask times its scale and g the context's gradient: dv = (w m)' g; d = (g v') m;
// ds = factor w (d - rowsum(d w)); dq = ds k; dk = ds' q.
template <class T>
static void attention_backward(const T* g, const T* q, const T* k, const T* v, const T* weights, T* dq, T* dk, T* dv,
                               const Int* starts, Int count, Int asked, Int heads, Int width, float factor, uint64_t seed,
                               int threshold, float scale, int threads) {
    const Cut cut(starts, count, asked, heads, width);
    const Int PAIR = Unit<T>::PAIR, row = cut.row(), across = up(width, WIDTH);
#pragma omp parallel num_threads(threads)
    {
        Room<T> room(cut);
#pragma omp for schedule(dynamic)
        for (Int number = 0; number < count * heads; number++) {
            auto [keys, queries, padded, at_query, at_key, at_weight] = cut.piece(number);
            Int halves = up(queries, PAIR) / PAIR;
            const T* weight = weights + at_weight;
            float* of_weights = room.scores.data();
            T *dropped = room.one.data(), *of_scores = room.other.data();
            turned(g + at_query, row, queries, width, room.turned.data(), padded);
            product(along(v + at_key, row, keys, width, room.left.data()), room.turned.data(), padded, keys, width / PAIR,
                    of_weights);
            const uint8_t* drawn = threshold ? draw(seed, at_weight, keys * padded, room.bytes.data()) : nullptr;
            for (Int j = 0; j < padded; j += WIDTH) {
                Lanes sum = {};
                for (Int i = 0; i < keys; i++) {
                    Int at = i * padded + j;
                    Lanes w = load(weight + at), d = load(of_weights + at), mask = wide(1);
                    if (threshold) mask = kept(drawn + at, threshold, scale);
                    store(dropped + at, w * mask);
                    d *= mask;
                    sum += d * w;
                    store(of_weights + at, d);
                }
                for (Int i = 0; i < keys; i += PAIR) {
                    Lanes both[2] = {};
                    for (Int of = 0; of < std::min(PAIR, keys - i); of++) {
                        Int at = (i + of) * padded + j;
                        both[of] = load(weight + at) * (load(of_weights + at) - sum) * factor;
                        store(of_scores + at, both[of]);
                    }
                    pair(both[0], both[1], room.pairs.data() + i / PAIR * padded + j);
                }
            }
            down(g + at_query, row, queries, width, room.down.data(), across);
            product(along(dropped, padded, keys, padded, room.left.data()), room.down.data(), across, keys, halves,
                    room.out.data());
            put_rows(room.out.data(), across, dv + at_key, row, keys, width);

            down(q + at_query, row, queries, width, room.down.data(), across);
            product(along(of_scores, padded, keys, padded, room.left.data()), room.down.data(), across, keys, halves,
                    room.out.data());
            put_rows(room.out.data(), across, dk + at_key, row, keys, width);

            down(k + at_key, row, keys, width, room.down.data(), across);
            product({room.pairs.data(), 1, padded}, room.down.data(), across, queries, up(keys, PAIR) / PAIR, room.out.data());
            put_rows(room.out.data(), across, dq + at_query, row, queries, width);
        }
    }
}

extern "C" {
#define FOR_TYPE(NAME, T)                                                                                                      \
    void attention_##NAME(const T* q, const T* k, const T* v, T* weights, T* context, const Int* starts, Int count, Int asked, \
                          Int heads, Int width, float factor, uint64_t seed, int threshold, float scale, int threads) {        \
        attention(q, k, v, weights, context, starts, count, asked, heads, width, factor, seed, threshold, scale, threads);     \
    }                                                                                                                          \
    void attention_backward_##NAME(const T* g, const T* q, const T* k, const T* v, const T* weights, T* dq, T* dk, T* dv,      \
                                   const Int* starts, Int count, Int asked, Int heads, Int width, float factor, uint64_t seed, \
                                   int threshold, float scale, int threads) {                                                  \
        attention_backward(g, q, k, v, weights, dq, dk, dv, starts, count, asked, heads, width, factor, seed, threshold,       \
                           scale, threads);                                                                                    \
    }
FOR_TYPE(f32, float)
FOR_TYPE(bf16, bf16)
}

// What passes over memory in an encoder's step, once each: dropout, LayerNorm, softmax, heads apart and together.
//
// compiled.py builds this for the machine it runs on. float32 or bfloat16 in and out, float32 within. `threads` share the
// rows, and no sum depends on how many they are. Vectors are written as GCC and Clang know them.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>
#ifdef __AVX512F__
#include <immintrin.h>
#endif

typedef int64_t Int;
#if defined(__AVX512F__)  // bytes of a vector; wider ones than the processor's go through memory
#define VECTOR 64
#elif defined(__AVX2__)
#define VECTOR 32
#else
#define VECTOR 16
#endif
typedef float Lanes __attribute__((vector_size(VECTOR)));
typedef int32_t Ints __attribute__((vector_size(VECTOR)));
typedef uint32_t Bits __attribute__((vector_size(VECTOR)));
typedef uint64_t Words __attribute__((vector_size(VECTOR)));
typedef uint16_t Halves __attribute__((vector_size(VECTOR / 2)));
typedef uint8_t Bytes __attribute__((vector_size(VECTOR / 4)));
const Int WIDTH = VECTOR / 4;

struct bf16 {
    uint16_t bits;
};

static inline Lanes wide(float x) { return Lanes{} + x; }

// The first n elements of a vector, from memory or into it; lanes beyond are 0. A processor with masks has an instruction for it.
#if defined(__AVX512BW__) && defined(__AVX512VL__)
static inline Lanes some(const float* from, Int n) { return (Lanes)_mm512_maskz_loadu_ps(__mmask16((1 << n) - 1), from); }
static inline Halves some(const bf16* from, Int n) { return (Halves)_mm256_maskz_loadu_epi16(__mmask16((1 << n) - 1), from); }
static inline void put(float* to, Lanes x, Int n) { _mm512_mask_storeu_ps(to, __mmask16((1 << n) - 1), (__m512)x); }
static inline void put(bf16* to, Halves x, Int n) { _mm256_mask_storeu_epi16(to, __mmask16((1 << n) - 1), (__m256i)x); }
#else
static inline Lanes some(const float* from, Int n) {
    Lanes x = {};
    std::memcpy(&x, from, 4 * n);
    return x;
}
static inline Halves some(const bf16* from, Int n) {
    Halves x = {};
    std::memcpy(&x, from, 2 * n);
    return x;
}
static inline void put(float* to, Lanes x, Int n) { std::memcpy(to, &x, 4 * n); }
static inline void put(bf16* to, Halves x, Int n) { std::memcpy(to, &x, 2 * n); }
#endif

static inline Lanes load(const float* from, Int n = WIDTH) {
    Lanes x;
    if (n < WIDTH) return some(from, n);
    std::memcpy(&x, from, sizeof x);
    return x;
}
static inline Lanes load(const bf16* from, Int n = WIDTH) {
    Halves halves;
    n < WIDTH ? void(halves = some(from, n)) : void(std::memcpy(&halves, from, sizeof halves));
    return (Lanes)(__builtin_convertvector(halves, Bits) << 16);
}
static inline void store(float* to, Lanes x, Int n = WIDTH) { n < WIDTH ? put(to, x, n) : void(std::memcpy(to, &x, sizeof x)); }
static inline void store(bf16* to, Lanes x, Int n = WIDTH) {  // to the nearest, ties to even; arithmetic's NaN stays one
    Bits bits = (Bits)x;
    Halves halves = __builtin_convertvector((bits + 0x7fff + ((bits >> 16) & 1)) >> 16, Halves);
    n < WIDTH ? put(to, halves, n) : void(std::memcpy(to, &halves, sizeof halves));
}
// The first n lanes of x, the others `rest`.
static inline Lanes only(Int n, Lanes x, float rest) {
    static const int32_t places[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    Ints place;
    std::memcpy(&place, places, sizeof place);
    return place < int32_t(n) ? x : wide(rest);
}
static inline float total(Lanes x) {
    for (Int width = WIDTH / 2; width; width /= 2)
        for (Int i = 0; i < width; i++) x[i] += x[i + width];
    return x[0];
}
static inline float highest(Lanes x) {
    for (Int width = WIDTH / 2; width; width /= 2)
        for (Int i = 0; i < width; i++) x[i] = x[i + width] > x[i] ? x[i + width] : x[i];
    return x[0];
}

// e^x for x <= 0, to some 2 ulp; below -87 zero, NaN for NaN: 2^n e^r with |r| <= ln(2) / 2, and Taylor's polynomial.
static inline Lanes exp_(Lanes x) {
    const float round = 12582912;  // 1.5 x 2^23: adding it leaves no place behind the point
    Lanes n = (x * 1.44269504f + round) - round;
    Lanes r = x - n * 0.693359375f + n * 2.12194440e-4f;  // ln 2 in two parts (Cody and Waite 1980)
    Lanes p = wide(1.0f / 720);
    p = p * r + 1.0f / 120;
    p = p * r + 1.0f / 24;
    p = p * r + 1.0f / 6;
    p = p * r + 0.5f;
    p = p * r + 1.0f;
    p = p * r + 1.0f;
    Lanes power = (Lanes)((__builtin_convertvector(n, Ints) + 127) << 23);
    return x < -87.0f ? Lanes{} : p * power;
}

// Dropout's chance. Element i keeps its value where byte i % 8 of word i / 8 is at least `threshold`; word j is the j-th
// of splitmix64 (Steele, Lea and Flood 2014): a function of its place, so a backward pass draws the same mask anew.
static inline Words words(uint64_t seed, uint64_t j) {
    static const uint64_t next[] = {1, 2, 3, 4, 5, 6, 7, 8};
    Words z;
    std::memcpy(&z, next, sizeof z);
    z = seed + (j + z) * 0x9E3779B97F4A7C15ull;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
}

const Int SPARE = 128;
// The bytes of elements start .. start + n, in `bytes`, which has room for n + SPARE; returns where the first one is.
static inline const uint8_t* draw(uint64_t seed, Int start, Int n, uint8_t* bytes) {
    Int first = start / 8;
    for (Int j = 0; 8 * (first + j) < start + n; j += VECTOR / 8) {
        Words drawn = words(seed, uint64_t(first + j));
        std::memcpy(bytes + 8 * j, &drawn, sizeof drawn);
    }
    return bytes + (start - 8 * first);
}
// `scale` where the element stays, 0 where it is dropped.
static inline Lanes kept(const uint8_t* drawn, int threshold, float scale) {
    Bytes bytes;
    std::memcpy(&bytes, drawn, sizeof bytes);
    // by way of 16 bits: straight to 32, GCC goes element by element
    Ints drawn_ints = __builtin_convertvector(__builtin_convertvector(bytes, Halves), Ints);
    return drawn_ints >= threshold ? wide(scale) : Lanes{};
}

const Int CHUNK = 4096;  // elements, whose bytes stay in the first cache
const Int BLOCKS = 32;   // of rows, whose sums are added up in order: the same for any number of threads

// What a loop over `size` elements does: whole vectors, then the rest. `i` and `n` are the place and the lanes in use.
#define EACH(i, n, size) for (Int i = 0, n; n = std::min(WIDTH, (size) - i), i < (size); i += WIDTH)

template <class T>
static void dropout(const T* x, T* y, Int size, uint64_t seed, int threshold, float scale, int threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
    for (Int start = 0; start < size; start += CHUNK) {
        uint8_t bytes[CHUNK + SPARE];
        const uint8_t* drawn = draw(seed, start, std::min(CHUNK, size - start), bytes);
        EACH (i, n, std::min(CHUNK, size - start))
            store(y + start + i, load(x + start + i, n) * kept(drawn + i, threshold, scale), n);
    }
}

template <class In, class Out>
static void norm(const In* x, const float* weight, const float* bias, Out* y, float* mean, float* rstd, Int rows, Int cols,
                 float eps, int threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
    for (Int row = 0; row < rows; row++) {
        const In* from = x + row * cols;
        Lanes sum = {}, squares = {};
        EACH (i, n, cols) sum += load(from + i, n);
        float m = total(sum) / cols;
        EACH (i, n, cols) {
            Lanes off = only(n, load(from + i, n) - m, 0);
            squares += off * off;
        }
        float r = 1 / std::sqrt(total(squares) / cols + eps);
        mean[row] = m, rstd[row] = r;
        EACH (i, n, cols)
            store(y + row * cols + i, (load(from + i, n) - m) * r * load(weight + i, n) + load(bias + i, n), n);
    }
}

// With h = (x - mean) rstd and u = g weight: dx = rstd (u - avg(u) - h avg(u h)); dweight = sum of g h, dbias of g, each
// added to what is there. Without `dweight` neither is wanted.
template <class In, class Out>
static void norm_backward(const Out* g, const In* x, const float* weight, const float* mean, const float* rstd, In* dx,
                          float* dweight, float* dbias, Int rows, Int cols, int threads) {
    Int size = (rows + BLOCKS - 1) / BLOCKS;
    std::vector<float> sums(dweight ? 2 * BLOCKS * cols : 0);
#pragma omp parallel for num_threads(threads) schedule(static)
    for (Int block = 0; block < BLOCKS; block++) {
        float *of_weight = sums.data() + 2 * block * cols, *of_bias = of_weight + cols;
        for (Int row = block * size; row < std::min(rows, (block + 1) * size); row++) {
            const In* from = x + row * cols;
            const Out* in = g + row * cols;
            float m = mean[row], r = rstd[row];
            Lanes a = {}, b = {};
            EACH (i, n, cols) {
                Lanes u = load(in + i, n) * load(weight + i, n);
                a += u;
                b += u * (load(from + i, n) - m);
            }
            float of_u = total(a) / cols, of_uh = total(b) * r / cols;
            EACH (i, n, cols) {
                Lanes gradient = load(in + i, n), h = (load(from + i, n) - m) * r;
                store(dx + row * cols + i, r * (gradient * load(weight + i, n) - of_u - h * of_uh), n);
                if (!dweight) continue;
                store(of_weight + i, load(of_weight + i, n) + gradient * h, n);
                store(of_bias + i, load(of_bias + i, n) + gradient, n);
            }
        }
    }
    for (Int block = 0; dweight && block < BLOCKS; block++)
        EACH (i, n, cols) {
            store(dweight + i, load(dweight + i, n) + load(sums.data() + 2 * block * cols + i, n), n);
            store(dbias + i, load(dbias + i, n) + load(sums.data() + (2 * block + 1) * cols + i, n), n);
        }
}

const Int TILE = 8;  // rows that are read before any of them is written: a load right behind a masked store would wait for it

// Attention scores, (batch, heads, queries, keys): weights = softmax(scores + bias), in place; dropped = weights with
// their dropout. `bias`, where there is one, has strides (per batch, per head, per query), 0 where it repeats.
template <class T>
static void softmax(T* scores, T* dropped, const float* bias, Int by_batch, Int by_head, Int by_query, Int batch, Int heads,
                    Int queries, Int keys, uint64_t seed, int threshold, float scale, int threads) {
#pragma omp parallel num_threads(threads)
    {
        Int width = (keys + WIDTH - 1) / WIDTH * WIDTH;
        std::vector<float> tile(TILE * width);
        std::vector<uint8_t> bytes(TILE * keys + SPARE);
#pragma omp for schedule(static)
        for (Int head = 0; head < batch * heads; head++)
            for (Int query = 0; query < queries; query += TILE) {
                Int rows = std::min(TILE, queries - query), start = (head * queries + query) * keys;
                float tops[TILE];
                for (Int row = 0; row < rows; row++) {
                    const float* added = bias + head / heads * by_batch + head % heads * by_head + (query + row) * by_query;
                    Lanes top = wide(-INFINITY);
                    EACH (i, n, keys) {
                        Lanes score = only(n, load(scores + start + row * keys + i, n), -INFINITY);
                        if (bias) score += load(added + i, n);
                        top = top < score ? score : top;
                        store(tile.data() + row * width + i, score);
                    }
                    tops[row] = highest(top);
                }
                const uint8_t* drawn = dropped ? draw(seed, start, rows * keys, bytes.data()) : nullptr;
                for (Int row = 0; row < rows; row++, start += keys) {
                    float* e = tile.data() + row * width;
                    Lanes sum = {};
                    for (Int i = 0; i < width; i += WIDTH) {
                        Lanes power = exp_(load(e + i) - tops[row]);
                        sum += power;
                        store(e + i, power);
                    }
                    float share = 1 / total(sum);
                    EACH (i, n, keys) {
                        Lanes weight = load(e + i) * share;
                        store(scores + start + i, weight, n);
                        if (dropped) store(dropped + start + i, weight * kept(drawn + row * keys + i, threshold, scale), n);
                    }
                }
            }
    }
}

// `gradient` comes as that of the dropped weights and leaves as that of the scores: weights (d - sum(d weights)) with
// d = gradient · mask · scale. The dropped weights are made again on the way; without `dropped` nothing was dropped.
template <class T>
static void softmax_backward(T* gradient, const T* weights, T* dropped, Int rows_in_all, Int keys, uint64_t seed,
                             int threshold, float scale, int threads) {
#pragma omp parallel num_threads(threads)
    {
        Int width = (keys + WIDTH - 1) / WIDTH * WIDTH;
        std::vector<float> tile(TILE * width);
        std::vector<uint8_t> bytes(TILE * keys + SPARE);
#pragma omp for schedule(static)
        for (Int first = 0; first < rows_in_all; first += TILE) {
            Int rows = std::min(TILE, rows_in_all - first), start = first * keys;
            const uint8_t* drawn = dropped ? draw(seed, start, rows * keys, bytes.data()) : nullptr;
            float sums[TILE];
            for (Int row = 0; row < rows; row++) {
                Lanes sum = {};
                EACH (i, n, keys) {
                    Int place = row * keys + i;
                    Lanes d = load(gradient + start + place, n), weight = load(weights + start + place, n);
                    if (dropped) {
                        Lanes mask = kept(drawn + place, threshold, scale);
                        store(dropped + start + place, weight * mask, n);
                        d *= mask;
                    }
                    sum += d * weight;
                    store(tile.data() + row * width + i, d);
                }
                sums[row] = total(sum);
            }
            for (Int row = 0; row < rows; row++, start += keys)
                EACH (i, n, keys) {
                    Lanes d = load(tile.data() + row * width + i);
                    store(gradient + start + i, load(weights + start + i, n) * (d - sums[row]), n);
                }
        }
    }
}

// Copies a x b x c pieces of `bytes` each from one layout to another; strides are in bytes.
struct Strides {
    Int a, b, c;
};
template <Int SIZE>
static void rearrange(const char* from, Strides f, char* to, Strides t, Int a, Int b, Int c, Int bytes, int threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
    for (Int i = 0; i < a; i++)
        for (Int j = 0; j < b; j++)
            for (Int k = 0; k < c; k++)
                std::memcpy(to + i * t.a + j * t.b + k * t.c, from + i * f.a + j * f.b + k * f.c, SIZE ? SIZE : bytes);
}

extern "C" {
#define FOR_TYPE(NAME, T)                                                                                                    \
    void dropout_##NAME(const T* x, T* y, Int size, uint64_t seed, int threshold, float scale, int threads) {                \
        dropout(x, y, size, seed, threshold, scale, threads);                                                                \
    }                                                                                                                        \
    void softmax_##NAME(T* scores, T* dropped, const float* bias, Int by_batch, Int by_head, Int by_query, Int batch,        \
                        Int heads, Int queries, Int keys, uint64_t seed, int threshold, float scale, int threads) {          \
        softmax(scores, dropped, bias, by_batch, by_head, by_query, batch, heads, queries, keys, seed, threshold, scale,     \
                threads);                                                                                                    \
    }                                                                                                                        \
    void softmax_backward_##NAME(T* gradient, const T* weights, T* dropped, Int rows, Int keys, uint64_t seed, int threshold, \
                                 float scale, int threads) {                                                                 \
        softmax_backward(gradient, weights, dropped, rows, keys, seed, threshold, scale, threads);                           \
    }
FOR_TYPE(f32, float)
FOR_TYPE(bf16, bf16)

#define FOR_TYPES(NAME, IN, OUT)                                                                                             \
    void norm_##NAME(const IN* x, const float* weight, const float* bias, OUT* y, float* mean, float* rstd, Int rows,        \
                     Int cols, float eps, int threads) {                                                                     \
        norm(x, weight, bias, y, mean, rstd, rows, cols, eps, threads);                                                      \
    }                                                                                                                        \
    void norm_backward_##NAME(const OUT* g, const IN* x, const float* weight, const float* mean, const float* rstd, IN* dx,  \
                              float* dweight, float* dbias, Int rows, Int cols, int threads) {                               \
        norm_backward(g, x, weight, mean, rstd, dx, dweight, dbias, rows, cols, threads);                                    \
    }
FOR_TYPES(f32_f32, float, float)
FOR_TYPES(f32_bf16, float, bf16)
FOR_TYPES(bf16_f32, bf16, float)
FOR_TYPES(bf16_bf16, bf16, bf16)

void rearrange_bytes(const char* from, Strides f, char* to, Strides t, Int a, Int b, Int c, Int bytes, int threads) {
    switch (bytes) {  // known sizes, those of common heads, are copied as registers
        case 64: return rearrange<64>(from, f, to, t, a, b, c, bytes, threads);
        case 128: return rearrange<128>(from, f, to, t, a, b, c, bytes, threads);
        case 256: return rearrange<256>(from, f, to, t, a, b, c, bytes, threads);
        default: return rearrange<0>(from, f, to, t, a, b, c, bytes, threads);
    }
}
}

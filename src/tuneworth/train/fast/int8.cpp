// Products with weights of 8 bits: rows of activations become integers by their own largest value, weights by that of their
// output channel, and sums of 32 bits are exact, so that only the rounding to 8 bits costs anything.
//
// VNNI multiplies unsigned bytes by signed ones: activations are shifted by 128, and what that adds to a sum, 128 times the
// column's weights, is taken off again. `threads` share the rows, and no sum depends on how many they are.

#include "lanes.h"

#if defined(__AVX512VNNI__) && defined(__AVX512BW__) && defined(__AVX512VL__)
#define TILE 6      // rows at once: with PANEL columns their sums fill 24 of the 32 registers
#define PANEL 64    // columns at once: four vectors of 16 sums
const Int BLOCK = 96;  // rows that stay in the second cache while all columns pass

static inline Int fours(Int n) { return (n + 3) / 4 * 4; }

// One row: its integers in [-127, 127] plus 128, and what they are to be multiplied by. The bytes from `cols` to the next
// multiple of four are 128, a zero.
template <class T>
static void quantise_row(const T* x, uint8_t* to, float* scale, Int cols) {
    Lanes most = {}, nothing = {};
    EACH (i, n, cols) {
        Lanes v = load(x + i, n);
        most = (Lanes)_mm512_max_ps((__m512)most, _mm512_abs_ps((__m512)v));
        nothing += v - v;  // NaN where a value is not finite: the row is then, too, as in any other precision
    }
    float largest = _mm512_reduce_max_ps((__m512)most) + total(nothing);
    *scale = largest / 127;
    __m512 factor = _mm512_set1_ps(largest > 0 ? 127 / largest : 0);
    EACH (i, n, cols) {
        __m512i whole = _mm512_cvtps_epi32(_mm512_mul_ps((__m512)load(x + i, n), factor));  // to the nearest, ties to even
        __m128i bytes = _mm512_cvtepi32_epi8(_mm512_add_epi32(whole, _mm512_set1_epi32(128)));
        _mm_mask_storeu_epi8(to + i, __mmask16((1 << n) - 1), bytes);
    }
    for (Int i = cols; i < fours(cols); i++) to[i] = 128;
}

// A row's sums over one panel, each with a name of its own: an array of them GCC keeps in memory.
#define EACH_ROW(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5)
#define SUMS(r) __m512i a##r = zero, b##r = zero, c##r = zero, d##r = zero;
#define ADD(r)                                                                                                               \
    if (ROWS > r) {                                                                                                          \
        __m512i four = _mm512_broadcastd_epi32(_mm_loadu_si32(x + r * depth + k));                                           \
        a##r = _mm512_dpbusd_epi32(a##r, four, w0), b##r = _mm512_dpbusd_epi32(b##r, four, w1);                              \
        c##r = _mm512_dpbusd_epi32(c##r, four, w2), d##r = _mm512_dpbusd_epi32(d##r, four, w3);                              \
    }
#define PUT(r)                                                                                                               \
    if (ROWS > r) put(a##r, r, 0), put(b##r, r, 1), put(c##r, r, 2), put(d##r, r, 3);

// ROWS rows (at most TILE) by one panel: sums over the depth, in steps of four, then y of these rows and columns.
template <class T, int ROWS>
static void tile(const uint8_t* x, const float* scales, const int8_t* panel, const float* factors, const int32_t* shifts,
                 const float* bias, T* y, Int depth, Int cols, Int left) {
    const __m512i zero = _mm512_setzero_si512();
    EACH_ROW(SUMS)
    for (Int k = 0; k < depth; k += 4) {
        const int8_t* w = panel + k * PANEL;
        __m512i w0 = _mm512_load_si512(w), w1 = _mm512_load_si512(w + 64);
        __m512i w2 = _mm512_load_si512(w + 128), w3 = _mm512_load_si512(w + 192);
        asm("" : "+v"(w0), "+v"(w1), "+v"(w2), "+v"(w3));  // in registers, not read anew for each row
        EACH_ROW(ADD)
    }
    auto put = [&](__m512i sum, int r, int v) {
        Int n = std::min(Int(16), left - 16 * v);
        if (n <= 0) return;
        Lanes whole = (Lanes)_mm512_cvtepi32_ps(_mm512_sub_epi32(sum, _mm512_loadu_si512(shifts + 16 * v)));
        Lanes add = bias ? load(bias + 16 * v, n) : Lanes{};
        store(y + r * cols + 16 * v, whole * load(factors + 16 * v) * scales[r] + add, n);
    };
    EACH_ROW(PUT)
}

// y = x Wᵀ + bias. `weights`: panels of PANEL output channels, each (depth / 4, PANEL, 4), depth a multiple of four; `factors`
// and `shifts`: of each channel, PANEL a panel. x: (rows, cols_in).
template <class T>
static void product(const T* x, const int8_t* weights, const float* factors, const int32_t* shifts, const float* bias, T* y, Int rows,
                    Int inputs, Int outputs, int threads) {
    Int depth = fours(inputs);
#pragma omp parallel num_threads(threads)
    {
        std::vector<uint8_t> bytes(BLOCK * depth + 64);
        float scales[BLOCK];
#pragma omp for schedule(static)
        for (Int start = 0; start < rows; start += BLOCK) {
            Int size = std::min(BLOCK, rows - start);
            for (Int r = 0; r < size; r++) quantise_row(x + (start + r) * inputs, bytes.data() + r * depth, scales + r, inputs);
            for (Int c = 0; c < outputs; c += PANEL) {
                const int8_t* panel = weights + c * depth;
                for (Int r = 0; r < size; r += TILE) {
#define CASE(N)                                                                                                                 \
    case N:                                                                                                                     \
        tile<T, N>(bytes.data() + r * depth, scales + r, panel, factors + c, shifts + c, bias ? bias + c : nullptr,     \
                            y + (start + r) * outputs + c, depth, outputs, outputs - c);                                        \
        break;
                    switch (std::min(Int(TILE), size - r)) { CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6) }
#undef CASE
                }
            }
        }
    }
}

extern "C" {
int int8_there() { return 1; }
void int8_product_f32(const float* x, const int8_t* w, const float* factors, const int32_t* shifts, const float* bias, float* y, Int rows,
                      Int inputs, Int outputs, int threads) {
    product(x, w, factors, shifts, bias, y, rows, inputs, outputs, threads);
}
void int8_product_bf16(const bf16* x, const int8_t* w, const float* factors, const int32_t* shifts, const float* bias, bf16* y, Int rows,
                       Int inputs, Int outputs, int threads) {
    product(x, w, factors, shifts, bias, y, rows, inputs, outputs, threads);
}
}
#else
extern "C" int int8_there() { return 0; }
#endif

// Vectors as GCC and Clang know them, their way from memory and back, e^x, and dropout's chance.
#pragma once

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
// To bfloat16 and back, as `store` has it: bits of which the lower half is 0.
static inline Bits rounded(Lanes x) {
#ifdef __AVX512BF16__
    return (Bits)_mm512_slli_epi32(_mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh((__m512)x)), 16);
#else
    Bits bits = (Bits)x;
    return (bits + 0x7fff + ((bits >> 16) & 1)) & 0xffff0000;
#endif
}
static inline void store(bf16* to, Lanes x, Int n = WIDTH) {  // to the nearest, ties to even; arithmetic's NaN stays one
#ifdef __AVX512BF16__
    Halves halves = (Halves)_mm512_cvtneps_pbh((__m512)x);
#else
    Halves halves = __builtin_convertvector(rounded(x) >> 16, Halves);
#endif
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
#ifdef __AVX512F__
    Lanes power = (Lanes)_mm512_scalef_ps((__m512)p, (__m512)n);
#else
    Lanes power = p * (Lanes)((__builtin_convertvector(n, Ints) + 127) << 23);
#endif
    return x < -87.0f ? Lanes{} : power;
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

// What a loop over `size` elements does: whole vectors, then the rest. `i` and `n` are the place and the lanes in use.
#define EACH(i, n, size) for (Int i = 0, n; n = std::min(WIDTH, (size) - i), i < (size); i += WIDTH)


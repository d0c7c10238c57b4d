// What passes over memory in an encoder's step, once each way: dropout, GELU, LayerNorm, sums of columns.
//
// compiled.py builds this for the machine it runs on. float32 or bfloat16 in and out, float32 within. `threads` share the
// rows, and no sum depends on how many they are.

#include "lanes.h"

const Int CHUNK = 4096;  // elements, whose bytes stay in the first cache
const Int BLOCKS = 32;   // of rows, whose sums are added up in order: the same for any number of threads

// sums = those of the columns of x.
template <class T>
static void column_sums(const T* x, float* sums, Int rows, Int cols, int threads) {
    Int size = (rows + BLOCKS - 1) / BLOCKS;
    std::vector<float> parts(BLOCKS * cols);
#pragma omp parallel for num_threads(threads) schedule(static)
    for (Int block = 0; block < BLOCKS; block++)
        for (Int i = 0; i < cols; i += 8 * WIDTH) {  // as many as registers hold
            Int vectors = std::min(Int(8), (cols - i + WIDTH - 1) / WIDTH);
            Lanes added[8] = {};
            for (Int row = block * size; row < std::min(rows, (block + 1) * size); row++)
                for (Int v = 0; v < vectors; v++)
                    added[v] += load(x + row * cols + i + v * WIDTH, std::min(WIDTH, cols - i - v * WIDTH));
            for (Int v = 0; v < vectors; v++)
                store(parts.data() + block * cols + i + v * WIDTH, added[v], std::min(WIDTH, cols - i - v * WIDTH));
        }
    EACH (i, n, cols) {
        Lanes sum = {};
        for (Int block = 0; block < BLOCKS; block++) sum += load(parts.data() + block * cols + i, n);
        store(sums + i, sum, n);
    }
}

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

// y = x P(x), P the normal distribution's share below x, and, where it is wanted, slope = P(x) + x p(x), p its density. The
// error function behind P is formula 7.1.26 of Abramowitz and Stegun (1964), within 1.5e-7.
template <class T>
static void gelu(const T* x, T* y, T* slope, Int size, int threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
    for (Int start = 0; start < size; start += CHUNK)
        EACH (i, n, std::min(CHUNK, size - start)) {
            Lanes v = load(x + start + i, n), away = v < 0.0f ? -v : v;
            Lanes power = exp_(v * v * -0.5f), t = 1.0f / (away * (0.3275911f * 0.70710678f) + 1.0f);
            Lanes tail = t * 1.061405429f - 1.453152027f;  // of e^(-v^2 / 2) that is 1 - erf, in powers of t
            tail = tail * t + 1.421413741f;
            tail = tail * t - 0.284496736f;
            tail = tail * t + 0.254829592f;
            tail *= t * power * 0.5f;
            Lanes below = v < 0.0f ? tail : 1.0f - tail;
            store(y + start + i, v * below, n);
            if (slope) store(slope + start + i, below + v * power * 0.39894228f, n);
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

extern "C" {
#define FOR_TYPE(NAME, T)                                                                                                    \
    void dropout_##NAME(const T* x, T* y, Int size, uint64_t seed, int threshold, float scale, int threads) {                \
        dropout(x, y, size, seed, threshold, scale, threads);                                                                \
    }                                                                                                                        \
    void column_sums_##NAME(const T* x, float* sums, Int rows, Int cols, int threads) {                                      \
        column_sums(x, sums, rows, cols, threads);                                                                           \
    }                                                                                                                        \
    void gelu_##NAME(const T* x, T* y, T* slope, Int size, int threads) { gelu(x, y, slope, size, threads); }
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
}

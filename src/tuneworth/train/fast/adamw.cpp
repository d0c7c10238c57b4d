// AdamW (Loshchilov and Hutter 2019) over all parameters in one pass over memory, and the gradients' norm in one before it.
//
// compiled.py builds this for the machine it runs on. No result depends on the number of threads.

#include "lanes.h"

const Int CHUNK = 8192;  // elements that a thread takes at a time

// A parameter's step; compiled.py has the same fields in the same order.
struct Parameter {
    float *value, *mean, *square;  // the parameter and its moments, changed in place
    const void* gradient;          // bfloat16 where it is `narrow`, else float32
    bf16* copy;                    // where `value` goes once more, rounded; or nowhere
    const int32_t* row_of;         // of a table: for each of its rows that of `gradient`, or -1. No table: null
    float* seen;                   // of a table: whether a row ever had a gradient
    Int rows, cols, gradients;     // without `row_of` one row; `gradients`: elements of `gradient`
    int32_t narrow;
    float decay, rate, correction; // 1 - lr weight_decay; lr / (1 - beta1^t); 1 / sqrt(1 - beta2^t)
};

static inline Lanes root(Lanes x) {
#ifdef __AVX512F__
    return (Lanes)_mm512_sqrt_ps((__m512)x);
#else
    for (Int i = 0; i < WIDTH; i++) x[i] = std::sqrt(x[i]);
    return x;
#endif
}

struct Rates {
    float beta1, beta2, eps, scale;  // `scale`: what clipping leaves of a gradient
};

template <class T>
static inline void step(const Parameter& p, const Rates& rates, Int start, Int size, const T* gradient) {
    EACH (i, n, size) {
        Int at = start + i;
        Lanes g = gradient ? load(gradient + i, n) * rates.scale : Lanes{};
        Lanes mean = load(p.mean + at, n), square = load(p.square + at, n);
        mean += (g - mean) * (1 - rates.beta1);
        square = square * rates.beta2 + g * g * (1 - rates.beta2);
        Lanes value = load(p.value + at, n) * p.decay - mean * p.rate / (root(square) * p.correction + rates.eps);
        store(p.mean + at, mean, n);
        store(p.square + at, square, n);
        store(p.value + at, value, n);
        if (p.copy) store(p.copy + at, value, n);
    }
}

// A row without a gradient, now or before, has moments of zero: nothing but decay is left of its step.
static inline void step_of_row(const Parameter& p, const Rates& rates, Int row) {
    Int start = row * p.cols, of = p.row_of[row];
    if (of >= 0) p.seen[row] = 1;
    if (p.seen[row] != 0)
        step(p, rates, start, p.cols, of < 0 ? nullptr : static_cast<const float*>(p.gradient) + of * p.cols);
    else if (p.decay != 1)
        EACH (i, n, p.cols) store(p.value + start + i, load(p.value + start + i, n) * p.decay, n);
}

template <class T>
static double squares(const T* x, Int size) {
    double sum = 0;
    for (Int start = 0; start < size; start += 256) {
        Lanes part = {};
        EACH (i, n, std::min(Int(256), size - start)) {
            Lanes v = load(x + start + i, n);
            part += v * v;
        }
        sum += total(part);
    }
    return sum;
}

struct Chunk {
    Int parameter, start, size;  // in rows of a table, else in elements
};

static std::vector<Chunk> chunks(Int count, Int (*size)(const Parameter&), Int (*step)(const Parameter&),
                                 const Parameter* parameters) {
    std::vector<Chunk> found;
    for (Int i = 0; i < count; i++)
        for (Int start = 0, all = size(parameters[i]), most = step(parameters[i]); start < all; start += most)
            found.push_back({i, start, std::min(most, all - start)});
    return found;
}

extern "C" {
// Adds up in `sum` the squares of all gradients.
void adamw_squares(const Parameter* parameters, Int count, double* sum, int threads) {
    auto all = chunks(count, [](const Parameter& p) { return p.gradients; }, [](const Parameter&) { return CHUNK; }, parameters);
    std::vector<double> parts(all.size());
#pragma omp parallel for num_threads(threads) schedule(static)
    for (size_t i = 0; i < all.size(); i++) {
        const Parameter& p = parameters[all[i].parameter];
        parts[i] = p.narrow ? squares(static_cast<const bf16*>(p.gradient) + all[i].start, all[i].size)
                            : squares(static_cast<const float*>(p.gradient) + all[i].start, all[i].size);
    }
    *sum = 0;
    for (double part : parts) *sum += part;
}

void adamw_step(const Parameter* parameters, Int count, float beta1, float beta2, float eps, float scale, int threads) {
    auto all = chunks(count, [](const Parameter& p) { return p.row_of ? p.rows : p.rows * p.cols; },
                      [](const Parameter& p) { return p.row_of ? std::max(Int(1), CHUNK / p.cols) : CHUNK; }, parameters);
    Rates rates = {beta1, beta2, eps, scale};
#pragma omp parallel for num_threads(threads) schedule(dynamic, 8)
    for (size_t i = 0; i < all.size(); i++) {
        const Parameter& p = parameters[all[i].parameter];
        Int start = all[i].start, size = all[i].size;
        if (p.row_of)
            for (Int row = start; row < start + size; row++) step_of_row(p, rates, row);
        else if (p.narrow)
            step(p, rates, start, size, static_cast<const bf16*>(p.gradient) + start);
        else
            step(p, rates, start, size, static_cast<const float*>(p.gradient) + start);
    }
}
}

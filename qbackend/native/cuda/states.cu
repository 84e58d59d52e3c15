// Statevectors of a batch of rows, forwards and back through the adjoint, in one launch each.
//
// What is done is data: words that `code.py` writes. Rotations about Pauli strings turn pairs of
// amplitudes that one thread holds in registers; in between amplitudes change places through shared
// memory. Sums over rows and blocks are taken in one order, whatever comes first.
//
// By the compiler's options: TILE (index bits of a row that a block holds), HELD (of them, by a
// thread), ROWS (of a block), WORDS (that come with the launch; 0: they are read from memory), OWN (1
// for what circuits of the user's need besides, and registers for it).

#include "words.cuh"
#include "sums.cuh"
#include "turns.cuh"

// Cosines and sines of half the angles, if they are not there yet; whether all are finite.
DEVICE bool half_angles(pair *table, const pair *halves, const real *angles, int n, int first, int step, int *at) {
    bool finite = true;
    if (OWN && halves) for (int a = first; a < n; a += step) table[a] = halves[a];
    else for (int a = first; a < n; a += step) {
        real c, s;
        SINCOS(angles[a] / 2, &s, &c);
        table[a] = pair{c, s};
        if (!(c == c)) { finite = false; *at = a; }
    }
    return finite;
}

// One row's place in this block, and what is known of it there.
template <int M> struct Row {
    static constexpr bool BACK = M == 2;
    const Parameters &p;
    const Sums &sums;
    const pair *of_weights, *of_angles;
    pair *exchange;
    real *scratch;
    const real *seeds;
    int t, block;
    bool live;
    long long from, origin;
    pair v[M][K];

    DEVICE_MEMBER int index(int k) const {
        return thread_index(p.columns, t, block, p.outer) ^ held_index(p.columns, k);
    }
    // Features divided by their largest, so that no square overflows, and the reciprocal norm.
    DEVICE_MEMBER real scaled(real (&f)[K], real &inverse) const {
        real peak = 0, square = 0;
        UNROLL for (int k = 0; k < K; k++) {
            f[k] = p.features[origin + index(k)];
            const real size = f[k] < 0 ? -f[k] : f[k];
            peak = size > peak ? size : peak;
        }
        peak = over_row(peak, scratch, true);
        // Of what is far too short anyway no reciprocal is taken, which could overflow.
        const real scale = peak > real(1e-20) ? 1 / peak : real(1);
        UNROLL for (int k = 0; k < K; k++) { f[k] *= scale; square += f[k] * f[k]; }
        square = over_row(square, scratch, false);
        inverse = 1 / SQRT(square);
        if (!BACK && !(square == square) && live) tell(p.fault, 1 + (int)from);
        if (peak * SQRT(square) < TINY) inverse = 0;
        return scale;
    }
    DEVICE_MEMBER void begin() {
        if (p.states_in) {
            UNROLL for (int k = 0; k < K; k++) v[0][k] = p.states_in[origin + index(k)];
        } else if (OWN && p.start) {
            const real norm = p.norms[from];
            UNROLL for (int k = 0; k < K; k++) {
                const pair a = p.start[index(k)];
                v[0][k] = pair{a.re * norm, a.im * norm};
            }
        } else if (p.features && p.norms) {
            const real norm = p.norms[from];
            if (!BACK && !(norm == norm) && live) tell(p.fault, 1 + (int)from);
            UNROLL for (int k = 0; k < K; k++)
                v[0][k] = pair{p.features[origin + index(k)] * norm, 0};
        } else if (p.features) {
            real f[K], inverse;
            scaled(f, inverse);
            UNROLL for (int k = 0; k < K; k++) v[0][k] = pair{f[k] * inverse, 0};
        } else {
            // Wire q is bit Q - 1 - q of an index.
            UNROLL for (int k = 0; k < K; k++) v[0][k] = pair{real(p.product || index(k) == 0), 0};
            for (int q = 0; q < p.product; q++) {
                const pair half = of_angles[q];
                UNROLL for (int k = 0; k < K; k++)
                    v[0][k].re *= index(k) >> (p.product - 1 - q) & 1 ? half.im : half.re;
            }
        }
        if (BACK) UNROLL for (int k = 0; k < K; k++)
            v[M - 1][k] = p.adjoint_in && live ? p.adjoint_in[origin + index(k)] : pair{0, 0};
    }
    DEVICE_MEMBER void leave() const {
        if (!live || !p.states_out) return;
        UNROLL for (int k = 0; k < K; k++) {
            p.states_out[origin + index(k)] = v[0][k];
            if (BACK) p.adjoint_out[origin + index(k)] = v[M - 1][k];
        }
    }
    // From the adjoint of the encoded state: its part across the state, over the norm.
    DEVICE_MEMBER void pull_features() const {
        real f[K], inverse, along = 0;
        const real scale = scaled(f, inverse);
        UNROLL for (int k = 0; k < K; k++) { f[k] *= inverse; along += f[k] * v[M - 1][k].re; }
        along = over_row(along, scratch, false);
        UNROLL for (int k = 0; k < K; k++)
            if (live) p.of_features[origin + index(k)] = 2 * scale * inverse * (v[M - 1][k].re - f[k] * along);
    }
    DEVICE_MEMBER pair half_angle(const Word &word) const {
        return word.angle >= 0 ? of_weights[word.angle] : of_angles[~word.angle];
    }
    DEVICE_MEMBER real given(const Word &word) const {
        if (OWN && p.term_firsts) return seeds[word.angle];
        return live ? p.cotangent[from * p.n_outputs + word.angle] : real(0);
    }
    DEVICE_MEMBER void turn(const Word &word) {
        unsigned signs[K];
        signs_of(signs, word.head, sign(word, t, block));
        const int what = word.head & 15, x = word.head >> 8 & 255;
        const pair half = half_angle(word);
        const real s = BACK ? -half.im : half.im;
        const real sum = what == TURN ? rotate_by<M, BACK, true, 1, K - 1>(v, x, signs, half.re, s)
                                      : rotate_by<M, BACK, false, 1, K - 1>(v, x, signs, half.re, s);
        if (BACK) collect(sums, word, sum);
    }
    DEVICE_MEMBER void overlap(const Word &word) {
        unsigned signs[K];
        signs_of(signs, word.head, sign(word, t, block));
        const int x = word.head >> 8 & 255;
        const real share = BACK ? given(word) : real(0);
        const real sum = (word.head & 15) == OVERLAP ? overlap_by<M, false, 1, K - 1>(v, x, signs, share)
                                                     : overlap_by<M, true, 1, K - 1>(v, x, signs, share);
        if (!BACK) collect(sums, word, sum);
    }
    // The strings of a run differ, for one thread, in one of K sets of signs: what they do together
    // is found for each set first, and for each amplitude then. Returns how many words they are.
    DEVICE_MEMBER int run(const Word *words) {
        const Word head = words[0];
        const int what = head.head & 15;
        int i = 0;
        real d[K];
        pair f[K];
        UNROLL for (int k = 0; k < K; k++) {
            const pair a = v[0][k], b = v[M - 1][k];
            f[k] = pair{1, 0};
            d[k] = !BACK ? a.re * a.re + a.im * a.im : what == PHASES ? b.re * a.im - b.im * a.re : 0;
        }
        if (BACK ? what == PHASES : what == MEASURES) transform(d);
        UNROLL for (int k = 0; k < K; k++) {
            const unsigned counts = k < 4 ? head.z : (unsigned)head.angle;
            for (int left = counts >> 8 * (k & 3) & 255; left > 0; left--) {
                const Word word = words[++i];
                const unsigned mine = sign(word, t, block);
                if (what == PHASES) {
                    const pair half = half_angle(word), a = f[k];
                    const real s = FLIP(BACK ? -half.im : half.im, mine);
                    f[k] = pair{half.re * a.re + s * a.im, half.re * a.im - s * a.re};
                }
                if (what == SEEDS) d[k] += FLIP(given(word), mine);
                else if (BACK || what == MEASURES) collect(sums, word, FLIP(d[k], mine));
            }
        }
        if (what == SEEDS) {
            transform(d);
            UNROLL for (int k = 0; k < K; k++) {
                v[M - 1][k].re += d[k] * v[0][k].re;
                v[M - 1][k].im += d[k] * v[0][k].im;
            }
        } else if (what == PHASES) {
            transform(f);
            UNROLL for (int k = 0; k < K; k++) UNROLL for (int m = 0; m < M; m++) {
                const pair a = v[m][k];
                v[m][k] = pair{f[k].re * a.re - f[k].im * a.im, f[k].re * a.im + f[k].im * a.re};
            }
        }
        return i;
    }
    // Forwards the states are left before the observables are measured, or at the end.
    DEVICE_MEMBER void obey(const Word *words) {
        bool has_left = BACK, other = false;
        for (int i = 0;; i++) {
            const Word word = words[i];
            const int what = word.head & 15;
            if (!has_left && (what == END || what == MEASURES || (OWN && what >= ODD_OVERLAP))) {
                leave();
                has_left = true;
            }
            if (what == END) break;
            if (what == REMAP) {
                // Two rooms in turn: who is late still reads from the one before.
                remap<M>(v, exchange + other * ROWS * M * N, (const int *)(words + i + 1));
                other = !other;
                i += (TILE + 3) / 4;
            } else if (OWN && what >= ODD_OVERLAP) {
                overlap(word);
            } else if (what >= PHASES) {
                i += run(words + i);
            } else {
                turn(word);
            }
        }
    }
};

// What the outputs' gradients make of an observable's.
DEVICE real seed(const Parameters &p, int observable, long long row) {
    real sum = 0;
    for (int i = p.term_firsts[observable]; i < p.term_firsts[observable + 1]; i++)
        sum += p.term_factors[i] * p.cotangent[row * p.n_outputs + p.term_columns[i]];
    return sum;
}
// A row's outputs of its observables' values, in parts of warps.
DEVICE void put_together(const Parameters &p, real *values, bool live, long long at) {
    const int t = row_thread();
    row_sync();
    for (int i = t; i < p.n_row_sums; i += T)
        for (int w = 1; w < ROW_WARPS; w++) values[i * ROW_WARPS] += values[i * ROW_WARPS + w];
    row_sync();
    for (int output = t; output < p.n_outputs; output += T) {
        real sum = 0;
        for (int i = p.term_firsts[output]; i < p.term_firsts[output + 1]; i++)
            sum += p.term_factors[i] * values[p.term_columns[i] * ROW_WARPS];
        if (live) p.of_rows[at * p.n_outputs + output] = sum;
    }
}

// M = 1 forwards; M = 2 back, with the adjoint.
template <int M> DEVICE void go(const Parameters &p) {
    SHARED(memory);
    pair *of_weights = (pair *)memory, *of_angles = of_weights + p.n_weights;
    pair *exchange = of_angles + ROWS * p.n_angles;
    real *batch = (real *)(exchange + (T > 1 ? 2 * M * ROWS * N : 0));
    real *over_rows = batch + WARPS * BATCH_ROOM, *of_rows = over_rows + p.n_sums * WARPS;
    real *scratch = of_rows + ROWS * p.n_row_sums * ROW_WARPS;
    real *seeds = scratch + WARPS;
    const Sums sums = {batch, over_rows, of_rows, p.n_row_sums};
#if WORDS
    const Word *words = p.code;
#else
    const Word *words = p.words;
#endif
    const int t = row_thread(), slot = THREAD / T, blocks = 1 << p.outer;
    int at = 0;
    if (!half_angles(of_weights, p.shared_halves, p.weights, p.n_weights, THREAD, THREADS, &at) && M == 1)
        tell(p.fault, -1 - at);
    for (int i = THREAD; i < p.n_sums * WARPS; i += THREADS) over_rows[i] = 0;
    SYNC();
    const int n_groups = ((p.n_rows + ROWS - 1) / ROWS) << p.outer;
    for (int group = BLOCK; group < n_groups; group += BLOCKS) {
        const int block = group & (blocks - 1), row = (group >> p.outer) * ROWS + slot;
        const bool live = row < p.n_rows;
        const long long from = live ? row : p.n_rows - 1;
        pair *angles = of_angles + slot * p.n_angles;
        const long long first = from * p.n_angles;
        const pair *halves = OWN && p.row_halves ? p.row_halves + first : nullptr;
        if (!half_angles(angles, halves, p.angles + first, p.n_angles, t, T, &at) && M == 1)
            tell(p.fault, 1 + (int)from);
        real *seeded = seeds + slot * p.n_seeds;
        if (OWN && M == 2) for (int i = t; i < p.n_seeds; i += T) seeded[i] = live ? seed(p, i, from) : real(0);
        SYNC();
        Row<M> mine = {p, sums, of_weights, angles, exchange + slot * M * N, scratch, seeded, t, block, live,
                       from, from << (TILE + p.outer)};
        mine.begin();
        mine.obey(words);
        if (M == 2) mine.leave();
        if (M == 2 && p.of_features) mine.pull_features();
        if (OWN && M == 1 && p.term_firsts) {
            put_together(p, of_rows + slot * p.n_row_sums * ROW_WARPS, live, from * blocks + block);
        } else if (p.of_rows) {
            row_sync();
            if (T == 1) SYNC_WARP();
            for (int i = t; i < p.n_row_sums; i += T) {
                real sum = 0;
                for (int w = 0; w < ROW_WARPS; w++) sum += of_rows[(slot * p.n_row_sums + i) * ROW_WARPS + w];
                if (live) p.of_rows[(from * blocks + block) * p.row_stride + p.places[p.n_sums + i]] = sum;
            }
        }
        SYNC();
    }
    if (M == 1) return;
    for (int i = THREAD; i < p.n_sums; i += THREADS) {
        real sum = 0;
        for (int w = 0; w < WARPS; w++) sum += over_rows[i * WARPS + w];
        p.partial[(long long)i * BLOCKS + BLOCK] = sum;
    }
    if (!comes_last(p.counter)) return;
    for (int i = THREAD >> 5; i < p.n_sums; i += WARPS) {
        real sum = 0;
        for (int b = THREAD & 31; b < BLOCKS; b += 32) sum += FRESH(p.partial[(long long)i * BLOCKS + b]);
        sum = over_lanes(sum, 32);
        if ((THREAD & 31) == 0) p.of_weights[p.places[i]] = sum;
    }
}

KERNEL forward(const PARAMETER(Parameters) p) { go<1>(p); }
KERNEL backward(const PARAMETER(Parameters) p) { go<2>(p); }

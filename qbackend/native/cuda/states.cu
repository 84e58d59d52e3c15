// Statevectors of a batch of rows, forwards and back through the adjoint, in one launch each.
//
// What is done is data: words that `code.py` writes. Rotations about Pauli strings turn pairs of
// amplitudes that one thread holds in registers; in between amplitudes change places through shared
// memory. Sums over rows and blocks are taken in one order, whatever comes first.
//
// By the compiler's options: TILE (index bits of a row that a block holds), HELD (of them, by a
// thread), ROWS (of a block), WORDS (that come with the launch; 0: they are read from memory), OWN (1
// for what circuits of the user's need besides, and registers for it).

#define K (1 << HELD)
#define T (1 << (TILE - HELD))
#define N (1 << TILE)
#define THREADS (T * ROWS)
#define WARPS ((THREADS + 31) / 32)
#define LANES (T < 32 ? T : 32)               /* of a warp, that a row has */
#define ROW_WARPS (T < 32 ? 1 : T / 32)
#define BATCH 8                               /* sums that leave a warp together */
#define BATCH_ROOM (BATCH * 33)               /* a lane's numbers in banks of their own */
#define TINY real(1e-12)                      /* a row shorter than this encodes nothing */

enum { END, TURN, SPIN, REMAP, PHASES, MEASURES, SEEDS, ODD_OVERLAP, OVERLAP };
// TURN and SPIN: exp(-i angle/2 P) for an odd phase and an even one. REMAP: columns follow. PHASES,
// MEASURES, SEEDS: for strings of Z, which follow, rotations, expectation values, and their shares of
// the adjoint state; those together that are alike on what a thread holds. ODD_OVERLAP and OVERLAP:
// the expectation value of a string with an X, forwards, and back its share of the adjoint state.

struct __attribute__((aligned(16))) Word {
    int head;      // what | x of what a thread holds << 8 | its z << 16 | minus << 20
    unsigned z;    // of threads | of blocks << 16; of a run: how many of each z, in bytes, and in `angle`
    int angle;     // one that rows share, or -1 - one of the row; an observable
    int slot;      // of a sum: place in its batch | batch ends << 8 | of rows << 9 | batch's first << 12
};
struct pair { real re, im; };

struct Parameters {
    const Word *words;             // where they do not come with the launch
    const real *features;          // (B, 2^Q) amplitudes, or null
    const real *norms;             // (B) reciprocal, or null: of a row that one block holds
    const real *weights;           // (W)
    const real *angles;            // (B, A), or null
    const pair *states_in;         // (B, 2^Q), or null: begin with the features
    const pair *adjoint_in;        // (B, 2^Q), or null: begin with SEEDs
    const real *cotangent;         // (B, M)
    pair *states_out, *adjoint_out;
    real *of_rows;                 // (B, blocks of a row, `row_stride`): sums of a row
    real *of_features;             // (B, 2^Q), or null
    real *partial;                 // (sums over rows, blocks)
    real *of_weights;              // (W)
    const int *places;             // of sums over rows: the weight; then of a row's: the column
    unsigned *counter;             // 0
    int *fault;                    // 1 + row, or -1 - weight, that is not finite
    const pair *start;             // (2^Q) what every row begins with, times its norm; or null
    const pair *shared_halves;     // (W) cosines and sines in place of `weights`, or null
    const pair *row_halves;        // (B, A) and of `angles`, or null
    const int *term_firsts;        // of every output, or back of every observable; null: they are one
    const int *term_columns;       // its terms: sums of a row, or back outputs
    const real *term_factors;
    int n_rows, n_weights, n_angles, n_outputs, n_sums, n_row_sums, row_stride;
    int n_seeds;                   // observables that outputs are sums of, back
    int outer;                     // index bits of a row that number its blocks
    int product;                   // of this many wires, RY(angle) each, a row begins with
    int columns[20];               // from an amplitude's place to its index: thread's, block's, outer
#if WORDS
    Word code[WORDS];
#endif
};

// --- signs -------------------------------------------------------------------------------------

// (-1)^{z.j} for this thread's first amplitude, as its top bit.
DEVICE unsigned sign(const Word &word, int thread, int block) {
    return ((unsigned)COUNT_BITS(word.z & (thread | block << 16)) ^ word.head >> 20) << 31;
}
// The same for all that it holds.
DEVICE void signs_of(unsigned (&signs)[K], int head, unsigned first) {
    signs[0] = first;
    UNROLL for (int b = 0; b < HELD; b++)
        UNROLL for (int k = 0; k < 1 << b; k++)
            signs[k | 1 << b] = signs[k] ^ ((unsigned)head << (15 - b) & 0x80000000u);
}
// what[z] = sum over k of (-1)^{z.k} what[k].
DEVICE void transform(real (&what)[K]) {
    UNROLL for (int b = 0; b < HELD; b++)
        UNROLL for (int k = 0; k < K; k++) if (!(k >> b & 1)) {
            const real u = what[k], v = what[k | 1 << b];
            what[k] = u + v;
            what[k | 1 << b] = u - v;
        }
}
// Of phases: what[z] = product over k of what[k], conjugated where z.k is odd.
DEVICE void transform(pair (&what)[K]) {
    UNROLL for (int b = 0; b < HELD; b++)
        UNROLL for (int k = 0; k < K; k++) if (!(k >> b & 1)) {
            const pair u = what[k], v = what[k | 1 << b];
            what[k] = pair{u.re * v.re - u.im * v.im, u.re * v.im + u.im * v.re};
            what[k | 1 << b] = pair{u.re * v.re + u.im * v.im, u.im * v.re - u.re * v.im};
        }
}

// --- sums --------------------------------------------------------------------------------------

DEVICE int row_thread() { return THREAD & (T - 1); }
DEVICE void row_sync() { if (T > 32) { SYNC(); } else if (T > 1) { SYNC_WARP(); } }

DEVICE real over_lanes(real value, int lanes) {
    for (int d = lanes / 2; d > 0; d /= 2) value += SHUFFLE_XOR(value, d);
    return value;
}
DEVICE real largest_of_lanes(real value, int lanes) {
    for (int d = lanes / 2; d > 0; d /= 2) {
        const real other = SHUFFLE_XOR(value, d);
        value = other > value ? other : value;
    }
    return value;
}
// Over a row's threads, for all of them.
DEVICE real over_row(real value, real *scratch, bool largest) {
    value = largest ? largest_of_lanes(value, LANES) : over_lanes(value, LANES);
    if (T <= 32) return value;
    SYNC();
    if ((THREAD & 31) == 0) scratch[THREAD >> 5] = value;
    SYNC();
    value = scratch[0];
    for (int w = 1; w < WARPS; w++)
        value = !largest ? value + scratch[w] : scratch[w] > value ? scratch[w] : value;
    return value;
}

struct Sums {
    real *batch;       // (BATCH, 33) of each warp
    real *over_rows;   // (n_sums, WARPS)
    real *of_rows;     // (ROWS, n_row_sums, ROW_WARPS)
    int n_row_sums;
};

// Take a thread's share of the word's sum: a batch is added up at once, for most of the time of a
// sum is waiting.
DEVICE void collect(const Sums &sums, const Word &word, real value) {
    const int lane = THREAD & 31, warp = THREAD >> 5, first = word.slot >> 12, slot = word.slot & 255;
    const bool of_rows = word.slot >> 9 & 1;
    if (T == 1 && of_rows) {
        sums.of_rows[THREAD * sums.n_row_sums + first + slot] = value;
        return;
    }
    real *batch = sums.batch + warp * BATCH_ROOM;
    batch[slot * 33 + lane] = value;
    if (!(word.slot >> 8 & 1)) return;
    SYNC_WARP();
    if (of_rows) {
        for (int i = lane; i < (slot + 1) * (32 / LANES); i += 32) {
            const int item = i % (slot + 1), part = i / (slot + 1);
            real sum = 0;
            for (int l = 0; l < LANES; l++) sum += batch[item * 33 + part * LANES + l];
            const int row = T < 32 ? warp * (32 / LANES) + part : warp / ROW_WARPS;
            const int of_row = T < 32 ? 0 : warp % ROW_WARPS;
            if (row < ROWS) sums.of_rows[(row * sums.n_row_sums + first + item) * ROW_WARPS + of_row] = sum;
        }
    } else {
        const int item = lane & (BATCH - 1), part = lane / BATCH;
        real sum = 0;
        if (item <= slot)
            UNROLL for (int l = 0; l < BATCH; l++) sum += batch[item * 33 + part * BATCH + l];
        for (int d = BATCH; d < 32; d *= 2) sum += SHUFFLE_XOR(sum, d);
        if (item <= slot && part == 0) sums.over_rows[(first + item) * WARPS + warp] += sum;
    }
    SYNC_WARP();
}

// --- amplitudes --------------------------------------------------------------------------------

DEVICE int held_index(const int *columns, int k) {
    int index = 0;
    UNROLL for (int b = 0; b < HELD; b++) if (k >> b & 1) index ^= columns[b];
    return index;
}
DEVICE int thread_index(const int *columns, int thread, int block, int outer) {
    int index = 0;
    UNROLL for (int b = 0; b < TILE - HELD; b++) index ^= -(thread >> b & 1) & columns[HELD + b];
    for (int b = 0; b < outer; b++) index ^= -(block >> b & 1) & columns[TILE + b];
    return index;
}

template <int M> DEVICE void remap(pair (&v)[M][K], pair *exchange, const int *columns) {
    const int t = row_thread();
    UNROLL for (int m = 0; m < M; m++)
        UNROLL for (int k = 0; k < K; k++) exchange[m * N + k * T + t] = v[m][k];
    row_sync();
    const int first = thread_index(columns, t, 0, 0);
    UNROLL for (int k = 0; k < K; k++)
        UNROLL for (int m = 0; m < M; m++)
            v[m][k] = exchange[m * N + (first ^ held_index(columns, k))];
}

// exp(-i angle/2 P) for P = i^phase X(x) Z(z); Im <adjoint| P |state> of this thread if ADJOINT.
template <int M, bool ADJOINT, bool ODD, int X>
DEVICE real rotate(pair (&v)[M][K], const unsigned (&signs)[K], real c, real s) {
    constexpr int high = X >= 4 ? 4 : X >= 2 ? 2 : 1;
    real sum = 0;
    UNROLL for (int k = 0; k < K; k++) if (!(k & high)) {
        const int l = k ^ X;
        const real to_k = FLIP(s, signs[l]), to_l = FLIP(s, signs[k]);
        if (ADJOINT) {
            const pair a = v[0][k], b = v[0][l], p = v[M - 1][k], q = v[M - 1][l];
            const real of_k = ODD ? p.re * b.re + p.im * b.im : p.re * b.im - p.im * b.re;
            const real of_l = ODD ? q.re * a.re + q.im * a.im : q.re * a.im - q.im * a.re;
            sum += FLIP(of_k, signs[l]) + FLIP(of_l, signs[k]);
        }
        UNROLL for (int m = 0; m < M; m++) {
            const pair a = v[m][k], b = v[m][l];
            if (ODD) {
                v[m][k] = pair{c * a.re + to_k * b.re, c * a.im + to_k * b.im};
                v[m][l] = pair{c * b.re + to_l * a.re, c * b.im + to_l * a.im};
            } else {
                v[m][k] = pair{c * a.re + to_k * b.im, c * a.im - to_k * b.re};
                v[m][l] = pair{c * b.re + to_l * a.im, c * b.im - to_l * a.re};
            }
        }
    }
    return sum;
}
// The same for an x that is known when it runs: halves what is left until one is.
template <int M, bool ADJOINT, bool ODD, int FIRST, int LAST>
DEVICE real rotate_by(pair (&v)[M][K], int x, const unsigned (&signs)[K], real c, real s) {
    constexpr int MIDDLE = (FIRST + LAST) / 2;
    if constexpr (FIRST == LAST) return rotate<M, ADJOINT, ODD, FIRST>(v, signs, c, s);
    else if (x <= MIDDLE) return rotate_by<M, ADJOINT, ODD, FIRST, MIDDLE>(v, x, signs, c, s);
    else return rotate_by<M, ADJOINT, ODD, MIDDLE + 1, LAST>(v, x, signs, c, s);
}
// <state| P |state> of this thread, for P = i^phase X(x) Z(z); back `given` P |state> to the adjoint.
template <int M, bool ODD, int X>
DEVICE real overlap(pair (&v)[M][K], const unsigned (&signs)[K], real given) {
    constexpr int high = X >= 4 ? 4 : X >= 2 ? 2 : 1;
    real sum = 0;
    UNROLL for (int k = 0; k < K; k++) if (!(k & high)) {
        const int l = k ^ X;
        const pair a = v[0][k], b = v[0][l];
        if (M == 1) {
            const real part = ODD ? a.im * b.re - a.re * b.im : a.re * b.re + a.im * b.im;
            sum += FLIP(2 * part, signs[l]);
        } else {
            const real to_k = FLIP(given, signs[l]), to_l = FLIP(given, signs[k]);
            v[M - 1][k].re += ODD ? -to_k * b.im : to_k * b.re;
            v[M - 1][k].im += ODD ? to_k * b.re : to_k * b.im;
            v[M - 1][l].re += ODD ? -to_l * a.im : to_l * a.re;
            v[M - 1][l].im += ODD ? to_l * a.re : to_l * a.im;
        }
    }
    return sum;
}
template <int M, bool ODD, int FIRST, int LAST>
DEVICE real overlap_by(pair (&v)[M][K], int x, const unsigned (&signs)[K], real given) {
    constexpr int MIDDLE = (FIRST + LAST) / 2;
    if constexpr (FIRST == LAST) return overlap<M, ODD, FIRST>(v, signs, given);
    else if (x <= MIDDLE) return overlap_by<M, ODD, FIRST, MIDDLE>(v, x, signs, given);
    else return overlap_by<M, ODD, MIDDLE + 1, LAST>(v, x, signs, given);
}
// --- a block -----------------------------------------------------------------------------------

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

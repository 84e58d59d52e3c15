// Pauli vectors of a batch of rows, forwards and back, in one launch each.
//
// What is done is data: words that `words.py` writes. A row's 4^QUBITS coefficients lie in a
// block's shared memory. Matrices need not be invertible, so that the way back goes forwards again
// first and keeps the vectors behind turns in device memory, where a block writes over its own.
//
// By the compiler's options: QUBITS, ROW_THREADS (threads of a row), ROWS (of a block).

#define D (1 << 2 * QUBITS)
#define PLACE(i) ((i) + ((i) >> 5))           /* neighbouring groups in banks of their own */
#define ROOM PLACE(D)
#define T ROW_THREADS
#define THREADS (T * ROWS)
#define WARPS (THREADS / 32)

enum { TURN, SINGLE, PAIR, KEEP };
// TURN: X of a qubit towards Y. SINGLE, PAIR: a matrix on one qubit or two. KEEP: behind the turns of a
// stage.

struct __attribute__((aligned(16))) Word {
    int what;
    int at;        // twice the qubit, the first of a pair; of KEEP: how many turns it is behind
    int other;     // of a pair: twice the second qubit
    int index;     // the angle; the first quad of the matrix; where it is kept
};
struct __attribute__((aligned(16))) quad { real v[4]; };

struct Parameters {
    const Word *words;
    const quad *matrices, *transposed;   // by columns
    const real *starts;                  // (D), or (N, D) where `start_stride` is D
    const real *angles;                  // (K), or (N, K) where `angle_stride` is K
    const real *forms;                   // (M, D), or null
    const real *cotangent;               // (N, M) with forms, else (N, D)
    real *values;                        // (N, M) with forms, else (N, D)
    real *of_angles;                     // (N, K)
    real *of_forms;                      // (blocks, M, D)
    real *kept;                          // (blocks, ROWS, `n_kept`, D)
    int *fault;                          // 1 + row with an angle that is not finite
    int n_words, n_rows, n_angles, n_forms, n_kept, start_stride, angle_stride, spare;
};

DEVICE int row_thread() { return THREAD % T; }
DEVICE void row_sync() { if (T > 32) { SYNC(); } else if (T > 1) { SYNC_WARP(); } }

// Over a row's threads, for all of them, in one order.
DEVICE real over_row(real value, real *scratch) {
    for (int d = (T < 32 ? T : 32) / 2; d > 0; d /= 2) value += SHUFFLE_XOR(value, d);
    if (T <= 32) return value;
    SYNC();
    if ((THREAD & 31) == 0) scratch[THREAD >> 5] = value;
    SYNC();
    const int first = THREAD / T * (T / 32);
    value = scratch[first];
    for (int w = 1; w < T / 32; w++) value += scratch[first + w];
    return value;
}

// An index with a digit of zero put in, `shift` bits up.
DEVICE int spread(int index, int shift) {
    const int low = index & ((1 << shift) - 1);
    return (index ^ low) << 2 | low;
}

// One row's vector in shared memory.
struct Vector {
    const Parameters &p;
    real *v, *scratch;
    const real *angles;
    int t, row;
    bool tells;                          // of angles that are not finite

    template <int S> DEVICE_MEMBER void multiply(const Word &word, const quad *matrices) const {
        const quad *matrix = matrices + word.index;
        for (int group = t; group < D / S; group += T) {
            int base = spread(group, word.at);
            if (S == 16) base = spread(base, word.other);
            real y[S];
            UNROLL for (int l = 0; l < S; l++) y[l] = 0;
            // All columns at once would want more registers than there are.
            _Pragma("unroll 4") for (int column = 0; column < S; column++) {
                const real x = v[PLACE(base + ((column & 3) << word.at) + ((column >> 2) << word.other))];
                UNROLL for (int panel = 0; panel < S / 4; panel++) {
                    const quad m = matrix[column * (S / 4) + panel];
                    UNROLL for (int i = 0; i < 4; i++) y[4 * panel + i] += m.v[i] * x;
                }
            }
            UNROLL for (int l = 0; l < S; l++)
                v[PLACE(base + ((l & 3) << word.at) + ((l >> 2) << word.other))] = y[l];
        }
        row_sync();
    }
    DEVICE_MEMBER void multiply(const Word &word, const quad *matrices) const {
        if (word.what == PAIR) multiply<16>(word, matrices);
        else multiply<4>(word, matrices);
    }
    DEVICE_MEMBER void turn(const Word &word, bool back) const {
        real c, s;
        SINCOS(angles[word.index], &s, &c);
        if (tells && !(c == c)) tell(p.fault, 1 + row);
        if (back) s = -s;
        for (int i = t; i < D / 4; i += T) {
            const int at_x = spread(i, word.at) + (1 << word.at), at_y = at_x + (1 << word.at);
            const real x = v[PLACE(at_x)], y = v[PLACE(at_y)];
            v[PLACE(at_x)] = c * x - s * y;
            v[PLACE(at_y)] = s * x + c * y;
        }
        row_sync();
    }
    // The derivative by a turn's angle, from the vector and its cotangent behind it.
    DEVICE_MEMBER real slope(const Word &word, const real *state) const {
        real sum = 0;
        for (int i = t; i < D / 4; i += T) {
            const int at_x = spread(i, word.at) + (1 << word.at), at_y = at_x + (1 << word.at);
            sum += v[PLACE(at_y)] * state[at_x] - v[PLACE(at_x)] * state[at_y];
        }
        return over_row(sum, scratch);
    }
    DEVICE_MEMBER void advance(real *kept) const {
        const real *start = p.starts + (long long)row * p.start_stride;
        for (int i = t; i < D; i += T) v[PLACE(i)] = start[i];
        row_sync();
        for (int w = 0; w < p.n_words; w++) {
            const Word word = p.words[w];
            if (word.what == TURN) turn(word, false);
            else if (word.what != KEEP) multiply(word, p.matrices);
            else if (kept) {
                for (int i = t; i < D; i += T) kept[(long long)word.index * D + i] = v[PLACE(i)];
                row_sync();
            }
        }
    }
    DEVICE_MEMBER void retreat(const real *kept, bool live) const {
        for (int w = p.n_words - 1; w >= 0; w--) {
            const Word word = p.words[w];
            if (word.what == TURN) turn(word, true);
            else if (word.what != KEEP) multiply(word, p.transposed);
            else {
                for (int i = w - word.at; i < w; i++) {
                    const Word turned = p.words[i];
                    const real sum = slope(turned, kept + (long long)word.index * D);
                    if (live && t == 0) p.of_angles[(long long)row * p.n_angles + turned.index] = sum;
                }
                // Nothing turns before.
                if (word.index == 0) break;
            }
        }
    }
};

template <bool BACK> DEVICE void go(const Parameters &p) {
    SHARED(memory);
    real *vectors = (real *)memory, *scratch = vectors + ROWS * ROOM;
    const int t = row_thread(), slot = THREAD / T, n_groups = (p.n_rows + ROWS - 1) / ROWS;
    real *v = vectors + slot * ROOM;
    real *kept = BACK ? p.kept + ((long long)BLOCK * ROWS + slot) * p.n_kept * D : nullptr;
    for (int group = BLOCK; group < n_groups; group += BLOCKS) {
        const bool live = group * ROWS + slot < p.n_rows;
        const int row = live ? group * ROWS + slot : p.n_rows - 1;
        const Vector mine = {p, v, scratch, p.angles + (long long)row * p.angle_stride, t, row, !BACK};
        mine.advance(kept);
        if (!BACK) {
            for (int m = 0; m < p.n_forms; m++) {
                real sum = 0;
                for (int i = t; i < D; i += T) sum += p.forms[m * D + i] * v[PLACE(i)];
                sum = over_row(sum, scratch);
                if (live && t == 0) p.values[(long long)row * p.n_forms + m] = sum;
            }
            if (!p.forms && live)
                for (int i = t; i < D; i += T) p.values[(long long)row * D + i] = v[PLACE(i)];
            row_sync();
            continue;
        }
        const real *cotangent = p.cotangent + (long long)row * (p.forms ? p.n_forms : D);
        if (p.forms) {
            const int first = group * ROWS;
            SYNC();
            for (int i = THREAD; i < D; i += THREADS)
                for (int m = 0; m < p.n_forms; m++) {
                    real *of_form = p.of_forms + ((long long)BLOCK * p.n_forms + m) * D + i;
                    real sum = group == BLOCK ? real(0) : *of_form;
                    for (int r = 0; r < ROWS && first + r < p.n_rows; r++)
                        sum += p.cotangent[(long long)(first + r) * p.n_forms + m] * vectors[r * ROOM + PLACE(i)];
                    *of_form = sum;
                }
            SYNC();
        }
        for (int i = t; i < D; i += T) {
            real dual = p.forms ? real(0) : cotangent[i];
            if (p.forms) for (int m = 0; m < p.n_forms; m++) dual += cotangent[m] * p.forms[m * D + i];
            v[PLACE(i)] = dual;
        }
        row_sync();
        mine.retreat(kept, live);
        SYNC();
    }
}

KERNEL forward(const PARAMETER(Parameters) p) { go<false>(p); }
KERNEL backward(const PARAMETER(Parameters) p) { go<true>(p); }

// Signs of amplitudes, and sums over the threads of a row, a warp and a block.

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

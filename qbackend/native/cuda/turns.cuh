// What is done to amplitudes: they change places, rotations turn pairs of them.

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

// Angles of the compact preparation of four wires, a row for each thread.
//
// The steps, and their names, are those of `preparation._four`, `splitting` and `orthogonal`, which say
// why they are as they are. In float64 only.

#define ONE_WAY                               /* there is a forward kernel alone */
#define THREADS 32
#define WARPS 1
#define TIE 1e-12
#define CUT -2.8
#define PI 3.14159265358979323846
#define LONGEST_POLISHING_STEP 0.1

struct Parameters {
    const double *features;      // (B, 16)
    const int *order;            // (16): an amplitude of the layer for each of the line
    const double *reference;     // (16), `references(16)[0]`
    const double *references;    // (4, 4), `references(4)`
    const double *products;      // (16, 16), of pairs of quaternions
    double *angles;              // (B, 15)
    int n_rows, spare;
};

struct Rotation {
    double c, s;
    DEVICE_MEMBER explicit Rotation(double angle) : c(cos(angle)), s(sin(angle)) {}
};
struct Decomposition { double u, v, ratio; };

DEVICE double direction(double sine, double cosine, double floor) {
    const double angle = atan2(sine, cosine);
    return hypot(sine, cosine) <= floor ? 0.0 : angle < CUT ? angle + 2 * PI : angle;
}
DEVICE double dot4(const double *x, const double *y) { return x[0] * y[0] + x[1] * y[1] + x[2] * y[2] + x[3] * y[3]; }
DEVICE double determinant(const double (&m)[2][2]) { return m[0][0] * m[1][1] - m[0][1] * m[1][0]; }
DEVICE double mixed_determinant(const double (&g)[2][2], const double (&h)[2][2]) {
    const double straight = g[0][0] * h[1][1] + h[0][0] * g[1][1];
    return straight - g[0][1] * h[1][0] - h[0][1] * g[1][0];
}
DEVICE double square(const double (&m)[2][2]) {
    return m[0][0] * m[0][0] + m[0][1] * m[0][1] + m[1][0] * m[1][0] + m[1][1] * m[1][1];
}
DEVICE Decomposition svd(double a, double b, double c, double d) {
    const double difference = direction(c - b, a + d, TIE), total = direction(c + b, a - d, TIE);
    const double mean = hypot(a + d, c - b), half_gap = hypot(a - d, c + b);
    return {(total + difference) / 2, (total - difference) / 2, atan2(mean - half_gap, mean + half_gap)};
}
// Two columns of a matrix, which are rows here, times the rotation.
DEVICE void rotate(double (&columns)[2][4], double angle) {
    const Rotation r(angle);
    UNROLL for (int n = 0; n < 4; n++) {
        const double x = columns[0][n], y = columns[1][n];
        columns[0][n] = r.c * x + r.s * y;
        columns[1][n] = r.c * y - r.s * x;
    }
}

// --- orthonormal columns, which are rows here --------------------------------------------------

DEVICE void less(const double (*basis)[4], int n, double (&vector)[4]) {
    double along[4];
    for (int k = 0; k < n; k++) along[k] = dot4(basis[k], vector);
    for (int k = 0; k < n; k++) for (int i = 0; i < 4; i++) vector[i] -= along[k] * basis[k][i];
}
DEVICE double without(const double (*basis)[4], int n, double (&vector)[4]) {
    const double before = sqrt(dot4(vector, vector));
    if (n == 0) return before;
    less(basis, n, vector);
    double length = sqrt(dot4(vector, vector));
    if (length < before / 2) {
        less(basis, n, vector);
        length = sqrt(dot4(vector, vector));
    }
    return length;
}
template <int COLUMNS> DEVICE void orthonormalise(double (&vectors)[COLUMNS][4], const double *references) {
    for (int k = 0; k < COLUMNS; k++) {
        double rest[4];
        for (int i = 0; i < 4; i++) rest[i] = vectors[k][i];
        double length = without(vectors, k, rest);
        if (length <= TIE) {
            for (int i = 0; i < 4; i++) rest[i] = references[4 * i + k];
            length = without(vectors, k, rest);
        }
        for (int i = 0; i < 4; i++) vectors[k][i] = rest[i] / length;
    }
}
DEVICE double reversal(const double (&v)[4][4]) {
    double sum = 0;
    UNROLL for (int a = 0; a < 4; a++) UNROLL for (int b = a + 1; b < 4; b++) {
        const int c = a > 0 ? 0 : b > 1 ? 1 : 2, d = 6 - a - b - c;
        const double minors = (v[a][0] * v[b][1] - v[b][0] * v[a][1]) * (v[c][2] * v[d][3] - v[d][2] * v[c][3]);
        sum += (a + b) & 1 ? minors : -minors;
    }
    return sum < 0 ? -1 : 1;
}

// --- the last two wires ------------------------------------------------------------------------

DEVICE double balancing_turn(const double (&blocks)[4][2][2]) {
    double total = 0, straight = 0, crossed = 0, to_straight = 0, to_crossed = 0, first = 0, second = 0;
    for (int a = 0; a < 4; a++) for (int b = a + 1; b < 4; b++) {
        double wedge[2][2];
        for (int e = 0; e < 2; e++) for (int f = 0; f < 2; f++)
            wedge[e][f] = blocks[a][e][0] * blocks[b][f][1] - blocks[b][e][0] * blocks[a][f][1];
        const double sum = wedge[0][0] + wedge[1][1], gap = wedge[0][0] - wedge[1][1], cross = wedge[0][1] + wedge[1][0];
        total += sum * sum, straight += gap * gap, crossed += cross * cross;
        to_straight += sum * gap, to_crossed += sum * cross;
    }
    for (int r = 0; r < 4; r++) for (int e = 0; e < 2; e++) {
        first += blocks[r][e][0] * blocks[r][e][0];
        second += blocks[r][e][1] * blocks[r][e][1];
    }
    const double rounded = TIE * (sqrt(first) * sqrt(second)), length = sqrt(total);
    if (fabs(to_straight) <= rounded * fmax(length, sqrt(straight))) to_straight = 0;
    if (fabs(to_crossed) <= rounded * fmax(length, sqrt(crossed))) to_crossed = 0;
    return length <= rounded ? 0.0 : direction(-to_straight, to_crossed, 0) / 2;
}

// Slices of the two planes, half their angles, and the vectors: rows here.
DEVICE void bisect(
    const double (&psi)[2][2][4], const double *references, double (&slices)[2][2][2], double (&phi)[2], double (&vectors)[4][4]
) {
    double p[2][4], q[2][4];
    for (int g = 0; g < 2; g++) for (int r = 0; r < 4; r++) {
        p[g][r] = psi[0][g][r];
        q[g][r] = psi[1][g][r];
    }
    orthonormalise<2>(p, references);
    orthonormalise<2>(q, references);
    for (int r = 0; r < 4; r++) q[1][r] = -q[1][r];
    const Decomposition found = svd(dot4(p[0], q[0]), dot4(p[0], q[1]), dot4(p[1], q[0]), dot4(p[1], q[1]));
    rotate(p, found.u);
    rotate(q, found.v);
    const bool obtuse = found.ratio < 0;
    double d[2][4];
    for (int r = 0; r < 4; r++) {
        if (obtuse) q[1][r] = -q[1][r];
        d[0][r] = p[0][r] - q[0][r];
        d[1][r] = p[1][r] - q[1][r];
    }
    const double first = dot4(d[0], d[0]), second = dot4(d[1], d[1]);
    const double turn = direction(-2 * dot4(d[0], d[1]), second - first, TIE * sqrt(first + second)) / 2;
    rotate(p, turn);
    rotate(q, turn);
    double in_order[4][4];
    for (int r = 0; r < 4; r++) for (int j = 0; j < 2; j++) {
        in_order[j][r] = p[j][r] + q[j][r];
        in_order[3 - j][r] = p[j][r] - q[j][r];
    }
    for (int j = 0; j < 2; j++) {
        const double *near = in_order[j], *far = in_order[3 - j];
        phi[j] = atan2(sqrt(dot4(far, far)), sqrt(dot4(near, near)));
        for (int g = 0; g < 2; g++) {
            slices[0][j][g] = dot4(p[j], psi[0][g]);
            slices[1][j][g] = dot4(q[j], psi[1][g]) * (obtuse && j == 1 ? -1 : 1);
        }
    }
    if (obtuse) phi[1] = PI / 2 - phi[1];
    orthonormalise<4>(in_order, references);
    for (int r = 0; r < 4; r++) {
        vectors[0][r] = in_order[0][r];
        vectors[1][r] = in_order[3][r];
        vectors[2][r] = in_order[obtuse ? 2 : 1][r];
        vectors[3][r] = in_order[obtuse ? 1 : 2][r];
    }
    const double sign = reversal(vectors);
    for (int r = 0; r < 4; r++) vectors[1][r] *= sign;
    phi[0] *= sign;
}

DEVICE void turn_slices(const double (&slices)[2][2][2], double turn, double (&g)[2][2], double (&h)[2][2]) {
    const Rotation r(turn);
    for (int i = 0; i < 2; i++) for (int t = 0; t < 2; t++) {
        g[i][t] = r.c * slices[0][i][t] + r.s * slices[1][i][t];
        h[i][t] = r.c * slices[1][i][t] - r.s * slices[0][i][t];
    }
}
DEVICE double split_ranks(const double (&slices)[2][2][2], double (&g)[2][2], double (&h)[2][2]) {
    const double of_g = sqrt(square(slices[0])), of_h = sqrt(square(slices[1])), smaller = fmin(of_g, of_h);
    const double apart = 2 * (of_g < of_h ? -determinant(slices[0]) : determinant(slices[1]));
    const double mixed = mixed_determinant(slices[0], slices[1]), floor = TIE * (smaller <= TIE ? 1.0 : smaller);
    const bool open = hypot(apart, mixed) <= floor;
    double turn = direction(apart, mixed, floor) / 2;
    for (int polishing = 0; polishing < 2; polishing++) {
        turn_slices(slices, turn, g, h);
        const double slope = mixed_determinant(g, h);
        const double step = (square(g) < square(h) ? -determinant(g) : determinant(h)) / slope;
        if (!open && slope != 0 && fabs(step) < LONGEST_POLISHING_STEP) turn += step;
    }
    turn_slices(slices, turn, g, h);
    return turn;
}

// --- SO(4), its columns being rows here --------------------------------------------------------

DEVICE void euler_angles(const double (&q)[4], double (&angles)[3]) {
    const double total = direction(q[1], q[0], TIE), difference = direction(q[3], q[2], TIE);
    angles[0] = (total - difference) / 2;
    angles[1] = atan2(hypot(q[2], q[3]), hypot(q[0], q[1]));
    angles[2] = (total + difference) / 2;
}
DEVICE void so4_angles(const double (&vectors)[4][4], const Parameters &p, double *angles) {
    double pairs[16];
    int largest = 0;
    for (int i = 0; i < 16; i++) {
        pairs[i] = 0;
        for (int k = 0; k < 16; k++) pairs[i] += vectors[k & 3][k >> 2] * p.products[16 * i + k];
        pairs[i] /= 4;
        if (fabs(pairs[i]) > fabs(pairs[largest])) largest = i;
    }
    const int m = largest / 4, n = largest % 4;
    double left[4], right[4];
    for (int i = 0; i < 4; i++) {
        left[i] = pairs[4 * i + n];
        right[i] = pairs[4 * m + i];
    }
    const double of_left = sqrt(dot4(left, left)), of_right = sqrt(dot4(right, right));
    double sign = dot4(left, p.references) < 0 ? -1 : 1;
    const double both = pairs[largest] * left[m] * right[n] < 0 ? -sign : sign;
    for (int i = 0; i < 4; i++) {
        left[i] *= sign / of_left;
        right[i] *= both / of_right;
    }
    double of_first[3], of_second[3];
    euler_angles(left, of_first);
    euler_angles(right, of_second);
    angles[0] = 2 * of_first[0], angles[1] = 2 * of_second[0];
    angles[2] = 2 * of_second[1], angles[3] = 2 * of_first[1];
    angles[4] = 2 * of_first[2], angles[5] = 2 * of_second[2];
}

KERNEL forward(const PARAMETER(Parameters) p) {
    const int row = BLOCK * THREADS + THREAD;
    if (row >= p.n_rows) return;
    const double *features = p.features + 16ll * row;
    double *angles = p.angles + 15ll * row;
    double peak = 0, norm = 0, along = 0, blocks[4][2][2];
    for (int i = 0; i < 16; i++) peak = fmax(peak, fabs(features[i]));
    // As `encodings.without_overflow` has it.
    const double factor = peak < ldexp(1.0, 500) ? 1.0 : ldexp(1.0, -524);
    for (int i = 0; i < 16; i++) norm += features[i] * factor * (features[i] * factor);
    norm = sqrt(norm);
    for (int i = 0; i < 16; i++) {
        const double amplitude = features[p.order[i]] * factor / norm;
        blocks[i / 4][i / 2 % 2][i % 2] = amplitude;
        along += amplitude * p.reference[i];
    }
    if (norm < TIE) {
        for (int i = 0; i < 15; i++) angles[i] = 0;
        return;
    }
    for (int i = 0; i < 16 && along < 0; i++) blocks[i / 4][i / 2 % 2][i % 2] *= -1;
    const double first_turn = balancing_turn(blocks);
    const Rotation r(first_turn);
    double psi[2][2][4], slices[2][2][2], phi[2], vectors[4][4], g[2][2], h[2][2], turns[2], columns[2][2];
    for (int i = 0; i < 4; i++) for (int t = 0; t < 2; t++) {
        psi[0][t][i] = r.c * blocks[i][0][t] + r.s * blocks[i][1][t];
        psi[1][t][i] = r.c * blocks[i][1][t] - r.s * blocks[i][0][t];
    }
    bisect(psi, p.references, slices, phi, vectors);
    const double second_turn = split_ranks(slices, g, h);
    for (int e = 0; e < 2; e++) {
        const double (&slice)[2][2] = e ? h : g;
        const double x = slice[0][0] * slice[0][0] + slice[1][0] * slice[1][0];
        const double y = slice[0][1] * slice[0][1] + slice[1][1] * slice[1][1];
        const double overlap = slice[0][0] * slice[0][1] + slice[1][0] * slice[1][1];
        turns[e] = direction(2 * overlap, x - y, TIE * TIE) / 2;
        const Rotation of(turns[e]);
        for (int i = 0; i < 2; i++) columns[e][i] = of.c * slice[i][0] + of.s * slice[i][1];
    }
    const Decomposition found = svd(columns[0][0], columns[1][0], columns[0][1], columns[1][1]);
    angles[0] = 2 * found.ratio, angles[1] = 2 * found.u, angles[2] = 2 * found.v;
    angles[3] = phi[0] - phi[1] - PI / 2, angles[4] = phi[0] + phi[1] + PI / 2;
    angles[5] = turns[0] - turns[1], angles[6] = turns[0] + turns[1];
    angles[7] = 2 * second_turn, angles[8] = 2 * first_turn;
    so4_angles(vectors, p, angles + 9);
}

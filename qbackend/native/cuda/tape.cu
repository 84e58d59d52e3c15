// The angles of any circuit, from expressions of features and weights, and back their gradients.
//
// Expressions are data: nodes (`tape.py`) that the weights decide, and nodes that move with the row.
// Those of a level need none of each other, and are shared among threads. A node gathers its gradient
// from those that use it, so that every sum is taken in one order, whatever comes first. All of it in
// float64: a feature map's angles are of many turns.

#define THREADS 128
#define WARPS (THREADS / 32)

enum { VARIABLE, CONSTANT, ADD, MULTIPLY, POWER, SIN, COS, TAN, ASIN, ACOS, ATAN, EXP, LOG, ABS, SIGN };
enum { LEFT, RIGHT, ANGLE, CROSSING };   // as what a node is used
#define OF_ANGLE (1 << 30)               /* in a message: it is an angle that is not finite */

struct Node {
    int operation, left, right;   // a node of its own tape, or ~node of the shared one; a variable
    int first;                    // of its uses
};
struct Tape {
    const Node *nodes;      // one more than there are
    const int *levels;      // first node of each, and behind the last
    const int *uses;        // by whom << 2 | as what
    const int *angles;      // the node of each
    int n_nodes, n_levels, n_angles, spare;
};
struct pair { real re, im; };

struct Parameters {
    Tape shared, moving;
    const double *constants;       // of shared nodes
    const int *crossings;          // first of the uses of a shared node by moving ones, and behind the last
    const int *crossing_uses;
    const real *features, *weights;
    pair *shared_halves;           // cosines and sines of half the angles: of all rows,
    pair *row_halves;              // (B, angles) and of each
    real *whole;                   // (B) 1, or not a number where a feature is none
    const real *of_shared_angles;
    const real *of_row_angles;     // (B, angles)
    real *of_features, *of_weights;
    double *partial;               // (crossings, blocks)
    unsigned *counter;             // 0
    int *fault;                    // 1 + row, or -1 - weight; or of an angle
    int n_rows, n_features, n_weights, n_crossings;
    int row_threads;               // a power of two up to THREADS
    int spare;
};

DEVICE bool is_finite(double value) { return value - value == 0; }

// --- nodes -------------------------------------------------------------------------------------

DEVICE double sign(double a) { return a > 0 ? 1 : a < 0 ? -1 : a; }

DEVICE double value(int operation, double left, double right) {
    switch (operation) {
    case ADD: return left + right;
    case MULTIPLY: return left * right;
    case POWER: return pow(left, right);
    case SIN: return sin(left);
    case COS: return cos(left);
    case TAN: return tan(left);
    case ASIN: return asin(left);
    case ACOS: return acos(left);
    case ATAN: return atan(left);
    case EXP: return exp(left);
    case LOG: return log(left);
    case ABS: return fabs(left);
    default: return sign(left);
    }
}

// The derivative by one operand. A power's by its exponent is 0 where it is 0; of |x| it is 0 at 0.
DEVICE double slope(int operation, bool by_right, double left, double right, double result) {
    switch (operation) {
    case ADD: return 1;
    case MULTIPLY: return by_right ? left : right;
    case POWER:
        if (by_right) return result == 0 ? 0 : result * log(left > 0 ? left : -1);
        return right == 0 ? 0 : right * pow(left, right - 1);
    case SIN: return cos(left);
    case COS: return -sin(left);
    case TAN: return 1 + result * result;
    case ASIN: return 1 / sqrt(1 - left * left);
    case ACOS: return -1 / sqrt(1 - left * left);
    case ATAN: return 1 / (1 + left * left);
    case EXP: return result;
    case LOG: return 1 / (left == 0 ? fabs(left) : left);
    case ABS: return sign(left);
    default: return 0;
    }
}

// A tape's values, and where it reads them.
struct Values {
    const Tape &tape;
    double *own;
    const double *shared;

    DEVICE_MEMBER double operand(int node) const { return node < 0 ? shared[~node] : own[node]; }

    DEVICE_MEMBER void run(const real *variables, const double *constants, int first, int step) {
        for (int level = 0; level < tape.n_levels; level++) {
            for (int i = tape.levels[level] + first; i < tape.levels[level + 1]; i += step) {
                const Node node = tape.nodes[i];
                own[i] = node.operation == VARIABLE   ? (double)variables[node.left]
                         : node.operation == CONSTANT ? constants[i]
                                                      : value(node.operation, operand(node.left), operand(node.right));
            }
            SYNC();
        }
    }
    // What a use adds to a gradient, from that of the node that uses.
    DEVICE_MEMBER double through(int use, const double *gradients) const {
        const int user = use >> 2;
        const double gradient = gradients[user];
        // Where nothing is asked, a pole is no answer.
        if (gradient == 0) return 0;
        const Node node = tape.nodes[user];
        const double left = operand(node.left), right = operand(node.right);
        return gradient * slope(node.operation, (use & 3) == RIGHT, left, right, own[user]);
    }
    // Gradients of all nodes, from those of the angles and of the shared nodes' uses by moving ones.
    DEVICE_MEMBER void pull(
        double *gradients, const real *of_angles, const double *crossed, real *of_variables, int first, int step
    ) const {
        for (int level = tape.n_levels - 1; level >= 0; level--) {
            for (int i = tape.levels[level] + first; i < tape.levels[level + 1]; i += step) {
                const Node node = tape.nodes[i];
                double sum = 0;
                for (int u = node.first; u < tape.nodes[i + 1].first; u++) {
                    const int use = tape.uses[u], what = use & 3;
                    sum += what == ANGLE      ? (of_angles ? (double)of_angles[use >> 2] : 0)
                           : what == CROSSING ? crossed[use >> 2]
                                              : through(use, gradients);
                }
                gradients[i] = sum;
                if (node.operation == VARIABLE && of_variables) of_variables[node.left] = (real)sum;
            }
            SYNC();
        }
    }
};

// --- a block -----------------------------------------------------------------------------------

DEVICE int row_thread(const Parameters &p) { return THREAD & (p.row_threads - 1); }
DEVICE int block_rows(const Parameters &p) { return THREADS / p.row_threads; }

KERNEL forward(const PARAMETER(Parameters) p) {
    SHARED(memory);
    double *shared = (double *)memory, *own = shared + p.shared.n_nodes;
    double *fault = own + block_rows(p) * p.moving.n_nodes;
    if (THREAD == 0) *fault = 0;
    SYNC();
    for (int w = THREAD; w < p.n_weights; w += THREADS) if (!is_finite(p.weights[w])) *fault = 1;
    Values{p.shared, shared, shared}.run(p.weights, p.constants, THREAD, THREADS);
    for (int a = THREAD; a < p.shared.n_angles; a += THREADS) {
        const double half = shared[p.shared.angles[a]] / 2;
        if (!is_finite(half)) *fault = 1;
        if (BLOCK > 0) continue;
        if (!is_finite(half)) tell(p.fault, -1 - OF_ANGLE - a);
        double c, s;
        sincos(half, &s, &c);
        p.shared_halves[a] = pair{(real)c, (real)s};
    }
    SYNC();
    if (BLOCK == 0) for (int w = THREAD; w < p.n_weights; w += THREADS)
        if (!is_finite(p.weights[w])) tell(p.fault, -1 - w);
    const bool all_finite = *fault == 0;
    const int t = row_thread(p), slot = THREAD / p.row_threads, rows = block_rows(p);
    const int n_groups = (p.n_rows + rows - 1) / rows;
    double *mine = own + slot * p.moving.n_nodes;
    for (int group = BLOCK; group < n_groups; group += BLOCKS) {
        const int row = group * rows + slot;
        const bool live = row < p.n_rows;
        const long long from = live ? row : p.n_rows - 1;
        const real *features = p.features + from * p.n_features;
        Values{p.moving, mine, shared}.run(features, nullptr, t, p.row_threads);
        for (int a = t; a < p.moving.n_angles; a += p.row_threads) {
            const double half = mine[p.moving.angles[a]] / 2;
            if (!is_finite(half) && all_finite) tell(p.fault, 1 + OF_ANGLE + (int)from);
            double c, s;
            sincos(half, &s, &c);
            if (live) p.row_halves[from * p.moving.n_angles + a] = pair{(real)c, (real)s};
        }
        // What is told last is what is read: of the features, if they are why.
        SYNC();
        if (t > 0) continue;
        double whole = 1;
        for (int f = 0; f < p.n_features; f++) whole += 0 * (double)features[f];
        if (live) p.whole[from] = (real)whole;
        if (!is_finite(whole)) tell(p.fault, 1 + (int)from);
    }
}

KERNEL backward(const PARAMETER(Parameters) p) {
    SHARED(memory);
    const int rows = block_rows(p), n_moving = p.moving.n_nodes;
    double *shared = (double *)memory, *crossed = shared + p.shared.n_nodes;
    double *own = crossed + p.n_crossings, *gradients = own + rows * n_moving;
    double *of_shared = gradients + rows * n_moving, *lanes = of_shared + p.shared.n_nodes;
    for (int c = THREAD; c < p.n_crossings; c += THREADS) crossed[c] = 0;
    Values all{p.shared, shared, shared};
    all.run(p.weights, p.constants, THREAD, THREADS);
    const int t = row_thread(p), slot = THREAD / p.row_threads, n_groups = (p.n_rows + rows - 1) / rows;
    for (int group = BLOCK; group < n_groups; group += BLOCKS) {
        const int row = group * rows + slot;
        const bool live = row < p.n_rows;
        const long long from = live ? row : p.n_rows - 1;
        Values mine{p.moving, own + slot * n_moving, shared};
        mine.run(p.features + from * p.n_features, nullptr, t, p.row_threads);
        mine.pull(gradients + slot * n_moving, live ? p.of_row_angles + from * p.moving.n_angles : nullptr, nullptr,
                  live && p.of_features ? p.of_features + from * p.n_features : nullptr, t, p.row_threads);
        for (int c = THREAD; c < p.n_crossings; c += THREADS) {
            double sum = crossed[c];
            for (int r = 0; r < rows; r++)
                for (int u = p.crossings[c]; u < p.crossings[c + 1]; u++)
                    sum += Values{p.moving, own + r * n_moving, shared}.through(p.crossing_uses[u], gradients + r * n_moving);
            crossed[c] = sum;
        }
        SYNC();
    }
    for (int c = THREAD; c < p.n_crossings; c += THREADS) p.partial[(long long)c * BLOCKS + BLOCK] = crossed[c];
    if (!comes_last(p.counter)) return;
    for (int c = THREAD >> 5; c < p.n_crossings; c += WARPS) {
        double sum = 0;
        for (int b = THREAD & 31; b < BLOCKS; b += 32) sum += *(volatile double *)&p.partial[(long long)c * BLOCKS + b];
        lanes[THREAD] = sum;
        SYNC_WARP();
        if ((THREAD & 31) == 0) {
            for (int lane = 1; lane < 32; lane++) sum += lanes[THREAD + lane];
            crossed[c] = sum;
        }
        SYNC_WARP();
    }
    SYNC();
    all.pull(of_shared, p.of_shared_angles, crossed, p.of_weights, THREAD, THREADS);
}

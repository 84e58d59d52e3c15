// What `states.cu` is given: words, parameters, and the sizes that the compiler is told.

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

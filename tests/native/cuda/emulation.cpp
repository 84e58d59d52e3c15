// The kernels on a CPU. The threads of a block are fibres. A warp runs as far as it gets before the
// next one does, so that what one reads too early, or writes too soon, shows in the results; and
// where threads wait for each other at different barriers it stops.
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <ucontext.h>
#include <vector>
#ifdef DOUBLE
typedef double real;
#define SINCOS sincos
#define SQRT sqrt
#else
typedef float real;
#define SINCOS sincosf
#define SQRT sqrtf
#endif
#define FLIP(value, top_bit) ((top_bit) ? -(value) : (value))
#define DEVICE static
#define DEVICE_MEMBER
#define KERNEL static void
#define PARAMETER(type) type &
#define UNROLL
#define COUNT_BITS __builtin_popcount
#define FRESH(value) (value)
#define SHARED(name) char *name = shared_memory

static int THREAD, BLOCK, BLOCKS;
static char *shared_memory;
static ucontext_t warps;
static std::vector<ucontext_t> fibres;
static std::vector<real> lanes;
enum Wait { NOT, FOR_WARP, FOR_BLOCK, FOREVER };
static std::vector<Wait> waits;

static void wait(Wait what) {
    const int thread = THREAD;
    waits[thread] = what;
    swapcontext(&fibres[thread], &warps);
}
#define SYNC() wait(FOR_BLOCK)
#define SYNC_WARP() wait(FOR_WARP)
static real shuffled(real value, int distance) {
    const int thread = THREAD;
    lanes[thread] = value;
    wait(FOR_WARP);
    const real other = lanes[thread ^ distance];
    wait(FOR_WARP);
    return other;
}
#define SHUFFLE_XOR(value, distance) shuffled(value, distance)
static void tell(int *message, int value) { *message = value; }
static bool comes_last(unsigned *) { wait(FOR_BLOCK); return BLOCK == BLOCKS - 1; }

#include SOURCE

static const Parameters *given;
static bool goes_back;

static void fibre() {
    if (goes_back) backward(*given); else forward(*given);
    wait(FOREVER);
}

// One warp up to the next barrier of its block, or to its end.
static Wait run(int warp) {
    for (;;) {
        for (THREAD = 32 * warp; THREAD < 32 * warp + 32;) {
            const int thread = THREAD;
            swapcontext(&warps, &fibres[thread]);
            THREAD = thread + 1;
        }
        for (int thread = 32 * warp; thread < 32 * warp + 32; thread++)
            if (waits[thread] != waits[32 * warp]) abort();
        if (waits[32 * warp] != FOR_WARP) return waits[32 * warp];
    }
}

extern "C" void launch(int back, const Parameters *parameters, int n_blocks, int shared_bytes) {
    const int stack = 1 << 16;
    given = parameters; goes_back = back; BLOCKS = n_blocks;
    lanes.assign(THREADS, 0); waits.assign(THREADS, NOT); fibres.resize(THREADS);
    std::vector<char> memory(shared_bytes), stacks((size_t)stack * THREADS);
    shared_memory = memory.data();
    for (BLOCK = 0; BLOCK < n_blocks; BLOCK++) {
        // What nobody wrote must not pass for a zero.
        memset(shared_memory, 0x7f, shared_bytes);
        for (int thread = 0; thread < THREADS; thread++) {
            getcontext(&fibres[thread]);
            fibres[thread].uc_stack.ss_sp = &stacks[(size_t)stack * thread];
            fibres[thread].uc_stack.ss_size = stack;
            fibres[thread].uc_link = nullptr;
            makecontext(&fibres[thread], fibre, 0);
        }
        for (bool ends = false; !ends;) {
            // In either order: the first warp can be the fastest, and the last.
            ends = run(BLOCK % 2 ? WARPS - 1 : 0) == FOREVER;
            for (int i = 1; i < WARPS; i++)
                if ((run(BLOCK % 2 ? WARPS - 1 - i : i) == FOREVER) != ends) abort();
        }
    }
}

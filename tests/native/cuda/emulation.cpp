// The kernels on a CPU: the threads of a block are fibres, and a barrier is a round over all.
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
static ucontext_t rounds;
static std::vector<ucontext_t> fibres;
static std::vector<char> done;
static std::vector<real> lanes;

static void wait() { const int thread = THREAD; swapcontext(&fibres[thread], &rounds); }
#define SYNC() wait()
#define SYNC_WARP() wait()
static real shuffled(real value, int distance) {
    const int thread = THREAD;
    lanes[thread] = value;
    wait();
    const real other = lanes[thread ^ distance];
    wait();
    return other;
}
#define SHUFFLE_XOR(value, distance) shuffled(value, distance)
static void tell(int *message, int value) { *message = value; }
static bool comes_last(unsigned *) { wait(); return BLOCK == BLOCKS - 1; }

#include "states.cu"

static const Parameters *given;
static bool goes_back;

static void fibre() {
    if (goes_back) backward(*given); else forward(*given);
    done[THREAD] = 1;
    wait();
}

extern "C" void launch(int back, const Parameters *parameters, int n_blocks, int shared_bytes) {
    const int stack = 1 << 16;
    given = parameters; goes_back = back; BLOCKS = n_blocks;
    lanes.assign((THREADS + 31) / 32 * 32, 0);
    std::vector<char> memory(shared_bytes), stacks((size_t)stack * THREADS);
    shared_memory = memory.data();
    fibres.resize(THREADS); done.resize(THREADS);
    for (BLOCK = 0; BLOCK < n_blocks; BLOCK++) {
        // What nobody wrote must not pass for a zero.
        memset(shared_memory, 0x7f, shared_bytes);
        for (int thread = 0; thread < THREADS; thread++) {
            getcontext(&fibres[thread]);
            fibres[thread].uc_stack.ss_sp = &stacks[(size_t)stack * thread];
            fibres[thread].uc_stack.ss_size = stack;
            fibres[thread].uc_link = nullptr;
            makecontext(&fibres[thread], fibre, 0);
            done[thread] = 0;
        }
        for (bool more = true; more;) {
            more = false;
            for (int thread = 0; thread < THREADS; thread++) if (!done[thread]) {
                THREAD = thread;
                swapcontext(&rounds, &fibres[thread]);
                more = true;
            }
        }
    }
}

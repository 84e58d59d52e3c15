// What the kernel takes from CUDA. The tests define the same for a CPU.
#ifdef DOUBLE
typedef double real;
#define SINCOS sincos
#define SQRT sqrt
#define FLIP(value, top_bit) \
    __hiloint2double(__double2hiint(value) ^ (int)(top_bit), __double2loint(value))
#else
typedef float real;
#define SINCOS sincosf
#define SQRT sqrtf
#define FLIP(value, top_bit) __int_as_float(__float_as_int(value) ^ (int)(top_bit))
#endif
#define DEVICE static __device__ __forceinline__
#define DEVICE_MEMBER __device__ __forceinline__
#define KERNEL extern "C" __global__ void __launch_bounds__(THREADS)
#define PARAMETER(type) __grid_constant__ type
#define UNROLL _Pragma("unroll")
#define THREAD ((int)threadIdx.x)
#define BLOCK ((int)blockIdx.x)
#define BLOCKS ((int)gridDim.x)
#define SYNC() __syncthreads()
#define SYNC_WARP() __syncwarp()
#define SHUFFLE_XOR(value, lanes) __shfl_xor_sync(0xffffffffu, value, lanes)
#define COUNT_BITS __popc
#define SHARED(name) extern __shared__ double2 name[]
#define FRESH(value) (*(volatile real *)&(value))

// The host's memory, for a message that no one waits for.
DEVICE void tell(int *message, int value) {
    *(volatile int *)message = value;
    __threadfence_system();
}

// Whether all other blocks have come here; what they wrote can be read then.
DEVICE bool comes_last(unsigned *counter) {
    __shared__ bool is_last;
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0) is_last = atomicInc(counter, gridDim.x - 1) == gridDim.x - 1;
    __syncthreads();
    __threadfence();
    return is_last;
}

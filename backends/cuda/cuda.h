/* The words of the shared kernel text for CUDA C++. */

typedef signed char i8;
typedef short i16;
typedef long long i64;
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

#define HAS_DOUBLE
#ifndef INFINITY
#define INFINITY __int_as_float(0x7f800000)
#define NAN __int_as_float(0x7fc00000)
#endif

#define INLINE static __device__ __forceinline__
#define KERNEL(x, y, z) extern "C" __global__ __launch_bounds__((x) * (y) * (z))
#define OUTPUT(T, name) T *__restrict__ name
#define INPUT(T, name) const T *__restrict__ name
#define SIZE(name) const i64 name
#define OPEN_OUTPUT(T, name)
#define OPEN_INPUT(T, name)
#define SHARED __shared__
#define BARRIER() __syncthreads()
#define GROUP(dimension) GROUP_##dimension
#define GROUP_0 ((int)blockIdx.x)
#define GROUP_1 ((int)blockIdx.y)
#define GROUP_2 ((int)blockIdx.z)
#define LOCAL(dimension) LOCAL_##dimension
#define LOCAL_0 ((int)threadIdx.x)
#define LOCAL_1 ((int)threadIdx.y)
#define LOCAL_2 ((int)threadIdx.z)

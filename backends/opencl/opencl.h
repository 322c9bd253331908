/* The words of the shared kernel text for OpenCL C 1.2. A buffer comes with the number of its first
 * element, because buffers cannot be cut where alignment forbids it. */

#pragma OPENCL FP_CONTRACT OFF
#ifdef cl_khr_fp64
#pragma OPENCL EXTENSION cl_khr_fp64 : enable
#define HAS_DOUBLE
#endif
#ifdef cl_khr_fp16
#pragma OPENCL EXTENSION cl_khr_fp16 : enable
#define HAS_HALF
#endif

typedef char i8;
typedef short i16;
typedef long i64;
typedef uchar u8;
typedef ushort u16;
typedef uint u32;
typedef ulong u64;

#define INLINE static inline
#define KERNEL(x, y, z) __attribute__((reqd_work_group_size(x, y, z))) __kernel
#define OUTPUT(T, name) __global T *restrict name##_memory, const ulong name##_first
#define INPUT(T, name) __global const T *restrict name##_memory, const ulong name##_first
#define SIZE(name) const i64 name
#define OPEN_OUTPUT(T, name) __global T *restrict name = name##_memory + name##_first
#define OPEN_INPUT(T, name) __global const T *restrict name = name##_memory + name##_first
#define SHARED __local
#define BARRIER() barrier(CLK_LOCAL_MEM_FENCE)
#define GROUP(dimension) ((int)get_group_id(dimension))
#define LOCAL(dimension) ((int)get_local_id(dimension))

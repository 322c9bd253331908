/* What printed kernels expect of C. */

#include <math.h>

typedef signed char i8;
typedef short i16;
typedef long long i64;
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

#define HAS_DOUBLE
#define INLINE static inline

/* What printed kernels call and C does not have. The preamble before it defines INLINE, the short
 * integer types, and HAS_DOUBLE and HAS_HALF where there are such types. Float minimum and maximum
 * propagate NaN; division and remainder round toward minus infinity, and by zero give zero. */

#define COMMON_HELPERS(T) \
  INLINE T pow_##T(T base, T power) { \
    T result = 1; \
    for (; power > 0; power = (T)(power / 2)) { \
      if (power % 2) result = (T)(result * base); \
      base = (T)(base * base); \
    } \
    return result; \
  } \
  INLINE T min_##T(T a, T b) { return a <= b ? a : b; } \
  INLINE T max_##T(T a, T b) { return a >= b ? a : b; }

#define SIGNED_HELPERS(T, U) \
  COMMON_HELPERS(T) \
  INLINE T abs_##T(T a) { return a < 0 ? (T)(0 - (U)a) : a; } \
  INLINE T floordiv_##T(T a, T b) { \
    if (b == 0) return 0; \
    if (b == -1) return (T)(0 - (U)a); \
    return (T)(a / b - (a % b != 0 && (a < 0) != (b < 0))); \
  } \
  INLINE T mod_##T(T a, T b) { \
    T rest; \
    if (b == 0 || b == -1) return 0; \
    rest = (T)(a % b); \
    return (T)(rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest); \
  }

#define UNSIGNED_HELPERS(T) \
  COMMON_HELPERS(T) \
  INLINE T floordiv_##T(T a, T b) { return b == 0 ? 0 : (T)(a / b); } \
  INLINE T mod_##T(T a, T b) { return b == 0 ? 0 : (T)(a % b); }

#define FLOAT_HELPERS(T) \
  INLINE T min_##T(T a, T b) { return a <= b || a != a ? a : b; } \
  INLINE T max_##T(T a, T b) { return a >= b || a != a ? a : b; } \
  INLINE T mod_##T(T a, T b) { \
    T rest = fmod(a, b); \
    if (rest == 0) return copysign((T)0, b); \
    return (rest < 0) != (b < 0) ? rest + b : rest; \
  } \
  INLINE T floordiv_##T(T a, T b) { \
    T rest = fmod(a, b), quotient, whole; \
    if (b == 0) return a / b; \
    quotient = (a - rest) / b; \
    if (rest != 0 && (rest < 0) != (b < 0)) quotient -= 1; \
    if (quotient == 0) return copysign((T)0, a / b); \
    whole = floor(quotient); \
    return quotient - whole > (T)0.5f ? whole + 1 : whole; \
  }

#define SATURATE_FLOAT(T, F, LOW, HIGH) \
  INLINE T saturate_##T##_##F(F x) { \
    return x != x ? (T)0 : x <= (F)(LOW) ? (T)(LOW) : x >= (F)(HIGH) ? (T)(HIGH) : (T)x; \
  }

#define SATURATE_SIGNED(T, LOW, HIGH) \
  INLINE T saturate_##T##_i64(i64 x) { \
    return x < (i64)(LOW) ? (T)(LOW) : x > (i64)(HIGH) ? (T)(HIGH) : (T)x; \
  }

#define SATURATE_UNSIGNED(T, HIGH) \
  INLINE T saturate_##T##_u64(u64 x) { return x > (u64)(HIGH) ? (T)(HIGH) : (T)x; }

#ifdef HAS_DOUBLE
#define SATURATE_DOUBLE(T, LOW, HIGH) SATURATE_FLOAT(T, double, LOW, HIGH)
#else
#define SATURATE_DOUBLE(T, LOW, HIGH)
#endif
#ifdef HAS_HALF
#define SATURATE_HALF(T, LOW, HIGH) \
  INLINE T saturate_##T##_half(half x) { return saturate_##T##_float((float)x); }
#else
#define SATURATE_HALF(T, LOW, HIGH)
#endif

#define SATURATE_FLOATS(T, LOW, HIGH) \
  SATURATE_FLOAT(T, float, LOW, HIGH) \
  SATURATE_DOUBLE(T, LOW, HIGH) \
  SATURATE_HALF(T, LOW, HIGH) \
  SATURATE_UNSIGNED(T, HIGH)

#define BITS_HELPERS(F, I) \
  INLINE I I##_of_##F##_bits(F x) { \
    union { F from; I to; } both; \
    both.from = x; \
    return both.to; \
  } \
  INLINE F F##_of_##I##_bits(I x) { \
    union { I from; F to; } both; \
    both.from = x; \
    return both.to; \
  }

SIGNED_HELPERS(i8, u8)
SIGNED_HELPERS(i16, u16)
SIGNED_HELPERS(int, u32)
SIGNED_HELPERS(i64, u64)
UNSIGNED_HELPERS(u8)
UNSIGNED_HELPERS(u16)
UNSIGNED_HELPERS(u32)
UNSIGNED_HELPERS(u64)
FLOAT_HELPERS(float)
BITS_HELPERS(float, int)
BITS_HELPERS(float, u32)
#ifdef HAS_DOUBLE
FLOAT_HELPERS(double)
BITS_HELPERS(double, i64)
BITS_HELPERS(double, u64)
#endif
#ifdef HAS_HALF
FLOAT_HELPERS(half)
BITS_HELPERS(half, i16)
BITS_HELPERS(half, u16)
#endif

SATURATE_FLOATS(i8, -128, 127)
SATURATE_SIGNED(i8, -128, 127)
SATURATE_FLOATS(i16, -32768, 32767)
SATURATE_SIGNED(i16, -32768, 32767)
SATURATE_FLOATS(int, -2147483647 - 1, 2147483647)
SATURATE_SIGNED(int, -2147483647 - 1, 2147483647)
SATURATE_FLOATS(i64, -9223372036854775807 - 1, 9223372036854775807)
SATURATE_SIGNED(i64, -9223372036854775807 - 1, 9223372036854775807)
SATURATE_FLOATS(u8, 0, 255)
SATURATE_SIGNED(u8, 0, 255)
SATURATE_FLOATS(u16, 0, 65535)
SATURATE_SIGNED(u16, 0, 65535)
SATURATE_FLOATS(u32, 0, 4294967295u)
SATURATE_SIGNED(u32, 0, 4294967295u)
SATURATE_FLOATS(u64, 0, 18446744073709551615u)
INLINE u64 saturate_u64_i64(i64 x) { return x < 0 ? 0 : (u64)x; }

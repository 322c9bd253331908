"""Half precision on processors that cannot convert it: the functions that LLVM calls instead.

They go by the names of LLVM's run-time library, which is not part of a process. Every module has
them itself; they must not be dropped as unused, because calls appear only in its last stage.
"""

from __future__ import annotations

from collections.abc import Mapping

from dhc.backends.cpu.features import GENERIC, Isa

_EXTEND = """define weak_odr hidden float @__extendhfsf2(half %x) {
  %short = bitcast half %x to i16
  %bits = zext i16 %short to i32
  %size = and i32 %bits, 32767
  %moved = shl i32 %size, 13
  %small = bitcast i32 %moved to float
  %scaled = fmul float %small, 0x46F0000000000000 ; 2^112, the difference of the exponents
  %finite = bitcast float %scaled to i32
  %other = or i32 %moved, 2139095040 ; infinity or NaN
  %special = icmp ugt i32 %size, 31743
  %result = select i1 %special, i32 %other, i32 %finite
  %sign = and i32 %bits, 32768
  %high = shl i32 %sign, 16
  %both = or i32 %result, %high
  %value = bitcast i32 %both to float
  ret float %value
}"""

_TRUNCATE = """define weak_odr hidden half @__truncsfhf2(float %x) {
  %bits = bitcast float %x to i32
  %size = and i32 %bits, 2147483647
  %kept = lshr i32 %size, 13
  %odd = and i32 %kept, 1
  %more = add i32 %size, 4095
  %up = add i32 %more, %odd
  %shifted = sub i32 %up, 939524096 ; 112 << 23, the difference of the exponents
  %normal = lshr i32 %shifted, 13
  %float = bitcast i32 %size to float
  %sum = fadd float %float, 0.5 ; whose last bit is the smallest half number
  %sumbits = bitcast float %sum to i32
  %subnormal = sub i32 %sumbits, 1056964608 ; the bits of 0.5
  %tiny = icmp ult i32 %size, 947912704 ; 2^-14
  %finite = select i1 %tiny, i32 %subnormal, i32 %normal
  %huge = icmp uge i32 %size, 1199570944 ; 2^16
  %bounded = select i1 %huge, i32 31744, i32 %finite
  %nan = icmp ugt i32 %size, 2139095040
  %result = select i1 %nan, i32 32256, i32 %bounded
  %moved = lshr i32 %bits, 16
  %sign = and i32 %moved, 32768
  %both = or i32 %result, %sign
  %short = trunc i32 %both to i16
  %value = bitcast i16 %short to half
  ret half %value
}"""

_CONVERSIONS = {"__extendhfsf2": _EXTEND, "__truncsfhf2": _TRUNCATE}


def half_definitions(text: str, isa: Isa) -> Mapping[str, str]:
    """Returns what a function may call that computes with numbers of half precision."""
    return _CONVERSIONS if isa is GENERIC and "half" in text else {}

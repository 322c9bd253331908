"""Names that generated text must not give to its own values."""

from __future__ import annotations

from collections.abc import Collection

_C_AND_CPP = """
alignas alignof and and_eq asm auto bitand bitor bool break case catch char char8_t char16_t
char32_t class compl concept const consteval constexpr constinit const_cast continue co_await
co_return co_yield decltype default delete do double dynamic_cast else enum explicit export extern
false float for friend goto if inline int long main mutable namespace new noexcept not not_eq
nullptr operator or or_eq private protected public register reinterpret_cast requires restrict
return short signed sizeof static static_assert static_cast std struct switch template this
thread_local throw true try typedef typeid typename typeof union unsigned using virtual void
volatile wchar_t while xor xor_eq
"""

_SYSTEM_VERILOG = """
accept_on alias always always_comb always_ff always_latch assert assign assume automatic before
begin bind bins binsof bit buf bufif0 bufif1 byte casex casez cell chandle checker clocking cmos
config constraint context cover covergroup coverpoint cross deassign defparam design disable dist
edge end endcase endchecker endclass endclocking endconfig endfunction endgenerate endgroup
endinterface endmodule endpackage endprimitive endprogram endproperty endspecify endsequence
endtable endtask event eventually expect extends final first_match force foreach forever fork
forkjoin function generate genvar global highz0 highz1 iff ifnone ignore_bins illegal_bins
implements implies import incdir include initial inout input inside instance integer interconnect
interface intersect join join_any join_none large let liblist library local localparam logic
longint macromodule matches medium modport module nand negedge nettype nexttime nmos nor
noshowcancelled notif0 notif1 null output package packed parameter pmos posedge primitive priority
program property pull0 pull1 pulldown pullup pulsestyle_ondetect pulsestyle_onevent pure rand
randc randcase randsequence rcmos real realtime ref reg reject_on release repeat restrict rnmos
rpmos rtran rtranif0 rtranif1 s_always s_eventually s_nexttime s_until s_until_with scalared
sequence shortint shortreal showcancelled small soft solve specify specparam string strong strong0
strong1 super supply0 supply1 sync_accept_on sync_reject_on table tagged task time timeprecision
timeunit tran tranif0 tranif1 tri tri0 tri1 triand trior trireg type unique unique0 unsigned until
until_with untyped use uwire var vectored wait wait_order wand weak weak0 weak1 wildcard wire with
within wor xnor
"""

_DEVICES_AND_PREAMBLES = """
kernel global local constant private half half2 uchar ushort uint ulong size_t event_t image2d_t
sampler_t float2 float4 float8 float16 int2 int4 long2 threadIdx blockIdx blockDim gridDim
warpSize i8 i16 i32 i64 u8 u16 u32 u64 INFINITY NAN KERNEL OUTPUT INPUT SIZE SHARED BARRIER GROUP
LOCAL INLINE fabs exp log tanh erf sqrt sin cos floor ceil rint trunc pow fma fmod copysign abs
min max
"""

RESERVED = frozenset(f"{_C_AND_CPP} {_SYSTEM_VERILOG} {_DEVICES_AND_PREAMBLES}".split())


def mangle(name: str, taken: Collection[str] = ()) -> str:
    """Returns a C, OpenCL, CUDA and SystemVerilog identifier as close to `name` as can be.

    Args:
        name: What it should be called.
        taken: Identifiers that are in use in the same scope.
    """
    clean = "".join(c if c.isascii() and (c.isalnum() or c == "_") else "_" for c in name)
    clean = f"v{clean}" if not clean or clean[0] in "_0123456789" else clean
    while clean in RESERVED or clean in taken:
        clean += "_"
    return clean

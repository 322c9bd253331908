"""Arguments that mean nothing are errors, not tensors of the wrong size or of no numbers."""

from __future__ import annotations

import pytest

from dhc.errors import DhcError
from dhc.frontend import load_text


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("conv(4, kernel=0)", "'kernel' must be at least 1, not 0"),
        ("conv(4, stride=[1, -2])", "'stride' must be at least 1, not -2"),
        ("conv(4, dilation=0)", "'dilation' must be at least 1, not 0"),
        ("conv(4, pad=-1)", "'pad' must be at least 0, not -1"),
        ("conv_transpose(4, stride=0)", "'stride' must be at least 1, not 0"),
        ("conv_transpose(4, pad=-1)", "'pad' must be at least 0, not -1"),
        ("conv_transpose(4, stride=2, output_pad=2)", "'output_pad' must be less than the stride"),
        ("maxpool(0)", "'size' must be at least 1, not 0"),
        ("maxpool(2, stride=-1)", "'stride' must be at least 1, not -1"),
        ("avgpool(2, pad=-1)", "'pad' must be at least 0, not -1"),
        ("avgpool(2, pad=2)", "Some windows would lie in the padding alone"),
        ("upsample(-2)", "'factor' must be at least 1, not -2"),
        ("split([-1, 5])", "'split' needs parts of at least one element"),
        ("batchnorm(epsilon=-1)", "'epsilon' of 'batchnorm' must be at least 0"),
        ("groupnorm(2, epsilon=-1)", "'epsilon' of 'groupnorm' must be at least 0"),
        ("clip(3, 1)", "'clip' has no values from 3.0 to 1.0"),
        ("cast(i32) -> clip(0.5, 3)", r"'clip' needs whole limits for i32\[N, 4, H, W\]"),
        ("celu(0)", "'celu' divides by 'alpha'"),
    ],
)
def test_an_argument_without_a_meaning_is_refused(layer: str, message: str) -> None:
    text = f"model M() {{ input x: f32[N, 4, H, W] output y = x -> {layer} }}"
    with pytest.raises(DhcError, match=f"1:[0-9]+: .*{message}"):
        load_text(text).model("M")

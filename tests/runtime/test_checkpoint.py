"""A checkpoint is read back bit for bit, or refused with a reason; it is never half written."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of
from safetensors.numpy import save

from dhc.errors import DhcError
from dhc.ir.graph import Array
from dhc.ir.types import DType, from_bits
from dhc.runtime.checkpoint import Checkpoint, read_checkpoint, write_checkpoint

SAMPLE = Checkpoint({"conv.w": np.arange(6, dtype=np.float32).reshape(2, 3)}, {"step": 7})


def _message(path: Path) -> str:
    with pytest.raises(DhcError) as caught:
        read_checkpoint(path)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "checkpoint"
    assert diagnostic.message.endswith(".")
    return diagnostic.message


def _returned(path: Path, checkpoint: Checkpoint) -> Checkpoint:
    write_checkpoint(path, checkpoint)
    return read_checkpoint(path)


def _check_same(found: Array, expected: Array) -> None:
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    assert found.tobytes() == expected.tobytes()


# ---- what is kept --------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DType)
def test_every_element_type_is_kept_bit_for_bit(tmp_path: Path, dtype: DType) -> None:
    bits = np.random.default_rng(0).integers(0, 256, 24 * 8).astype(np.uint8)
    array = bits[: 24 * dtype.numpy.itemsize].view(dtype.numpy).reshape(2, 3, 4)
    array = bits[:24].reshape(2, 3, 4) > 127 if dtype is DType.BOOL else array
    found = _returned(tmp_path / "a.ckpt", Checkpoint({"x": array}, {}))
    _check_same(from_bits(found.arrays["x"], dtype), array)


def test_payloads_of_nans_are_kept(tmp_path: Path) -> None:
    """Quiet and signalling ones, of both signs, infinities and minus zero."""
    bits = np.array([0x7FC00001, 0x7F800001, 0xFFC12345, 0xFFFFFFFF, 0x7F800000, 1 << 31], "u4")
    found = _returned(tmp_path / "a.ckpt", Checkpoint({"x": bits.view(np.float32)}, {}))
    np.testing.assert_array_equal(found.arrays["x"].view("u4"), bits)


@settings(max_examples=30, deadline=None)
@given(
    arrays_of.arrays(
        st.sampled_from(["f4", "f8", "i8", "u1", "?"]),
        arrays_of.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4),
    )
)
def test_every_shape_is_kept(tmp_path_factory: pytest.TempPathFactory, array: Array) -> None:
    path = tmp_path_factory.mktemp("shapes") / "a.ckpt"
    _check_same(_returned(path, Checkpoint({"x": array}, {})).arrays["x"], array)


@pytest.mark.parametrize("view", ["column order", "strided", "other byte order"])
def test_how_an_array_lies_in_memory_does_not_matter(tmp_path: Path, view: str) -> None:
    plain = np.arange(12, dtype=np.int32).reshape(3, 4)
    views = {
        "column order": np.asfortranarray(plain),
        "strided": np.repeat(plain, 2, axis=1)[:, ::2],
        "other byte order": plain.astype(plain.dtype.newbyteorder()),
    }
    _check_same(
        _returned(tmp_path / "a.ckpt", Checkpoint({"x": views[view]}, {})).arrays["x"], plain
    )


@settings(max_examples=30, deadline=None)
@given(
    st.dictionaries(
        st.text(),
        st.floats(allow_nan=False)
        | st.integers()
        | st.text()
        | st.none()
        | st.lists(st.booleans()),
    )
)
def test_the_state_is_kept(
    tmp_path_factory: pytest.TempPathFactory, state: dict[str, object]
) -> None:
    path = tmp_path_factory.mktemp("states") / "a.ckpt"
    assert _returned(path, Checkpoint({}, state)).state == state


def test_arrays_can_be_written_to(tmp_path: Path) -> None:
    assert _returned(tmp_path / "a.ckpt", SAMPLE).arrays["conv.w"].flags.writeable


def test_the_same_checkpoint_is_the_same_bytes_in_every_process(tmp_path: Path) -> None:
    script = (
        "import sys, numpy as np; from pathlib import Path\n"
        "from dhc.runtime.checkpoint import Checkpoint, write_checkpoint\n"
        "arrays = {f'w{k}': np.full(3, k, np.float32) for k in range(9)}\n"
        "write_checkpoint(Path(sys.argv[1]), Checkpoint(arrays, {'step': 1, 'epoch': 2}))\n"
    )
    for k in range(4):
        command = [sys.executable, "-c", script, str(tmp_path / f"{k}.ckpt")]
        subprocess.run(command, check=True, env={**os.environ, "PYTHONHASHSEED": str(k)})
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 1


# ---- atomic --------------------------------------------------------------------------------------


def test_a_crash_before_the_renaming_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.ckpt"
    write_checkpoint(path, SAMPLE)

    def crash(*_: object) -> None:
        raise OSError(5, "Input/output error")

    for function in ("replace", "fsync"):
        with monkeypatch.context() as patch:
            patch.setattr(os, function, crash)
            with pytest.raises(OSError, match=r"a\.ckpt"):
                write_checkpoint(path, Checkpoint({}, {"step": 8}))
        assert read_checkpoint(path).state == {"step": 7}
        assert [p.name for p in tmp_path.iterdir()] == ["a.ckpt"]


def test_what_is_renamed_has_reached_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (calls.append("fsync"), fsync(fd)))
    monkeypatch.setattr(os, "replace", lambda a, b: (calls.append("replace"), replace(a, b)))
    write_checkpoint(tmp_path / "a.ckpt", SAMPLE)
    assert calls == ["fsync", "replace"]


# ---- damage --------------------------------------------------------------------------------------


def test_every_changed_byte_is_found(tmp_path: Path) -> None:
    """Even one in a name, a shape, the state or the digest itself."""
    path = tmp_path / "a.ckpt"
    write_checkpoint(path, SAMPLE)
    content = path.read_bytes()
    for place in range(len(content)):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        _message(path)


def test_every_truncation_is_found(tmp_path: Path) -> None:
    path = tmp_path / "a.ckpt"
    write_checkpoint(path, SAMPLE)
    content = path.read_bytes()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        assert "cannot be read" in _message(path)


def test_damage_is_called_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "a.ckpt"
    write_checkpoint(path, SAMPLE)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert "damaged: its digest differs" in _message(path)


# ---- hostile files -------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 1 << 20, 100_000_001, (1 << 63) - 1, (1 << 64) - 1])
def test_header_sizes_that_lie(tmp_path: Path, size: int) -> None:
    (tmp_path / "a.ckpt").write_bytes(struct.pack("<Q", size) + b"{}" + bytes(50))
    assert "cannot be read" in _message(tmp_path / "a.ckpt")


@pytest.mark.parametrize(
    "tensor",
    [
        {"dtype": "F32", "shape": [1 << 62], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [1 << 62, 1 << 62], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [1], "data_offsets": [0, 1 << 60]},
        {"dtype": "F32", "shape": [1], "data_offsets": [4, 0]},
        {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]},
        {"dtype": "O", "shape": [1], "data_offsets": [0, 4]},
        {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]},
        {"dtype": "F8_E4M3", "shape": [4], "data_offsets": [0, 4]},
        [],
    ],
)
def test_headers_that_lie(tmp_path: Path, tensor: object) -> None:
    header = json.dumps({"x": tensor}).encode()
    (tmp_path / "a.ckpt").write_bytes(struct.pack("<Q", len(header)) + header + bytes(4))
    _message(tmp_path / "a.ckpt")


@pytest.mark.parametrize("content", [b"", b"text", b"\x80\x04\x95", b"[" * 100_000])
def test_what_is_no_checkpoint(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.ckpt").write_bytes(content)
    assert "cannot be read" in _message(tmp_path / "a.ckpt")


@pytest.mark.parametrize("entry", ["", "[]", "[" * 100_000, "1" * 5000, '{"format": 3}'])
def test_other_safetensors_are_no_checkpoints(tmp_path: Path, entry: str) -> None:
    (tmp_path / "a.ckpt").write_bytes(save(dict(SAMPLE.arrays), {"checkpoint": entry}))
    assert "this version reads 'dhc checkpoint 1'" in _message(tmp_path / "a.ckpt")


def test_weights_alone_are_no_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "a.ckpt").write_bytes(save(dict(SAMPLE.arrays)))
    assert "'no checkpoint of dhc'" in _message(tmp_path / "a.ckpt")


def test_other_versions_are_named(tmp_path: Path) -> None:
    entry = json.dumps({"format": "dhc checkpoint 9"})
    (tmp_path / "a.ckpt").write_bytes(save(dict(SAMPLE.arrays), {"checkpoint": entry}))
    assert "is 'dhc checkpoint 9'" in _message(tmp_path / "a.ckpt")


def test_what_is_missing_or_no_file(tmp_path: Path) -> None:
    assert "there is no such file" in _message(tmp_path / "a.ckpt")
    assert "there is no such file" in _message(tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="pipes of POSIX systems")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.ckpt")
    assert "there is no such file" in _message(tmp_path / "a.ckpt")

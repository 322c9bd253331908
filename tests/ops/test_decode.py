"""Generation, held to a search through all sequences of a tiny vocabulary."""

from __future__ import annotations

import numpy as np
import pytest

from dhc.backends.base import Target
from dhc.driver import compile_graph
from dhc.errors import DhcError
from dhc.frontend import load_text
from dhc.ir.graph import Array
from dhc.runtime.program import Program

WORDS, START, END = 4, 0, 1
F64 = Target("reference", precision="f64")
TEXT = """
block speak() {
    input word: i64[N]
    input h: f32[N, H]
    h2 = gru_cell(word -> embedding(4, 5), h)
    output logits = h2 -> dense(4)
    output h2
}
share voice = speak()

model Said() {
    input h: f32[N, 6]
    words, score = h -> decode(voice, start=0, end=1, SETTINGS)
    output words
    output score
}

model Step() {
    input word: i64[N]
    input h: f32[N, 6]
    logits, h2 = voice(word, h)
    output logits = logits -> log_softmax()
    output h2 = h2 -> linear()
}
"""
Spoken = dict[tuple[int, ...], float]


def _weights(params: dict[str, Array]) -> dict[str, Array]:
    random = np.random.default_rng(4)
    return {
        path: (random.normal(size=value.shape) * 1.5).astype(np.float32)
        for path, value in sorted(params.items())
    }


def program(name: str, settings: str = "length=1", target: Target = F64) -> Program:
    graph = load_text(TEXT.replace("SETTINGS", settings)).model(name).graph
    shapes = {p.path: np.zeros(p.type.static_shape) for p in graph.params}
    return compile_graph(graph, target, parameters=_weights(shapes))


def state(batch: int = 3) -> Array:
    return np.random.default_rng(1).normal(size=(batch, 6)).astype(np.float32)


def all_beginnings(h: Array, length: int) -> list[Spoken]:
    """The log-probabilities of all that can be said in 0, 1, ... words; after the end the end."""
    step = program("Step")
    found: list[Spoken] = [{(): 0.0}]
    states = {(): h[0]}
    for _ in range(length):
        before, totals = list(states), {}
        given = np.array([words[-1] if words else START for words in before])
        result = step(word=given, h=np.stack([states[words] for words in before]))
        following = {}
        for row, words in enumerate(before):
            done = END in words
            for word in (END,) if done else range(WORDS):
                gain = 0.0 if done else float(result["logits"][row, word])
                totals[(*words, word)] = found[-1][words] + gain
                following[(*words, word)] = result["h2"][row].astype(np.float32)
        states = following
        found.append(totals)
    return found


def normalised(words: tuple[int, ...], total: float, penalty: float) -> float:
    count = words.index(END) + 1 if END in words else len(words)
    return total / ((5 + count) / 6) ** penalty


def searched(said: list[Spoken], beam: int, penalty: float) -> tuple[int, ...]:
    """The same search, written down as lists of beginnings."""
    kept: list[tuple[int, ...]] = [()]
    for totals in said[1:]:
        candidates = [words for words in totals if words[:-1] in kept]
        kept = sorted(candidates, key=lambda words: -totals[words])[:beam]
    return max(kept, key=lambda words: normalised(words, said[-1][words], penalty))


@pytest.mark.parametrize(("beam", "penalty"), [(1, 0.0), (2, 0.0), (3, 0.0), (4, 1.0), (4, 3.0)])
def test_a_search_finds_what_a_search_through_lists_finds(beam: int, penalty: float) -> None:
    settings = f"length=4, beam={beam}, length_penalty={penalty}"
    said = program("Said", settings)
    for number in range(3):
        h = state()[number : number + 1]
        beginnings = all_beginnings(h, 4)
        found = said(h=h)
        words = tuple(int(word) for word in found["words"][0])
        assert words == searched(beginnings, beam, penalty)
        expected = normalised(words, beginnings[-1][words], penalty)
        np.testing.assert_allclose(found["score"][0], expected, rtol=1e-6)


def test_a_wide_beam_finds_the_best_sentence_of_all() -> None:
    said = program("Said", "length=2, beam=4, length_penalty=2")
    for number in range(3):
        h = state()[number : number + 1]
        sentences = all_beginnings(h, 2)[-1]
        best = max(sentences, key=lambda words: normalised(words, sentences[words], 2))
        assert tuple(said(h=h)["words"][0]) == best


def test_samples_of_a_batch_do_not_meet() -> None:
    said = program("Said", "length=4, beam=3")
    together = said(h=state())["words"]
    alone = [said(h=state()[k : k + 1])["words"][0] for k in range(3)]
    np.testing.assert_array_equal(together, alone)
    assert len({tuple(words) for words in together}) > 1


def test_after_the_end_only_the_end_follows() -> None:
    words = program("Said", "length=6, beam=3")(h=state(8))["words"]
    ended = np.maximum.accumulate(words == END, axis=1)
    assert ended.any()
    assert not ended.all()
    np.testing.assert_array_equal(words[ended], END)


@pytest.mark.parametrize(
    "target",
    [
        Target("cpu"),
        *(
            pytest.param(target, marks=pytest.mark.slow)
            for target in (
                Target("cpu", options={"engine": "numba"}),
                Target("opencl"),
                Target("cuda", options={"device": "shim"}),
                Target("fpga"),
            )
        ),
    ],
    ids=["cpu", "numba", "opencl", "cuda", "fpga"],
)
def test_every_backend_says_the_same(target: Target) -> None:
    settings = "length=3, beam=2, length_penalty=1"
    expected = program("Said", settings)(h=state())
    found = program("Said", settings, target)(h=state())
    np.testing.assert_array_equal(found["words"], expected["words"])
    np.testing.assert_allclose(found["score"], expected["score"], rtol=1e-5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("decode(voice, start=0, end=4, length=3)", "the start and the end are among them"),
        ("decode(voice, start=0, end=1, length=0)", "a length and a beam of at least 1"),
        ("decode(voice, start=0, end=1, length=2, beam=5)", "cannot keep 5 hypotheses of 4 words"),
        ("decode(3, start=0, end=1, length=2)", "must be a block, not the number 3"),
        ("decode(relu(), start=0, end=1, length=2)", "'relu' takes"),
    ],
)
def test_mistakes(call: str, message: str) -> None:
    text = (
        TEXT.split("model")[0]
        + f"model M() {{ input h: f32[N, 6] words, s = h -> {call} output words }}"
    )
    with pytest.raises(DhcError, match=message):
        load_text(text).model("M")

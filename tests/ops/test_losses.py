"""Losses against formulas written out in numpy, and their gradients where networks begin."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, log_softmax

from dhc.ir.graph import Array, Graph, Input, Node
from dhc.ir.types import Tensor, dtype_of
from dhc.ops.base import Operator, TypeRuleError, run
from dhc.ops.loss import BinaryCrossEntropy, CrossEntropy, Hinge, Huber
from dhc.ops.reduce import ReduceSum
from dhc.passes.autodiff import differentiate

RANDOM = np.random.default_rng(3)
LOGITS = RANDOM.normal(0, 3, (6, 4))
NUMBERS = np.array([0, 3, 1, 1, 2, 0])


def _nodes(*arrays: Array) -> list[Node]:
    return [Input(f"x{k}", Tensor(dtype_of(a), a.shape))() for k, a in enumerate(arrays)]


def _value(loss: Operator, *arrays: Array) -> Array:
    values = {f"x{k}": array for k, array in enumerate(arrays)}
    return np.asarray(run([loss(*_nodes(*arrays))], values)[0])


def _slope(loss: Operator, *arrays: Array) -> Array:
    """The gradient of the sum for the first operand."""
    nodes = _nodes(*arrays)
    total = ReduceSum()(loss(*nodes))
    found = differentiate(Graph("g", tuple(nodes), (("y", total),)), total, nodes[:1]).values[0]
    assert found is not None
    return np.asarray(run([found], {f"x{k}": array for k, array in enumerate(arrays)})[0])


def test_cross_entropy_of_class_numbers() -> None:
    expected = -log_softmax(LOGITS, 1)[np.arange(6), NUMBERS]
    np.testing.assert_allclose(_value(CrossEntropy(), LOGITS, NUMBERS), expected, rtol=1e-12)


def test_cross_entropy_of_probabilities_is_that_of_class_numbers_for_one_hot() -> None:
    truth = np.eye(4)[NUMBERS]
    expected = _value(CrossEntropy(), LOGITS, NUMBERS)
    np.testing.assert_allclose(_value(CrossEntropy(), LOGITS, truth), expected, rtol=1e-12)


def test_cross_entropy_with_weights_divides_by_their_sum() -> None:
    weights = np.array([0.5, 2.0, 1.0, 3.0])
    each = -log_softmax(LOGITS, 1)[np.arange(6), NUMBERS] * weights[NUMBERS]
    expected = each.sum() / weights[NUMBERS].sum()
    found = _value(CrossEntropy(tuple(weights)), LOGITS, NUMBERS)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_ignored_samples_count_neither_above_nor_below_the_line() -> None:
    kept = NUMBERS != 1
    expected = -log_softmax(LOGITS, 1)[np.arange(6), NUMBERS][kept].mean()
    found = _value(CrossEntropy(ignore_index=1), LOGITS, NUMBERS)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_smoothed_labels() -> None:
    truth = 0.9 * np.eye(4)[NUMBERS] + 0.1 / 4
    expected = -(truth * log_softmax(LOGITS, 1)).sum(1)
    found = _value(CrossEntropy(label_smoothing=0.1), LOGITS, NUMBERS)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_cross_entropy_of_pixels() -> None:
    logits, truth = RANDOM.normal(size=(2, 3, 4, 5)), RANDOM.integers(0, 3, (2, 4, 5))
    expected = -np.take_along_axis(log_softmax(logits, 1), truth[:, None], 1)[:, 0]
    np.testing.assert_allclose(_value(CrossEntropy(), logits, truth), expected, rtol=1e-12)


def test_one_weight_for_each_class() -> None:
    with pytest.raises(TypeRuleError, match="2 weights for 4 classes"):
        _value(CrossEntropy((1.0, 2.0)), LOGITS, NUMBERS)


@pytest.mark.parametrize("weight", [1.0, 3.5])
def test_binary_cross_entropy_of_logits_is_stable(weight: float) -> None:
    logits = np.array([-800.0, -30.0, -1.0, 0.0, 1.0, 30.0, 800.0])
    for truth in (np.zeros(7), np.ones(7), np.full(7, 0.3)):
        yes, no = np.logaddexp(0, -logits), np.logaddexp(0, logits)
        found = _value(BinaryCrossEntropy(pos_weight=weight), logits, truth)
        np.testing.assert_allclose(found, weight * truth * yes + (1 - truth) * no, 1e-12, 1e-14)


@pytest.mark.parametrize("truth", [0.0, 0.25, 1.0])
def test_binary_cross_entropy_has_no_kink_where_networks_begin(truth: float) -> None:
    """A last layer of zeros gives logits of exactly 0; the gradient there is sigmoid - truth."""
    logits = np.array([0.0, 1e-9, -1e-9, 2.0])
    found = _slope(BinaryCrossEntropy(), logits, np.full(4, truth))
    np.testing.assert_allclose(found, expit(logits) - truth, rtol=1e-12)


def test_probabilities_of_0_and_1_cost_much_but_not_everything() -> None:
    found = _value(BinaryCrossEntropy("probabilities"), np.array([0.0, 1.0]), np.array([1.0, 0.0]))
    np.testing.assert_allclose(found, -np.log(1e-12), rtol=1e-3)


def test_huber_is_a_parabola_with_straight_arms() -> None:
    difference = np.array([0.0, 1.0, 2.0, -5.0])
    found = _value(Huber(2.0), difference, np.zeros(4))
    np.testing.assert_allclose(found, [0, 0.5, 2.0, 2 * (5 - 1)])


def test_hinge_takes_0_and_1() -> None:
    found = _value(Hinge(), np.array([0.5, 0.5, 3.0]), np.array([1.0, 0.0, 1.0]))
    np.testing.assert_allclose(found, [0.5, 1.5, 0.0])


@pytest.mark.parametrize("dtype", [np.int64, np.uint8])
def test_a_number_that_is_no_class_is_no_silent_zero(dtype: type[np.integer]) -> None:  # type: ignore[type-arg]
    numbers = np.array([0, 4, 1, 255, 2, 0]).astype(dtype)
    assert list(np.isnan(_value(CrossEntropy(), LOGITS, numbers))) == [0, 1, 0, 1, 0, 0]
    assert np.isnan(_value(CrossEntropy(ignore_index=4), LOGITS, numbers))
    numbers[3] = 4
    assert np.isfinite(_value(CrossEntropy(ignore_index=4), LOGITS, numbers))


def test_a_number_to_ignore_need_not_fit_the_truth() -> None:
    expected = _value(CrossEntropy(), LOGITS, NUMBERS).mean()
    found = _value(CrossEntropy(ignore_index=-1), LOGITS, NUMBERS.astype(np.uint8))
    np.testing.assert_allclose(found, expected, rtol=1e-12)

"""The tracer-kinetic model of CT perfusion keeps its laws."""

from __future__ import annotations

import numpy as np
import pytest

from dhc.runtime.synthetic.kinetics import (
    DENSITY,
    HEMATOCRIT,
    STEP,
    arterial_input,
    gamma_variate,
    residue,
    response,
    tissue_enhancement,
)

TIME = np.arange(0, 300, STEP)
ARTERY = arterial_input(TIME, arrival=6, height=300, scale=1.5)


def _tissue(flow: float, volume: float, delay: float = 0) -> np.ndarray:  # type: ignore[type-arg]
    fields = (np.full((1, 1), value) for value in (flow, volume, delay))
    return tissue_enhancement(ARTERY, *fields, TIME)[:, 0, 0]


def test_a_bolus_is_highest_at_its_shape_times_its_scale() -> None:
    bolus = gamma_variate(TIME, 6, 3, 1.5)
    assert TIME[bolus.argmax()] == 6 + 3 * 1.5
    assert bolus.max() == 1
    assert not bolus[TIME <= 6].any()


def test_the_response_to_an_instant_is_the_residue() -> None:
    instant = np.zeros(len(TIME))
    instant[40] = 1 / STEP
    found = response(instant, 5.0)
    assert not found[:40].any()
    np.testing.assert_allclose(found[41:], residue(TIME[41:] - TIME[40], 5.0), rtol=1e-9)


@pytest.mark.parametrize(("flow", "volume"), [(60.0, 4.0), (22.0, 2.0), (9.0, 2.2)])
def test_areas_give_the_volume(flow: float, volume: float) -> None:
    """The central volume theorem: the tissue's area is the artery's times the volume."""
    share = _tissue(flow, volume).sum() / ARTERY.sum()
    assert share == pytest.approx(volume * DENSITY / (HEMATOCRIT * 100), rel=2e-3)


def test_the_steepest_rise_gives_the_flow() -> None:
    """While nothing has left the tissue, it rises by flow times the artery (Mullani and Gould)."""
    flow, transit = 20.0, 40.0  # s; hardly anything leaves
    rise = np.diff(_tissue(flow, flow * transit / 60)).max() / STEP
    assert rise == pytest.approx(flow * DENSITY / (HEMATOCRIT * 6000) * 300, rel=0.08)


def test_a_delay_shifts_the_curve() -> None:
    np.testing.assert_allclose(_tissue(60, 4, delay=2)[8:], _tissue(60, 4)[:-8], atol=1e-9)


def test_no_flow_no_enhancement() -> None:
    assert not _tissue(0, 0).any()

"""How a bolus of contrast agent passes through tissue: the tracer-kinetic model of CT perfusion.

The enhancement of tissue is the flow into it, times the arterial enhancement convolved with the
share of the agent that is still there after some time (Meier and Zierler, J. Appl. Physiol. 6
(1954) 731; Ostergaard et al., Magn. Reson. Med. 36 (1996) 715). Enhancement is in Hounsfield
units, which are proportional to the concentration of iodine.
"""

from __future__ import annotations

import math

import numpy as np

from dhc.runtime.synthetic.draws import Field

DENSITY = 1.04  # g of brain in a ml
HEMATOCRIT = 0.73  # (1 - 0.45) / (1 - 0.25): plasma in large vessels against that in capillaries
PER_SECOND = DENSITY / (HEMATOCRIT * 100 * 60)  # of ml / 100 g / min
STEP = 0.25  # s; of the numerical convolution
SHORTEST, LONGEST, TRANSITS = 1.0, 40.0, 48  # s; mean transit times for which curves are computed


def gamma_variate(time: Field, arrival: float, shape: float, scale: float) -> Field:
    """Returns a bolus of height 1 (Thompson et al., Circ. Res. 14 (1964) 502).

    Args:
        time: Seconds.
        arrival: When it begins, in s.
        shape: How steep it rises; it is highest at arrival + shape * scale.
        scale: How slowly it falls, in s.
    """
    since = np.maximum(time - arrival, 0) / (shape * scale)
    return np.asarray((since * np.exp(1 - since)) ** shape)


def arterial_input(time: Field, arrival: float, height: float, scale: float) -> Field:
    """Returns the enhancement of an artery in HU: the bolus, and what comes round again.

    Args:
        time: Seconds.
        arrival: When the bolus comes, in s.
        height: Of its peak, in HU.
        scale: How slowly it falls, in s.
    """
    first = gamma_variate(time, arrival, 3, scale)
    second = gamma_variate(time, arrival + 8 * scale, 3, 2.2 * scale)
    return height * (first + 0.16 * second)


def residue(time: Field, transit: float) -> Field:
    """Returns the share of the agent that is still in a well-mixed tissue.

    Args:
        time: Seconds since it came in.
        transit: The mean transit time in s.
    """
    return np.where(time >= 0, np.exp(-np.maximum(time, 0) / transit), 0)


def tissue_enhancement(
    artery: Field, flow: Field, volume: Field, delay: Field, frames: Field
) -> Field:
    """Returns the enhancement of each pixel over time.

    The mean transit time is volume over flow. Curves of one transit time differ by a factor alone,
    so they are computed for `TRANSITS` times and looked up between them.

    Args:
        artery: [S] enhancement of the artery in HU, every `STEP` seconds.
        flow: [H, W] ml / 100 g / min.
        volume: [H, W] ml / 100 g.
        delay: [H, W] seconds from the artery to the tissue.
        frames: [T] when images are taken, in s.

    Returns:
        [T, H, W] in HU.
    """
    transit = 60 * np.maximum(volume, 1e-6) / np.maximum(flow, 1e-5)
    logarithm = np.log(np.clip(transit, SHORTEST, LONGEST))
    low, high = math.log(SHORTEST), math.log(LONGEST)
    curves = np.stack([response(artery, math.exp(t)) for t in np.linspace(low, high, TRANSITS)])
    which = (logarithm - low) / (high - low) * (TRANSITS - 1)
    found = [between(curves, which, (moment - delay) / STEP) for moment in frames.tolist()]
    return PER_SECOND * flow * np.stack(found)


def response(artery: Field, transit: float) -> Field:
    """Returns [S], the artery convolved with the residue, in HU s; trapezoids of `STEP` seconds."""
    kept = residue(np.arange(len(artery), dtype=np.float64) * STEP, transit)
    whole = np.convolve(artery, kept)[: len(artery)]
    return np.asarray((whole - (artery * kept[0] + artery[0] * kept) / 2) * STEP)


def between(table: Field, row: Field, column: Field) -> Field:
    """Returns what stands between the entries of a table, linear in both; its edges go on."""
    rows, columns = table.shape
    down, across = np.clip(row, 0, rows - 1), np.clip(column, 0, columns - 1)
    i = np.minimum(down.astype(np.int64), rows - 2)
    j = np.minimum(across.astype(np.int64), columns - 2)
    u, v = down - i, across - j
    upper = (1 - v) * table[i, j] + v * table[i, j + 1]
    lower = (1 - v) * table[i + 1, j] + v * table[i + 1, j + 1]
    return np.asarray((1 - u) * upper + u * lower)

"""HDR luma converted to SDR: faces keep the contrast of the pictures that models were trained on.

PQ (SMPTE ST 2084) and HLG (ARIB STD-B67) code the same gray much darker and with less contrast than SDR. Their
curves are inverted (ITU-R BT.2100-2, tables 4 and 5), and the light is coded with the display curve of SDR (ITU-R
BT.1886, exponent 2.4), with HDR's reference white of 203 cd/m2 (ITU-R BT.2408) as SDR's white. Brighter values are
clipped: they are highlights, rarely skin. Chroma is not changed: only the detector uses it, and is not
sensitive to it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from av.video.reformatter import ColorTrc

_WHITE_NITS = 203.0
_PQ_PEAK_NITS = 10_000.0
_HLG_WHITE = 0.75
"""Signal of reference white (BT.2408); 203 cd/m2 on a display of 1000 cd/m2."""
_HLG_SYSTEM_GAMMA = 1.2
"""Of a display of 1000 cd/m2 (BT.2100-2, table 5)."""
_SDR_EXPONENT = 2.4


def sdr_luma_table(transfer: int) -> npt.NDArray[np.uint8] | None:
    """A table from 8-bit limited-range luma with an HDR curve to that of SDR; None: the curve is not an HDR curve.

    Args:
        transfer: ITU-T H.273 transfer characteristics, as in `av.VideoFrame.color_trc`.

    Returns:
        uint8 (256,), 16-235 in and out.
    """
    if transfer not in (ColorTrc.SMPTE2084, ColorTrc.ARIB_STD_B67):
        return None
    signal = np.clip((np.arange(256) - 16) / 219, 0, 1)
    if transfer == ColorTrc.SMPTE2084:
        light = _pq_nits(signal) / _WHITE_NITS
    else:
        light = (_hlg_scene(signal) / _hlg_scene(np.array(_HLG_WHITE))) ** _HLG_SYSTEM_GAMMA
    sdr = np.clip(light, 0, 1) ** (1 / _SDR_EXPONENT)
    return np.round(16 + 219 * sdr).astype(np.uint8)


def _pq_nits(signal: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    # Names and values as in BT.2100-2, table 4; in `_hlg_scene` as in table 5.
    m1, m2 = 2610 / 16384, 2523 / 4096 * 128
    c1, c2, c3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
    root = signal ** (1 / m2)
    return _PQ_PEAK_NITS * (np.maximum(root - c1, 0) / (c2 - c3 * root)) ** (1 / m1)


def _hlg_scene(signal: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Scene light, 1 at full signal."""
    a = 0.17883277
    b, c = 1 - 4 * a, 0.5 - a * np.log(4 * a)
    return np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)

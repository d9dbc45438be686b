"""Decoding on a device (NVDEC, VAAPI, VideoToolbox), where it gives the pixels of the software decoder.

Software is the reference, and results do not depend on the machine. So a device decodes only codecs whose specification
defines each pixel (H.264, HEVC, VP8, VP9), in pixel formats that come back with the same samples. MPEG-2, MPEG-4 and
MJPEG leave the rounding of their transform to the decoder. What a device cannot do, software does, with a warning.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import av
import av.codec.codec
import av.video.codeccontext

from ferflow.options import HwaccelName

if TYPE_CHECKING:
    from av.codec.hwaccel import HWAccel

EXACT_CODECS = frozenset({"h264", "hevc", "vp8", "vp9"})

# What devices give for what the software decoder gives: the same samples in another order.
_DEVICE_FORMATS = {"yuv420p": "nv12", "yuvj420p": "nv12", "yuv420p10le": "p010le"}

_ADVICE = "leave --hwaccel out for such files"


class NotOnDeviceError(Exception):
    """A stream that no device decodes: why, and what to do."""

    def __init__(self, why: str, advice: str = _ADVICE) -> None:
        super().__init__(why)
        self.why, self.advice = why, advice


@dataclass(slots=True)
class Hardware:
    """Which device decodes a stream; if none does although one was wanted, why."""

    wanted: HwaccelName = "none"
    device: str | None = None
    """Decodes now; None: software does."""
    warning: str | None = None
    """One line: why software decodes, and what to do."""
    _earlier: str | None = None

    @property
    def used(self) -> str | None:
        """The device that decoded, all of the stream or the part before `warning`; None: software alone."""
        return self.device or self._earlier

    def leave(self, error: NotOnDeviceError, *, n_decoded: int = 0) -> None:
        """From now on, software decodes."""
        if n_decoded:
            self._earlier = self.device
        self.device = None
        part = "its rest" if n_decoded else "the video"
        self.warning = f"hwaccel {self.wanted}: {error.why}; software decoded {part}; {error.advice}"

    def leave_after(self, n_decoded: int) -> None:
        """As `leave`, since a device failed, gave a damaged frame, or one in a format that is not expected."""
        where = f"stopped after {n_decoded} frames" if n_decoded else "gave no frame that can be used"
        self.leave(
            NotOnDeviceError(f"{self.device} {where} (damage, or a kind of picture that it cannot decode)"),
            n_decoded=n_decoded,
        )


def find_devices(codec: av.codec.codec.Codec, pix_fmt: str, wanted: HwaccelName) -> list[str]:
    """Kinds of devices for which FFmpeg has a decoder, best first; whether this machine has one is not known yet.

    Args:
        codec: of the software decoder.
        pix_fmt: what the software decoder gives.
        wanted: `auto`, or a kind of device.

    Raises:
        NotOnDeviceError: there is none, or it would not give the same pixels.
    """
    if not hasattr(codec, "hardware_configs"):
        raise NotOnDeviceError("the installed PyAV cannot use devices", "install PyAV 18 or later")
    if codec.name not in EXACT_CODECS or pix_fmt not in _DEVICE_FORMATS:
        raise NotOnDeviceError(f"a device need not give the same pixels for {codec.name} with {pix_fmt}")
    known = [config.device_type.name for config in codec.hardware_configs if config.is_supported]
    if not known:
        raise NotOnDeviceError(f"the installed FFmpeg has no device for {codec.name}", "leave --hwaccel out")
    if wanted != "auto" and wanted not in known:
        advice = f"there is {', '.join(known)}: choose it, or leave --hwaccel out"
        raise NotOnDeviceError(f"the installed FFmpeg decodes no {codec.name} with it", advice)
    return known if wanted == "auto" else [wanted]


def device_settings(device: str) -> HWAccel:
    """What PyAV needs to decode on a device; frames come back to the memory of the CPU."""
    from av.codec.hwaccel import HWAccel

    # PyAV's own way back to software is silent.
    return HWAccel(device, allow_software_fallback=False)


def no_device(kinds: list[str]) -> NotOnDeviceError:
    """None of these kinds could be opened."""
    return NotOnDeviceError(
        f"no {' or '.join(kinds)} device could be opened on this machine",
        "install its driver, or leave --hwaccel out",
    )


def is_as_expected(
    picture: av.VideoFrame, context: av.video.codeccontext.VideoCodecContext, pix_fmt: str
) -> bool:
    """Whether a picture of a device has the samples of the software decoder, which gives `pix_fmt`.

    A picture that is cropped at its left or upper edge comes back without this crop, in another size.
    """
    return picture.format.name == _DEVICE_FORMATS[pix_fmt] and (picture.width, picture.height) == (
        context.width,
        context.height,
    )

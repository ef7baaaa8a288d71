"""The container image, really built from the Dockerfile without a Docker daemon, and its commands run in it as its user.

Needs root and buildah. Where no registry of images can be reached, the base image is made of Debian's own packages (debootstrap):
the same Python 3.11 on the same Debian release, under the name that the Dockerfile asks for.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from cloud.compute import PROCESSOR

BASE, RELEASE, NAME = "docker.io/library/python:3.11-slim", "bookworm", "localhost/predict-age:test"
PACKAGES = "python3,python3-pip,python3-venv,ca-certificates"
BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
STORAGE = ("STORAGE_DRIVER=vfs", "BUILDAH_ISOLATION=chroot")
TASK = "/task"
CLEAN = ("PATH", "HOME", "LANG", "http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")


class UnavailableError(Exception):
    """Images cannot be built here: why."""


def buildah(*arguments: str, check: bool = True, timeout: int = 1200) -> subprocess.CompletedProcess[str]:
    """A buildah command. Raises UnavailableError with the end of what it said."""
    environment = dict(setting.split("=") for setting in STORAGE)
    environment |= {name: os.environ[name] for name in CLEAN if name in os.environ}
    done = subprocess.run(["buildah", *arguments], capture_output=True, text=True, timeout=timeout, env=environment, check=False)
    if check and done.returncode:
        raise UnavailableError(f"buildah {arguments[0]}: {(done.stderr or done.stdout).strip()[-2000:]}")
    return done


def build(project: Path, folder: Path) -> str:
    """Build the image of ``project`` with ``folder`` as working space; returns its name."""
    if os.geteuid() or not shutil.which("buildah"):
        raise UnavailableError("building the image needs root and buildah (apt-get install buildah debootstrap crun)")
    if buildah("inspect", "--type", "image", BASE, check=False).returncode:
        pulled = buildah("pull", BASE, check=False, timeout=300)
        if pulled.returncode:
            _base_from_packages(folder)
    context = folder / "context"
    context.mkdir()
    for name in ("Dockerfile", "requirements-aws.txt"):
        shutil.copy(project / name, context)
    shutil.copytree(project / "src", context / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    buildah("bud", "--pull-never", "--tag", NAME, str(context))
    return NAME


def _base_from_packages(folder: Path) -> None:
    if not shutil.which("debootstrap"):
        raise UnavailableError(f"{BASE} cannot be pulled, and debootstrap is not installed")
    root = folder / "rootfs"
    subprocess.run(
        ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", RELEASE, str(root)], check=True, stdout=subprocess.DEVNULL
    )
    (root / "usr/local/bin/python").symlink_to("/usr/bin/python3")
    (root / "usr/lib/python3.11/EXTERNALLY-MANAGED").unlink(missing_ok=True)
    shutil.copy(BUNDLE, root / BUNDLE[1:])
    shutil.copy("/etc/resolv.conf", root / "etc")
    (root / "etc/pip.conf").write_text("[global]\n" + "".join(f"{k} = {v}\n" for k, v in _pip_settings().items()))
    (folder / "Base").write_text("FROM scratch\nADD rootfs /\n")
    buildah("bud", "--tag", BASE, "--file", str(folder / "Base"), str(folder))
    shutil.rmtree(root)


def _pip_settings() -> dict[str, str]:
    """How pip reaches its index from this machine."""
    listed = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True).stdout
    found = {}
    for line in listed.splitlines():
        name, _, value = line.partition("=")
        if (key := name.rpartition(".")[2]) in {
            "index-url",
            "extra-index-url",
            "trusted-host",
            "cert",
            "timeout",
            "default-timeout",
        }:
            found[key] = value.strip("'").replace("\\n", "\n    ")
    return found


class Container:
    """A container of the image: commands run in it as the image's user, several at once."""

    def __init__(self, image: str) -> None:
        self.name = buildah("from", "--pull-never", image).stdout.strip()

    def command(self, arguments: list[str], env: dict[str, str], scratch: Path) -> list[str]:
        """How to start the entry point with ``arguments`` and ``env``; ``scratch`` is mounted for this command alone.

        Not at the image's /scratch, which buildah shares between the commands of a container.
        """
        scratch.chmod(0o777)
        mine = {name: value for name, value in env.items() if name.startswith(("AWS_", "PREDICT_AGE_")) or name in PROCESSOR}
        given = [f"--env={name}={value}" for name, value in (mine | {"PREDICT_AGE_SCRATCH": TASK, "TMPDIR": TASK}).items()]
        start = ["python", "-m", "predict_age", *arguments]
        return ["env", *STORAGE, "buildah", "run", *given, "--volume", f"{scratch}:{TASK}", self.name, "--", *start]

    def says(self, script: str) -> str:
        """Output of a shell script in the container."""
        return buildah("run", self.name, "--", "sh", "-c", script).stdout.strip()

    def remove(self) -> None:
        buildah("rm", self.name, check=False)

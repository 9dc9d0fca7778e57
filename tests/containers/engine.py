"""Podman with storage and settings of its own, and a base image where none can be pulled."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
BASE = ROOT / ".venv" / "container-base.tar"
"""Made once: `make clean` takes it away."""

CONTAINERS_CONF = """\
[containers]
default_ulimits = ["nofile=1024:4096", "nproc=1024:4096"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
"""
"""runc, as crun refuses hybrid cgroups; limits that a container may set on any machine."""

PIP_CONF = "[global]\nno-index = true\nfind-links = /wheels\n"
"""A mirror's administrator would mount the like: the Dockerfile knows nothing of it."""


def missing() -> str | None:
    """Why containers cannot be tried here; None when they can."""
    if os.geteuid() != 0:
        return "needs root"
    absent = [name for name in ("podman", "podman-compose", "runc", "debootstrap") if not shutil.which(name)]
    return f"needs {', '.join(absent)}: apt install podman podman-compose runc debootstrap" if absent else None


class Engine:
    """One podman apart from the machine's own; everything it made goes with `close`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "containers.conf").write_text(CONTAINERS_CONF)
        (folder / "storage.conf").write_text(
            f'[storage]\ndriver = "overlay"\nrunroot = "{folder}/run"\ngraphroot = "{folder}/graph"\n'
        )
        self.environ = {
            **os.environ,
            "CONTAINERS_CONF": str(folder / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"),
        }

    def run(self, *command: str, check: bool = True, timeout: float = 300, **environ: str) -> str:
        """What a command prints; its errors stand in the exception."""
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            cwd=ROOT,
            env={**self.environ, **environ},
        )
        if check and done.returncode:
            raise AssertionError(f"{' '.join(command)}: {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done.stdout

    def podman(self, *command: str, check: bool = True) -> str:
        return self.run("podman", *command, check=check)

    def logs(self, container: str) -> str:
        """What a container said, on both streams."""
        return self.run("sh", "-c", 'exec podman logs "$0" 2>&1', container)

    def healthy(self, container: str) -> bool:
        """Runs the health check now: without systemd nobody else does."""
        command = ["podman", "healthcheck", "run", container]
        return subprocess.run(command, env=self.environ, capture_output=True, check=False, timeout=60).returncode == 0

    def import_base(self, image: str, suite: str) -> None:
        """A minimal Debian with its Python under the name of the Dockerfile's base."""
        if not BASE.exists():
            root = self.folder / "root"
            include = "--include=python3,python3-pip,python3-venv,ca-certificates"
            self.run("debootstrap", "--variant=minbase", include, suite, str(root), timeout=900)
            self.run("tar", "-C", str(root), "-cf", f"{BASE}.new", ".")
            Path(f"{BASE}.new").rename(BASE)
            shutil.rmtree(root)
        self.podman("import", str(BASE), f"localhost/{image}")

    def download_wheels(self, lock: Path, python: str) -> Path:
        """The locked wheels for the base's Python, fetched with this machine's pip and its settings."""
        wheels = self.folder / "wheels"
        options = ["--require-hashes", "--only-binary", ":all:", "--python-version", python, "--dest", str(wheels)]
        self.run(sys.executable, "-m", "pip", "download", "--quiet", *options, "--requirement", str(lock))
        return wheels

    def build(self, target: str, wheels: Path) -> str:
        """Builds one target of the Dockerfile as docker-compose.yml would; gives the image's name."""
        conf = self.folder / "pip.conf"
        conf.write_text(PIP_CONF)
        mounts = ["--volume", f"{wheels}:/wheels:ro", "--volume", f"{conf}:/etc/pip.conf:ro"]
        self.podman("build", "--quiet", "--target", target, "--tag", f"slabhound-{target}", *mounts, str(ROOT))
        return f"slabhound-{target}"

    def compose(self, *command: str, port: int, node: str) -> str:
        """podman-compose over docker-compose.yml. Version 1.0 knows no `uts: host`: hence the node's name."""
        return self.run(
            "podman-compose",
            "--project-name",
            "slabhound",
            *command,
            PORT=str(port),
            SLABHOUND_NODE=node,
            SLABHOUND_GROUP="real",
        )

    def containers(self) -> Sequence[str]:
        return self.podman("ps", "--all", "--format", "{{.Names}}").split()

    def close(self) -> None:
        """Takes away containers, volumes, networks and images."""
        for command in (["pod", "rm", "--all"], ["rm", "--all"], ["volume", "rm", "--all"], ["rmi", "--all"]):
            self.podman(*command, "--force", check=False)
        self.podman("network", "prune", "--force", check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

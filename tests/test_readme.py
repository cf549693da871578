"""The README's examples run, and what it names exists."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest

from mango.optimizers import TABLE
from tests.optional import optional
from tests.service.serving import serving

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


RIG = (ROOT / "experiments" / "rig_http" / "README.md").read_text(encoding="utf-8")
SERVICE = "http://127.0.0.1:8700"  # in examples


EXAMPLES = re.findall(r"```python\n(.*?)```", README + RIG, re.DOTALL)


@pytest.mark.parametrize("code", [code for code in EXAMPLES if not code.startswith("# ")])
def test_examples_run(code: str, tmp_path: Path) -> None:
    if "spikingjelly" in code:
        optional("spikingjelly")
    with serving(f"sqlite:///{tmp_path}/mango.db") if SERVICE in code else nullcontext(SERVICE) as url:
        words = [sys.executable, "-W", "error", "-c", code.replace(SERVICE, url)]
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


@pytest.mark.parametrize("code", [code for code in EXAMPLES if code.startswith("# ")])
def test_files_serve_the_commands_below_them(code: str, tmp_path: Path) -> None:
    name = re.match(r"# (\w+)\.py\n", code)
    assert name is not None
    (tmp_path / f"{name[1]}.py").write_text(code)
    commands = [line for line in README.splitlines() if line.startswith("mango ") and f"--target {name[1]}:" in line]
    assert commands
    for command in commands:
        words = shlex.split(re.sub(r"--budget \d+", "--budget 20 --workers 0 --json", command))[1:]
        start = [sys.executable, "-W", "error", "-c", "from mango.cli import app; app()"]
        done = subprocess.run([*start, *words], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["best_value"] > 0


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = set(re.findall(r"make ([a-z]+)\b", README))
    assert {"demo", "test"} <= named
    assert named <= targets


def test_every_optimizer_is_in_the_table() -> None:
    rows = "\n".join(line for line in README.splitlines() if line.startswith("| `"))
    for name in TABLE:
        assert f"`{name}`" in rows or f"`{name}:NAME`" in rows


def test_pictures_and_files_exist() -> None:
    for link in re.findall(r"\]\(([^)#]+)\)", README):
        assert link.startswith("http") or (ROOT / link).exists(), link

"""The pictures of the zoo are drawn, and searches that are there are not made again."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from experiments.zoo.__main__ import GENERATORS, NETWORKS, main


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn")
def test_smoke(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["--smoke", "--out", str(tmp_path)])
    first = capsys.readouterr().out
    for network in NETWORKS:
        assert np.asarray(Image.open(tmp_path / f"{network}.png").convert("L")).std() > 10
    files = sorted(tmp_path.glob("*/*/*/result.json"))
    assert len(files) == len(NETWORKS) * len(GENERATORS)
    changed = json.loads(files[0].read_text())
    changed["best_value"] = 100 * changed["natural_maximum"]
    files[0].write_text(json.dumps(changed))
    main(["--smoke", "--out", str(tmp_path)])
    again = capsys.readouterr().out
    assert again != first, "what is there is read"
    assert sum("|" in line for line in again.splitlines()) == 2 + len(NETWORKS) * len(GENERATORS)

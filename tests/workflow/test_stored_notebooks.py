"""The notebooks in the repository hold outputs, so that nbval has something to compare."""

from __future__ import annotations

import json
import re

import pytest

from nbnmbt.notebooks import parameters
from nbnmbt.paths import repo_root

NOTEBOOKS = sorted((repo_root() / "notebooks").glob("*.ipynb"))
FIGURES = [path for path in NOTEBOOKS if re.match(r"fig\d_", path.name)]


def code_cells(path) -> list[dict]:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [c for c in cells if c["cell_type"] == "code" and "".join(c["source"]).strip()]


def test_there_is_a_notebook_a_figure():
    assert [path.name[:4] for path in FIGURES] == [f"fig{n}" for n in range(2, 8)]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_stored_outputs_are_of_one_run_from_top_to_bottom(path):
    cells = code_cells(path)
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    assert not any(o["output_type"] == "error" for cell in cells for o in cell["outputs"])


@pytest.mark.parametrize("path", FIGURES, ids=lambda path: path.stem)
def test_a_figure_notebook_shows_numbers_and_its_figure(path):
    outputs = [o for cell in code_cells(path) for o in cell["outputs"]]
    kinds = {kind for o in outputs for kind in o.get("data", {})}
    assert "image/png" in kinds
    assert "text/html" in kinds
    assert parameters(path)["sample"].default == "surrogate"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_outputs_name_no_folder_of_a_machine(path):
    text = "".join(json.dumps(cell["outputs"]) for cell in code_cells(path))
    assert str(repo_root()) not in text
    assert not re.search(r"/(home|Users|tmp|root)/", text)


@pytest.mark.parametrize("path", FIGURES, ids=lambda path: path.stem)
def test_no_estimator_or_threshold_lives_in_a_cell(path):
    """Cells call the package; they define no functions and fit nothing themselves."""
    for cell in code_cells(path):
        source = "".join(cell["source"])
        assert not re.search(r"^\s*(def|class) ", source, re.MULTILINE), source
        assert not re.search(r"^\s*(from|import) (scipy|lmfit|statsmodels)", source, re.MULTILINE)

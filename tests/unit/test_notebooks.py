"""The strict runner: what papermill lets pass is an error here, and a failure spoils nothing."""

from __future__ import annotations

import json
import re
from pathlib import Path

import nbformat
import pytest

from nbnmbt import notebooks
from nbnmbt.errors import InputError
from nbnmbt.notebooks import Parameter, parameters, to_html, validated

PARAMETERS = """\
# what to draw
sample: str
temperature_K = 2.0
count = 3
criterion: float | None = None
fields_T = [1, 4]
show = True
"""


def make(folder: Path, *cells: str, parameters: str | None = PARAMETERS) -> Path:
    """Write a notebook; the first code cell is tagged unless `parameters` is None."""
    notebook = nbformat.v4.new_notebook()
    notebook.cells.append(
        nbformat.v4.new_markdown_cell(r"# Title" "\n\n" r"Ic $\propto\Delta$ and $$x^2$$")
    )
    if parameters is not None:
        cell = nbformat.v4.new_code_cell(parameters)
        cell.metadata["tags"] = ["parameters"]
        notebook.cells.append(cell)
    notebook.cells += [nbformat.v4.new_code_cell(source) for source in cells]
    path = folder / "fig9_test.ipynb"
    nbformat.write(notebook, path)
    return path


# -------------------------------------------------------------------------------------- parameters
def test_parameters_are_read_with_type_default_and_need(tmp_path):
    found = parameters(make(tmp_path))
    assert found["sample"] == Parameter("sample", "str", None, required=True)
    assert found["temperature_K"] == Parameter("temperature_K", "float", 2.0)
    assert found["criterion"] == Parameter("criterion", "float", None, optional=True)
    assert list(found) == ["sample", "temperature_K", "count", "criterion", "fields_T", "show"]


def test_words_of_the_command_line_become_the_declared_type(tmp_path):
    words = {
        "sample": "007",
        "temperature_K": "4",
        "count": "5",
        "criterion": "null",
        "fields_T": "[1, 9]",
        "show": "false",
    }
    assert validated(make(tmp_path), words, text=True) == {
        "sample": "007",
        "temperature_K": 4.0,
        "count": 5,
        "criterion": None,
        "fields_T": [1, 9],
        "show": False,
    }


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"sampel": "a"}, "no parameter 'sampel'; did you mean 'sample'?"),
        ({}, "parameter 'sample' is missing (expected str)"),
        ({"sample": 3}, "parameter 'sample' has the wrong type (found 3, expected str)"),
        ({"sample": "a", "temperature_K": "warm"}, "found 'warm', expected float"),
        ({"sample": "a", "count": 2.5}, "found 2.5, expected int"),
        ({"sample": "a", "count": True}, "found True, expected int"),
        ({"sample": "a", "show": 1}, "found 1, expected bool"),
        ({"sample": "a", "temperature_K": None}, "expected float"),
        ({"sample": "a", "criterion": "x"}, "expected float or None"),
    ],
)
def test_a_wrong_parameter_is_an_error_of_one_sentence(tmp_path, given, sentence):
    with pytest.raises(InputError) as error:
        validated(make(tmp_path), given)
    text = str(error.value)
    assert text.startswith("fig9_test.ipynb: ")
    assert sentence in text
    assert "\n" not in text


def test_a_notebook_without_parameters_cell_is_an_error(tmp_path):
    with pytest.raises(InputError, match="exactly one cell tagged 'parameters'"):
        parameters(make(tmp_path, "sample = 1", parameters=None))


def test_an_absent_notebook_suggests_the_nearest(tmp_path):
    make(tmp_path)
    with pytest.raises(
        InputError, match=r"no notebook 'fig9_tset\.ipynb'; did you mean 'fig9_test"
    ):
        parameters(tmp_path / "fig9_tset.ipynb")


# ----------------------------------------------------------------------------------------- running
@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """One successful run, shared: a kernel start is the slow part."""
    folder = tmp_path_factory.mktemp("run")
    notebook = make(folder, "import os\nprint(sample, temperature_K)\nprint(os.getcwd())")
    out = folder / "out" / "fig9_test.ipynb"
    words = [str(notebook), str(out), "-p", "sample", "smoke", "-p", "temperature_K", "3"]
    assert notebooks.main(["run", *words]) == 0
    return out


def test_the_executed_notebook_holds_parameters_and_outputs(executed):
    from nbnmbt.paths import repo_root

    notebook = nbformat.read(executed, as_version=4)
    nbformat.validate(notebook)
    printed = "".join(o.get("text", "") for c in notebook.cells for o in c.get("outputs", []))
    assert printed.splitlines() == ["smoke 3.0", str(repo_root())]
    assert notebook.metadata.papermill.parameters == {"sample": "smoke", "temperature_K": 3.0}


def test_the_executed_notebook_carries_no_clock_and_no_leftovers(executed):
    text = executed.read_text()
    assert not re.search(r"\d{4}-\d\d-\d\dT\d\d:\d\d", text)
    assert "duration" not in text
    assert sorted(p.name for p in executed.parent.iterdir()) == [
        "fig9_test.html",
        "fig9_test.ipynb",
    ]


def test_the_page_needs_no_network_and_draws_formulas(executed):
    page = executed.with_suffix(".html").read_text(encoding="utf-8")
    assert not re.findall(r"""(?:src|href)\s*=\s*["']?(?:https?:)?//""", page)
    assert not re.findall(r"""(?:@import|url\()\s*["']?(?:https?:)?//""", page)
    assert "cdnjs" not in page
    assert page.count("<math ") == 2
    assert "smoke 3.0" in page


def test_a_failing_notebook_says_where_and_spoils_nothing(tmp_path, capsys):
    out = tmp_path / "out" / "fig9_test.ipynb"
    out.parent.mkdir()
    out.write_text("the result of an earlier run")
    out.with_suffix(".html").write_text("its page")
    notebook = make(tmp_path, "a = 1", "# the bad cell\nraise ValueError('no loop at 2 K')")
    assert notebooks.main(["run", str(notebook), str(out), "-p", "sample", "x"]) == 2
    message = capsys.readouterr().err.strip().splitlines()[-1]
    assert message.startswith(
        "error: fig9_test.ipynb, cell 3 (# the bad cell): ValueError: no loop at 2 K"
    )
    assert out.read_text() == "the result of an earlier run"
    assert out.with_suffix(".html").read_text() == "its page"
    failed = json.loads((tmp_path / "out" / "fig9_test.failed.ipynb").read_text())
    assert any("no loop at 2 K" in json.dumps(cell) for cell in failed["cells"])


def test_a_dead_kernel_is_a_sentence_too(tmp_path, capsys):
    notebook = make(tmp_path, "import os\nos._exit(1)")
    assert (
        notebooks.main(["run", str(notebook), str(tmp_path / "o.ipynb"), "-p", "sample", "x"]) == 2
    )
    assert "fig9_test.ipynb: its kernel died" in capsys.readouterr().err.splitlines()[-1]


def test_formulas_that_cannot_be_read_stay_legible(tmp_path):
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [nbformat.v4.new_markdown_cell(r"$x_a_b$ and $R_{sq}$ and $5 < T$")]
    nbformat.write(notebook, tmp_path / "a.ipynb")
    page = to_html(tmp_path / "a.ipynb")
    assert "<code>x_a_b</code>" in page
    assert "<msub>" in page


def test_a_notice_stands_at_the_head_of_the_page(tmp_path):
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [nbformat.v4.new_markdown_cell("the text")]
    nbformat.write(notebook, tmp_path / "a.ipynb")
    page = to_html(tmp_path / "a.ipynb", "not <measured>")
    assert page.index("not &lt;measured&gt;") < page.index("the text")
    assert 'role="note"' not in to_html(tmp_path / "a.ipynb")


def test_only_a_sample_that_says_it_is_measured_has_no_notice(tmp_path, monkeypatch):
    monkeypatch.setattr(notebooks, "raw_folder", lambda sample: tmp_path / sample)
    for name, text in (
        ("a", "provenance: measured"),
        ("b", "provenance: synthetic"),
        ("c", "x: 1"),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "sample.yaml").write_text(text)
    notices = [notebooks._notice(name) for name in ("a", "b", "c", "absent", None)]
    assert [bool(notice) for notice in notices] == [False, True, True, False, False]


def test_wrong_words_on_the_command_line_end_with_a_sentence(tmp_path, capsys):
    notebook = str(make(tmp_path))
    assert notebooks.main(["run", notebook, "o.ipynb", "-p", "sampel", "x"]) == 2
    assert capsys.readouterr().err == (
        "error: fig9_test.ipynb: has no parameter 'sampel'; did you mean 'sample'?\n"
    )
    twice = ["-p", "sample", "x", "-p", "sample", "y"]
    assert notebooks.main(["run", notebook, "o.ipynb", *twice]) == 2
    assert "given twice" in capsys.readouterr().err


def test_the_parameters_of_a_notebook_can_be_listed(tmp_path, capsys):
    assert notebooks.main(["parameters", str(make(tmp_path))]) == 0
    assert capsys.readouterr().out.splitlines()[:2] == [
        "sample: str required",
        "temperature_K: float = 2.0",
    ]

r"""Run a notebook with parameters, strictly.

papermill does the work. It lets an unknown parameter pass with a warning, likewise a notebook
without a ``parameters`` cell, and checks no types; here each is an error that says what is known.
A failing notebook leaves the finished results of an earlier run as they were. ::

    python -m nbnmbt.notebooks run notebooks/fig7_interface_magnetism.ipynb out.ipynb \
        -p sample surrogate
"""

from __future__ import annotations

import ast
import json
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nbnmbt.errors import InputError, did_you_mean
from nbnmbt.paths import raw_folder, repo_root, shown
from nbnmbt.provenance import STAND_IN_NOTICE

__all__ = ["NotebookError", "Parameter", "parameters", "run", "to_html", "validated"]

_KINDS: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "bool": (bool,),
    "int": (int,),
    "float": (float, int),
    "list": (list,),
    "dict": (dict,),
}


#: The kernel that runs the very interpreter at hand, whatever a notebook's metadata say.
KERNEL = "python3"


class NotebookError(RuntimeError):
    """A notebook stopped; the message is one sentence with notebook, cell and error."""


@dataclass(frozen=True)
class Parameter:
    """One line of the cell tagged ``parameters``.

    Attributes
    ----------
    name : str
        Variable name.
    kind : str
        ``str``, ``bool``, ``int``, ``float``, ``list`` or ``dict``; empty if it cannot be told.
    default : object
        Its value in the notebook; None with `required`.
    required : bool
        Whether the cell only declares it (``sample: str``), so that a run must give it.
    optional : bool
        Whether None is a legal value (``x: float | None = None``).
    """

    name: str
    kind: str
    default: Any
    required: bool = False
    optional: bool = False


# ----------------------------------------------------------------------------------- parameters
def parameters(path: str | os.PathLike[str]) -> dict[str, Parameter]:
    """Read the parameters that a notebook declares.

    Parameters
    ----------
    path : path-like
        The notebook.

    Returns
    -------
    dict of str to Parameter
        In the order of the cell.

    Raises
    ------
    InputError
        If there is no such notebook, or it has not exactly one cell tagged ``parameters``.
    """
    path = Path(path)
    try:
        notebook = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        there = [other.name for other in path.parent.glob("*.ipynb")]
        raise InputError(
            f"there is no notebook '{path.name}'", advice=did_you_mean(path.name, there)
        ) from None
    except ValueError as error:
        raise InputError("not a notebook: it is not valid JSON", file=path.name) from error
    cells = [
        cell
        for cell in notebook.get("cells", [])
        if "parameters" in cell.get("metadata", {}).get("tags", [])
    ]
    if len(cells) != 1:
        raise InputError(
            "needs exactly one cell tagged 'parameters'",
            file=path.name,
            found=len(cells),
            advice="without it a parameter would have no effect",
        )
    source = cells[0]["source"]
    source = source if isinstance(source, str) else "".join(source)
    found = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found[node.targets[0].id] = _declared(node.targets[0].id, None, node.value)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found[node.target.id] = _declared(node.target.id, node.annotation, node.value)
    return found


def _declared(name: str, annotation: ast.expr | None, value: ast.expr | None) -> Parameter:
    try:
        default = ast.literal_eval(value) if value is not None else None
    except ValueError:
        default = None
    kind = type(default).__name__ if default is not None else ""
    optional = value is not None and default is None
    if annotation is not None:
        words = re.findall(r"\w+", ast.unparse(annotation))
        kind = next((word for word in words if word in _KINDS), kind)
        optional = "None" in words or "Optional" in words
    kind = "list" if kind == "tuple" else kind
    return Parameter(name, kind, default, required=value is None, optional=optional)


def validated(
    path: str | os.PathLike[str], given: Mapping[str, Any], *, text: bool = False
) -> dict[str, Any]:
    """Check parameters against what a notebook declares.

    Parameters
    ----------
    path : path-like
        The notebook.
    given : mapping
        Name -> value.
    text : bool
        Whether the values are words of a command line, to be read as the declared type.

    Returns
    -------
    dict
        Name -> value of the declared type.

    Raises
    ------
    InputError
        One sentence for the first parameter that is unknown (with the nearest known name), missing
        or of another type.
    """
    declared = parameters(path)
    name_of_file = Path(path).name
    checked = {}
    for name, value in given.items():
        if name not in declared:
            raise InputError(
                f"has no parameter '{name}'",
                file=name_of_file,
                advice=did_you_mean(name, declared) if declared else "it has none",
            )
        checked[name] = _of_kind(declared[name], value, text, name_of_file)
    for parameter in declared.values():
        if parameter.required and parameter.name not in checked:
            raise InputError(
                f"parameter '{parameter.name}' is missing",
                file=name_of_file,
                expected=parameter.kind or "a value",
                advice=f"give it with -p {parameter.name} VALUE",
            )
    return checked


def _of_kind(parameter: Parameter, value: Any, text: bool, file: str) -> Any:
    original = value
    if text and isinstance(value, str) and (parameter.kind != "str" or value in ("null", "None")):
        import yaml

        try:
            value = None if value == "None" else yaml.safe_load(value)
        except yaml.YAMLError:
            value = original
    if value is None and parameter.optional:
        return None
    allowed = _KINDS.get(parameter.kind)
    # bool is a subclass of int: True is no number here.
    wrong_bool = isinstance(value, bool) and parameter.kind != "bool"
    if allowed is not None and (not isinstance(value, allowed) or wrong_bool):
        raise InputError(
            f"parameter '{parameter.name}' has the wrong type",
            file=file,
            found=original,
            expected=parameter.kind + (" or None" if parameter.optional else ""),
        )
    return float(value) if parameter.kind == "float" else value


# -------------------------------------------------------------------------------------- running
def run(
    notebook: str | os.PathLike[str],
    out: str | os.PathLike[str],
    given: Mapping[str, Any],
    *,
    html: bool = True,
) -> None:
    """Execute a notebook from the repository root and keep it, with its outputs, and as HTML.

    Both files appear only when the notebook ran to its end. What a failed run left behind is beside
    them as ``*.failed.ipynb``, to be opened and looked at.

    Parameters
    ----------
    notebook, out : path-like
        The notebook, and where its executed copy goes. The HTML has the same name.
    given : mapping
        Parameters, checked with `validated`.
    html : bool
        Whether to write the HTML too.

    Raises
    ------
    InputError
        If a parameter is wrong.
    NotebookError
        If a cell raises; the sentence names notebook, cell and error.
    """
    checked = validated(notebook, given)
    import papermill
    from nbclient.exceptions import DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    notebook, out = Path(notebook), Path(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    failed = out.with_suffix(".failed.ipynb")
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.stem}.") as folder:
        working = Path(folder) / out.name
        try:
            papermill.execute_notebook(
                str(notebook),
                str(working),
                parameters=checked,
                kernel_name=KERNEL,
                language="python",
                cwd=str(repo_root()),
                progress_bar=False,
                request_save_on_cell_execute=False,
                log_output=False,
            )
        except PapermillExecutionError as error:
            if working.exists():
                os.replace(working, failed)
            last = str(error.evalue).strip().splitlines() or [""]
            raise NotebookError(
                f"{notebook.name}, cell {_position(failed, error)}: {error.ename}: {last[0]}"
                f" (the notebook up to there is {shown(failed)})"
            ) from None
        except DeadKernelError:
            raise NotebookError(
                f"{notebook.name}: its kernel died (out of memory, or stopped from outside)"
            ) from None
        _without_clock(working)
        if html:
            defaults = {name: known.default for name, known in parameters(notebook).items()}
            text = to_html(working, _notice({**defaults, **checked}.get("sample")))
            page = Path(folder) / f"{out.stem}.html"
            page.write_text(text, encoding="utf-8", newline="\n")
            os.replace(page, out.with_suffix(".html"))
        os.replace(working, out)
    failed.unlink(missing_ok=True)


def _without_clock(path: Path) -> None:
    """Take papermill's and the kernel's timings and paths out of an executed notebook.

    What stays depends on notebook, parameters and data alone; run times are in the benchmarks.
    """
    notebook = json.loads(path.read_text(encoding="utf-8"))
    kept = notebook["metadata"].pop("papermill", {})
    notebook["metadata"]["papermill"] = {"parameters": kept.get("parameters", {})}
    for cell in notebook["cells"]:
        for name in ("papermill", "execution"):
            cell["metadata"].pop(name, None)
        tags = cell["metadata"].get("tags", [])
        if "injected-parameters" in tags:
            # papermill draws this cell's id at random
            cell["id"] = "injected-parameters"
    text = json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
    path.write_text(text, encoding="utf-8", newline="\n")


def _position(failed: Path, error: Any) -> str:
    """Number (from 1, among the code cells) and first line of the cell that raised."""
    try:
        cells = json.loads(failed.read_text(encoding="utf-8"))["cells"]
    except (OSError, ValueError, KeyError):
        return str(getattr(error, "exec_count", "?"))
    # papermill puts cells of its own on top of a failed notebook; the count of code cells that
    # people see in JupyterLab leaves those and the injected parameters out.
    own = [
        cell
        for cell in cells
        if cell["cell_type"] == "code"
        and not {"papermill-error-cell-tag", "injected-parameters"}
        & set(cell["metadata"].get("tags", []))
    ]
    for number, cell in enumerate(own, start=1):
        if any(output.get("output_type") == "error" for output in cell["outputs"]):
            first = "".join(cell["source"]).strip().splitlines()[:1]
            return f"{number} ({first[0][:60]})" if first else str(number)
    return str(getattr(error, "exec_count", "?"))


# ----------------------------------------------------------------------------------------- HTML
_TEMPLATE = """\
{%- extends 'lab/index.html.j2' -%}
{%- block html_head_js -%}{%- endblock html_head_js -%}
{%- block html_head_js_mathjax -%}{%- endblock html_head_js_mathjax -%}
{%- block html_head_js_mermaidjs -%}{%- endblock html_head_js_mermaidjs -%}
{%- block jupyter_widgets -%}{%- endblock jupyter_widgets -%}
"""


def _notice(sample: Any) -> str:
    """Return the stand-in notice, unless the notebook is about a measured sample or about none."""
    import yaml

    path = raw_folder(str(sample)) / "sample.yaml"
    if sample is None or not path.is_file():
        return ""
    info = yaml.safe_load(path.read_text(encoding="utf-8"))
    return "" if info.get("provenance") == "measured" else STAND_IN_NOTICE


def to_html(notebook: str | os.PathLike[str], notice: str = "") -> str:
    """Turn an executed notebook into one HTML page that needs no network.

    Formulas become MathML, which browsers draw by themselves; nothing is loaded from elsewhere.

    Parameters
    ----------
    notebook : path-like
        The executed notebook.
    notice : str
        Words at the head of the page.

    Returns
    -------
    str
        The page.
    """
    import html

    import nbformat
    from jinja2 import DictLoader
    from nbconvert.exporters import HTMLExporter

    class OfflineHTML(HTMLExporter):
        def default_filters(self) -> Iterator[tuple[str, Any]]:
            yield from super().default_filters()
            yield "markdown2html", _markdown_to_html

    exporter = OfflineHTML(
        extra_loaders=[DictLoader({"offline.html.j2": _TEMPLATE})], template_file="offline.html.j2"
    )
    content = nbformat.read(notebook, as_version=4)
    content.metadata.pop("widgets", None)
    content.metadata["title"] = Path(notebook).stem
    page, _ = exporter.from_notebook_node(content)
    if notice:
        banner = f'<p role="note"><strong>{html.escape(notice)}</strong></p>'
        page = page.replace("<main>", f"<main>\n{banner}", 1)
    return page


def _markdown_to_html(source: str) -> str:
    from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

    class MathMLRenderer(IPythonRenderer):
        def inline_math(self, body: str) -> str:
            return _mathml(body, "inline")

        def block_math(self, body: str) -> str:
            return f"<p>{_mathml(body, 'block')}</p>\n"

        def latex_environment(self, name: str, body: str) -> str:
            return self.block_math(rf"\begin{{{name}}}{body}\end{{{name}}}")

    return MarkdownWithMath(renderer=MathMLRenderer(escape=False)).render(source)


def _mathml(tex: str, display: str) -> str:
    import html

    from latex2mathml.converter import convert

    try:
        return convert(tex, display=display)
    except Exception:  # a formula the converter cannot read stays legible as it was typed
        return f"<code>{html.escape(tex)}</code>"


# --------------------------------------------------------------------------------- command line
def main(argv: list[str] | None = None) -> int:
    """Run a notebook, or list its parameters."""
    import argparse

    parser = argparse.ArgumentParser(
        prog="python -m nbnmbt.notebooks",
        description="Run a notebook with parameters, strictly.",
        epilog="example: python -m nbnmbt.notebooks run notebooks/fig7_interface_magnetism.ipynb "
        "results/surrogate/notebooks/fig7_interface_magnetism.ipynb -p sample surrogate",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    runner = commands.add_parser("run", help="execute a notebook and keep it, also as HTML")
    runner.add_argument("notebook")
    runner.add_argument("out", help="where the executed notebook goes")
    runner.add_argument(
        "-p",
        dest="given",
        nargs=2,
        action="append",
        default=[],
        metavar=("NAME", "VALUE"),
        help="a parameter; its value is read as the type the notebook declares",
    )
    runner.add_argument("--no-html", dest="html", action="store_false", help="no HTML page")
    lister = commands.add_parser("parameters", help="list the parameters of a notebook")
    lister.add_argument("notebook")
    arguments = parser.parse_args(argv)
    try:
        if arguments.command == "parameters":
            for parameter in parameters(arguments.notebook).values():
                default = "required" if parameter.required else f"= {parameter.default!r}"
                print(f"{parameter.name}: {parameter.kind or 'any'} {default}")
            return 0
        names = [name for name, _ in arguments.given]
        for name in names:
            if names.count(name) > 1:
                raise InputError(f"parameter '{name}' is given twice")
        given = validated(arguments.notebook, dict(arguments.given), text=True)
        run(arguments.notebook, arguments.out, given, html=arguments.html)
    except (InputError, NotebookError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

"""Where a result comes from: the stamp in every artefact, and the code each rule depends on.

A stamp says which code, inputs, options and lock made a file, and whether the sample is synthetic.
It holds no clock and no machine, so the same inputs give the same bytes. `read_stamp` gets it back
from a pdf, svg, png, NetCDF or JSON file; on the command line::

    python -m nbnmbt.provenance results/surrogate/figures/fig7.pdf

`code_inputs` lists the files of this package that a module needs, found from its import statements.
The rules name them as inputs, so an edit reruns exactly what it touches.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from nbnmbt.memo import Memo, memo_of
from nbnmbt.paths import repo_root, shown

__all__ = [
    "STAMP_KEY",
    "STAND_IN_NOTICE",
    "code_inputs",
    "code_version",
    "figure_metadata",
    "file_sha256",
    "netcdf_attributes",
    "options_sha256",
    "provenance_of",
    "read_stamp",
    "stage_attributes",
    "stamp",
]

#: Name of the PNG text chunk, NetCDF attribute and JSON field that hold the stamp.
STAMP_KEY = "nbnmbt_provenance"

STAND_IN_NOTICE = (
    "Synthetic stand-in: simulated by a virtual device calibrated to the paper. "
    "It shows that the pipeline works, never that the paper is right."
)

_DATA_SUFFIXES = (".csv", ".json", ".yaml", ".mplstyle", ".j2", ".css", ".js")


# ------------------------------------------------------------------------------------- the stamp
def file_sha256(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def options_sha256(options: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a set of options, independent of their order."""
    text = json.dumps(options, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


@functools.lru_cache(maxsize=8)
def code_version(root: Path | None = None) -> str:
    """Return what ``git describe --always --dirty`` says of the checkout.

    Parameters
    ----------
    root : Path, optional
        The checkout.

    Returns
    -------
    str
        The description, or ``"unversioned"`` outside git (an unpacked archive).
    """
    root = root or repo_root()
    if not (root / ".git").exists():
        return "unversioned"
    try:
        done = subprocess.run(
            ["git", "-C", str(root), "describe", "--always", "--tags", "--dirty", "--abbrev=12"],
            capture_output=True,
            text=True,
            check=True,
            timeout=20,
        )
    except (OSError, subprocess.SubprocessError):
        return "unversioned"
    return done.stdout.strip() or "unversioned"


def stamp(
    inputs: Iterable[str | os.PathLike[str]],
    options: Mapping[str, Any] | None = None,
    *,
    sample: str = "",
    provenance: str = "synthetic",
    root: Path | None = None,
) -> dict[str, Any]:
    """Describe where an artefact comes from.

    Parameters
    ----------
    inputs : iterable of path-like
        The files it was made from.
    options : mapping, optional
        The options used, and only those.
    sample : str
        Name of the sample.
    provenance : {"synthetic", "measured"}
        As in ``sample.yaml``; decides whether the stand-in notice is there.
    root : Path, optional
        The checkout.

    Returns
    -------
    dict
        ``code`` (git describe), ``inputs`` (path from the root -> sha256), ``lock`` (sha256 of
        requirements.lock), ``notice``, ``options``, ``options_sha256``, ``provenance``, ``sample``.

    Raises
    ------
    FileNotFoundError
        If an input is not there.
    """
    root = root or repo_root()
    options = json.loads(json.dumps(dict(options or {}), sort_keys=True, default=str))
    lock = root / "requirements.lock"
    return {
        "code": code_version(root),
        "inputs": dict(sorted((shown(path, root), _sha256_from(path, root)) for path in inputs)),
        "lock": file_sha256(lock) if lock.exists() else "",
        "notice": "" if provenance == "measured" else STAND_IN_NOTICE,
        "options": options,
        "options_sha256": options_sha256(options),
        "provenance": provenance,
        "sample": sample,
    }


def provenance_of(*datasets: Any) -> str:
    """Return ``measured`` if every dataset says so of itself, else ``synthetic``.

    Parameters
    ----------
    *datasets : xarray.Dataset or None
        Inputs of a stage; None stands for one that was not given. One that does not say is taken
        for synthetic: the stand-in notice is never lost by an omission.

    Returns
    -------
    str
    """
    said = {str(ds.attrs.get("provenance", "synthetic")) for ds in datasets if ds is not None}
    return "measured" if said == {"measured"} else "synthetic"


def stage_attributes(
    stage: str,
    options: Mapping[str, Any],
    inputs: Iterable[str | os.PathLike[str] | None],
    *,
    sample: str,
    provenance: str,
    root: Path | None = None,
) -> dict[str, Any]:
    """Return the attributes of a file of estimates: sample, stage, options, stamp.

    Parameters
    ----------
    stage : str
        Name of the analysis stage.
    options : mapping
        The options used, as plain values.
    inputs : iterable of path-like or None
        The files it read; None stands for one that was not given.
    sample, provenance : str
        As in the inputs' attributes.
    root : Path, optional
        The checkout.

    Returns
    -------
    dict
        For ``nbnmbt.analysis.estimate.write_stage(..., attrs=...)``.
    """
    read = [path for path in inputs if path is not None]
    return {
        "sample": sample,
        "stage": stage,
        "options": dict(options),
        STAMP_KEY: stamp(read, options, sample=sample, provenance=provenance, root=root),
    }


def _sha256_from(path: str | os.PathLike[str], root: Path) -> str:
    path = Path(path)
    return file_sha256(path if path.is_absolute() or path.exists() else root / path)


def _as_text(content: Mapping[str, Any]) -> str:
    # ASCII only: PDF strings and PNG text chunks then need no second encoding.
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def figure_metadata(kind: str, content: Mapping[str, Any], title: str) -> dict[str, Any]:
    """Return the ``metadata=`` of `matplotlib.figure.Figure.savefig` that embeds a stamp.

    Dates and program versions are left out, so the same figure gives the same bytes.

    Parameters
    ----------
    kind : {"pdf", "svg", "png"}
        File format.
    content : mapping
        A `stamp`.
    title : str
        Title of the figure.

    Returns
    -------
    dict
    """
    text = _as_text(content)
    subject = content.get("notice") or f"Sample {content.get('sample', '')}, measured"
    if kind == "pdf":
        return {
            "Title": title,
            "Subject": subject,
            "Keywords": text,
            "Creator": None,
            "Producer": None,
            "CreationDate": None,
            "ModDate": None,
        }
    if kind == "svg":
        return {
            "Title": title,
            "Description": text,
            "Keywords": [subject],
            "Creator": None,
            "Date": None,
            "Format": None,
            "Type": None,
        }
    if kind == "png":
        return {"Title": title, "Description": subject, STAMP_KEY: text, "Software": None}
    raise ValueError(f"no metadata known for figure format {kind!r}: expected pdf, svg or png")


def netcdf_attributes(content: Mapping[str, Any]) -> dict[str, str]:
    """Return the global attributes that embed a stamp in a NetCDF file.

    Parameters
    ----------
    content : mapping
        A `stamp`.

    Returns
    -------
    dict
        The whole stamp under `STAMP_KEY`, and its notice in words under ``comment``.
    """
    attributes = {STAMP_KEY: _as_text(content)}
    if content.get("notice"):
        attributes["comment"] = str(content["notice"])
    return attributes


# --------------------------------------------------------------------------- reading it back
def read_stamp(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read the stamp embedded in a figure, NetCDF or JSON file.

    Parameters
    ----------
    path : path-like
        A ``.pdf``, ``.svg``, ``.png``, ``.nc`` or ``.json`` file of this project.

    Returns
    -------
    dict
        As made by `stamp`.

    Raises
    ------
    ValueError
        If the file holds no stamp, or its kind is unknown.
    """
    path = Path(path)
    readers = {
        ".pdf": _text_of_pdf,
        ".svg": _text_of_svg,
        ".png": _text_of_png,
        ".nc": _text_of_netcdf,
        ".json": _text_of_json,
    }
    if path.suffix not in readers:
        raise ValueError(
            f"{path.name}: a stamp is in {', '.join(readers)} files, not in '{path.suffix}' ones"
        )
    text = readers[path.suffix](path)
    try:
        content = json.loads(text) if isinstance(text, str) else text
    except json.JSONDecodeError:
        content = None
    if not isinstance(content, dict) or "code" not in content:
        raise ValueError(f"{path.name}: holds no provenance stamp of this project")
    return content


def _text_of_pdf(path: Path) -> str | None:
    data = path.read_bytes()
    found = re.search(rb"/Keywords\s*\(((?:\\.|[^\\()])*)\)", data, re.DOTALL)
    if found is None:
        return None
    escapes = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f"}

    def plain(match: re.Match[bytes]) -> bytes:
        mark = match[1]
        return bytes([int(mark, 8)]) if mark.isdigit() else escapes.get(mark, mark)

    return re.sub(rb"\\([0-7]{1,3}|.)", plain, found[1], flags=re.DOTALL).decode("latin-1")


def _text_of_svg(path: Path) -> str | None:
    import xml.etree.ElementTree as ElementTree

    for _, element in ElementTree.iterparse(path):
        if element.tag == "{http://purl.org/dc/elements/1.1/}description":
            return element.text
    return None


def _text_of_png(path: Path) -> str | None:
    import struct
    import zlib

    data = path.read_bytes()
    at = 8
    while at + 8 <= len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        key, _, rest = body.partition(b"\0")
        if kind == b"tEXt" and key == STAMP_KEY.encode():
            return rest.decode("latin-1")
        if kind == b"zTXt" and key == STAMP_KEY.encode():
            return zlib.decompress(rest[1:]).decode("latin-1")
        at += 12 + length
    return None


def _text_of_netcdf(path: Path) -> str | None:
    import h5py

    with h5py.File(path, "r") as file:
        text = file.attrs.get(STAMP_KEY)
    return text.decode() if isinstance(text, bytes) else text


def _text_of_json(path: Path) -> Any:
    content = json.loads(path.read_text(encoding="utf-8"))
    for holder in (content, content.get("attrs") if isinstance(content, dict) else None):
        if isinstance(holder, dict) and STAMP_KEY in holder:
            return holder[STAMP_KEY]
    return None


# ---------------------------------------------------------------------------- code as an input
def code_inputs(*names: str, root: Path | None = None) -> list[str]:
    """List the project files that a module or notebook runs, itself included.

    Import statements anywhere in a file count (late imports too), except those under
    ``if TYPE_CHECKING``. A data file of the package counts when a module that is used names it in
    a string. Modules loaded by name at run time (`importlib.import_module`) do not count: whoever
    does that must declare what it loads.

    Parameters
    ----------
    *names : str
        Dotted module (``"nbnmbt.analysis.loops"``), path inside the package
        (``"analysis/loops.py"``) or path of a notebook from the root (``"notebooks/fig7.ipynb"``).
    root : Path, optional
        The checkout.

    Returns
    -------
    list of str
        Paths from the root, sorted.

    Raises
    ------
    FileNotFoundError
        If a named module or notebook is not there.
    """
    root = root or repo_root()
    workflow = root / "workflow"
    memo = memo_of(root)
    found: set[Path] = set()
    waiting = [_located(name, root) for name in names]
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found.add(path)
        modules, data = _mentions(path, root, memo)
        found.update(data)
        for module in modules:
            waiting.extend(_files_of(module, workflow))
    return sorted(path.relative_to(root).as_posix() for path in found)


def _located(name: str, root: Path) -> Path:
    if name.endswith(".ipynb"):
        path = root / name
    elif name.endswith(".py"):
        path = root / "workflow" / "nbnmbt" / name
    else:
        files = _files_of(name, root / "workflow")
        if files:
            return files[-1]
        path = root / "workflow" / Path(*name.split("."))
    if not path.is_file():
        raise FileNotFoundError(f"no code file {shown(path, root)}: a rule names it as its input")
    return path


def _files_of(module: str, workflow: Path) -> list[Path]:
    """Files that importing a dotted name runs: packages on its way (unless empty) and itself."""
    files = []
    parts = module.split(".")
    for length in range(1, len(parts) + 1):
        stem = workflow.joinpath(*parts[:length])
        package = stem / "__init__.py"
        if package.is_file():
            if package.stat().st_size:
                files.append(package)
        elif stem.with_suffix(".py").is_file():
            files.append(stem.with_suffix(".py"))
            break
        else:
            break
    return files


def _mentions(path: Path, root: Path, memo: Memo) -> tuple[list[str], list[Path]]:
    """Modules of this package that a file imports, and data files beside it that it names."""
    status = path.stat()
    key = path.relative_to(root).as_posix()
    fingerprint = f"{status.st_mtime_ns} {status.st_size}"
    known = memo.get(key, fingerprint)
    if known is None:
        known = _parsed(path)
        memo.put(key, fingerprint, known)
    modules, names = known
    return modules, [path.parent / name for name in names if (path.parent / name).is_file()]


def _parsed(path: Path) -> tuple[list[str], list[str]]:
    """Modules that a file imports, and strings in it that look like names of data files."""
    source = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        package = ()
        source = _notebook_code(source)
    elif path.suffix == ".py":
        parts = path.with_suffix("").parts
        package = parts[len(parts) - 1 - parts[::-1].index("nbnmbt") : -1]
    else:
        return [], []
    modules: set[str] = set()
    data: set[str] = set()
    waiting: list[ast.AST] = [ast.parse(source, filename=str(path))]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            waiting.extend(node.orelse)
            continue
        if isinstance(node, ast.Import):
            modules.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = [*package[: len(package) + 1 - node.level]] if node.level else []
            base += node.module.split(".") if node.module else []
            # `from package import name`: the name may itself be a module.
            modules.update(".".join([*base, alias.name]) for alias in node.names)
        elif isinstance(node, ast.Constant) and str(node.value).endswith(_DATA_SUFFIXES):
            data.add(str(node.value)[-200:])
        waiting.extend(ast.iter_child_nodes(node))
    own = [name for name in modules if name.split(".")[0] == "nbnmbt"]
    return sorted(own), sorted(data)


def _notebook_code(text: str) -> str:
    """Python of a notebook's code cells, without IPython's magics."""
    lines = []
    for cell in json.loads(text)["cells"]:
        if cell["cell_type"] != "code":
            continue
        source = cell["source"]
        source = source if isinstance(source, str) else "".join(source)
        lines += [line for line in source.splitlines() if not line.lstrip().startswith(("%", "!"))]
    return "\n".join(lines) + "\n"


def main(argv: list[str] | None = None) -> int:
    """Print the stamp of each file named on the command line."""
    import argparse

    parser = argparse.ArgumentParser(
        prog="python -m nbnmbt.provenance",
        description="Print where figures, NetCDF and JSON files of this project come from.",
        epilog="example: python -m nbnmbt.provenance results/surrogate/figures/fig7.pdf",
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help=".pdf, .svg, .png, .nc or .json")
    arguments = parser.parse_args(argv)
    status = 0
    for name in arguments.files:
        try:
            print(json.dumps(read_stamp(name), indent=1, sort_keys=True))
        except (OSError, ValueError) as error:
            print(f"error: {error}", file=sys.stderr)
            status = 1
    return status


if __name__ == "__main__":
    raise SystemExit(main())

"""Where things lie: the repository root and the folders of a sample.

Papermill works in the caller's folder, JupyterLab and nbval in the notebook's. Everything that
names a file of the project therefore starts from the root found here, never from the working
folder.
"""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["raw_folder", "repo_root", "results_folder", "shown"]

#: A folder that holds both is a checkout of this project.
_MARKS = ("Snakefile", "workflow/nbnmbt")


def _is_root(folder: Path) -> bool:
    return all((folder / mark).exists() for mark in _MARKS)


def repo_root(start: str | os.PathLike[str] | None = None) -> Path:
    """Find the checkout that holds the working folder, or else the one this package is part of.

    Parameters
    ----------
    start : path-like, optional
        Where to begin; the working folder by default. Its parents are searched too.

    Returns
    -------
    Path
        Absolute path of the folder with ``Snakefile`` and ``workflow/nbnmbt``.

    Raises
    ------
    FileNotFoundError
        If neither is inside a checkout.
    """
    here = Path(start if start is not None else Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if _is_root(folder):
            return folder
    package = Path(__file__).resolve().parents[2]
    if _is_root(package):
        return package
    raise FileNotFoundError(
        f"{here} is not inside a checkout of the project (no folder above it holds a Snakefile "
        f"and workflow/nbnmbt): change into your clone, or pass root=."
    )


def raw_folder(sample: str, root: Path | None = None) -> Path:
    """Return the folder of a sample's raw files, ``data/raw/{sample}``."""
    return (root or repo_root()) / "data" / "raw" / sample


def results_folder(sample: str, root: Path | None = None) -> Path:
    """Return the folder of what is made from a sample, ``results/{sample}``."""
    return (root or repo_root()) / "results" / sample


def shown(path: str | os.PathLike[str], root: Path | None = None) -> str:
    """Return a path as the project speaks of it: relative to the root, with forward slashes.

    Parameters
    ----------
    path : path-like
        Any path; one outside the checkout keeps its file name only, so that no artefact carries
        the name of a machine's folder.
    root : Path, optional
        The root, if known.

    Returns
    -------
    str
    """
    # Relative paths are meant from the root when they exist there, else from the working folder.
    root = root or repo_root()
    path = Path(path)
    full = path if path.is_absolute() else (root / path if (root / path).exists() else path)
    try:
        return full.resolve().relative_to(root.resolve()).as_posix()
    except ValueError:
        return path.name

"""What the Snakefile asks before it can lay out the work: samples, raw files, options, failures.

Kept out of the rules so that it can be tested, and light: it runs at every start of Snakemake.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from nbnmbt.config import check, samples_of, typed
from nbnmbt.errors import InputError, did_you_mean
from nbnmbt.memo import memo_of
from nbnmbt.paths import raw_folder, repo_root, shown

__all__ = [
    "check_build",
    "device_bases",
    "devices",
    "failures",
    "is_simulated",
    "known_samples",
    "options_text",
    "prepare_environment",
    "raw_files",
    "sensitivity_of",
    "typed_once",
]


def prepare_environment(root: Path) -> None:
    """Make every job use this checkout's package and this interpreter.

    Parameters
    ----------
    root : Path
        The checkout. ``PYTHONPATH`` then names its ``workflow`` folder, so that the package needs
        no installation and a copy of the checkout never runs another copy's code.
    """

    def prepend(name: str, folder: str) -> None:
        known = [part for part in os.environ.get(name, "").split(os.pathsep) if part]
        os.environ[name] = os.pathsep.join([folder, *(p for p in known if p != folder)])

    prepend("PYTHONPATH", str(root / "workflow"))
    prepend("PATH", str(Path(sys.executable).parent))


def devices(root: Path | None = None) -> dict[str, Path]:
    """Return the virtual devices of ``workflow/devices`` and its folders.

    Parameters
    ----------
    root : Path, optional
        The checkout.

    Returns
    -------
    dict of str to Path
        Name -> YAML file, from the root: rules and logs then name no folder of a machine. Those
        of subfolders (negative controls) come last.
    """
    root = root or repo_root()
    found = sorted(
        (root / "workflow" / "devices").rglob("*.yaml"), key=lambda path: (len(path.parts), path)
    )
    return {path.stem: path.relative_to(root) for path in found}


def device_bases(device: str, root: Path | None = None) -> list[Path]:
    """Return the files of the devices that a device is stated as a difference from, nearest first.

    Parameters
    ----------
    device : str
        Name of a virtual device; its YAML may hold ``base: NAME``.
    root : Path, optional
        The checkout.

    Returns
    -------
    list of Path

    Raises
    ------
    InputError
        If a base does not exist, or the bases go round in a circle.
    """
    import yaml

    root = root or repo_root()
    known = devices(root)
    chain = [device]
    while True:
        path = root / known[chain[-1]]
        try:
            content = yaml.safe_load(path.read_text(encoding="utf-8"))
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            raise InputError(
                f"not valid YAML: {getattr(error, 'problem', error)}",
                file=shown(path, root),
                line=mark.line + 1 if mark else None,
            ) from None
        base = content.get("base") if isinstance(content, dict) else None
        if base is None:
            return [known[name] for name in chain[1:]]
        if base not in known:
            raise InputError(
                f"there is no virtual device '{base}' to be the base of '{chain[-1]}'",
                file=shown(path, root),
                advice=did_you_mean(base, known),
            )
        if base in chain:
            raise InputError(f"device '{base}' is a base of itself", file=shown(path, root))
        chain.append(base)


def is_simulated(sample: str, root: Path | None = None) -> bool:
    """Tell whether a sample's raw files are made by a virtual device."""
    return sample in devices(root)


def known_samples(root: Path | None = None) -> list[str]:
    """Return the names that can be built: folders of data/raw, then the virtual devices."""
    root = root or repo_root()
    brought = sorted(path.name for path in (root / "data" / "raw").glob("*") if path.is_dir())
    return list(dict.fromkeys([*brought, *devices(root)]))


#: Folders of results/ that are no sample.
STUDIES = ("controls", "coverage")


def check_build(config: Mapping[str, Any], root: Path | None = None) -> list[str]:
    """Check configuration and samples before any work is planned.

    Parameters
    ----------
    config : mapping
        Snakemake's merged configuration.
    root : Path, optional
        The checkout.

    Returns
    -------
    list of str
        The samples to build.

    Raises
    ------
    InputError
        One sentence for the first problem: an unknown key, a sample that is neither a folder of
        data/raw nor a virtual device, a broken sample sheet, a raw file that is not there.
    """
    root = root or repo_root()
    _check_once(config, root)
    names = samples_of(config)
    simulated = devices(root)
    for name in names:
        if name in STUDIES:
            raise InputError(
                f"no sample can be named {name!r}: results/{name} belongs to the study of "
                "that name",
                advice=f"rename data/raw/{name}",
            )
        if name in simulated:
            device_bases(name, root)
            continue
        if not raw_folder(name, root).is_dir():
            raise InputError(
                f"there is no sample '{name}', neither a folder data/raw/{name} nor a virtual "
                f"device {name}.yaml in workflow/devices",
                advice=did_you_mean(name, known_samples(root)),
            )
        _sheet(name, root)
    return names


def typed_once(config: Mapping[str, Any], root: Path | None = None) -> dict[str, Any]:
    """Return the configuration with the types of its schema, unless it needs no such reading.

    A configuration that passed `check_build` before has them already; that saves reading the schema
    at every start.
    """
    root = root or repo_root()
    if memo_of(root).get("configuration", _fingerprint(config, root)):
        return dict(config)
    return typed(config, root / "workflow" / "config" / "default.schema.json")


def _fingerprint(config: Mapping[str, Any], root: Path) -> str:
    schema = root / "workflow" / "config" / "default.schema.json"
    text = json.dumps(config, sort_keys=True, default=str).encode() + schema.read_bytes()
    return hashlib.sha256(text).hexdigest()


def _check_once(config: Mapping[str, Any], root: Path) -> None:
    """Check a configuration, unless this very one passed this very schema before."""
    fingerprint = _fingerprint(config, root)
    memo = memo_of(root)
    if not memo.get("configuration", fingerprint):
        check(config, root / "workflow" / "config" / "default.schema.json")
        memo.put("configuration", fingerprint, True)


def _sheet(sample: str, root: Path) -> Any:
    """Load a sample sheet, naming its files from the root."""
    from nbnmbt import samples

    sheet = samples.load(Path(os.path.relpath(raw_folder(sample, root))))
    for measurement in sheet.measurements:
        for path in sheet.files(measurement):
            if not path.is_file():
                raise InputError(
                    f"names a file that is not there: {path.as_posix()}",
                    file=(path.parents[0] / "measurements.csv").as_posix(),
                    advice="copy it there or remove its row",
                )
    return sheet


def raw_files(sample: str, measurement: str, root: Path | None = None) -> list[str]:
    """List what a dataset of a sample is assembled from.

    Parameters
    ----------
    sample, measurement : str
        Sample and measurement key.
    root : Path, optional
        The checkout.

    Returns
    -------
    list of str
        Paths from the root. Of a virtual device: the sample sheet, whose hashes stand for the files
        (they are written together). Of a measured sample: the sheet and the files themselves, so
        that an edit of one is seen.
    """
    folder = f"data/raw/{sample}"
    found = [f"{folder}/sample.yaml", f"{folder}/measurements.csv"]
    if not is_simulated(sample, root):
        root = root or repo_root()
        sheet = _sheet(sample, root)
        files = sorted({Path(os.path.relpath(p, root)) for p in sheet.files(measurement)})
        found += [path.as_posix() for path in files]
    return found


def options_text(config: Mapping[str, Any], stage: str) -> str:
    """Return the options of one analysis stage as JSON for its command line.

    Only these become the rule's parameters: a change of one stage's options reruns that stage and
    what follows from it, nothing else.
    """
    return json.dumps(config.get("analysis", {}).get(stage, {}), sort_keys=True)


def sensitivity_of(sample: str, config: Mapping[str, Any], root: Path | None = None) -> list[str]:
    """Return the file of a sample's sensitivity sweep, if it is asked for or was made before.

    Parameters
    ----------
    sample : str
        Name of the sample.
    config : mapping
        With ``sensitivity``: whether to sweep the choices of the analysis.
    root : Path, optional
        The checkout.

    Returns
    -------
    list of str
        One path from the root, or none.
    """
    path = f"results/{sample}/sensitivity.json"
    wanted = config.get("sensitivity") or ((root or repo_root()) / path).exists()
    return [path] if wanted else []


def failures(logs: Iterable[str | os.PathLike[str]]) -> list[str]:
    """Find the sentences with which jobs ended, for the last words of a failed build.

    Parameters
    ----------
    logs : iterable of path-like
        Snakemake's own log files; they name the logs of the jobs that failed.

    Returns
    -------
    list of str
        One sentence a failed job, without duplicates.
    """
    sentences: dict[str, None] = {}
    for log in logs:
        text = Path(log).read_text(encoding="utf-8", errors="replace")
        for name in re.findall(r"^\s*log: (\S+?),? \(check log file", text, re.MULTILINE):
            try:
                lines = Path(name).read_text(encoding="utf-8", errors="replace").splitlines()
            except OSError:
                continue
            said = [line for line in lines if line.startswith("error: ")]
            last = [line.strip() for line in lines if line.strip()][-1:]
            for line in said[-1:] or last:
                sentences[line.removeprefix("error: ")] = None
    return list(sentences)

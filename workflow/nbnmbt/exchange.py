"""What leaves the house: the run described as an RO-Crate, and one archive that holds everything.

The crate follows Workflow Run RO-Crate: the workflow (the Snakefile with its rules and
configuration, copied beside it), one action, its inputs and its outputs, each with size and
SHA-256. Raw files lie outside ``results/{sample}`` and are named by their content (``ni:`` URIs,
RFC 6920); in the archive, which holds them too, they are plain files. ::

    python -m nbnmbt.exchange describe --sample surrogate --config '{}' --out ro-crate-metadata.json
    python -m nbnmbt.exchange check results/surrogate
    python -m nbnmbt.exchange archive --sample surrogate --out nbnmbt-surrogate.zip
    python -m nbnmbt.exchange verify nbnmbt-surrogate.zip
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nbnmbt.errors import InputError
from nbnmbt.paths import raw_folder, repo_root, results_folder
from nbnmbt.provenance import STAND_IN_NOTICE, code_version, file_sha256

__all__ = [
    "METADATA",
    "PROFILES",
    "SUMS",
    "archive",
    "check",
    "code_files",
    "describe",
    "verify",
]

METADATA = "ro-crate-metadata.json"
SUMS = "SHA256SUMS"
#: Profiles the crate conforms to, as `conformsTo` of its root.
PROFILES: dict[str, str] = {
    "https://w3id.org/ro/wfrun/process/0.5": "Process Run Crate 0.5",
    "https://w3id.org/ro/wfrun/workflow/0.5": "Workflow Run Crate 0.5",
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": "Workflow RO-Crate 1.0",
}
#: What of a sample's results is left out: clocks, and the archive itself.
_LEFT_OUT = frozenset({"logs", "benchmarks", "archive", ".snakemake"})
_NOT_CODE = frozenset(
    {".git", ".venv", ".snakemake", "__pycache__", ".ipynb_checkpoints", ".pytest_cache",
     ".ruff_cache", ".hypothesis", ".benchmarks", "build", "results", "node_modules"}
)  # fmt: skip
_TYPES = {
    ".nc": "application/netcdf",
    ".json": "application/json",
    ".csv": "text/csv",
    ".tex": "application/x-tex",
    ".pdf": "application/pdf",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".html": "text/html",
    ".ipynb": "application/x-ipynb+json",
    ".yaml": "application/yaml",
    ".dat": "text/plain",
    ".txt": "text/plain",
    ".md": "text/markdown",
    ".py": "text/x-python",
    ".js": "text/javascript",
    ".css": "text/css",
    ".zip": "application/zip",
    ".yml": "application/yaml",
    ".cff": "application/yaml",
    ".toml": "application/toml",
    **dict.fromkeys((".smk", ".j2", ".lock", ".cfg", ".mplstyle", ""), "text/plain"),
}
_MEANING = {
    "numbers.json": "Every number with uncertainty, unit and definition",
    "claims.json": "Each claim of the paper with its verdict",
    "inconsistencies.json": "Inconsistencies of the paper and what these data say about them",
    "verdicts.json": "Verdicts on the claims, before the sensitivity study",
    "loops.nc": "Fitted hysteresis loops",
}


# -------------------------------------------------------------------------------------- small parts
def _date(root: Path) -> str:
    """Return the date of what was run, from the sources alone: no clock enters a result.

    SOURCE_DATE_EPOCH, else the date of the commit, else the epoch of zip files.
    """
    given = os.environ.get("SOURCE_DATE_EPOCH")
    if given:
        return datetime.fromtimestamp(int(given), UTC).isoformat()
    if (root / ".git").exists():
        done = subprocess.run(
            ["git", "-C", str(root), "log", "-1", "--format=%ct"],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode == 0 and done.stdout.strip():
            return datetime.fromtimestamp(int(done.stdout), UTC).isoformat()
    return "1980-01-01T00:00:00+00:00"


def _name_of_content(sha256: str) -> str:
    """Return the RFC 6920 name of a file with this SHA-256."""
    digest = base64.urlsafe_b64encode(bytes.fromhex(sha256)).decode().rstrip("=")
    return f"ni:///sha-256;{digest}"


def _sheet(sample: str, root: Path) -> dict[str, Any]:
    import yaml

    path = raw_folder(sample, root) / "sample.yaml"
    if not path.exists():
        raise InputError(
            f"there are no raw data of sample '{sample}'", file=path.relative_to(root).as_posix()
        )
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def _raw_files(sample: str, root: Path) -> list[Path]:
    folder = raw_folder(sample, root)
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _result_files(sample: str, root: Path) -> list[Path]:
    folder = results_folder(sample, root)
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file()
        and not _LEFT_OUT & set(path.relative_to(folder).parts)
        and not path.name.startswith(".")
    )


def code_files(root: Path) -> list[Path]:
    """List the files of the code as they are in the checkout.

    Parameters
    ----------
    root : Path
        The checkout.

    Returns
    -------
    list of Path
        What git tracks, in the state that was run; without git (an unpacked archive) every file
        that is neither raw data nor result nor environment.
    """
    if (root / ".git").exists():
        done = subprocess.run(
            ["git", "-C", str(root), "ls-files", "-z"], capture_output=True, check=False
        )
        if done.returncode == 0:
            names = sorted(set(done.stdout.decode().split("\0")) - {""})
            return [root / name for name in names if os.path.lexists(root / name)]
    found = []
    for folder, inside, names in os.walk(root):
        here = Path(folder)
        inside[:] = sorted(
            n
            for n in inside
            if n not in _NOT_CODE
            and not n.endswith(".egg-info")
            and not (here == root / "data" and n == "raw")
        )
        found += [here / name for name in inside if (here / name).is_symlink()]
        found += [here / name for name in names if here != root or name not in (METADATA, SUMS)]
    found += [
        p for p in (root / "results" / "README.md", root / "data/raw/README.md") if p.exists()
    ]
    return sorted(found)


# -------------------------------------------------------------------------------------- the crate
def _workflow_copy(sample: str, root: Path, config: Mapping[str, Any]) -> list[tuple[str, bytes]]:
    """Return the workflow as run: name inside the crate and content."""
    import yaml

    found = [("workflow/Snakefile", (root / "Snakefile").read_bytes())]
    for path in sorted((root / "workflow" / "rules").glob("*.smk")):
        found.append((f"workflow/workflow/rules/{path.name}", path.read_bytes()))
    text = yaml.safe_dump({**config, "sample": sample}, sort_keys=True, allow_unicode=True)
    found.append(("workflow/workflow/config/default.yaml", text.encode()))
    return found


def _versions(root: Path) -> dict[str, str]:
    import re
    from importlib.metadata import version

    text = (root / "CITATION.cff").read_text(encoding="utf-8") if (
        root / "CITATION.cff"
    ).exists() else ""  # fmt: skip
    found = re.search(r"^version: *[\"']?([\w.]+)", text, re.MULTILINE)
    return {"nbnmbt": found[1] if found else "0", "snakemake": version("snakemake")}


def _licence(text: str) -> str:
    """Return the address of a licence named by its SPDX identifier, else the words themselves."""
    word = text.strip()
    known = all(c.isalnum() or c in "-.+" for c in word)
    return f"https://spdx.org/licenses/{word}" if known and word else ""


def describe(
    sample: str,
    config: Mapping[str, Any] | None = None,
    *,
    root: Path | None = None,
    whole: bool = False,
) -> dict[str, Any]:
    """Describe the run of a sample as a Workflow Run RO-Crate.

    Parameters
    ----------
    sample : str
        Name of the sample.
    config : mapping, optional
        The configuration it was built with.
    root : Path, optional
        The checkout.
    whole : bool
        Describe the archive, in which raw data and code are files of the crate, instead of
        ``results/{sample}``.

    Returns
    -------
    dict
        The JSON-LD of ``ro-crate-metadata.json``. The same files give the same description.

    Raises
    ------
    InputError
        If the sample has no raw data or no results.
    """
    from rocrate.model.computerlanguage import ComputerLanguage
    from rocrate.model.contextentity import ContextEntity
    from rocrate.rocrate import ROCrate

    root = root or repo_root()
    sheet = _sheet(sample, root)
    outputs = _result_files(sample, root)
    folder = results_folder(sample, root)
    outputs = [p for p in outputs if p.relative_to(folder).parts[0] not in (METADATA, "workflow")]
    if not outputs:
        raise InputError(f"there are no results of sample '{sample}'", advice="build it first")
    synthetic = sheet.get("provenance") != "measured"
    versions = _versions(root)
    date = _date(root)

    crate = ROCrate(version="1.1")
    # `sha256` and its kin are terms of the run profiles
    crate.metadata.extra_contexts.append("https://w3id.org/ro/terms/workflow-run/context")
    crate.name = f"{sheet['title']}: figures, numbers and claims"
    notice = f" {STAND_IN_NOTICE}" if synthetic else " Measured sample."
    crate.description = f"{' '.join(str(sheet.get('description', '')).split())}{notice}"
    crate.datePublished = datetime.fromisoformat(date)
    crate.root_dataset["datePublished"] = date
    licence = str(sheet.get("licence", "")).strip()
    address = _licence(licence)
    if address:
        crate.root_dataset["license"] = crate.add(
            ContextEntity(crate, address, {"@type": "CreativeWork", "name": licence})
        )
    else:
        crate.root_dataset["license"] = licence or "not stated"
    if sheet.get("citation"):
        crate.root_dataset["creditText"] = " ".join(str(sheet["citation"]).split())
    crate.root_dataset["keywords"] = "NbN, MnBi2Te4, superconductivity, reproducible research"
    crate.root_dataset["conformsTo"] = [
        crate.add(
            ContextEntity(
                crate,
                profile,
                {"@type": "CreativeWork", "name": name, "version": profile.rsplit("/", 1)[-1]},
            )
        )
        for profile, name in PROFILES.items()
    ]
    agent = crate.add(
        ContextEntity(
            crate,
            "#contributors",
            {"@type": "Organization", "name": "The nbnmbt contributors"},
        )
    )
    crate.root_dataset["author"] = agent
    crate.root_dataset["publisher"] = agent

    # ---- the workflow
    language = ComputerLanguage(
        crate,
        "https://w3id.org/workflowhub/workflow-ro-crate#snakemake",
        {
            "name": "Snakemake",
            "identifier": {"@id": "https://doi.org/10.1093/bioinformatics/bts480"},
            "url": {"@id": "https://snakemake.github.io"},
            "version": versions["snakemake"],
        },
    )
    crate.add(language)
    parts = (
        [(p.relative_to(root).as_posix(), p.read_bytes())
         for p in code_files(root) if p.is_file() and not p.is_symlink()]
        if whole
        else _workflow_copy(sample, root, config or {})
    )  # fmt: skip
    main = "Snakefile" if whole else "workflow/Snakefile"
    mit = crate.add(
        ContextEntity(
            crate,
            "https://spdx.org/licenses/MIT",
            {"@type": "CreativeWork", "name": "MIT"},
        )
    )
    about = {
        "name": "NbN/MnBi2Te4: from raw files to figures, numbers and claims",
        "description": "Snakemake workflow around the Python package nbnmbt.",
        "version": versions["nbnmbt"],
        "softwareVersion": code_version(root),
        "license": mit,
        "creator": agent,
        "dateModified": date,
        "conformsTo": {"@id": "https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE"},
    }
    content = dict(parts)[main]
    workflow = crate.add_workflow(
        dest_path=main, main=True, lang=language, properties={**about, **_of(content)}
    )
    # add_workflow states its own profile; the list above names it already
    crate.root_dataset["conformsTo"] = [{"@id": profile} for profile in PROFILES]
    others = []
    for name, content in parts:
        if name == main:
            continue
        kind = ["File", "SoftwareSourceCode"] if name.endswith((".smk", ".py")) else "File"
        about = {"about": crate.root_dataset} if name == "README.md" else {}
        others.append(
            crate.add_file(
                dest_path=name, properties={"@type": kind, **about, **_of(content, name)}
            )
        )
    rules = [entity for entity in others if entity.id.endswith(".smk")]
    workflow["hasPart"] = rules

    # ---- slots and files
    def slot(name: str, kind: str, words: str, required: bool = True) -> Any:
        return crate.add_formal_parameter(
            name, kind, identifier=f"#{name}", description=words, valueRequired=required
        )

    raw_slot = slot(
        "raw-data", "Collection", "Raw instrument files with their two descriptor files"
    )
    name_slot = slot("sample", "Text", "Name of the sample")
    result_slot = slot(
        "results", "Collection", "Figures, numbers, claims, notebooks and the report"
    )
    workflow["input"] = [name_slot, raw_slot]
    workflow["output"] = [result_slot]
    inputs = []
    for path in _raw_files(sample, root):
        name = path.relative_to(root).as_posix()
        properties = {"name": name, **_of_file(path)}
        if whole:
            inputs.append(crate.add_file(dest_path=name, properties=properties))
        else:
            inputs.append(
                crate.add_file(
                    _name_of_content(properties["sha256"]),
                    properties={**properties, "alternateName": path.name},
                )
            )
    # files of the same content have the same name
    inputs = list({entity.id: entity for entity in inputs}.values())
    raw = crate.add(
        ContextEntity(
            crate,
            "#raw-files",
            {
                "@type": "Collection",
                "name": f"data/raw/{sample}",
                "description": "Simulated by a virtual device." if synthetic else "As measured.",
            },
        )
    )
    raw["hasPart"] = inputs
    raw["exampleOfWork"] = raw_slot
    sample_value = crate.add(
        ContextEntity(
            crate,
            "#sample-value",
            {"@type": "PropertyValue", "name": "sample", "value": sample},
        )
    )
    sample_value["exampleOfWork"] = name_slot
    made = []
    prefix = f"results/{sample}/" if whole else ""
    for path in outputs:
        inside = path.relative_to(folder)
        properties = _of_file(path)
        meaning = _MEANING.get(inside.as_posix())
        if meaning:
            properties["description"] = meaning
        made.append(crate.add_file(dest_path=prefix + inside.as_posix(), properties=properties))
    collection = crate.add(
        ContextEntity(crate, "#result-files", {"@type": "Collection", "name": f"results/{sample}"})
    )
    collection["hasPart"] = made
    collection["exampleOfWork"] = result_slot
    run = crate.add_action(
        workflow,
        identifier="#run",
        object=[sample_value, raw, *inputs],
        result=[collection, *made],
        properties={
            "name": f"Run of the workflow on sample '{sample}'",
            "description": "No times are recorded, so that the same inputs give the same bytes; "
            f"how long each step took is in results/{sample}/benchmarks of a build.",
            "agent": {"@id": agent.id},
            "actionStatus": "http://schema.org/CompletedActionStatus",
        },
    )
    crate.root_dataset["mentions"] = [run, raw, collection]
    return crate.metadata.generate()


def _of(content: bytes, name: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {
        "contentSize": str(len(content)),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    kind = _TYPES.get(Path(name).suffix)
    return {**found, "encodingFormat": kind} if kind and name else found


def _of_file(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = {
        "contentSize": str(path.stat().st_size),
        "sha256": file_sha256(path),
    }
    kind = _TYPES.get(path.suffix)
    return {**found, "encodingFormat": kind} if kind else found


def _text(metadata: Mapping[str, Any]) -> str:
    return json.dumps(metadata, indent=1, ensure_ascii=False) + "\n"


def write(
    sample: str, config: Mapping[str, Any], out: Path, *, root: Path | None = None
) -> list[str]:
    """Write the crate of a sample's results beside them, with the workflow as it was run.

    Parameters
    ----------
    sample : str
        Name of the sample.
    config : mapping
        The configuration it was built with.
    out : Path
        ``results/{sample}/ro-crate-metadata.json``.
    root : Path, optional
        The checkout.

    Returns
    -------
    list of str
        Problems that `check` finds in what was written; none when all is well.
    """
    root = root or repo_root()
    shutil.rmtree(out.parent / "workflow", ignore_errors=True)
    for name, content in _workflow_copy(sample, root, config):
        path = out.parent / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    out.write_text(_text(describe(sample, config, root=root)), encoding="utf-8", newline="\n")
    return check(out.parent)


# -------------------------------------------------------------------------------------- validation
def check(folder: str | os.PathLike[str]) -> list[str]:
    """Check a crate: it loads, says what its profiles demand, and its files are those described.

    Parameters
    ----------
    folder : path-like
        Folder with ``ro-crate-metadata.json``.

    Returns
    -------
    list of str
        One sentence a problem.
    """
    from rocrate.rocrate import ROCrate

    folder = Path(folder)
    if not (folder / METADATA).is_file():
        return [f"there is no {METADATA} in this folder"]
    try:
        crate = ROCrate(str(folder))
    except Exception as error:
        return [f"rocrate cannot load it: {error}"]
    graph = json.loads((folder / METADATA).read_text(encoding="utf-8"))["@graph"]
    by_id = {entity["@id"]: entity for entity in graph}
    problems = []

    def need(condition: Any, words: str) -> None:
        if not condition:
            problems.append(words)

    need(len(by_id) == len(graph), "two entities share an @id")
    top = by_id[crate.root_dataset.id]
    for field in ("name", "description", "datePublished", "license"):
        need(top.get(field), f"the root dataset has no {field}")
    stated = set(_ids(top.get("conformsTo")))
    for profile in PROFILES:
        need(profile in stated, f"the root dataset does not conform to {profile}")
        need(profile in by_id, f"profile {profile} is not described")
    main = crate.mainEntity
    need(main is not None, "the root dataset has no mainEntity")
    if main is not None:
        kinds = _kinds(by_id[main.id])
        need(
            {"File", "SoftwareSourceCode", "ComputationalWorkflow"} <= kinds,
            "the main entity is not a workflow file",
        )
        languages = _ids(by_id[main.id].get("programmingLanguage"))
        need(languages and languages[0] in by_id, "the workflow names no language")
        for side in ("input", "output"):
            slots = _ids(by_id[main.id].get(side))
            need(slots, f"the workflow has no {side}")
            for one in slots:
                need("FormalParameter" in _kinds(by_id.get(one, {})), f"{one} is no parameter")
    actions = [e for e in graph if "CreateAction" in _kinds(e)]
    need(actions, "there is no action that says what was run")
    for action in actions:
        need(main is not None and main.id in _ids(action.get("instrument")),
             "the action's instrument is not the workflow")  # fmt: skip
        need(action["@id"] in _ids(top.get("mentions")), "the root does not mention the action")
        for side in ("object", "result"):
            need(_ids(action.get(side)), f"the action has no {side}")
            for one in _ids(action.get(side)):
                need(one in by_id, f"{one} is used but not described")
    parts = set(_ids(top.get("hasPart")))
    for entity in graph:
        if "File" not in _kinds(entity):
            continue
        name = entity["@id"]
        need(name in parts or "://" in name, f"{name} is not part of the root dataset")
        if ":" in name.split("/")[0]:
            continue
        path = folder / name
        if not path.is_file():
            problems.append(f"{name} is described but not there")
        elif "sha256" in entity:
            need(file_sha256(path) == entity["sha256"], f"{name} differs from its description")
    return problems


def _ids(value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [v["@id"] if isinstance(v, Mapping) else v for v in values if v]


def _kinds(entity: Mapping[str, Any]) -> set[str]:
    value = entity.get("@type", ())
    return {value} if isinstance(value, str) else set(value)


# -------------------------------------------------------------------------------------- the archive
def archive(
    sample: str, out: Path, config: Mapping[str, Any] | None = None, *, root: Path | None = None
) -> Path:
    """Bundle raw data, results, code and lock into one zip with checksums.

    Parameters
    ----------
    sample : str
        Name of the sample.
    out : Path
        The zip file; its SHA-256 is written beside it.
    config : mapping, optional
        The configuration it was built with.
    root : Path, optional
        The checkout.

    Returns
    -------
    Path
        ``out``. It unpacks to one folder, a checkout with data and results in their places, with
        ``SHA256SUMS`` (for ``sha256sum -c``) and a crate that describes all of it. The same files
        give the same bytes.
    """
    root = root or repo_root()
    top = out.stem
    raw, results = _raw_files(sample, root), _result_files(sample, root)
    members: dict[str, bytes | Path] = {}
    links: dict[str, str] = {}
    for path in code_files(root):
        name = path.relative_to(root).as_posix()
        if path.is_symlink():
            links[name] = os.readlink(path)
        elif path.is_file():
            members[name] = path
    for path in (*raw, *results):
        members[path.relative_to(root).as_posix()] = path
    metadata = describe(sample, config, root=root, whole=True)
    members[METADATA] = _text(metadata).encode()
    sums = {
        name: file_sha256(content)
        if isinstance(content, Path)
        else hashlib.sha256(content).hexdigest()
        for name, content in members.items()
    }
    lines = "".join(f"{sums[name]}  {name}\n" for name in sorted(sums))
    members[SUMS] = lines.encode()

    out.parent.mkdir(parents=True, exist_ok=True)
    part = out.with_suffix(".part")
    with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as bundle:
        for name in sorted({*members, *links}):
            # a fixed time, and the permissions a person needs, whatever this machine's are
            entry = zipfile.ZipInfo(f"{top}/{name}", (1980, 1, 1, 0, 0, 0))
            entry.create_system = 3
            if name in links:
                entry.external_attr = 0o120777 << 16
                bundle.writestr(entry, links[name])
                continue
            content = members[name]
            data = content.read_bytes() if isinstance(content, Path) else content
            runs = isinstance(content, Path) and data.startswith(b"#!")
            entry.external_attr = (0o100755 if runs else 0o100644) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            bundle.writestr(entry, data)
    os.replace(part, out)
    out.with_suffix(".zip.sha256").write_text(
        f"{file_sha256(out)}  {out.name}\n", encoding="utf-8", newline="\n"
    )
    return out


def verify(path: str | os.PathLike[str]) -> list[str]:
    """Check every file of an archive against its ``SHA256SUMS``.

    Parameters
    ----------
    path : path-like
        The zip file.

    Returns
    -------
    list of str
        One sentence a problem: missing, changed or unlisted files.
    """
    problems = []
    with zipfile.ZipFile(path) as bundle:
        top = Path(path).stem
        inside = {
            info.filename.partition("/")[2]
            for info in bundle.infolist()
            if not info.is_dir() and (info.external_attr >> 16) & 0o170000 != 0o120000
        }
        listed = {}
        names = bundle.namelist()
        top = names[0].partition("/")[0] if names else top
        for line in bundle.read(f"{top}/{SUMS}").decode().splitlines():
            digest, _, name = line.partition("  ")
            listed[name] = digest
        for name in sorted(listed):
            if name not in inside:
                problems.append(f"{name} is listed but not there")
            elif hashlib.sha256(bundle.read(f"{top}/{name}")).hexdigest() != listed[name]:
                problems.append(f"{name} has changed")
        problems += [f"{name} is not listed" for name in sorted(inside - set(listed) - {SUMS})]
    return problems


# ---------------------------------------------------------------------------------- command line
def main(argv: Sequence[str] | None = None) -> int:
    """Describe a run, check a crate, make or verify an archive."""
    import argparse

    parser = argparse.ArgumentParser(prog="python -m nbnmbt.exchange", description=main.__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, words in (
        ("describe", "write ro-crate-metadata.json of a sample"),
        ("archive", "bundle everything of a sample into one zip"),
    ):
        one = commands.add_parser(name, help=words)
        one.add_argument("--sample", required=True)
        one.add_argument("--config", default="{}", help="configuration as JSON")
        one.add_argument("--out", type=Path, required=True)
    one = commands.add_parser("check", help="check the crate in a folder")
    one.add_argument("path", type=Path)
    one = commands.add_parser("verify", help="check an archive against its checksums")
    one.add_argument("path", type=Path)
    arguments = parser.parse_args(argv)
    try:
        problems: Iterable[str]
        if arguments.command == "describe":
            problems = write(arguments.sample, json.loads(arguments.config), arguments.out)
        elif arguments.command == "archive":
            made = archive(arguments.sample, arguments.out, json.loads(arguments.config))
            problems = verify(made)
            print(f"{made.name}: {made.stat().st_size / 1e6:.1f} MB")
        else:
            problems = {"check": check, "verify": verify}[arguments.command](arguments.path)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    problems = list(problems)
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    if not problems:
        print("in order")
    return bool(problems)


if __name__ == "__main__":
    raise SystemExit(main())

"""The RO-Crate of a run and the archive: complete, checkable, the same each time."""

from __future__ import annotations

import hashlib
import json
import subprocess
import zipfile

import pytest
import yaml

from nbnmbt import exchange
from nbnmbt.errors import InputError
from nbnmbt.paths import repo_root


def put(root, name, content):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return path


@pytest.fixture
def checkout(tmp_path):
    """A small checkout without git, with one sample that was built."""
    root = tmp_path / "checkout"
    put(root, "Snakefile", "rule all:\n    input: []\n")
    put(root, "workflow/rules/loops.smk", "rule loops: ...\n")
    put(root, "workflow/nbnmbt/module.py", "x = 1\n")
    put(root, "requirements.lock", "numpy==2.4.6\n")
    put(root, ".ci/run", "#!/bin/sh\nmake test\n")
    put(root, ".venv/lib/secret.py", "not part of the code\n")
    put(root, "data/raw/README.md", "raw data\n")
    put(
        root,
        "data/raw/device/sample.yaml",
        "title: Bilayer\nprovenance: measured\nlicence: CC-BY-4.0\ndescription: Ours\n",
    )
    put(root, "data/raw/device/measurements.csv", "measurement,file\n")
    put(root, "data/raw/device/iv/a.txt", "1 2\n")
    put(root, "results/device/numbers.json", "{}\n")
    put(root, "results/device/claims.json", "[]\n")
    put(root, "results/device/figures/fig2.svg", "<svg/>\n")
    put(root, "results/device/logs/a.log", "at 12:00\n")
    put(root, "results/device/benchmarks/a.tsv", "s\n12\n")
    (root / "profiles").symlink_to("workflow")
    return root


def graph(folder):
    found = json.loads((folder / exchange.METADATA).read_text(encoding="utf-8"))["@graph"]
    return {entity["@id"]: entity for entity in found}


@pytest.fixture
def described(checkout):
    folder = checkout / "results" / "device"
    problems = exchange.write("device", {"analysis": {}}, folder / exchange.METADATA, root=checkout)
    assert problems == []
    return folder


def test_the_library_loads_it_and_finds_workflow_action_and_files(described):
    from rocrate.rocrate import ROCrate

    crate = ROCrate(str(described))
    assert crate.mainEntity.id == "workflow/Snakefile"
    assert "ComputationalWorkflow" in crate.mainEntity["@type"]
    (action,) = (e for e in crate.contextual_entities if e.type == "CreateAction")
    results = {entity.id for entity in action["result"]}
    assert {"numbers.json", "claims.json", "figures/fig2.svg"} <= results
    assert crate.root_dataset["license"].id == "https://spdx.org/licenses/CC-BY-4.0"
    profiles = {entity.id for entity in crate.root_dataset["conformsTo"]}
    assert "https://w3id.org/ro/wfrun/workflow/0.5" in profiles


def test_no_placeholder_is_left_and_the_collections_are_mentioned(described):
    found = graph(described)
    assert "{" not in found["#run"]["description"]
    collections = {name for name, one in found.items() if one["@type"] == "Collection"}
    assert {"#run", *collections} == {one["@id"] for one in found["./"]["mentions"]}


def test_raw_files_are_named_by_their_content(checkout, described):
    content = (checkout / "data/raw/device/iv/a.txt").read_bytes()
    entity = next(e for e in graph(described).values() if e.get("alternateName") == "a.txt")
    assert entity["sha256"] == hashlib.sha256(content).hexdigest()
    assert entity["@id"].startswith("ni:///sha-256;")
    assert entity["name"] == "data/raw/device/iv/a.txt"


def test_no_clock_gets_in(described):
    entities = graph(described)
    assert not any("logs/" in name or "benchmarks/" in name for name in entities)
    assert entities["./"]["datePublished"] == "1980-01-01T00:00:00+00:00"
    text = (described / exchange.METADATA).read_text(encoding="utf-8")
    root = described.parents[1]
    (described / exchange.METADATA).unlink()
    exchange.write("device", {"analysis": {}}, described / exchange.METADATA, root=root)
    assert (described / exchange.METADATA).read_text(encoding="utf-8") == text


def test_the_workflow_as_run_is_beside_it(described):
    config = yaml.safe_load((described / "workflow/workflow/config/default.yaml").read_text())
    assert config == {"analysis": {}, "sample": "device"}
    assert (described / "workflow/workflow/rules/loops.smk").exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda g, f: (f / "numbers.json").write_text("[]"), "numbers.json differs"),
        (lambda g, f: (f / "claims.json").unlink(), "claims.json is described but not there"),
        (lambda g, f: g["./"].pop("license"), "no license"),
        (lambda g, f: g["./"].pop("conformsTo"), "does not conform"),
        (lambda g, f: g["./"].pop("mainEntity"), "no mainEntity"),
        (lambda g, f: g["#run"].pop("result"), "no result"),
        (lambda g, f: g["#run"].update(instrument={"@id": "#sample"}), "instrument"),
        (lambda g, f: g["./"].pop("mentions"), "does not mention"),
        (lambda g, f: g.pop("#raw-data"), "is no parameter"),
    ],
)
def test_a_flaw_is_found(described, change, words):
    path = described / exchange.METADATA
    whole = json.loads(path.read_text(encoding="utf-8"))
    entities = {entity["@id"]: entity for entity in whole["@graph"]}
    change(entities, described)
    whole["@graph"] = list(entities.values())
    path.write_text(json.dumps(whole), encoding="utf-8")
    assert any(words in problem for problem in exchange.check(described)), exchange.check(described)


def test_a_folder_without_crate_is_said_to_have_none(tmp_path):
    assert exchange.check(tmp_path) == [f"there is no {exchange.METADATA} in this folder"]


def test_nothing_built_is_one_sentence(checkout):
    with pytest.raises(InputError, match="no raw data of sample 'other'"):
        exchange.describe("other", root=checkout)
    put(checkout, "data/raw/other/sample.yaml", "title: x\nprovenance: measured\n")
    with pytest.raises(InputError, match="build it first"):
        exchange.describe("other", root=checkout)


# ------------------------------------------------------------------------------------ the archive
@pytest.fixture
def bundle(checkout, described):
    return exchange.archive(
        "device", checkout / "results/device/archive/nbnmbt-device.zip", root=checkout
    )


def test_it_holds_raw_data_results_code_and_lock(bundle):
    names = {n.removeprefix("nbnmbt-device/") for n in zipfile.ZipFile(bundle).namelist()}
    assert {
        "Snakefile",
        "requirements.lock",
        ".ci/run",
        "profiles",
        "data/raw/device/iv/a.txt",
        "results/device/figures/fig2.svg",
        "results/device/ro-crate-metadata.json",
        "ro-crate-metadata.json",
        "SHA256SUMS",
    } <= names
    assert not any(".venv" in n or "/logs/" in n or "/benchmarks/" in n for n in names)


def test_the_same_files_give_the_same_bytes(bundle, checkout):
    first = bundle.read_bytes()
    for path in (checkout / "results").rglob("*"):
        path.touch()
    exchange.archive("device", bundle, root=checkout)
    assert bundle.read_bytes() == first
    digest, name = bundle.with_suffix(".zip.sha256").read_text().split()
    assert (digest, name) == (hashlib.sha256(first).hexdigest(), bundle.name)


def test_unpacked_it_passes_sha256sum_and_both_crates_check(bundle, tmp_path):
    subprocess.run(["unzip", "-q", bundle, "-d", tmp_path], check=True)
    top = tmp_path / "nbnmbt-device"
    done = subprocess.run(["sha256sum", "--quiet", "-c", "SHA256SUMS"], cwd=top, check=False)
    assert done.returncode == 0
    assert (top / "profiles").is_symlink()
    assert (top / ".ci/run").stat().st_mode & 0o111
    assert exchange.check(top) == []
    assert exchange.check(top / "results" / "device") == []


def test_an_unpacked_archive_can_be_archived_again(bundle, tmp_path):
    """Without git the code is what lies there, not the environment or the results."""
    subprocess.run(["unzip", "-q", bundle, "-d", tmp_path], check=True)
    top = tmp_path / "nbnmbt-device"
    again = exchange.archive("device", tmp_path / "nbnmbt-device.zip", root=top)
    assert again.read_bytes() == bundle.read_bytes()


def test_a_changed_file_is_found(bundle):
    with zipfile.ZipFile(bundle, "a") as more:
        more.writestr("nbnmbt-device/extra.txt", "not listed")
    assert exchange.verify(bundle) == ["extra.txt is not listed"]


def test_with_git_only_tracked_files_are_code(checkout):
    git = ["git", "-C", str(checkout), "-c", "user.name=x", "-c", "user.email=x@example.org"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "add", "Snakefile", ".ci", "profiles"], check=True)
    names = [p.relative_to(checkout).as_posix() for p in exchange.code_files(checkout)]
    assert names == [".ci/run", "Snakefile", "profiles"]


# ------------------------------------------------------------------------------------ codecheck.yml
def test_codecheck_manifest_names_what_the_workflow_makes():
    content = yaml.safe_load((repo_root() / "codecheck.yml").read_text(encoding="utf-8"))
    assert content["version"].startswith("https://codecheck.org.uk/spec/config/1.")
    files = [entry["file"] for entry in content["manifest"]]
    assert {f"results/surrogate/figures/fig{n}.pdf" for n in range(2, 8)} <= set(files)
    assert all(entry["comment"] for entry in content["manifest"])
    rules = (repo_root() / "Snakefile").read_text(encoding="utf-8")
    for name in ("numbers", "claims", "report/index.html"):
        assert any(name in file for file in files)
        assert name.split(".")[0] in rules

"""The configuration: typed models are its source, YAML file and JSON schema are made from them.

`model()` puts the stages' own ``Options`` classes together. ``python -m nbnmbt.config --fix``
writes ``workflow/config/default.yaml`` and ``default.schema.json`` from it; a test asserts that
they are in step.

The Snakefile only calls `check`, which needs the schema but none of the analysis modules, so that a
build with nothing to do stays quick.
"""

from __future__ import annotations

import functools
import importlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbnmbt.errors import InputError, did_you_mean
from nbnmbt.paths import repo_root

if TYPE_CHECKING:
    from pydantic import BaseModel

__all__ = [
    "STAGES",
    "check",
    "defaults",
    "model",
    "options",
    "read",
    "samples_of",
    "schema",
    "to_yaml",
    "typed",
]

SCHEMA_DIALECT = "https://json-schema.org/draft/2020-12/schema"

#: Analysis stage -> the module whose ``Options`` are its part of the configuration. The modules are
#: loaded by name, so that reading one stage's options does not make every stage a code input.
STAGES: dict[str, str] = {
    "critical_currents": "nbnmbt.analysis.critical_currents",
    "spectrum": "nbnmbt.analysis.spectrum",
    "transitions": "nbnmbt.analysis.transitions",
    "temperature_laws": "nbnmbt.analysis.temperature_laws",
    "kinks": "nbnmbt.analysis.kinks",
    "angle": "nbnmbt.analysis.angle",
    "loops": "nbnmbt.analysis.loops",
}

_HEAD = """\
# yaml-language-server: $schema=default.schema.json
# Made by `python -m nbnmbt.config --fix` from the Options classes of the analysis stages: change a
# default there. To change it for one build, say so on the command line,
#   snakemake --config sample=mydevice analysis='{loops: {lag_T: 0.002}}'
# or in a file of your own that holds only the differences: snakemake --configfile mine.yaml
"""


# ------------------------------------------------------------------------------ the typed source
@functools.lru_cache(maxsize=1)
def model() -> type[BaseModel]:
    """Build the configuration's pydantic model out of the stages' ``Options``.

    Returns
    -------
    type of pydantic.BaseModel
        Fields ``sample``, ``sensitivity``, ``joint_variants`` and ``analysis`` (one field a stage).
        Frozen; unknown keys are errors.
    """
    from pydantic import ConfigDict, Field, create_model

    strict = ConfigDict(frozen=True, extra="forbid")
    fields: dict[str, Any] = {}
    for stage, module in STAGES.items():
        stage_options = importlib.import_module(module).Options
        summary = (stage_options.__doc__ or "").strip().split("\n\n")[0]
        fields[stage] = (
            stage_options,
            Field(default_factory=stage_options, description=" ".join(summary.split())),
        )
    analysis = create_model(
        "Analysis", __config__=strict, __doc__="The choices of the analysis stages.", **fields
    )
    name = {"type": "string", "pattern": r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"}
    sample = Field(
        default="surrogate",
        description="The sample to build: a folder of data/raw, or the name of a virtual device of "
        "workflow/devices. Several: a list, or names with commas.",
        json_schema_extra={
            "anyOf": [
                {"type": "string", "minLength": 1},
                {"type": "array", "minItems": 1, "items": name},
            ]
        },
    )
    sensitivity = Field(
        default=False,
        description="Sweep the analysis choices and say beside each claim in how many variants it "
        "holds. Takes minutes; a sweep once made is kept up to date.",
    )
    joint = Field(
        default=8,
        ge=0,
        description="Variants of the sweep in which every choice is drawn at random.",
    )
    choices = Field(
        default_factory=analysis,
        description="Choices of the analysis, by stage.",
    )
    return create_model(
        "Config",
        __config__=strict,
        __doc__="Everything about a build that can be chosen.",
        sample=(str | list[str], sample),
        sensitivity=(bool, sensitivity),
        joint_variants=(int, joint),
        analysis=(analysis, choices),
    )


def schema() -> dict[str, Any]:
    """Return the JSON schema of the configuration, as made from `model`."""
    return {
        "$schema": SCHEMA_DIALECT,
        "title": "Configuration of the NbN/MnBi2Te4 pipeline",
        **{k: v for k, v in model().model_json_schema().items() if k != "title"},
    }


def defaults() -> dict[str, Any]:
    """Return the default configuration as plain values."""
    return json.loads(model()().model_dump_json())


def to_yaml() -> str:
    """Write the default configuration as YAML, every key with its description as a comment."""
    import textwrap

    import yaml

    def emit(instance: Any, indent: int) -> list[str]:
        lines: list[str] = []
        pad = "  " * indent
        for name, field in type(instance).model_fields.items():
            text = field.description or ""
            lines += [f"{pad}# {line}" for line in textwrap.wrap(text, 96 - len(pad))]
            value = getattr(instance, name)
            if hasattr(type(value), "model_fields"):
                lines += [f"{pad}{name}:", *emit(value, indent + 1)]
                if not type(value).model_fields:
                    lines[-1] += " {}"
                continue
            plain = json.loads(instance.model_dump_json(include={name}))[name]
            flow = yaml.safe_dump(
                plain, default_flow_style=True, width=10_000, allow_unicode=True
            ).removesuffix("\n...\n")
            lines.append(f"{pad}{name}: {flow.strip()}")
        return lines

    return _HEAD + "\n".join(emit(model()(), 0)) + "\n"


def options(stage: str, config: Mapping[str, Any] | None = None) -> Any:
    """Return the ``Options`` of one stage.

    Parameters
    ----------
    stage : str
        A key of `STAGES`.
    config : mapping, optional
        A configuration; the default file's when not given.

    Returns
    -------
    pydantic.BaseModel
        The stage's ``Options``.

    Raises
    ------
    InputError
        If there is no such stage.
    """
    if stage not in STAGES:
        raise InputError(
            f"there is no analysis stage '{stage}'", advice=did_you_mean(stage, STAGES)
        )
    config = read() if config is None else config
    values = (config.get("analysis") or {}).get(stage) or {}
    return importlib.import_module(STAGES[stage]).Options(**values)


def read(path: Path | None = None) -> dict[str, Any]:
    """Read a configuration file (the default one unless told otherwise)."""
    import yaml

    path = path or repo_root() / "workflow" / "config" / "default.yaml"
    # a package without its checkout's file falls back on the models' own defaults
    return yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else {}


# ------------------------------------------------------------------- checking a given configuration
def samples_of(config: Mapping[str, Any]) -> list[str]:
    """Return the names of the samples to build.

    Parameters
    ----------
    config : mapping
        With ``sample``: a name, several with commas, or a list.

    Returns
    -------
    list of str
        Without duplicates, in the order given.
    """
    given = config.get("sample", "surrogate")
    names = given if isinstance(given, list) else str(given).split(",")
    return list(dict.fromkeys(name for name in (str(n).strip() for n in names) if name))


def typed(config: Mapping[str, Any], schema_path: Path | None = None) -> dict[str, Any]:
    """Read the words of a command line as the types that the schema expects.

    Snakemake leaves what is nested in ``--config analysis='{kinks: {draws: 900}}'`` as text, so 900
    arrives as ``"900"``. Text stays text where the schema admits text.

    Parameters
    ----------
    config : mapping
        The configuration, as Snakemake merged it.
    schema_path : Path, optional
        Another schema file.

    Returns
    -------
    dict
        The same keys; what cannot be read is left as it is, for `check` to name.
    """
    import yaml

    path = schema_path or repo_root() / "workflow" / "config" / "default.schema.json"
    rules = json.loads(path.read_text(encoding="utf-8"))

    def alternatives(part: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        if "$ref" in part:
            return alternatives(rules["$defs"][part["$ref"].rsplit("/", 1)[-1]])
        inner = [*part.get("anyOf", ()), *part.get("allOf", ())]
        return [part, *(found for one in inner for found in alternatives(one))]

    def read_as(value: Any, part: Mapping[str, Any]) -> Any:
        forms = alternatives(part)
        if isinstance(value, Mapping):
            known = {k: v for form in forms for k, v in form.get("properties", {}).items()}
            return {key: read_as(inner, known.get(key, {})) for key, inner in value.items()}
        if isinstance(value, list):
            items = next((form["items"] for form in forms if "items" in form), {})
            return [read_as(inner, items) for inner in value]
        wants_text = any(
            form.get("type") == "string" or isinstance(form.get("const"), str) for form in forms
        ) or any(isinstance(one, str) for form in forms for one in form.get("enum", ()))
        if isinstance(value, str) and not wants_text and any("type" in form for form in forms):
            try:
                return yaml.safe_load(value)
            except yaml.YAMLError:
                return value
        return value

    return read_as(config, rules)


def check(config: Mapping[str, Any], schema_path: Path | None = None) -> None:
    """Check a configuration against the committed schema.

    Parameters
    ----------
    config : mapping
        The configuration, as Snakemake merged it.
    schema_path : Path, optional
        Another schema file.

    Raises
    ------
    InputError
        One sentence that names the key, what was found and what is expected, for the first problem.
    """
    import jsonschema

    path = schema_path or repo_root() / "workflow" / "config" / "default.schema.json"
    rules = json.loads(path.read_text(encoding="utf-8"))
    problems = sorted(
        jsonschema.Draft202012Validator(rules).iter_errors(config),
        key=lambda e: list(map(str, e.path)),
    )
    # An unknown key is the most common slip and the most telling one.
    problems.sort(key=lambda error: error.validator != "additionalProperties")
    if problems:
        raise _as_input_error(problems[0])


def _as_input_error(error: Any) -> InputError:
    where = ".".join(map(str, error.absolute_path))
    if error.validator == "additionalProperties":
        known = error.schema.get("properties", {})
        key = min(set(error.instance) - set(known))
        full = f"{where}.{key}" if where else key
        return InputError(f"the configuration has no key '{full}'", advice=did_you_mean(key, known))
    # `anyOf`: say all that would be allowed, rather than the first branch's complaint.
    causes = error.context or [error]
    return InputError(
        f"configuration key '{where}' cannot be used",
        found=error.instance,
        expected=" or ".join(dict.fromkeys(_expected(cause) for cause in causes)),
    )


def _expected(error: Any) -> str:
    limit = error.validator_value
    if isinstance(limit, list):
        limit = ", ".join(map(str, limit))
    words = {
        "type": f"a value of type {limit}",
        "minimum": f"at least {limit}",
        "maximum": f"at most {limit}",
        "exclusiveMinimum": f"more than {limit}",
        "exclusiveMaximum": f"less than {limit}",
        "enum": f"one of {limit}",
        "const": f"{limit}",
        "pattern": f"text that matches {limit}",
        "minLength": f"at least {limit} characters",
        "minItems": f"at least {limit} entries",
        "maxItems": f"at most {limit} entries",
        "required": f"the keys {limit}",
    }
    return words.get(error.validator, error.message)


# --------------------------------------------------------------------------------- command line
def files(root: Path | None = None) -> dict[Path, str]:
    """Return the generated files and what they should hold."""
    # By name, as the stages: what judges the claims is no input of the stages that have options.
    claims = importlib.import_module("nbnmbt.claims").ClaimsFile
    folder = (root or repo_root()) / "workflow" / "config"

    def text(content: Mapping[str, Any]) -> str:
        return json.dumps(content, indent=1, ensure_ascii=False) + "\n"

    return {
        folder / "default.yaml": to_yaml(),
        folder / "default.schema.json": text(schema()),
        folder / "claims.schema.json": text(
            {"$schema": SCHEMA_DIALECT, **claims.model_json_schema()}
        ),
    }


def main(argv: list[str] | None = None) -> int:
    """Compare the generated configuration files with the models, or write them."""
    import argparse

    parser = argparse.ArgumentParser(
        prog="python -m nbnmbt.config",
        description="Keep workflow/config/default.yaml and its schema in step with the models.",
    )
    parser.add_argument("--fix", action="store_true", help="write the files instead of comparing")
    arguments = parser.parse_args(argv)
    status = 0
    for path, text in files().items():
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        if arguments.fix:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="\n")
            print(f"wrote {path.name}")
        else:
            print(
                f"error: {path.name} differs from the models: run python -m nbnmbt.config --fix",
                file=sys.stderr,
            )
            status = 1
    return status


if __name__ == "__main__":
    raise SystemExit(main())

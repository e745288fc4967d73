"""Typed models, YAML and schema agree; a wrong key or value is one sentence."""

from __future__ import annotations

import importlib
import json

import jsonschema
import pytest
import yaml

from nbnmbt import config
from nbnmbt.errors import InputError


def test_the_generated_files_are_in_step_with_the_models():
    """If this fails after a default was changed: ``python -m nbnmbt.config --fix``."""
    for path, text in config.files().items():
        assert path.read_text(encoding="utf-8") == text, (
            f"{path.name} differs from the models: run python -m nbnmbt.config --fix"
        )


def test_the_command_compares_and_fixes(tmp_path, monkeypatch, capsys):
    wanted = {tmp_path / "default.yaml": "a: 1\n"}
    monkeypatch.setattr(config, "files", lambda: wanted)
    assert config.main([]) == 1
    assert "--fix" in capsys.readouterr().err
    assert config.main(["--fix"]) == 0
    assert (tmp_path / "default.yaml").read_text() == "a: 1\n"
    assert config.main([]) == 0


def test_the_yaml_gives_the_defaults_back():
    assert yaml.safe_load(config.to_yaml()) == config.defaults()


def test_the_first_line_points_editors_at_the_schema():
    assert config.to_yaml().splitlines()[0] == (
        "# yaml-language-server: $schema=default.schema.json"
    )


def test_the_schema_is_valid_and_accepts_the_defaults():
    schema = config.schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(config.defaults(), schema)


@pytest.mark.parametrize("stage", config.STAGES)
def test_every_option_is_documented_and_strict(stage):
    options = importlib.import_module(config.STAGES[stage]).Options
    assert options.model_config["extra"] == "forbid"
    assert options.model_config["frozen"]
    for name, field in options.model_fields.items():
        assert field.description, f"{stage}.{name} has no description"
        assert not field.is_required(), f"{stage}.{name} has no default"


def test_options_of_a_stage_come_from_the_configuration():
    assert config.options("kinks", {"analysis": {"kinks": {"draws": 777}}}).draws == 777
    module = importlib.import_module(config.STAGES["kinks"])
    assert config.options("kinks") == module.Options()
    with pytest.raises(InputError, match="no analysis stage 'kink'; did you mean 'kinks'"):
        config.options("kink")


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ({}, ["surrogate"]),
        ({"sample": "a"}, ["a"]),
        ({"sample": "a, b,a"}, ["a", "b"]),
        ({"sample": ["b", "a"]}, ["b", "a"]),
        ({"sample": 7}, ["7"]),
    ],
)
def test_samples_are_a_name_or_several(given, names):
    assert config.samples_of(given) == names


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"sampel": "a"}, "has no key 'sampel'; did you mean 'sample'?"),
        ({"analysis": {"loop": {}}}, "no key 'analysis.loop'; did you mean 'loops'?"),
        ({"analysis": {"kinks": {"draw": 1}}}, "'analysis.kinks.draw'; did you mean 'draws'?"),
        ({"analysis": {"kinks": {"draws": "many"}}}, "(found 'many', expected a value of type"),
        ({"analysis": {"kinks": {"significance": 2}}}, "'analysis.kinks.significance' cannot be"),
        ({"sample": []}, "'sample' cannot be used"),
        ({"analysis": []}, "'analysis' cannot be used (found [], expected a value of type object)"),
    ],
)
def test_what_is_wrong_is_one_sentence(change, sentence, tmp_path):
    path = tmp_path / "schema.json"
    path.write_text(json.dumps(config.schema()))
    with pytest.raises(InputError) as error:
        config.check(config.defaults() | change, path)
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


def test_a_good_configuration_passes(tmp_path):
    path = tmp_path / "schema.json"
    path.write_text(json.dumps(config.schema()))
    config.check({"sample": "a", "analysis": {"kinks": {"draws": 1000}}}, path)


def test_checking_needs_no_analysis_module():
    """Snakemake checks the configuration at every start; that must stay quick."""
    import subprocess
    import sys

    script = (
        "import sys\nfrom nbnmbt import config, dag\nconfig.check(config.read())\n"
        "heavy = {'numpy', 'pydantic', 'xarray', 'nbnmbt.analysis'} & set(sys.modules)\n"
        "sys.exit(', '.join(heavy) or 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_words_of_the_command_line_are_read_as_the_schema_expects():
    given = {"sample": "7", "analysis": {"kinks": {"draws": "900", "channels": ["0", "1"]}}}
    given["analysis"]["kinks"]["largest_field_T"] = "null"
    given["analysis"]["kinks"]["flop_reference"] = "B_flop_interface"
    found = config.typed(given)
    kinks = found["analysis"]["kinks"]
    assert found["sample"] == "7"
    assert (kinks["draws"], kinks["channels"]) == (900, [0, 1])
    assert kinks["largest_field_T"] is None
    assert kinks["flop_reference"] == "B_flop_interface"
    config.check(found)


def test_words_that_are_no_number_and_keys_that_are_unknown_are_left_to_the_check():
    assert config.typed({"analysis": {"kinks": {"draws": "many"}}})["analysis"]["kinks"] == {
        "draws": "many"
    }
    assert config.typed({"sampel": "1"}) == {"sampel": "1"}
    assert config.typed(config.defaults()) == config.defaults()

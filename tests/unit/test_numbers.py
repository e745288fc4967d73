"""Rounding, collecting and writing of the numbers."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from pathlib import Path

import pytest

from nbnmbt.analysis.estimate import Estimate, Stage
from nbnmbt.errors import InputError
from nbnmbt.numbers import (
    NUMBER_KEYS,
    Number,
    collect,
    format_value,
    published_values,
    read_numbers,
    select,
    summary_table,
    tex_name,
    to_csv,
    to_json,
    to_tex,
)
from nbnmbt.provenance import STAMP_KEY


def stages(**changes) -> dict[str, Stage]:
    """Stages that give every number: value 1.25, uncertainty 0.01."""
    found: dict[str, dict[str, Estimate]] = {}
    for name, key in NUMBER_KEYS.items():
        entry = {
            "value": 1.25,
            "uncertainty": 0.01,
            "unit": key.unit,
            "definition": f"The {name}.",
            "estimator": "nbnmbt.analysis.x.f",
        } | changes.get(name, {})
        found.setdefault(key.stage, {})[name] = Estimate(**entry)
    attrs = {STAMP_KEY: {"inputs": {"a.nc": "0" * 64}}}
    return {s: Stage(estimates=e, statistics={}, attrs=attrs) for s, e in found.items()}


@pytest.mark.parametrize(
    ("value", "uncertainty", "text"),
    [
        (1.2344, 0.005, "1.234(5)"),
        (1.2344, 0.0123, "1.234(12)"),
        (10.80123, 0.02345, "10.801(23)"),
        (10.80123, 0.0355, "10.80(4)"),
        (10.80123, 0.0354, "10.801(35)"),
        (10.80123, 0.0949, "10.80(9)"),
        (10.80123, 0.0951, "10.80(10)"),
        (10.80123, 0.0996, "10.80(10)"),
        (5.83, 1.234, "5.8(1.2)"),
        (5.83, 4.4, "6(4)"),
        (1234.0, 44.0, "1230(40)"),
        (1234.0, 123.0, "1230(120)"),
        (-0.0001, 0.02, "0.000(20)"),
        (-3.14159, 0.001, "-3.1416(10)"),
        (1e-9, 2e-10, "0.00000000100(20)"),
        (10.8, None, "10.8"),
        (10.8, 0.0, "10.8"),
        (10.8, float("nan"), "10.8"),
        (None, None, "not determined"),
        (float("nan"), 1.0, "not determined"),
    ],
)
def test_a_value_is_written_with_its_uncertainty_in_the_last_digits(value, uncertainty, text):
    assert format_value(value, uncertainty) == text
    assert format_value(value, uncertainty, "mA").startswith(text)


def test_rounding_agrees_with_the_uncertainties_package():
    """Its shorthand form is the same convention, from an independent hand."""
    import random

    from uncertainties import ufloat

    draw = random.Random("rounding")
    for _ in range(500):
        value = draw.uniform(-50, 50)
        uncertainty = 10 ** draw.uniform(-5, -0.5)
        expected = f"{ufloat(value, uncertainty):S}"
        if re.match(r"-0\.0+\(", expected):
            expected = expected[1:]
        assert format_value(value, uncertainty) == expected


def test_the_unit_follows_the_number():
    assert format_value(0.95, 0.001, "mA") == "0.9500(10) mA"


def test_every_number_of_the_design_has_a_key():
    names = (
        "Tc_NbN Tc_interface T_N_peak T_N_max_slope B_flop_interface B_flop_mnbi2te4 "
        "B_sat_interface B_sat_mnbi2te4 Ic0_2K Ic1_2K Ic2_2K Ic3_2K T_AR Tc_Ic0 Tc_Ic1 Tc_Ic2 "
        "Tc_Ic3 B_kink_Ic0 B_kink_Ic1 B_kink_Ic2 jump_Ic0 jump_Ic1 jump_Ic2 B_c_2K deltaR_2K "
        "T_vanish_Bc T_vanish_deltaR"
    )
    wanted = names.split()
    wanted += [
        f"A2_{kind}_Ic{k}_{field}T"
        for kind in ("position", "width")
        for k in range(3)
        for field in (1, 4, 7, 9)
    ]
    assert set(wanted) == set(NUMBER_KEYS)
    assert {key.unit for key in NUMBER_KEYS.values()} == {"K", "T", "mA", "ohm", "%"}
    assert all(re.fullmatch(r"C\d\d", key.claim) for key in NUMBER_KEYS.values())
    assert all(re.fullmatch(r"[2-7][a-l]", key.figure) for key in NUMBER_KEYS.values())


def test_collecting_keeps_value_definition_and_inputs():
    numbers = collect(stages())
    assert list(numbers) == list(NUMBER_KEYS)
    number = numbers["T_AR"]
    assert (number.value, number.unit, number.claim, number.figure) == (1.25, "K", "C14", "3a")
    assert number.inputs == {"a.nc": "0" * 64}
    assert number.definition == "The T_AR."


def test_an_undetermined_number_is_there_with_its_reason():
    gone = {"value": None, "uncertainty": None, "reason": "not measured: no iv_nbn"}
    numbers = collect(stages(Ic3_2K=gone))
    entry = json.loads(to_json(numbers))["Ic3_2K"]
    assert entry["value"] is None
    assert entry["reason"] == "not measured: no iv_nbn"
    assert "not determined" in to_tex(numbers)


def test_a_stage_that_forgets_a_number_or_changes_its_unit_is_an_error():
    broken = stages()
    del broken["kinks"].estimates["jump_Ic1"]
    with pytest.raises(ValueError, match="'kinks' gave no estimate 'jump_Ic1'"):
        collect(broken)
    with pytest.raises(ValueError, match="'T_AR' in 'mK', expected 'K'"):
        collect(stages(T_AR={"unit": "mK"}))


def test_the_three_files_say_the_same():
    numbers = collect(stages(T_AR={"value": 6.0123, "uncertainty": 0.04}))
    assert read_numbers_text(to_json(numbers)) == numbers
    rows = {row["key"]: row for row in csv.DictReader(io.StringIO(to_csv(numbers)))}
    assert float(rows["T_AR"]["value"]) == 6.0123
    assert rows["T_AR"]["text"] == "6.01(4) K"
    assert r"\newcommand{\nbTAR}{\ensuremath{6.01(4)\,\mathrm{K}}}" in to_tex(numbers)


def read_numbers_text(text: str) -> dict[str, Number]:
    return {key: Number(**entry) for key, entry in json.loads(text).items()}


def test_numbers_read_back_from_a_file(tmp_path):
    numbers = collect(stages())
    (tmp_path / "numbers.json").write_text(to_json(numbers), encoding="utf-8")
    assert read_numbers(tmp_path / "numbers.json") == numbers


def test_tex_names_are_letters_only_and_distinct():
    names = [tex_name(key) for key in NUMBER_KEYS]
    assert all(re.fullmatch(r"[A-Za-z]+", name) for name in names)
    assert len(set(names)) == len(names)
    assert tex_name("Ic0_2K") == "nbIcZeroTwoK"


def test_selecting_an_unknown_number_suggests_the_nearest():
    with pytest.raises(InputError, match="no number 'B_kink_Ic'; did you mean 'B_kink_Ic"):
        select(collect(stages()), ["B_kink_Ic"])


def test_the_summary_table_sets_ours_beside_the_paper():
    numbers = collect(stages(T_AR={"value": 6.0123, "uncertainty": 0.04}))
    table = summary_table(["T_AR", "deltaR_2K"], numbers)
    assert table.rows[0][1:3] == ("6.01(4) K", "≈ 6 K")
    assert table.rows[1][2:4] == ("–", "no value given")
    for text in (table.to_markdown(), table.to_html(), str(table)):
        assert "6.01(4) K" in text
    assert table._repr_html_() == summary_table(["T_AR", "deltaR_2K"], numbers)._repr_html_()


def test_published_values_are_of_known_keys_in_the_same_unit():
    for key, entry in published_values().items():
        assert entry["unit"] == NUMBER_KEYS[key].unit
        assert str(entry["value"]).rstrip("0").rstrip(".") in entry["text"] + entry["quote"]


@pytest.mark.skipif("NBNMBT_PAPER_TEXT" not in os.environ, reason="NBNMBT_PAPER_TEXT is not set")
def test_published_quotes_occur_in_the_paper():
    paper = " ".join(Path(os.environ["NBNMBT_PAPER_TEXT"]).read_text(encoding="utf-8").split())
    for key, entry in published_values().items():
        assert " ".join(entry["quote"].split()) in paper, key

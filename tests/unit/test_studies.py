"""Sensitivity, controls and coverage: counting, naming and drawing, on cases done by hand."""

from __future__ import annotations

import numpy as np
import pytest

from nbnmbt import config
from nbnmbt.analysis.angle import HarmonicFit, amplitude
from nbnmbt.claims import load_claims
from nbnmbt.errors import InputError
from nbnmbt.paths import repo_root
from nbnmbt.studies import controls, coverage, sensitivity

CONFIG = repo_root() / "workflow" / "config"

SCHEMA = {
    "properties": {"analysis": {"$ref": "#/$defs/Analysis"}},
    "$defs": {
        "Analysis": {
            "properties": {
                "loops": {"properties": {"power": {"default": 0.5, "sweep": [0.35, 0.5, 1.0]}}},
                "kinks": {"properties": {"plain": {"default": 1}}},
            }
        }
    },
}


def test_variants_are_the_declared_values_other_than_the_configured_one():
    found = sensitivity.variants(SCHEMA, {"loops": {"power": 0.5}})
    assert [variant.choices for variant in found] == [
        {"loops": {"power": 0.35}},
        {"loops": {"power": 1.0}},
    ]
    assert len({variant.name for variant in found}) == 2


def test_joint_variants_depend_on_their_number_alone():
    three = sensitivity.variants(SCHEMA, {}, joint=3)[-3:]
    five = sensitivity.variants(SCHEMA, {}, joint=5)[-5:]
    assert [v.choices for v in three] == [v.choices for v in five[:3]]
    assert all(v.stage == "joint" for v in five)


def test_every_stage_of_the_real_configuration_declares_choices():
    found = sensitivity.variants(config.schema(), config.defaults()["analysis"])
    assert {variant.stage for variant in found} == set(config.STAGES)


def test_summary_counts_and_names_what_overturns_a_claim():
    ledger = [{"id": "C01", "verdict": "supported", "value": 1.0, "unit": "K"}]
    runs = [
        {"text": "a = 1", "claims": {"C01": {"verdict": "supported", "value": 0.9}}},
        {"text": "a = 2", "claims": {"C01": {"verdict": "not supported", "value": 1.4}}},
        {"text": "a = 3", "error": "refused"},
    ]
    outcome = sensitivity.summarise(ledger, runs)
    claim = outcome["claims"]["C01"]
    assert (claim["holds"], claim["of"]) == (1, 2)
    assert claim["spread"] == [0.9, 1.4]
    assert claim["summary"] == "holds in 1 of 2 variants; fails when a = 2 (not supported)"
    assert outcome["errors"] == [{"text": "a = 3", "error": "refused"}]


def run(device, **verdicts):
    return {"device": device, "verdicts": verdicts}


CONTROLS = controls.Controls(
    default="surrogate",
    grids="smoke",
    runs=2,
    undecidable={"C04": "the sweep is too short"},
    controls={"N": controls.Control(change="x", fail=("C01",), hold=("C02",))},
)


def test_confusion_matrix_counts_false_positives_and_power():
    runs = [
        run("surrogate", C01="supported", C02="supported", C03="supported", C04="inconclusive"),
        run("surrogate", C01="supported", C02="inconclusive", C03="supported", C04="supported"),
        run("N", C01="not supported", C02="supported", C03="supported", C04="supported"),
        run("N", C01="supported", C02="supported", C03="not supported", C04="supported"),
    ]
    matrix = controls.confusion(CONTROLS, runs)
    assert matrix["claims"]["C01"]["false_positives"]["rate"] == 0.5
    assert matrix["claims"]["C01"]["power"]["rate"] == 1.0
    assert matrix["claims"]["C02"]["power"]["rate"] == 0.5
    assert matrix["claims"]["C03"]["false_positives"]["of"] == 0
    # Of what no run can decide nothing is asked, and it has no power to speak of.
    assert matrix["claims"]["C04"]["power"]["of"] == 0
    assert matrix["devices"]["surrogate"]["claims"]["C04"]["expected"] is None
    assert matrix["devices"]["N"]["claims"]["C03"]["expected"] is None
    assert any(sentence.startswith("N: C01 must fail") for sentence in matrix["disagreements"])
    assert not any("N: C02" in sentence for sentence in matrix["disagreements"])


def test_binomial_interval_covers_the_rate_and_stays_in_bounds():
    low, high = controls.binomial_interval(0, 20)
    assert low == pytest.approx(0, abs=1e-12)
    assert high == pytest.approx(0.1611, abs=1e-3)  # Wilson, by hand: z^2/(n + z^2)
    assert controls.binomial_interval(0, 0) is None


def test_every_control_has_its_device_and_names_real_claims():
    loaded = controls.load_controls(CONFIG / "controls.yaml")
    devices = {path.stem for path in (repo_root() / "workflow/devices/controls").glob("*.yaml")}
    assert set(loaded.controls) == devices
    known = {claim.id for claim in load_claims(CONFIG / "claims.yaml").claims}
    assert set(loaded.undecidable) <= known
    for name, control in loaded.controls.items():
        assert {*control.fail, *control.hold, *control.exactly} <= known, name
        assert not set(control.fail) & set(control.hold), name


def test_pulls_of_honest_errors_have_unit_width_and_cover():
    generator = np.random.default_rng(1)
    runs = [
        {"numbers": {"a": {"value": 5 + x, "uncertainty": 1.0, "truth": 5.0}}}
        for x in generator.normal(size=2000)
    ]
    entry = coverage.summarise(runs)["numbers"]["a"]
    assert entry["pull_width"] == pytest.approx(1, abs=0.05)
    assert entry["coverage68"] == pytest.approx(0.683, abs=0.03)
    assert entry["coverage95"] == pytest.approx(0.95, abs=0.02)
    half = [{"numbers": {"a": r["numbers"]["a"] | {"uncertainty": 0.5}}} for r in runs]
    assert coverage.summarise(half)["numbers"]["a"]["coverage68"] < 0.45


def test_an_amplitude_planted_at_zero_has_coverage_and_no_pull():
    # Both components unit normals: the interval of `amplitude` covers zero where the squared
    # amplitude lies below about 1 + (1 + 0.3 exp(-ratio^2/4)), in two of three cases.
    generator = np.random.default_rng(5)
    runs = []
    for cosine, sine in 1e-4 * generator.normal(size=(4000, 2)):
        fit = HarmonicFit(
            mean=1.0,
            cosine={2: float(cosine)},
            sine={2: float(sine)},
            variance={2: 1e-8},
            f={},
            p_value={},
            dof=1000,
        )
        value, uncertainty = amplitude(fit)
        runs.append({"numbers": {"A": {"value": value, "uncertainty": uncertainty, "truth": 0.0}}})
    entry = coverage.summarise(runs)["numbers"]["A"]
    assert entry["one_sided"] is True
    assert entry["pull_mean"] is entry["pull_width"] is None
    assert entry["coverage68"] == pytest.approx(0.68, abs=0.03)
    assert entry["coverage95"] == pytest.approx(0.95, abs=0.03)


def test_undetermined_numbers_are_counted_not_covered():
    runs = [{"numbers": {"a": {"value": None, "uncertainty": None, "truth": 5.0}}}]
    entry = coverage.summarise(runs)["numbers"]["a"]
    assert (entry["n"], entry["undetermined"], entry["coverage68"]) == (0, 1, None)


def test_draws_derive_from_name_and_number():
    priors = coverage.load_priors(CONFIG / "coverage.yaml")
    first = coverage.draw(priors, 7)
    assert first == coverage.draw(priors, 7)
    assert first != coverage.draw(priors, 8)
    name = "andreev.barrier"
    fewer = priors.model_copy(update={"priors": {name: priors.priors[name]}})
    assert coverage.draw(fewer, 7)[name] == first[name]


def test_a_bad_priors_file_is_one_sentence(tmp_path):
    path = tmp_path / "coverage.yaml"
    path.write_text("device: surrogate\ncount: 0\npriors: {}\n")
    with pytest.raises(InputError, match="count"):
        coverage.load_priors(path)

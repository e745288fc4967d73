"""Each test a claim can name: it must be able to say yes, no, and 'these data cannot tell'."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from pydantic import TypeAdapter

from nbnmbt import claims as ledger_module
from nbnmbt.analysis.estimate import Estimate, Stage
from nbnmbt.claims import Criterion, Evidence, judge


def estimate(value, uncertainty, unit="K", reason=None):
    return Estimate(
        value=value,
        uncertainty=uncertainty,
        unit=unit,
        definition="a number",
        estimator="test",
        reason=reason,
    )


def evidence(estimates=None, statistics=None, sample=None):
    return Evidence(
        {"s": Stage(estimates=estimates or {}, statistics=statistics or {}, attrs={})}, sample or {}
    )


def verdict(criterion: dict, data: Evidence) -> str:
    return judge(TypeAdapter(Criterion).validate_python(criterion), data).verdict


@pytest.mark.parametrize(
    ("value", "sigma", "expected"),
    [
        (10.85, 0.02, "supported"),  # 95 % interval 10.81..10.89, all within 10.7..10.9
        (10.85, 0.03, "inconclusive"),  # reaches 10.909
        (11.00, 0.02, "not supported"),  # 10.96..11.04, all outside
        (10.80, 0.20, "inconclusive"),  # right on the value, but far too uncertain
    ],
)
def test_agreement_is_an_equivalence_test(value, sigma, expected):
    criterion = {"test": "agrees", "number": "s/Tc", "published": 10.8, "margin": 0.1}
    assert verdict(criterion, evidence({"Tc": estimate(value, sigma)})) == expected


def test_agreement_reports_z_from_value_and_uncertainty():
    criterion = {"test": "agrees", "number": "s/Tc", "published": 10.8, "margin": 0.1}
    finding = judge(
        TypeAdapter(Criterion).validate_python(criterion), evidence({"Tc": estimate(10.86, 0.02)})
    )
    assert finding.z == pytest.approx(3.0)


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("not measured: no rt_nbn", "not testable"),
        ("excluded: a step above 0.1 % of R", "not supported"),
        # Whatever else kept the number from being determined is no evidence.
        ("2 usable points, at least 3 are needed", "inconclusive"),
        ("the fit gave no finite value", "inconclusive"),
        ("no step or bend stands out of the noise", "inconclusive"),
    ],
)
def test_a_missing_number_speaks_against_a_claim_only_where_it_is_excluded(reason, expected):
    criterion = {"test": "agrees", "number": "s/Tc", "published": 10.8, "margin": 0.1}
    assert verdict(criterion, evidence({"Tc": estimate(None, None, reason=reason)})) == expected


@pytest.mark.parametrize(
    ("b", "sigma", "expected"),
    [(3.02, 0.01, "supported"), (3.3, 0.01, "not supported"), (3.1, 0.2, "inconclusive")],
)
def test_coincidence_carries_both_uncertainties(b, sigma, expected):
    criterion = {"test": "coincides", "numbers": ["s/a", "s/b"], "margin": 0.1}
    data = evidence({"a": estimate(3.0, 0.01, "T"), "b": estimate(b, sigma, "T")})
    assert verdict(criterion, data) == expected


@pytest.mark.parametrize(
    ("value", "sigma", "expected"),
    [(24.0, 0.5, "supported"), (20.0, 0.5, "not supported"), (24.0, 2.0, "inconclusive")],
)
def test_compatibility_needs_a_narrow_interval(value, sigma, expected):
    criterion = {"test": "compatible", "number": "s/T", "published": 24.4, "max_width": 3.0}
    assert verdict(criterion, evidence({"T": estimate(value, sigma)})) == expected


@pytest.mark.parametrize(
    ("test", "value", "expected"),
    [
        ("below", 0.5, "supported"),
        ("below", 1.5, "not supported"),
        ("below", 0.95, "inconclusive"),
        ("above", 1.5, "supported"),
        ("above", 0.5, "not supported"),
        ("above", 1.05, "inconclusive"),
    ],
)
def test_one_sided_limits(test, value, expected):
    criterion = {"test": test, "number": "s/a", "limit": "s/b", "factor": 0.5}
    data = evidence({"a": estimate(value, 0.1), "b": estimate(2.0, 0.0)})
    assert verdict(criterion, data) == expected


@pytest.mark.parametrize(
    ("p", "bound", "expected"),
    [(0.001, 9.0, "supported"), (0.3, 0.5, "not supported"), (0.3, 9.0, "inconclusive")],
)
def test_detection_without_power_is_inconclusive(p, bound, expected):
    criterion = {
        "test": "detected",
        "p": "s/kink/p",
        "alpha": 0.01,
        "bound": "s/kink/upper",
        "negligible": 1.0,
    }
    data = evidence(statistics={"kink": {"definition": "d", "p": p, "upper": bound}})
    assert verdict(criterion, data) == expected


@pytest.mark.parametrize(("places", "expected"), [(0, "not supported"), (3, "inconclusive")])
def test_an_effect_seen_in_some_places_only_is_inconclusive(places, expected):
    criterion = {
        "test": "detected",
        "p": "s/loop/p",
        "partial": "s/loop/n",
        "bound": "s/loop/upper",
        "negligible": 1.0,
    }
    data = evidence(statistics={"loop": {"definition": "d", "p": 0.2, "n": places, "upper": 0.1}})
    assert verdict(criterion, data) == expected


@pytest.mark.parametrize(
    ("upper", "lower", "expected"),
    [(1.0, 0.0, "supported"), (5.0, 3.0, "not supported"), (5.0, 1.0, "inconclusive")],
)
def test_absence_is_an_equivalence_test_never_a_large_p(upper, lower, expected):
    criterion = {"test": "absent", "upper": "s/a2/hi", "lower": "s/a2/lo", "margin": 2.0}
    data = evidence(statistics={"a2": {"definition": "d", "hi": upper, "lo": lower}})
    assert verdict(criterion, data) == expected


@pytest.mark.parametrize(
    ("value", "expected"), [(True, "supported"), (False, "inconclusive"), (None, "not testable")]
)
def test_flags(value, expected):
    criterion = {"test": "flag", "flag": "s/law/ok", "says": "it is", "if_false": "inconclusive"}
    entry = {"definition": "d", "ok": value, "reason": "not measured: no iv_temperature"}
    assert verdict(criterion, evidence(statistics={"law": entry})) == expected


@pytest.mark.parametrize("nothing", [None, float("nan")])
def test_a_bound_that_is_no_number_decides_nothing_and_is_not_shown(nothing):
    entry = {"definition": "d", "hi": nothing, "lo": nothing, "p": nothing}
    data = evidence(statistics={"a2": entry})
    for criterion in (
        {"test": "absent", "upper": "s/a2/hi", "lower": "s/a2/lo", "margin": 2.0},
        {"test": "detected", "p": "s/a2/p", "bound": "s/a2/hi", "negligible": 1.0},
        {"test": "exceeds", "lower": "s/a2/lo", "upper": "s/a2/hi", "margin": 2.0},
    ):
        finding = judge(TypeAdapter(Criterion).validate_python(criterion), data)
        assert finding.verdict == "inconclusive"
        assert "nan" not in finding.reason


@pytest.mark.parametrize(
    ("value", "opposite", "expected"),
    [
        (True, False, "supported"),
        (False, True, "not supported"),
        (False, False, "inconclusive"),
        (False, None, "inconclusive"),
    ],
)
def test_a_no_speaks_against_a_claim_only_where_the_opposite_is_established(
    value, opposite, expected
):
    criterion = {"test": "flag", "flag": "s/fall/all", "says": "all", "against": "s/fall/stays"}
    entry = {"definition": "d", "all": value, "stays": opposite}
    assert verdict(criterion, evidence(statistics={"fall": entry})) == expected


@pytest.mark.parametrize(
    ("lower", "upper", "expected"),
    [
        (3.0, 5.0, "supported"),
        (0.5, 1.0, "not supported"),
        (0.5, 5.0, "inconclusive"),
        (0.5, None, "inconclusive"),
    ],
)
def test_exceeding_a_margin_needs_the_lower_bound_above_it(lower, upper, expected):
    criterion = {"test": "exceeds", "lower": "s/r/lo", "upper": "s/r/hi", "margin": 2.0}
    data = evidence(statistics={"r": {"definition": "d", "lo": lower, "hi": upper}})
    assert verdict(criterion, data) == expected


@pytest.mark.parametrize(
    ("reversal", "error", "p", "expected"),
    [
        (0.0, 0.01, 1.0, "supported"),
        (0.0, 0.2, 1.0, "inconclusive"),
        (0.5, 0.01, 0.001, "not supported"),
        (0.05, 0.001, 0.001, "supported"),  # significant, but far too small to matter
    ],
)
def test_falls_needs_a_small_reversal_not_a_large_p(reversal, error, p, expected):
    criterion = {"test": "falls", "statistic": "s/m", "margin": 0.1}
    entry = {
        "definition": "d",
        "reversal": reversal,
        "reversal_uncertainty": error,
        "p_value": p,
    }
    assert verdict(criterion, evidence(statistics={"m": entry})) == expected


@pytest.mark.parametrize(
    ("slope", "expected"), [(1.0, "supported"), (-1.0, "not supported"), (0.1, "inconclusive")]
)
def test_rises(slope, expected):
    criterion = {"test": "rises", "number": "s/k/slope", "uncertainty": "s/k/err"}
    data = evidence(statistics={"k": {"definition": "d", "slope": slope, "err": 0.2}})
    assert verdict(criterion, data) == expected


def test_a_slope_that_was_not_to_be_had_has_no_sign():
    criterion = {"test": "rises", "number": "s/k/slope", "uncertainty": "s/k/err"}
    entry = {"definition": "d", "slope": None, "err": None, "reason": "two fields in the window"}
    assert verdict(criterion, evidence(statistics={"k": entry})) == "inconclusive"
    entry |= {"reason": "not measured: no iv_out_of_plane"}
    assert verdict(criterion, evidence(statistics={"k": entry})) == "not testable"


@pytest.mark.parametrize(
    ("bound", "is_open", "expected"),
    [(17, True, "supported"), (12, True, "inconclusive"), (12, False, "not supported")],
)
def test_a_bound_set_by_the_sweep_decides_nothing(bound, is_open, expected):
    criterion = {"test": "at least", "bound": "s/b/value", "limit": 16, "open": "s/b/whole"}
    data = evidence(statistics={"b": {"definition": "d", "value": bound, "whole": is_open}})
    assert verdict(criterion, data) == expected


def test_counts():
    data = evidence(statistics={"peaks": {"definition": "d", "n": 3}})
    assert verdict({"test": "counted", "count": "s/peaks/n", "equals": 3}, data) == "supported"
    assert verdict({"test": "counted", "count": "s/peaks/n", "equals": 2}, data) == "not supported"
    assert verdict({"test": "counted", "count": "s/peaks/n", "at_least": 2}, data) == "supported"
    assert verdict({"test": "counted", "count": "s/peaks/n", "at_most": 3}, data) == "supported"
    assert verdict({"test": "counted", "count": "s/peaks/n", "at_most": 2}, data) == "not supported"


def test_what_was_counted_is_listed():
    features = [{"T": 6.61}, {"T": 10.82}]
    data = evidence(statistics={"f": {"definition": "d", "n": 2, "all": features}})
    criterion = {"test": "counted", "count": "s/f/n", "at_least": 2, "listed": "s/f/all"}
    reason = judge(TypeAdapter(Criterion).validate_python(criterion), data).reason
    assert "2 found (at 6.6, 10.8 K), at least 2 claimed" in reason


@pytest.mark.parametrize(
    ("equals", "sensitive", "expected"),
    [
        (4, True, "not supported"),
        (4, False, "inconclusive"),  # the fourth may be there and hidden
        (2, False, "not supported"),  # too many are too many, however noisy
        (3, False, "supported"),
    ],
)
def test_too_few_count_against_a_claim_only_where_none_was_missed(equals, sensitive, expected):
    criterion = {"test": "counted", "count": "s/p/n", "equals": equals, "sensitive": "s/p/seen"}
    data = evidence(statistics={"p": {"definition": "d", "n": 3, "seen": sensitive}})
    assert verdict(criterion, data) == expected


def test_recorded_geometry():
    criterion = {"test": "recorded", "key": "NbN_nm", "equals": 40}
    assert verdict(criterion, evidence(sample={"NbN_nm": 40})) == "supported"
    assert verdict(criterion, evidence(sample={"NbN_nm": 35})) == "not supported"
    assert verdict(criterion, evidence()) == "not testable"


def test_a_criterion_that_names_nothing_is_an_error_not_a_verdict():
    with pytest.raises(KeyError, match="no statistic"):
        verdict({"test": "agrees", "number": "s/Tcc", "published": 1, "margin": 1}, evidence())


def test_a_claim_is_as_good_as_its_weakest_criterion():
    claim = ledger_module.Claim(
        id="C99",
        statement="x",
        quote="x",
        location="x",
        figure="fig2",
        panels=("2a",),
        measurements=(),
        published={"text": "10.8 K"},
        criteria=(
            {"test": "agrees", "number": "s/Tc", "published": 10.8, "margin": 0.1},
            {"test": "agrees", "number": "s/Tc2", "published": 10.8, "margin": 0.1},
        ),
    )
    data = evidence({"Tc": estimate(10.8, 0.01), "Tc2": estimate(12.0, 0.01)})
    entry = ledger_module.evaluate_claim(claim, data)
    assert entry["verdict"] == "not supported"
    assert "Tc2" in entry["reason"]
    assert entry["value"] == 12.0


def test_a_claim_that_needs_what_was_not_measured_is_not_testable():
    claim = ledger_module.Claim(
        id="C99",
        statement="x",
        quote="x",
        location="x",
        figure="fig2",
        panels=("2a",),
        measurements=("rt_nbn", "mr_nbn"),
        published={"text": "10.8 K"},
        shown="s/Tc",
        criteria=({"test": "agrees", "number": "s/Tc", "published": 10.8, "margin": 0.1},),
    )
    data = Evidence({"s": Stage(estimates={}, statistics={}, attrs={})}, {}, frozenset({"rt_nbn"}))
    entry = ledger_module.evaluate_claim(claim, data)
    assert entry["verdict"] == "not testable"
    assert entry["reason"] == "not measured: mr_nbn"
    assert entry["value"] is None


def test_all_four_formats(tmp_path):
    claim = ledger_module.Claim(
        id="C99",
        statement="resists < 5 % & more",
        quote="x",
        location="x",
        figure="fig2",
        panels=("2a",),
        measurements=(),
        published={"text": "≈10.8 K", "value": 10.8, "unit": "K"},
        criteria=({"test": "agrees", "number": "s/Tc", "published": 10.8, "margin": 0.1},),
    )
    ledger = [ledger_module.evaluate_claim(claim, evidence({"Tc": estimate(10.8123, 0.0123)}))]
    ledger_module.write_json(ledger, tmp_path / "c.json")
    ledger_module.write_csv(ledger, tmp_path / "c.csv")
    about = {"sample": "s", "notice": "Synthetic stand-in"}
    ledger_module.write_tex(ledger, tmp_path / "c.tex", **about)
    ledger_module.write_html(ledger, tmp_path / "c.html", **about)
    assert json.loads((tmp_path / "c.json").read_text())[0]["verdict"] == "supported"
    assert "10.812(12)" in (tmp_path / "c.html").read_text()
    assert "resists &lt; 5 % &amp; more" in (tmp_path / "c.html").read_text()
    assert "10.812(12)" in (tmp_path / "c.tex").read_text()
    assert (tmp_path / "c.csv").read_text().splitlines()[0].startswith("id,statement,quote")


def test_a_plain_number_carries_the_definition_of_its_statistic():
    data = evidence(statistics={"peaks": {"both": 3, "definition": "Number of peaks."}})
    assert data.number("s/peaks/both").definition == "Number of peaks."
    assert evidence(statistics={"n": 3}).number("s/n").definition == "s/n"


def test_a_bare_statistic_brings_its_own_uncertainty():
    entry = {"definition": "d", "ratio": 0.5, "ratio_uncertainty": 0.01, "count": 3}
    data = Evidence({"s": Stage(estimates={}, statistics={"x": entry}, attrs={})})
    assert data.number("s/x/ratio").uncertainty == 0.01
    assert data.number("s/x/count").uncertainty == 0.0


def test_reasons_are_sentences():
    number = "transitions/Tc_NbN"
    agrees = ledger_module.Agrees(test="agrees", number=number, published=10.8, margin=0.1)
    for value, words in (
        (10.81, "0.010(10) K that lies within ±0.1 K"),
        (10.9, "0.100(10) K that straddles the edge of ±0.1 K"),
        (11.5, "0.700(10) K that lies outside ±0.1 K"),
    ):
        stage = Stage(estimates={"Tc_NbN": estimate(value, 0.01)}, statistics={}, attrs={})
        reason = judge(agrees, Evidence({"transitions": stage})).reason
        assert reason.startswith("Tc of NbN is ")
        assert "against 10.8 K in the paper, a difference of" in reason
        assert words in reason


def test_a_lower_bound_beyond_the_published_value_is_against_it():
    criterion = {"test": "agrees", "number": "s/T", "published": 6.0, "margin": 0.3}
    reason = "the peak does not vanish within the data, which end there"
    for bound, expected in ((3.0, "inconclusive"), (12.0, "not supported")):
        missing = replace(estimate(None, None, reason=reason), details={"lower_bound": bound})
        assert verdict(criterion, evidence({"T": missing})) == expected

"""Estimate objects and the stage files that keep them."""

import json
import math

import numpy as np
import pytest

from nbnmbt.analysis.estimate import (
    Estimate,
    definition_of,
    estimated,
    read_stage,
    undetermined,
    write_stage,
)


def midpoint_temperature(values):
    """Temperature at which the resistance
    is half the normal one.

    Parameters
    ----------
    values : anything
    """
    return values


def nameless():
    return None


def test_definition_is_the_unwrapped_first_paragraph():
    assert (
        definition_of(midpoint_temperature)
        == "Temperature at which the resistance is half the normal one."
    )


def test_an_estimator_without_docstring_cannot_publish():
    with pytest.raises(ValueError, match="no docstring"):
        definition_of(nameless)


def test_estimated_signs_with_function_and_definition():
    e = estimated(midpoint_temperature, 10.8, 0.1, "K", interval=[10.6, 11.0])
    assert (e.value, e.uncertainty, e.unit) == (10.8, 0.1, "K")
    assert e.estimator.endswith("test_estimate.midpoint_temperature")
    assert e.details == {"interval": [10.6, 11.0]}
    assert e.reason is None
    assert e.is_determined


def test_non_finite_value_becomes_undetermined_with_reason():
    e = estimated(midpoint_temperature, math.nan, 0.1, "K")
    assert e.value is None
    assert e.uncertainty is None
    assert e.reason


def test_non_finite_uncertainty_is_unknown_not_zero():
    assert estimated(midpoint_temperature, 1.0, math.inf, "K").uncertainty is None


def test_no_value_without_reason():
    with pytest.raises(ValueError, match="reason"):
        Estimate(value=None, uncertainty=None, unit="K", definition="d", estimator="e")


def test_negative_uncertainty_is_refused():
    with pytest.raises(ValueError, match="negative"):
        estimated(midpoint_temperature, 1.0, -0.1, "K")


def test_round_trip_and_same_bytes(tmp_path):
    estimates = {
        "b": estimated(
            midpoint_temperature, np.float64(1 / 3), np.float32(0.5), "K", n=np.int64(3)
        ),
        "a": undetermined(midpoint_temperature, "K", "not measured: no such file"),
    }
    statistics = {
        "peaks": {"definition": "count", "list": np.array([1.0, np.nan]), "ok": np.bool_(True)}
    }
    first, second = tmp_path / "x" / "one.json", tmp_path / "two.json"
    write_stage(first, estimates, statistics, attrs={"sample": "s"})
    write_stage(second, dict(reversed(estimates.items())), statistics, attrs={"sample": "s"})
    assert first.read_bytes() == second.read_bytes()
    raw = json.loads(first.read_text())
    assert list(raw) == ["attrs", "estimates", "statistics"]
    stage = read_stage(first)
    assert stage.estimates["b"].value == 1 / 3
    assert stage.estimates["b"].details == {"n": 3}
    assert stage.estimates["a"] == estimates["a"]
    assert stage.statistics["peaks"] == {"definition": "count", "list": [1.0, None], "ok": True}
    assert stage.attrs == {"sample": "s"}
    assert [p.name for p in first.parent.iterdir()] == ["one.json"]


def test_statistic_needs_a_definition(tmp_path):
    with pytest.raises(ValueError, match="definition"):
        write_stage(tmp_path / "s.json", {}, {"chi2": {"value": 1.0}}, attrs={})


def test_unknown_objects_are_refused_and_leave_no_file(tmp_path):
    with pytest.raises(TypeError, match="cannot be written"):
        write_stage(tmp_path / "s.json", {}, {}, attrs={"x": object()})
    assert list(tmp_path.iterdir()) == []

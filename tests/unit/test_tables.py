"""Tables of the notebooks: rounded values, a reason where there is none, always the same."""

from __future__ import annotations

from types import SimpleNamespace

import figure_samples as samples
import pytest

from nbnmbt import tables
from nbnmbt.analysis.estimate import Estimate, Stage


def estimate(value, uncertainty, unit="K", reason=None):
    return Estimate(
        value=value,
        uncertainty=uncertainty,
        unit=unit,
        definition="What it is.",
        estimator="nbnmbt.x",
        reason=reason,
    )


def cells(table, row: int) -> dict[str, str]:
    return dict(zip(table.columns, table.rows[row], strict=True))


def test_estimates_are_rounded_and_defined():
    table = tables.estimates_table(
        {"a": estimate(10.80123, 0.0213), "b": estimate(None, None, reason="no file")}, ["b", "a"]
    )
    assert table.rows == (
        ("b", "not determined", "Not determined: no file"),
        ("a", "10.801(21) K", "What it is."),
    )


def test_an_unknown_estimate_is_an_error():
    with pytest.raises(KeyError):
        tables.estimates_table({}, ["a"])


def test_censored_currents_are_called_so():
    data = samples.iv_temperature()
    data["chi2_nu"] = data["dVdI"].isel(I=0, drop=True) * 0 + 1.04
    table = tables.currents_table(data, "T", data.sizes["T"])
    last = cells(table, len(table.rows) - 1)
    assert last["Ic0 (mA)"] == "censored"
    assert cells(table, 0)["Ic0 (mA)"] == "0.8800(35)"
    assert cells(table, 0)["χ²/ν"] == "1"


def test_currents_of_a_missing_measurement_give_the_reason():
    assert "not measured" in str(tables.currents_table(samples.absent("iv_temperature"), "T"))


def law(aicc, chi2, compatible):
    return {
        "Ic0_mA": 1.0,
        "Tc_K": 6.0123,
        "Tc_uncertainty_K": 0.0123,
        "alpha": None,
        "chi2_nu": chi2,
        "delta_aicc": aicc,
        "worst_deviation": 0.0123,
        "runs_p": 0.4,
        "compatible": compatible,
    }


LAWS = Stage(
    estimates={},
    statistics={
        "law_Ic0": {
            "n": 20,
            "best": "bardeen",
            "compatible": ["d-wave", "bardeen"],
            "laws": {
                "linear": law(1234567.0, 96543.2, False),
                "bardeen": law(0.0, 0.98, True),
                "d-wave": law(2.345, 1.04, True),
            },
        },
        "law_Ic1": {"reason": "not measured: no iv_temperature"},
    },
    attrs={},
)


def test_laws_are_listed_best_first():
    table = tables.laws_table(LAWS, 0)
    assert [row[0] for row in table.rows] == ["bardeen", "d-wave", "linear"]
    assert cells(table, 1)["ΔAICc"] == "2.3"
    assert cells(table, 2)["ΔAICc"] == "1.2×10⁶"
    assert cells(table, 2)["χ²/ν"] == "96543"
    assert cells(table, 2)["compatible"] == "no"
    assert cells(table, 0)["Tc (K)"] == "6.012(12)"
    assert "not measured" in str(tables.laws_table(LAWS, 1))


def test_laws_that_fit_alike_stand_in_a_fixed_order():
    for apart in (1e-9, -1e-9):
        laws = {"usadel-exchange": law(2.3, 1.0, True), "usadel": law(2.3 + apart, 1.0, True)}
        stage = Stage(estimates={}, statistics={"law_Ic0": {"n": 20, "laws": laws}}, attrs={})
        assert [row[0] for row in tables.laws_table(stage, 0).rows] == ["usadel", "usadel-exchange"]


def test_all_laws_that_are_not_excluded_are_named():
    table = tables.compatible_laws_table(LAWS, (0, 1))
    assert cells(table, 0)["not excluded"] == "bardeen, d-wave"
    assert cells(table, 1)["not excluded"] == "not measured: no iv_temperature"


def kink_stage() -> Stage:
    test = {"sup_F": 90.23, "sup_F_99": 9.34, "p_holm": 0.0002}
    return Stage(
        estimates={
            "B_kink_Ic0": estimate(2.98, 0.03, "T"),
            "jump_Ic0": estimate(0.0967, 0.001, "mA"),
            "B_kink_Ic1": estimate(None, None, "T", reason="no kink detected"),
            "jump_Ic1": estimate(None, None, "mA", reason="no kink detected"),
        },
        statistics={
            "kink_Ic0": test,
            "kink_Ic1": test | {"sup_F": 2.2, "p_holm": 0.62},
            "kink_in_plane_Ic0": test | {"sup_F": 0.0839, "p_holm": 1.0},
            "no_jump_in_plane_Ic0": {"bound_mA": 0.00123},
        },
        attrs={},
    )


def test_kinks_and_what_the_test_could_miss():
    table = tables.kink_table(kink_stage(), (0, 1))
    found, none, in_plane, absent = (cells(table, i) for i in range(4))
    assert found["p, corrected"] == "< 0.001"
    assert found["kink at (T)"] == "2.980(30)"
    assert found["step (µA)"] == "96.7(1.0)"
    assert none["kink at (T)"] == "–"
    assert none["p, corrected"] == "0.6"
    assert in_plane["largest step not excluded (µA)"] == "1.2"
    assert set(list(absent.values())[2:]) == {"–"}


def test_angle_table_says_equivalent_or_not():
    options = SimpleNamespace(channels=(0,), fields_T=(9.0,), margin=0.02)
    stage = Stage(
        estimates={
            "A2_position_Ic0_9T": estimate(0.31, 0.05, "%"),
            "A2_width_Ic0_9T": estimate(19.4, 0.2, "%"),
        },
        statistics={
            "angle_invariance_Ic0_9T": {"upper": 0.0041, "verdict": "equivalent"},
            "two_fold_width_Ic0_9T": {"p_holm": 1e-9},
        },
        attrs={},
    )
    row = cells(tables.angle_table(stage, options), 0)
    assert row["invariant within 2 %"] == "equivalent"
    assert row["upper bound (%)"] == "0.41"
    assert row["two-fold, width (%)"] == "19.40(20)"


def test_checks_of_a_sample_without_angles():
    stage = Stage(estimates={}, statistics={}, attrs={})
    assert "–" in str(tables.orientation_table(stage))
    assert "not measured" in str(tables.anisotropy_table(stage))


def test_bare_film_control():
    stage = Stage(
        estimates={},
        statistics={
            "anisotropy_nbn_Ic3_9T": {
                "amplitude": 0.0811,
                "amplitude_error_percent": 0.02,
                "verdict": "exceeds",
            }
        },
        attrs={},
    )
    assert tables.anisotropy_table(stage).rows == (("Ic3", "9", "8.110(20)", "exceeds"),)


def test_loops_that_are_not_detected_have_no_coercive_field():
    loops = samples.loop_table()
    loops["detected"] = ("T", (loops["T"].values < 24).astype(float))
    loops["chi2_nu"] = ("T", [1.02] * loops.sizes["T"])
    loops["left_out"] = ("T", [1] + [0] * (loops.sizes["T"] - 1))
    table = tables.loops_table(loops)
    assert [row[-1] for row in table.rows[:2]] == ["no", "yes"]
    assert cells(table, 0)["B_c (T)"] == "0.1725(30)"
    assert cells(table, -1)["B_c (T)"] == "–"
    assert cells(table, -1)["ΔR (mΩ)"] == "0.0(8)"
    assert "not measured" in str(tables.loops_table(loops.isel(T=[])))


def test_vanishing_temperature_by_each_law():
    details = {
        "by_law": [
            {"law": "power", "power": 0.5, "T_v": 24.28, "uncertainty": 0.22, "weight": 0.98},
            {"law": "mean field", "power": 1.0, "T_v": 23.4, "uncertainty": 0.1, "weight": 0.02},
        ]
    }
    found = Estimate(
        value=24.3,
        uncertainty=0.4,
        unit="K",
        definition="d",
        estimator="e",
        details=details,
    )
    table = tables.vanishing_table({"T_vanish_Bc": found}, ["T_vanish_Bc"])
    assert table.rows[0] == ("T_vanish_Bc", "(1 - T/T_v)^0.5", "24.28(22) K", "0.98")
    assert table.rows[1][1] == "m^1"
    assert table.rows[2][1:] == ("average of all", "24.3(4) K", "")

import sys
from pathlib import Path

import numpy as np
import pytest

from nbnmbt.analysis import magnetoresistance as mr
from nbnmbt.analysis.estimate import Estimate, definition_of

sys.path.insert(0, str(Path(__file__).parents[1] / "reference"))
import magnetotransport as mt

B = np.arange(-12, 12.001, 0.05)
FAST = mr.Options(calibration_draws=100)


def noisy(R, seed, relative=1e-4):
    return R * (1 + relative * np.random.default_rng(seed).normal(size=R.size))


def contact(field, rho=0.25):
    """A contact's smooth resistance, a function of |B|/10 + rho r(B), with r from the layers."""
    from nbnmbt.physics.magnet import Magnet, surface_average

    magnet = Magnet.from_fields(spin_flop_field=3, saturation_field=8, ordering_temperature=24.4)
    r = surface_average(field, magnet, "out-of-plane", xi=5.0, flop_spread=0.15)
    alpha = np.abs(field) / 10 + rho * r
    return 15.5 - 0.35 * alpha - 0.35 * alpha**2 - 0.1 * alpha**4


def test_noiseless_magnet_gives_the_planted_fields():
    fit = mr.fit_steps(B, 8 * mt.magnetoresistance(B), FAST, sides=False)
    assert mr.spin_flop_field(fit).value == pytest.approx(3, abs=1e-3)
    assert mr.saturation_field(fit).value == pytest.approx(8, abs=1e-3)
    assert fit.width == pytest.approx(0.15, abs=5e-3)
    assert len(fit.steps) == 1


@pytest.mark.parametrize("smear", [0.05, 0.15, 0.3])
def test_fields_are_unbiased_for_any_smear(smear):
    R = noisy(8 * mt.magnetoresistance(B, smear=smear), 3)
    fit = mr.fit_steps(B, R, FAST, sides=False)
    for found, planted in ((mr.spin_flop_field(fit), 3), (mr.saturation_field(fit), 8)):
        assert found.value == pytest.approx(planted, abs=4 * found.uncertainty)
        assert found.uncertainty < 0.01


def test_offset_moves_both_sides_and_odd_admixture_does_not_matter():
    R = noisy(8 * mt.magnetoresistance(B, B0=0.02, odd=5e-4), 1)
    fit = mr.fit_steps(B, R, FAST)
    assert fit.offset == pytest.approx(0.02, abs=4 * fit.offset_err)
    assert mr.spin_flop_field(fit).value == pytest.approx(3, abs=0.01)
    symmetry = mr.side_symmetry(fit)
    half = symmetry["flop"]["half_difference"]
    assert half == pytest.approx(0.02, abs=4 * symmetry["flop"]["half_difference_err"])
    assert abs(symmetry["z"]) < 4  # one offset explains both features
    for which in ("flop", "saturation"):
        found = mr.field_asymmetry(symmetry, which)
        assert found.value == pytest.approx(0.02, abs=4 * found.uncertainty)


def test_unequal_sides_show_as_an_asymmetry():
    R = 8 * np.where(B > 0, mt.magnetoresistance(B, B_flop=2.8), mt.magnetoresistance(B))
    found = mr.field_asymmetry(mr.side_symmetry(mr.fit_steps(B, noisy(R, 4), FAST)), "flop")
    assert found.value == pytest.approx(-0.1, abs=4 * found.uncertainty)
    assert found.uncertainty < 0.01


def test_one_side_alone_suffices():
    side = B > 0
    fit = mr.fit_steps(B[side], noisy(8 * mt.magnetoresistance(B, odd=2e-4), 2)[side], FAST)
    assert fit.sides is None
    found = mr.spin_flop_field(fit)
    assert found.value == pytest.approx(3, abs=4 * found.uncertainty)
    symmetry = mr.side_symmetry(fit)
    assert "one field direction" in symmetry["reason"]
    found = mr.field_asymmetry(symmetry, "flop")
    assert found.value is None
    assert found.reason == "the other field direction was not measured"


@pytest.mark.parametrize("rho", [0.25, 0.0])
def test_interface_with_contact_term_is_unbiased(rho):
    R = noisy(8 * mt.magnetoresistance(B) + contact(B, rho), 5)
    fit = mr.fit_steps(B, R, FAST, interface=True, sides=False)
    for found, planted in ((mr.spin_flop_field(fit), 3), (mr.saturation_field(fit), 8)):
        assert found.value == pytest.approx(planted, abs=4 * found.uncertainty)
        assert found.uncertainty < 0.05


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_contact_is_the_same_at_both_signs(seed):
    R = noisy(8 * mt.magnetoresistance(B) + contact(B, 0.25), seed)
    fit = mr.fit_steps(B, R, FAST, interface=True)
    assert {side.contact for side in fit.sides.values()} == {fit.contact}
    found = mr.field_asymmetry(mr.side_symmetry(fit), "flop")
    assert abs(found.value) < 4 * found.uncertainty < 0.1


def test_without_the_contact_term_the_saturation_field_is_missed():
    R = 8 * mt.magnetoresistance(B) + contact(B)
    fit = mr.fit_steps(B, R, mr.Options(andreev_term="none", calibration_draws=100), interface=True)
    assert abs(fit.saturation - 8) > 0.1


def test_temperature_fluctuations_are_taken_out():
    rng = np.random.default_rng(8)
    drift = np.cumsum(rng.normal(0, 1e-3, B.size))
    R = noisy(8 * mt.magnetoresistance(B), 6) + 0.7 * drift
    without = mr.fit_steps(B, R, FAST, sides=False)
    with_term = mr.fit_steps(B, R, FAST, temperature=2 + drift, sides=False)
    assert with_term.noise < 0.5 * without.noise
    assert mr.spin_flop_field(with_term).value == pytest.approx(3, abs=0.01)


def test_two_steps_of_a_thin_flake_are_both_reported():
    size = np.abs(B)
    R = (
        8
        - 0.05 * (size > 2.08)
        - 0.04 * (size > 2.6)
        + 1e-3 * size**2
        - 0.01 * (size > 2.08) * (np.minimum(size, 7.4) ** 2 - 2.08**2)
    )
    fit = mr.fit_steps(B, noisy(R, 1, 2e-5), FAST, sides=False)
    assert [step["B"] for step in fit.steps] == pytest.approx([2.08, 2.6], abs=0.05)
    assert [step["height"] for step in fit.steps] == pytest.approx([-0.05, -0.04], abs=0.01)


@pytest.mark.parametrize("interface", [True, False])
@pytest.mark.parametrize(
    "R",
    [
        np.full(B.size, 5.0),
        np.zeros(B.size),
        np.full(B.size, np.nan),
        8 * (1 + 1e-4 * B**2),
        8 * (1 - 0.05 * np.minimum(np.abs(B) / 0.02, 1) ** 2 + 1e-4 * B**2),  # ferromagnet
    ],
)
def test_no_step_is_said_not_invented(R, interface):
    rng = np.random.default_rng(4)
    R = R * (1 + 1e-4 * rng.normal(size=R.size))
    fit = mr.fit_steps(B, R, FAST, interface=interface, sides=False)
    for found in (mr.spin_flop_field(fit), mr.saturation_field(fit)):
        assert found.value is None
        assert found.reason


def test_shuffled_data_rarely_give_a_step():
    rng = np.random.default_rng(11)
    R = 8 * mt.magnetoresistance(B)
    alarms = sum(
        mr.spin_flop_field(mr.fit_steps(B, rng.permutation(R), FAST, seed=k, sides=False)).value
        is not None
        for k in range(12)
    )
    assert alarms <= 1


@pytest.mark.parametrize("n", [0, 1, 20])
def test_scraps(n):
    fit = mr.fit_steps(B[:n], B[:n])
    assert mr.spin_flop_field(fit).value is None
    assert mr.kink_preference(B[:n], B[:n])["p"] is None
    narrow = np.abs(B) < 2
    assert mr.saturation_field(mr.fit_steps(B[narrow], B[narrow] ** 2)).value is None


def test_difference():
    def field(value, error):
        return Estimate(value=value, uncertainty=error, unit="T", definition="d", estimator="e")

    found = mr.difference_of_fields(field(3.1, 0.03), field(3.0, 0.04))
    assert found.value == pytest.approx(0.1)
    assert found.uncertainty == pytest.approx(0.05)
    missing = Estimate(
        value=None, uncertainty=None, unit="T", definition="d", estimator="e", reason="no step"
    )
    assert mr.difference_of_fields(missing, field(3, 0.1)).reason == "no step"


def test_film_shows_no_kink_and_the_false_alarm_rate_is_what_it_says():
    p = []
    for k in range(30):
        R = 2e-4 * np.random.default_rng(k).normal(size=B.size)
        p.append(mr.kink_preference(B, R, FAST, seed=k)["p"])
    assert np.mean(np.array(p) < 0.05) <= 0.17  # 0.05 expected
    assert np.mean(np.array(p) < 0.5) == pytest.approx(0.5, abs=0.3)


def test_kink_of_a_magnet_is_preferred():
    found = mr.kink_preference(B, noisy(8 * mt.magnetoresistance(B), 1), FAST)
    assert found["p"] < 0.02
    assert found["aicc_gain"] > 100
    assert mr.kink_preference(B, np.zeros(B.size))["upper"] == 0


def test_critical_field_bound_by_hand():
    R = np.where(np.abs(B) > 6.02, 1.0, 1e-4)
    found = mr.critical_field_bound(B, R, normal_resistance=20.0)
    assert found.value == pytest.approx(6.0)
    assert not found.details["whole_range"]
    whole = mr.critical_field_bound(B, np.zeros(B.size), normal_resistance=20.0)
    assert whole.value == pytest.approx(12)
    assert whole.details["whole_range"]
    assert mr.critical_field_bound(B, R, normal_resistance=None).value is None
    assert mr.critical_field_bound(B, R + 5, normal_resistance=20.0).value is None


def test_upper_critical_field_by_whh():
    # dBc2/dT = -2.743 T/K, Tc = 10.8 K: Bc2(2 K) = 19.2 T (PHYSICS B.2)
    fields = np.array([0.0, 1.0, 2.0])
    halves = 10.8 - fields / 2.743
    found = mr.upper_critical_field(fields, halves, np.full(3, 0.01), 2.0)
    assert found.value == pytest.approx(19.2, abs=0.1)
    assert found.uncertainty > 0
    assert "two or more fields" in mr.upper_critical_field([0], [10.8], [0.01], 2.0).reason
    assert mr.upper_critical_field(fields, 10.8 + fields, np.full(3, 0.01), 2.0).value is None


@pytest.mark.parametrize(
    "function",
    [
        mr.spin_flop_field,
        mr.saturation_field,
        mr.difference_of_fields,
        mr.side_symmetry,
        mr.field_asymmetry,
        mr.kink_preference,
        mr.critical_field_bound,
        mr.upper_critical_field,
    ],
)
def test_definitions(function):
    assert definition_of(function).endswith(".")

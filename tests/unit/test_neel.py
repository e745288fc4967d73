import sys
from pathlib import Path

import numpy as np
import pytest

from nbnmbt.analysis import neel

sys.path.insert(0, str(Path(__file__).parents[1] / "reference"))
import magnetotransport as mt

T = mt.temperature_grid()
QUANTITIES = (
    neel.peak_temperature,
    neel.curvature_temperature,
    neel.largest_slope_temperature,
)


def noisy(R, seed, relative=1e-4):
    return R * (1 + relative * np.random.default_rng(seed).normal(size=R.size))


def test_parabola_has_its_peak_at_the_vertex():
    # A cusp without rounding correction: maximum and steepest fall of slope by hand.
    R = 10 - np.where(T < 24, 0.02 * (24 - T), 0.05 * (T - 24))
    cusp = neel.find_cusp(T, R, neel.Options(neel_rounding=False))
    assert cusp.centre == pytest.approx(24, abs=0.1)
    assert neel.peak_temperature(cusp).value == pytest.approx(24, abs=0.15)
    assert neel.curvature_temperature(cusp).value == pytest.approx(24, abs=0.1)


@pytest.mark.parametrize("spread", [0.15, 0.3, 0.5])
def test_peak_and_curvature_are_unbiased_and_the_slope_is_not(spread):
    cusp = neel.find_cusp(T, 8 * mt.antiferromagnet(T, sigma=spread))
    assert neel.peak_temperature(cusp).value == pytest.approx(24.4, abs=0.005)
    assert neel.curvature_temperature(cusp).value == pytest.approx(24.4, abs=0.02)
    steepest = {0.15: 24.13, 0.3: 23.84, 0.5: 23.43}[spread]  # noise-free, PHYSICS C.4
    slope = neel.largest_slope_temperature(cusp)
    assert slope.value == pytest.approx(steepest, abs=0.03)
    assert "bias" in slope.details


def test_without_rounding_correction_the_maximum_itself_is_reported():
    R = 8 * mt.antiferromagnet(T)
    found = neel.peak_temperature(neel.find_cusp(T, R, neel.Options(neel_rounding=False)))
    assert found.value == pytest.approx(24.43, abs=0.01)


@pytest.mark.parametrize("T_N", [18.0, 20.0, 27.0])
def test_other_neel_temperatures(T_N):
    found = neel.peak_temperature(neel.find_cusp(T, noisy(8 * mt.antiferromagnet(T, T_N=T_N), 1)))
    assert found.value == pytest.approx(T_N, abs=5 * found.uncertainty)
    assert found.uncertainty < 0.1


@pytest.mark.parametrize(
    "R",
    [
        np.full(T.size, 5.0),
        np.full(T.size, np.nan),
        20 * mt.film(T),
        5 + 0.01 * T,
        np.random.default_rng(0).permutation(mt.interface(T)),
        5 + 1e-3 * np.random.default_rng(1).normal(size=T.size),
    ],
)
def test_no_cusp_is_said_not_invented(R):
    cusp = neel.find_cusp(T, R)
    for function in QUANTITIES:
        found = function(cusp)
        assert found.value is None
        assert found.reason


def test_false_alarms_on_noise_and_on_the_film_are_rare():
    rng = np.random.default_rng(7)
    alarms = 0
    for _ in range(40):
        alarms += (
            neel.find_cusp(T, 20 * mt.film(T) * (1 + 1e-4 * rng.normal(size=T.size))).reason is None
        )
    assert alarms <= 2


@pytest.mark.parametrize("n", [0, 1, 8])
def test_scraps(n):
    assert neel.peak_temperature(neel.find_cusp(T[:n], T[:n])).value is None
    warm = (T > 22) & (T < 24)
    assert neel.peak_temperature(neel.find_cusp(T[warm], T[warm])).value is None


def test_series_background_is_the_scaled_film():
    film = 20 * mt.film(T)
    above = T > 14
    background = neel.series_background(T, T, film, film_step=20.0, step=10.0)
    np.testing.assert_allclose(background[above], 0.5 * film[above], atol=2e-3)
    assert not np.any(neel.series_background(T, T[:3], film[:3], film_step=20.0, step=10.0))


def test_interface_cusp_on_its_background():
    R = noisy(mt.interface(T), 1) - neel.series_background(
        T, T, noisy(20 * mt.film(T), 2), film_step=20.0, step=20.0
    )
    found = neel.peak_temperature(neel.find_cusp(T, R))
    assert found.value == pytest.approx(24.4, abs=4 * found.uncertainty)


def test_spread_of_estimators():
    cusp = neel.find_cusp(T, 8 * mt.antiferromagnet(T))
    both = {
        "T_N_peak": neel.peak_temperature(cusp),
        "T_N_max_slope": neel.largest_slope_temperature(cusp),
    }
    assert neel.spread_of_neel_estimators(both)["difference"] == pytest.approx(0.57, abs=0.03)

import sys
from pathlib import Path

import numpy as np
import pytest

from nbnmbt.analysis.loops import Options
from nbnmbt.analysis.vanishing import fit_vanishing

sys.path.insert(0, str(Path(__file__).parents[1] / "reference"))
import magnetotransport as mt

T = np.array([2, 4, 6, 8, 12, 14, 16, 18, 20, 22, 23, 24, 25, 26, 28, 30.0])


@pytest.mark.parametrize("p", [0.35, 0.5, 0.7, 1.0])
def test_exact_power_law(p):
    y = 0.3 * np.clip(1 - T / 24.4, 0, None) ** p
    found = fit_vanishing(T, y, np.full(T.size, 1e-3), mean_field_powers=())
    assert found.value == pytest.approx(24.4, abs=0.05)
    best = max(found.by_law, key=lambda entry: entry["weight"])
    assert best["power"] == p
    assert best["amplitude"] == pytest.approx(0.3, rel=0.01)
    assert found.low < 24.4 < found.high


def test_exact_mean_field():
    y = 0.05 * mt.brillouin_order(T / 24.4) ** 2
    found = fit_vanishing(T, y, np.full(T.size, 5e-4))
    assert found.value == pytest.approx(24.4, abs=0.15)
    best = max(found.by_law, key=lambda entry: entry["weight"])
    assert (best["law"], best["power"]) == ("mean field", 2.0)


def test_interval_covers_over_seeds():
    _, height = mt.loop_parameters(T)
    pulls, inside = [], 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        sigma = np.full(T.size, 1e-3)
        found = fit_vanishing(T, height + sigma * rng.normal(size=T.size), sigma, window=0.3)
        pulls.append((found.value - 24.4) / found.uncertainty)
        inside += found.low < 24.4 < found.high
    assert np.sqrt(np.mean(np.square(pulls))) < 1.5
    assert inside >= 25


def test_interval_covers_where_no_law_is_the_right_one():
    """B_c m(T) (1 - 0.35 sqrt(T/T_N)), measured where loops are large enough."""
    coercive, height = mt.loop_parameters(T)
    seen = T < 21
    sigma = np.clip(2e-5 / height[seen], 5e-4, None)
    options, pulls = Options(), []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        found = fit_vanishing(
            T[seen],
            coercive[seen] + sigma * rng.normal(size=sigma.size),
            sigma,
            exponents=options.vanish_exponents,
            mean_field_powers=(1.0,),
            window=options.vanish_window,
            law_error=options.vanish_law_error,
            ceiling=(rng.normal(24.4, 0.2), 0.2),
        )
        pulls.append((found.value - 24.4) / found.uncertainty)
    assert np.sqrt(np.mean(np.square(pulls))) < 1.3
    assert np.mean(np.abs(pulls) < 1.96) > 0.9


def test_exponent_is_a_systematic():
    y = 0.3 * np.clip(1 - T / 24.4, 0, None) ** 0.5
    low = fit_vanishing(T, y, np.full(T.size, 0.03), exponents=(0.35,), mean_field_powers=())
    high = fit_vanishing(T, y, np.full(T.size, 0.03), exponents=(1.0,), mean_field_powers=())
    assert high.value - low.value > 1
    free = fit_vanishing(T, y, np.full(T.size, 0.03), mean_field_powers=())
    assert free.uncertainty > max(low.uncertainty, high.uncertainty) * 0.8


def test_noiseless_is_finite():
    y = 0.3 * np.clip(1 - T / 24.4, 0, None) ** 0.5
    found = fit_vanishing(T, y, np.full(T.size, 1e-9))
    assert found.value == pytest.approx(24.4, abs=0.05)
    assert found.uncertainty > 0


@pytest.mark.parametrize(
    ("y", "word"),
    [
        (np.zeros(T.size), "differs from zero"),
        (np.full(T.size, np.nan), "usable temperatures"),
        (np.full(T.size, 0.3), "does not vanish"),
    ],
)
def test_no_vanishing_is_said(y, word):
    found = fit_vanishing(T, y, np.full(T.size, 1e-3), search=(3, 45))
    assert word in found.reason


@pytest.mark.parametrize("n", [0, 1, 2])
def test_scraps(n):
    assert "at least 3" in fit_vanishing(T[:n], T[:n], T[:n]).reason
    assert fit_vanishing(T, T, T, exponents=(), mean_field_powers=()).reason


def test_a_ceiling_cuts_off_what_cannot_be():
    # Points that end at 20 K leave the laws apart by kelvins; the loops are known to end at 24.4 K.
    low = T[T <= 20]
    y = 0.18 * (1 - low / 24.4) ** 0.5
    options = {"exponents": (0.35, 0.5, 1.0), "mean_field_powers": ()}
    error = np.full(low.size, 0.01)
    free = fit_vanishing(low, y, error, **options)
    bounded = fit_vanishing(low, y, error, ceiling=(24.4, 0.1), **options)
    assert free.high > 26
    assert bounded.high < 24.7
    assert bounded.uncertainty < 0.6 * free.uncertainty
    far = fit_vanishing(low, y, error, ceiling=(60.0, 1.0), **options)
    assert far.value == pytest.approx(free.value, abs=1e-6)
    impossible = fit_vanishing(T, 0.3 * np.clip(1 - T / 24.4, 0, None), error[0] * np.ones(T.size),
                               ceiling=(3.0, 0.01))  # fmt: skip
    assert "as it must" in impossible.reason

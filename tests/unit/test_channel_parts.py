"""The parts of a fitted sweep: limits of a channel, their sum, what is not resolved."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from nbnmbt.analysis.channel_parts import channel_parts
from nbnmbt.physics import andreev


def fitted(temperatures=(2.0,), **attrs) -> xr.Dataset:
    """Two channels of 1 mA and 2 mA, cold enough to be free of noise, and one not resolved."""
    I = np.linspace(-4, 4, 161)
    shape = (3, len(temperatures), 1, 1)
    dims = ("channel", "T", "B", "theta")

    def per_channel(*values):
        return dims, np.broadcast_to(np.reshape(values, (3, 1, 1, 1)), shape).copy()

    def single(value):
        return dims[1:], np.full(shape[1:], float(value))

    by_point = (("T", "B", "theta", "I"), np.zeros((*shape[1:], I.size)))
    return xr.Dataset(
        {
            "Ic": per_channel(1.0, 2.0, 0.05),
            "R": per_channel(3.0, 1.5, np.nan),
            "Tn": per_channel(0.05, 0.05, np.nan),
            "censored": per_channel(0, 0, 1),
            "V0": single(0.002),
            "I0": single(0.0),
            "R_s": single(8.0),
            "gap": single(0.9),
            "V_fit": by_point,
            "residual": by_point,
            "dVdI": by_point,
        },
        coords={"channel": [0, 1, 2], "T": list(temperatures), "B": [0.0], "theta": [0.0], "I": I},
        attrs=attrs,
    )


def test_cold_channel_is_the_noiseless_junction():
    parts = channel_parts(fitted())
    I = parts["I"].values
    expected = 3.0 * np.sign(I) * np.sqrt(np.maximum(I**2 - 1, 0))
    away = np.abs(np.abs(I) - 1) > 0.1
    np.testing.assert_allclose(
        parts["V_channel"].sel(channel=0).values[away], expected[away], atol=2e-3
    )


def test_parts_add_up():
    parts = channel_parts(fitted(has_andreev=1, R_AR_ohm=5.0, Z=0.3, P=0.6))
    total = parts["V_series"] + parts["V_andreev"] + parts["V_channel"].sum("channel", skipna=True)
    np.testing.assert_allclose(parts["V_sum"], total, rtol=0, atol=1e-12)


def test_contact_is_the_andreev_junction_and_its_excess_vanishes_at_large_current():
    parts = channel_parts(fitted(has_andreev=1, R_AR_ohm=5.0, Z=0.3, P=0.6))
    expected = andreev.voltage(parts["I"].values, 2.0, 0.9, 0.3, 0.6, 5.0)
    np.testing.assert_allclose(parts["V_andreev"], expected)
    slope = np.gradient(parts["excess_andreev"].values, parts["I"].values)
    assert abs(slope[0]) < 0.01 * 5.0


def test_series_resistance_excludes_the_contact():
    without = channel_parts(fitted())
    with_contact = channel_parts(fitted(has_andreev=1, R_AR_ohm=5.0, Z=0.3, P=0.6))
    slopes = [float(np.polyfit(p["I"], p["V_series"], 1)[0]) for p in (without, with_contact)]
    assert slopes[0] == pytest.approx(8.0)
    assert slopes[1] == pytest.approx(3.0)


def test_channel_that_is_not_resolved_is_missing():
    parts = channel_parts(fitted())
    assert np.isnan(parts["V_channel"].sel(channel=2)).all()
    assert np.isnan(parts["Ic"].sel(channel=2))
    assert np.isfinite(parts["V_sum"]).all()


def test_the_set_point_in_words_is_that_of_the_sweep_found_not_of_the_one_asked_for():
    """A title made of the request would call the sweep at 9 T one at 50 T."""
    currents = fitted((2.0, 4.0))
    assert channel_parts(currents, T=300.0).attrs["set_point"] == "4 K, 0 T"
    assert channel_parts(currents, T=1.0, theta=90.0).attrs["set_point"] == "2 K, 0 T, 0°"


def test_an_ambiguous_set_point_is_refused():
    with pytest.raises(ValueError, match="2 values of T: choose one"):
        channel_parts(fitted((2.0, 4.0)))
    assert float(channel_parts(fitted((2.0, 4.0)), T=3.9)["T"]) == 4.0

"""The quoted spectra, on a fit written by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import xarray as xr

from nbnmbt.analysis import spectrum


def fits(Ic=(0.95, 1.2, 2.1, math.nan), *, measurement="iv_interface", T=(2.0, 4.0), **changes):
    """Critical currents of a made-up dataset, the same at every temperature."""
    Ic = np.array(Ic, dtype=float)
    shape = (4, len(T), 1, 1)
    flat = (len(T), 1, 1)
    four = ("channel", "T", "B", "theta")
    three = four[1:]
    values = {
        "Ic": np.broadcast_to(Ic[:, None, None, None], shape),
        "Ic_err": np.full(shape, 1e-4),
        "Ic_difference": np.full(shape, changes.pop("Ic_difference", 2e-4)),
        "Ic_difference_err": np.full(shape, 1e-4),
        "width": np.full(shape, 0.1),
        "Tn": np.full(shape, 100.0),
        "R": np.ones(shape),
        "resolved": np.broadcast_to(np.isfinite(Ic)[:, None, None, None], shape).astype("int8"),
    }
    scalars = {
        "chi2_nu": 1.0,
        "ar_height": 0.3,
        "ar_height_err": 0.01,
        "dVdI0_curvature": -50.0,
        "dVdI0_curvature_err": 1.0,
        "n_peaks_pos": 3.0,
        "n_peaks_neg": 3.0,
        "n_peaks_matched": 3.0,
        "asymmetry": 0.001,
        "symmetry_chi2": 1.1,
        "R0": 22.0,
        "R0_err": 0.1,
    } | changes
    slope, noise = scalars.pop("dVdI", 20.0), scalars.pop("dVdI_err", 0.01)
    data = {name: (four, np.array(value)) for name, value in values.items()}
    data |= {name: (three, np.full(flat, value)) for name, value in scalars.items()}
    points = (*flat, 7)
    data |= {"dVdI": ((*three, "I"), np.full(points, slope))}
    data |= {"dVdI_err": ((*three, "I"), np.full(points, noise))}
    return xr.Dataset(
        data,
        coords={
            "channel": np.arange(4),
            "T": list(T),
            "B": [0.0],
            "theta": [0.0],
            "I": np.linspace(-3, 3, 7),
        },
        attrs={"measured": 1, "measurement": measurement},
    )


def film():
    return fits((math.nan, math.nan, math.nan, 5.8), measurement="iv_nbn")


def run(**changes):
    return spectrum.run(
        {
            "iv_interface": fits(**changes),
            "iv_nbn": film(),
            "iv_temperature": fits(),
            "iv_out_of_plane": fits(),
        }
    )


def test_the_four_currents_and_their_order():
    estimates, statistics = run()
    found = [estimates[f"Ic{k}_2K"].value for k in range(4)]
    assert found == [0.95, 1.2, 2.1, 5.8]
    assert estimates["Ic0_2K"].uncertainty == 1e-4
    order = statistics["order"]
    assert order["ascending"] is True
    assert order["differences_mA"] == pytest.approx([0.25, 0.9, 3.7])
    # 5.8/2.1 = 2.762, relative error hypot(1e-4/5.8, 1e-4/2.1) = 5.06e-5, 1.645 of it below
    assert order["ratio_32_lower"] == pytest.approx(2.761905 * (1 - 1.645 * 5.0647e-5), rel=1e-6)


def test_currents_too_close_are_neither_called_ordered_nor_reversed():
    order = run(Ic=(1.2, 1.2001, 2.1, math.nan))[1]["order"]
    assert (order["ascending"], order["descends"]) == (False, False)
    order = run(Ic=(1.2, 1.1, 2.1, math.nan))[1]["order"]
    assert (order["ascending"], order["descends"]) == (False, True)


def test_polarities_are_compared_channel_by_channel():
    _, statistics = run()
    entry = statistics["polarity_Ic1"]
    assert (entry["value"], entry["uncertainty"], entry["unit"]) == (2e-4, 1e-4, "mA")
    assert entry["z"] == pytest.approx(2)
    assert statistics["polarity_Ic3"]["value"] == 2e-4
    one_sided = run(Ic_difference=math.nan)[1]["polarity_Ic0"]
    assert one_sided["value"] is None
    assert "one polarity" in one_sided["reason"]
    lost = run(Ic=(0.95, 1.2, math.nan, math.nan))[1]["polarity_Ic2"]
    assert "not resolved" in lost["reason"]


@pytest.mark.parametrize(
    ("changes", "detected"),
    [
        ({}, True),
        ({"ar_height": 0.04}, False),  # 4 sigma
        ({"ar_height": -0.3, "dVdI0_curvature": 50.0}, False),  # a dip
        ({"dVdI0_curvature": 0.0}, False),
    ],
)
def test_a_peak_needs_height_and_negative_curvature(changes, detected):
    assert run(**changes)[1]["andreev_peak"]["detected"] is detected


def test_a_peak_without_partner_is_not_counted():
    peaks = run(n_peaks_pos=4.0)[1]["peaks"]
    assert (peaks["both"], peaks["positive"], peaks["channels"]) == (3, 4, 3)
    # noise puts one on either side, but not at the same current
    peaks = run(n_peaks_pos=4.0, n_peaks_neg=4.0)[1]["peaks"]
    assert peaks["both"] == 3


@pytest.mark.parametrize(("noise", "sensitive"), [(0.19, True), (0.21, False), (math.nan, False)])
def test_a_count_is_complete_where_noise_hides_no_peak(noise, sensitive):
    # five times the noise against 5 % of 20 ohm
    peaks = run(dVdI_err=noise)[1]["peaks"]
    assert peaks["sensitive"] is sensitive


@pytest.mark.parametrize(
    ("height", "error", "absent"), [(0.0, 0.01, True), (-0.3, 0.1, True), (0.0, 0.02, False)]
)
def test_a_zero_bias_peak_is_absent_only_where_a_bound_says_so(height, error, absent):
    peak = run(ar_height=height, ar_height_err=error)[1]["andreev_peak"]
    assert (peak["detected"], peak["absent"]) == (False, absent)


def test_symmetry_is_a_fraction_of_the_weakest_step():
    # 0.001 mV against 0.95 mA times 1 ohm
    assert run()[1]["symmetry"]["fraction"] == pytest.approx(0.001 / 0.95)


@pytest.mark.parametrize(("chi2", "lower"), [(1.0, 0.0), (1e4, 0.1), (4.0, 0.1 * 0.5**0.5)])
def test_an_asymmetry_that_noise_explains_has_no_lower_bound(chi2, lower):
    ds = fits(asymmetry=0.095, symmetry_chi2=chi2)
    found = spectrum.symmetry(ds)
    assert found["fraction_lower"] == pytest.approx(lower, rel=1e-3)
    assert found["fraction"] == pytest.approx(0.1)


def test_residual_resistance_and_range():
    _, statistics = run(R0=0.5)
    assert statistics["residual_resistance"]["significance"] == pytest.approx(5)
    assert statistics["residual_resistance"]["finite"] is False
    # 0.5 + 1.645 * 0.1 ohm is more than 1 % of 20 ohm: neither finite nor zero
    assert statistics["residual_resistance"]["zero"] is False
    assert run(R0=0.01)[1]["residual_resistance"]["zero"] is True
    assert statistics["range_out_of_plane"]["value"] == 3.0
    assert statistics["range_out_of_plane"]["channels"] == 3


def test_what_is_missing_has_a_reason_and_every_field():
    estimates, statistics = spectrum.run({})
    assert all(estimate.value is None for estimate in estimates.values())
    assert all("not measured" in estimate.reason for estimate in estimates.values())
    assert statistics["andreev_peak"]["p"] is None
    assert statistics["peaks"]["both"] is None
    assert statistics["range_in_plane"]["value"] is None
    assert all(entry["definition"] for entry in statistics.values())


def test_another_temperature_and_an_unresolved_channel_are_said():
    estimates, _ = spectrum.run({"iv_interface": fits(T=(4.0, 6.0))})
    assert estimates["Ic0_2K"].reason == "not measured: no sweep within 0.1 K of 2 K"
    estimates, _ = run(Ic=(0.95, 1.2, math.nan, math.nan))
    assert estimates["Ic2_2K"].reason == "channel Ic2 is not resolved in the sweep"


def test_all_nan_determines_nothing():
    empty = fits((math.nan,) * 4, ar_height=math.nan, R0=math.nan, n_peaks_pos=math.nan)
    empty["dVdI"][:] = empty["dVdI_err"][:] = math.nan
    estimates, statistics = spectrum.run({"iv_interface": empty})
    assert estimates["Ic0_2K"].value is None
    assert statistics["andreev_peak"]["detected"] is None
    assert statistics["residual_resistance"]["value"] is None
    assert statistics["peaks"]["both"] is None

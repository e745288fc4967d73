"""The batched V(I) fit: unbiased, honest, and quiet where there is nothing to fit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from vi_traces import TRUTH, layout_and_start, traces

from nbnmbt.analysis import vi_fit


@pytest.fixture(scope="module")
def fitted():
    layout, start, free = layout_and_start(60)
    return layout, vi_fit.fit(traces(60), start, layout, free)


def test_planted_currents_come_back_unbiased(fitted):
    layout, result = fitted
    assert result.converged.all()
    Ic = np.exp(result.parameters[:, layout.ln_Ic])
    # 0.1 uA, a hundredth of what the maximum of a smoothed derivative is off
    assert np.abs(Ic.mean(axis=0) - TRUTH["Ic"]).max() < 1e-4


def test_pulls_are_those_of_honest_errors(fitted):
    layout, result = fitted
    pulls = (result.parameters[:, layout.ln_Ic] - np.log(TRUTH["Ic"])) / result.errors[
        :, layout.ln_Ic
    ]
    # 60 unit normals: mean within 0.4 (3 sigma), width within 0.3 of one (3 sigma)
    assert np.abs(pulls.mean(axis=0)).max() < 0.4
    assert np.abs(pulls.std(axis=0) - 1).max() < 0.3
    assert result.chi2_nu.mean() == pytest.approx(1, abs=0.03)


def test_noise_temperature_and_resistances_too(fitted):
    layout, result = fitted
    assert np.exp(result.parameters[:, layout.ln_Tn]).mean() == pytest.approx(100, rel=5e-3)
    assert result.parameters[:, layout.R].mean(axis=0) == pytest.approx(TRUTH["R"], rel=2e-3)


def test_noiseless_traces_are_recovered_to_the_accuracy_of_the_tables():
    layout, start, free = layout_and_start(1)
    result = vi_fit.fit(traces(1, noise=0.0), start, layout, free)
    assert np.exp(result.parameters[0, layout.ln_Ic]) == pytest.approx(TRUTH["Ic"], abs=2e-6)


def test_each_trace_is_fitted_as_if_alone():
    layout, start, free = layout_and_start(4)
    data = traces(4)
    together = vi_fit.fit(data, start, layout, free)
    alone = vi_fit.fit(data.take([2]), start[2:3], layout, free[2:3])
    np.testing.assert_allclose(together.parameters[2], alone.parameters[0], rtol=1e-6, atol=1e-9)


def test_a_trace_without_points_stays_out_of_the_others_way():
    layout, start, free = layout_and_start(3)
    data = traces(3)
    data.V[1] = np.nan
    result = vi_fit.fit(data, start, layout, free)
    assert not np.isfinite(result.chi2_nu[1])
    clean = vi_fit.fit(traces(3), start, layout, free)
    np.testing.assert_allclose(result.parameters[0], clean.parameters[0], rtol=1e-8)


def test_ohmic_trace_gives_resistance_and_offset():
    layout = vi_fit.Layout(channels=0)
    I = np.linspace(-1, 1, 101)[None]
    data = vi_fit.Traces(
        I=I, V=0.003 + 12.5 * I, sigma=np.full_like(I, 1e-3), T=np.array([2.0]), dT=0 * I
    )
    free = layout.free(np.zeros((1, 0), dtype=bool), np.zeros(1, dtype=bool))
    result = vi_fit.fit(data, np.zeros((1, layout.size)), layout, free)
    assert result.parameters[0, layout.R_s] == pytest.approx(12.5, rel=1e-9)
    assert result.parameters[0, layout.V0] == pytest.approx(0.003, abs=1e-9)


def test_the_error_of_a_noisier_trace_is_larger_in_proportion():
    layout, start, free = layout_and_start(1)
    quiet = vi_fit.fit(traces(1, noise=2e-4), start, layout, free)
    loud = vi_fit.fit(traces(1, noise=8e-4), start, layout, free)
    ratio = loud.errors[0, layout.ln_Ic] / quiet.errors[0, layout.ln_Ic]
    assert ratio == pytest.approx([4, 4, 4], rel=0.1)


@pytest.mark.parametrize("name", ["ln_Ic", "ln_Tn"])
def test_the_error_of_a_width_is_carried_over_from_its_parameters(fitted, name):
    layout, result = fitted
    column = getattr(layout, name).start
    alone = np.zeros_like(result.covariance)
    alone[:, column, column] = 1e-6
    width, error = vi_fit.peak_widths(replace(result, covariance=alone))
    moved = result.parameters.copy()
    moved[:, column] += 1e-3
    change = vi_fit.peak_widths(replace(result, parameters=moved))[0] - width
    np.testing.assert_allclose(error, np.abs(change), rtol=0.01, atol=1e-9)
    # broader with noise, and with the critical current by the rest of gamma^(-2/3)
    assert np.all(change[:, 0] > 0)


def test_widths_scatter_as_their_errors_say(fitted):
    _, result = fitted
    width, error = vi_fit.peak_widths(result)
    assert width.std(axis=0) == pytest.approx(error.mean(axis=0), rel=0.3)


@pytest.mark.parametrize("pair", [(1.19, 1.21), (1.0, 1.0005), (1.19, 1.1903)])
def test_channels_never_change_places_on_the_way(pair):
    """Started far off and close together, a pair stays ascending, and finds its places."""
    layout, start, free = layout_and_start(1)
    start[:, layout.ln_Ic] = np.log([[*pair, 2.1]])
    for iterations in (10, 20, 40, 60):
        result = vi_fit.fit(traces(1), start, layout, free, max_iterations=iterations)
        assert np.all(np.diff(result.parameters[0, layout.ln_Ic]) > 0)
    result = vi_fit.fit(traces(1), start, layout, free, max_iterations=300)
    assert result.converged[0]
    assert np.exp(result.parameters[0, layout.ln_Ic]) == pytest.approx(TRUTH["Ic"], abs=2e-4)


def test_covariance_is_the_inverse_curvature_of_chi2():
    """Chi2 rises by one where a parameter is moved by its error and all others follow."""
    layout, start, free = layout_and_start(1)
    data = traces(1)
    best = vi_fit.fit(data, start, layout, free, tolerance=1e-9)
    for column in (layout.ln_Ic.start, layout.ln_Tn.start):
        moved, held = best.parameters.copy(), free.copy()
        moved[:, column] += best.errors[:, column]
        held[:, column] = False
        other = vi_fit.fit(data, moved, layout, held, tolerance=1e-9)
        assert other.chi2 - best.chi2 == pytest.approx([1.0], rel=0.1)


def test_crossing_is_told_among_the_channels_present():
    layout = vi_fit.Layout(channels=3)
    x = np.zeros((4, layout.size))
    x[:, layout.ln_Ic] = np.log(
        [[0.9, 1.2, 2.1], [1.3, 1.2, 2.1], [1.2, 1.2, 2.1], [1.3, 1.2, 2.1]]
    )
    present = np.ones((4, 3), dtype=bool)
    present[3, 1] = False
    assert vi_fit._crossing(x, present, layout).tolist() == [False, True, True, False]

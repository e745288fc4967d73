"""Loops of the interfacial resistance."""

import numpy as np
import pytest
from golden import table

from nbnmbt.physics import hysteresis as hy

OPTIONS = {"coercive_field": 0.18, "width": 0.04}


def test_branches_cross_zero_at_the_coercive_field():
    assert hy.branch(0.18, +1, **OPTIONS) == 0
    assert hy.branch(-0.18, -1, **OPTIONS) == 0
    # time reversal: the down branch is the up branch seen from the other side
    B = np.linspace(-1, 1, 41)
    np.testing.assert_allclose(hy.branch(B, +1, **OPTIONS), -hy.branch(-B, -1, **OPTIONS))


def test_loop_closes_within_one_tesla():
    both = [hy.loop_resistance(1.0, d, amplitude=0.05, **OPTIONS) for d in (+1, -1)]
    assert abs(both[0] - both[1]) < 1e-12


def test_butterfly_peaks_and_square_opening():
    assert hy.loop_resistance(0.18, +1, amplitude=0.05, **OPTIONS) == pytest.approx(0.05)
    assert hy.loop_resistance(-0.18, -1, amplitude=0.05, **OPTIONS) == pytest.approx(0.05)
    up, down = (
        hy.loop_resistance(0.0, d, amplitude=0.05, square_fraction=1.0, **OPTIONS) for d in (1, -1)
    )
    assert down - up == pytest.approx(0.05 * np.tanh(0.18 / 0.04))


def test_mixture_is_linear():
    B = np.linspace(-1, 1, 201)
    pure = [
        hy.loop_resistance(B, 1, amplitude=0.05, square_fraction=s, **OPTIONS) for s in (0.0, 1.0)
    ]
    mixed = hy.loop_resistance(B, 1, amplitude=0.05, square_fraction=0.3, **OPTIONS)
    np.testing.assert_allclose(mixed, 0.7 * pure[0] + 0.3 * pure[1], atol=1e-15)


def test_finite_width_shrinks_the_loop_as_tabulated():
    reference = table("hyst_bias.csv")
    B = np.linspace(-2, 2, 400001)
    for ratio, height, position, opening, _ in reference:
        if 6 * ratio * position > 40 * ratio:
            continue
        options = {"coercive_field": 0.1 * ratio, "width": 0.1, "amplitude": 1.0}
        up, down = (hy.loop_resistance(B, d, **options) for d in (1, -1))
        difference = np.abs(up - down)
        assert difference.max() == pytest.approx(height, abs=2e-5)
        assert abs(B[difference.argmax()]) / (0.1 * ratio) == pytest.approx(position, rel=2e-3)
        square = [
            float(hy.loop_resistance(0.0, d, square_fraction=1.0, **options)) for d in (1, -1)
        ]
        assert square[1] - square[0] == pytest.approx(opening, abs=2e-5)


def test_temperature_laws_match_the_table():
    T, _, _, _, m2, kneller, default, _ = table("hyst_T.csv").T
    common = {"zero_temperature": 0.2, "ordering_temperature": 24.4}
    np.testing.assert_allclose(hy.coercive_field(T, **common), default, atol=6e-6)
    np.testing.assert_allclose(hy.coercive_field(T, law="kneller", **common), kneller, atol=6e-6)
    amplitude = hy.loop_amplitude(T, zero_temperature=1.0, ordering_temperature=24.4)
    np.testing.assert_allclose(amplitude, m2, atol=6e-6)


def test_loops_vanish_at_the_ordering_temperature():
    T = np.array([24.4, 25.0, 40.0])
    common = {"ordering_temperature": 24.4}
    assert not np.any(hy.coercive_field(T, zero_temperature=0.2, **common))
    assert not np.any(hy.loop_amplitude(T, zero_temperature=0.05, **common))


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="width must be positive"):
        hy.branch(0.0, 1, coercive_field=0.1, width=0.0)
    with pytest.raises(ValueError, match="square_fraction"):
        hy.loop_resistance(0.0, 1, amplitude=1.0, square_fraction=1.5, **OPTIONS)
    with pytest.raises(ValueError, match="law must be"):
        hy.coercive_field(2.0, zero_temperature=0.2, ordering_temperature=24.4, law="sharrock")

"""Kinks planted by the magnet are found where and as high as they are, and only where they are."""

import itertools

import numpy as np
import pytest
from planted_currents import DEVICES, dataset, planted

from nbnmbt.analysis import kinks
from nbnmbt.analysis.estimate import estimated
from nbnmbt.analysis.kinks import Options, kink_field, locate_kink
from nbnmbt.device.model import Model
from nbnmbt.device.parameters import load

FAST = Options(draws=400, monotone_draws=100)
TWO = Options(draws=400, monotone_draws=100, channels=(0, 1))


def run(truth, seed=0, noise_mA=1e-3, options=FAST, **keywords):
    return kinks.run(
        dataset(truth, "iv_out_of_plane", seed=seed, noise_mA=noise_mA),
        dataset(truth, "iv_in_plane", seed=seed, noise_mA=noise_mA),
        options,
        sample=f"closure {seed}",
        **keywords,
    )


@pytest.fixture(scope="module")
def surrogate():
    return planted("surrogate")


def step_of_shape(depth, flop, spread):
    """Fields, critical current and its noise for a step whose shape is not known."""
    shape = {
        "magnetism.proximity_depth": depth,
        "magnetism.interface_spin_flop_field": flop,
        "magnetism.spin_flop_spread": spread,
    }
    model = Model(load(DEVICES / "surrogate.yaml", overrides=shape))
    B = np.concatenate([np.arange(0, 2, 0.25), np.arange(2, 4.01, 0.1), np.arange(4.25, 9.1, 0.25)])
    noise = np.full(B.size, 8e-5)
    random = np.random.default_rng([depth, int(100 * flop), int(100 * spread)])
    return B, model.critical_current(0, 2.0, B) + noise * random.standard_normal(B.size), noise


def test_interval_of_the_onset_holds_for_steps_of_many_shapes():
    """What the claim of coincidence rests on."""
    pulls = []
    for depth, flop, spread in itertools.product((3, 5, 7), (2.95, 3.0, 3.05), (0.1, 0.15, 0.2)):
        location = locate_kink(*step_of_shape(depth, flop, spread), degree=6, start=3.05)
        pulls.append((location.field - flop) / location.field_uncertainty)
    assert np.mean(np.abs(pulls) < 1.96) > 0.93
    assert 0.5 < np.mean(np.abs(pulls) < 1) < 0.85


@pytest.mark.parametrize("shape", [(3, 2.95, 0.2), (3, 3.05, 0.15), (5, 3.0, 0.2)])
def test_onset_does_not_hang_on_the_nodes_it_is_first_looked_for_at(shape, monkeypatch):
    """Of coarse nodes all may miss the ridge on which the likelihood is large."""
    location = locate_kink(*step_of_shape(*shape), degree=6, start=3.05)
    monkeypatch.setattr(kinks, "_FIRST_NODES", 2 * kinks._FIRST_NODES)
    finer = locate_kink(*step_of_shape(*shape), degree=6, start=3.05)
    assert abs(finer.field - location.field) < 0.15 * finer.field_uncertainty
    assert location.field_uncertainty == pytest.approx(finer.field_uncertainty, rel=0.1)


@pytest.mark.parametrize(
    ("flop", "spread", "noise"),
    [(3.0, 0.15, 5e-5), (3.0, 0.15, 1e-3), (2.87, 0.08, 1e-3), (3.14, 0.05, 2e-4)],
)
def test_field_and_jump_are_recovered(flop, spread, noise):
    truth = planted(
        "surrogate",
        {
            "magnetism.interface_spin_flop_field": flop,
            "magnetism.spin_flop_spread": spread,
        },
    )
    estimates, statistics = run(truth, noise_mA=noise)
    for k in range(3):
        for key in (f"B_kink_Ic{k}", f"jump_Ic{k}"):
            entry = estimates[key]
            assert abs(entry.value - truth["numbers"][key]) < 3 * entry.uncertainty, key
        assert estimates[f"B_kink_Ic{k}"].uncertainty < 0.08
        assert statistics[f"no_jump_in_plane_Ic{k}"]["equivalent"] is True
        assert statistics[f"monotone_in_plane_Ic{k}"]["p_value"] > 0.01
    assert statistics["local_slope_Ic0"]["lower_95_mA_per_T"] > 0


def test_no_sigma_is_smaller_than_the_scatter_over_seeds(surrogate):
    found = []
    for seed in range(10):
        ds = dataset(surrogate, "iv_out_of_plane", seed=seed, noise_mA=1e-3)
        y = ds["Ic"].values[1, 0, :, 0]
        location = locate_kink(ds["B"].values, y, np.full(y.size, 1e-3), degree=6, start=3.1)
        found.append(
            (location.field, location.field_uncertainty, location.jump, location.jump_uncertainty)
        )
    field, field_error, jump, jump_error = np.array(found).T
    # Ten seeds know a scatter to a quarter.
    assert np.std(field, ddof=1) < 1.5 * field_error.mean()
    assert np.std(jump, ddof=1) < 1.5 * jump_error.mean()
    assert np.all(np.abs(field - 3.0) < 3 * field_error)


def test_without_coupling_there_is_no_kink_and_no_rise():
    _, statistics = run(planted("N02"))
    for k in range(3):
        assert statistics[f"kink_Ic{k}"]["detected"] is False
        assert statistics[f"local_slope_Ic{k}"]["lower_95_mA_per_T"] < 0
        assert statistics[f"no_jump_in_plane_Ic{k}"]["equivalent"] is True


def test_a_kink_elsewhere_does_not_coincide_with_the_spin_flop():
    flop = {"B_flop_mnbi2te4": estimated(kink_field, 3.0, 0.005, "T")}
    _, statistics = run(planted("N10"), options=TWO, transitions=flop)
    assert statistics["kink_Ic0"]["detected"] is True
    assert statistics["coincidence_Ic0"]["coincident"] is False
    _, statistics = run(planted("surrogate"), options=TWO, transitions=flop)
    assert statistics["coincidence_Ic0"]["coincident"] is True


def test_a_step_in_plane_breaks_the_equivalence():
    _, statistics = run(planted("N11"), options=TWO)
    assert statistics["kink_Ic0"]["detected"] is True
    for k in range(2):
        assert statistics[f"no_jump_in_plane_Ic{k}"]["equivalent"] is False


def test_coupling_of_the_opposite_sign_gives_a_fall():
    estimates, statistics = run(planted("N18"), options=TWO)
    assert statistics["kink_Ic0"]["detected"] is True
    assert estimates["jump_Ic0"].value < -3 * estimates["jump_Ic0"].uncertainty
    assert statistics["local_slope_Ic0"]["lower_95_mA_per_T"] < 0

"""The in-plane angle: planted widths come back, and each control changes what it should."""

import numpy as np
import pytest
from planted_currents import dataset, planted

from nbnmbt.analysis import angle
from nbnmbt.analysis.angle import Options

FAST = Options(draws=300)


def run(truth, seed=0, noise_mA=1e-3):
    names = ("iv_angle", "iv_angle_nbn", "iv_in_plane", "iv_out_of_plane")
    data = {name: dataset(truth, name, seed=seed, noise_mA=noise_mA) for name in names}
    return angle.run(
        data["iv_angle"],
        data["iv_angle_nbn"],
        FAST,
        in_plane=data["iv_in_plane"],
        out_of_plane=data["iv_out_of_plane"],
        sample=f"closure {seed}",
    )


@pytest.fixture(scope="module")
def surrogate():
    return planted("surrogate")


def test_amplitudes_are_recovered_and_their_sigma_is_honest(surrogate):
    pulls, values, errors = [], [], []
    for seed in range(8):
        estimates, _ = run(surrogate, seed, noise_mA=5e-4)
        widths = [e for key, e in sorted(estimates.items()) if "width" in key]
        truth = [surrogate["numbers"][key] for key in sorted(estimates) if "width" in key]
        values.append([e.value for e in widths])
        errors.append([e.uncertainty for e in widths])
        pulls.append((np.array(values[-1]) - truth) / errors[-1])
        for key, e in estimates.items():
            if "position" in key:
                assert e.value < 5 * e.uncertainty, key
    assert np.max(np.abs(pulls)) < 4
    assert 0.7 < np.std(pulls) < 1.3
    assert np.mean(np.std(values, axis=0, ddof=1)) < 1.3 * np.mean(errors)


def test_the_claims_about_the_surrogate(surrogate):
    _, statistics = run(surrogate)
    assert statistics["orientation"]["consistent"] is True
    assert statistics["tilt"]["caused_by_tilt"] is False
    for k in range(3):
        assert statistics[f"fall_with_field_Ic{k}"]["all_fall"] is True
        assert statistics[f"noise_temperature_growth_Ic{k}"]["grows"] is True
        assert statistics[f"two_fold_width_growth_Ic{k}"]["z"] > 3
        for B in (1, 4, 7, 9):
            assert statistics[f"angle_invariance_Ic{k}_{B}T"]["verdict"] == "equivalent"
        for B in (7, 9):
            entry = statistics[f"two_fold_width_Ic{k}_{B}T"]
            assert entry["p_holm"] < 0.01
            assert entry["dominance_z"] > 3
    assert statistics["anisotropy_nbn_Ic3_9T"]["verdict"] == "exceeds"


def test_anisotropic_currents_are_not_invariant():
    _, statistics = run(planted("N05"))
    assert statistics["angle_invariance_Ic1_9T"]["verdict"] == "exceeds"
    assert statistics["tilt"]["caused_by_tilt"] is False
    assert statistics["two_fold_width_Ic1_9T"]["detected"] is True


def test_an_isotropic_width_is_not_two_fold():
    _, statistics = run(planted("N06"))
    assert not any(statistics[f"two_fold_width_Ic{k}_9T"]["detected"] for k in range(3))
    assert statistics["angle_invariance_Ic1_9T"]["verdict"] == "equivalent"
    assert statistics["noise_temperature_growth_Ic0"]["grows"] is True


def test_a_one_fold_drift_is_not_two_fold():
    _, statistics = run(planted("N07"))
    entry = statistics["angle_invariance_Ic1_9T"]
    assert entry["verdict"] == "equivalent"
    assert entry["p_one_fold"] < 1e-6


def test_a_tilt_is_named_and_measured():
    _, statistics = run(planted("N08"))
    assert statistics["tilt"]["caused_by_tilt"] is True
    assert statistics["tilt"]["tilt_deg"] == pytest.approx(2.0, abs=0.2)
    assert statistics["tilt"]["out_of_plane_field_T"] == pytest.approx(0.314, abs=0.03)
    assert statistics["angle_invariance_Ic0_9T"]["verdict"] != "equivalent"
    assert statistics["angle_invariance_Ic0_9T"]["verdict_without_tilt"] == "equivalent"
    assert statistics["fall_with_field_Ic0"]["all_fall"] is True


def test_swapped_orientations_stop_the_analysis():
    estimates, statistics = run(planted("N17"))
    assert statistics["orientation"]["consistent"] is False
    assert all("wrong field orientation" in e.reason for e in estimates.values())

"""Definition is code: each estimator on an array whose answer can be worked out by hand.

The first paragraph of an estimator's docstring is what tables, report and ledger print as its
definition. Here every sentence that a stage prints is paired with one case that it decides.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pytest
import xarray as xr
from current_curves import currents

from nbnmbt.analysis import (
    andreev_peak,
    angle,
    kinks,
    loops,
    magnetoresistance,
    monotone,
    neel,
    resistive_transition,
    spectrum,
    temperature_laws,
    transitions,
)
from nbnmbt.analysis.curves import Curve
from nbnmbt.analysis.estimate import Stage, definition_of, estimated
from nbnmbt.claims import evaluate, load_claims
from nbnmbt.paths import repo_root

# --------------------------------------------------------------------------------------------------
# arrays

TRACE = xr.Dataset(
    {
        "Ic": ("channel", [0.95, 1.2, 2.1, 5.8]),
        "Ic_err": ("channel", [1e-4] * 4),
        "Ic_difference": ("channel", [2e-4] * 4),
        "Ic_difference_err": ("channel", [1e-4] * 4),
        "Tn": ("channel", [100.0] * 4),
        "R": ("channel", [2.0, 1.0, 1.0, 20.0]),
        "width": ("channel", [0.1] * 4),
        "resolved": ("channel", [1, 1, 1, 0]),
        "chi2_nu": 1.0,
        "ar_height": 0.3,
        "ar_height_err": 0.01,  # 30 sigma
        "dVdI0_curvature": -50.0,
        "dVdI0_curvature_err": 2.0,  # 25 sigma
        "n_peaks_pos": 4.0,
        "n_peaks_neg": 3.0,
        "n_peaks_matched": 3.0,
        "dVdI": ("I", [20.0] * 3),
        "dVdI_err": ("I", [0.01] * 3),
        "asymmetry": 0.019,
        "symmetry_chi2": 1.0,
        "R0": 0.5,
        "R0_err": 0.1,
    },
    coords={"channel": np.arange(4), "T": 2.0, "I": [-3.0, 0.0, 3.0]},
)
MAP = TRACE.expand_dims(T=[2.0], B=[0.0], theta=[0.0]).transpose("channel", ...)
FILM = TRACE.assign(resolved=("channel", [1, 1, 1, 1]))


def number(value: float, error: float = 0.0, unit: str = ""):
    return estimated(number_of_the_paper, value, error, unit)


def number_of_the_paper():
    """A number given."""


def curve(x, y, sigma) -> Curve:
    x, y = np.asarray(x, float), np.asarray(y, float)
    none = np.empty(0)
    spread = np.broadcast_to(float(sigma), x.shape)
    return Curve(x=x, y=y, sigma=spread, x_limit=none, y_limit=none, n_censored=0)


T = np.concatenate([np.arange(2, 9, 0.2), np.arange(9, 12, 0.02), np.arange(12, 20, 0.2)])
RAMP = 20 * np.clip(T - 10, 0, 1)  # from 0 to 20 ohm between 10 and 11 K
LINEAR = resistive_transition.Options(normal_state_model="linear", resamples=50)


@cache
def ramp() -> resistive_transition.Transition:
    return resistive_transition.normalise(T, RAMP, LINEAR)


@cache
def ramp_on_a_line() -> resistive_transition.Transition:
    return resistive_transition.normalise(T, RAMP + 5 + 0.1 * T, LINEAR, on_background=True)


@cache
def logistic() -> resistive_transition.Transition:
    return resistive_transition.normalise(T, 20 / (1 + np.exp(-(T - 10.6) / 0.08)), LINEAR)


def cusp() -> neel.Cusp:
    grid = np.linspace(20, 28, 801)
    rows = [-((grid - 24.5) ** 2), -((grid - 22.0) ** 2), (grid - 24.3) ** 2 - 9]
    R, slope, curvature = (np.stack([row] * 3) for row in rows)
    return neel.Cusp(
        reason=None,
        T=grid,
        R=R,
        slope=slope,
        curvature=curvature,
        rounding_shift=np.full(3, 0.1),
        slope_smoothing_shift=0.2,
        curvature_shift=-0.1,
        centre=24.4,
    )


@cache
def step_fit() -> magnetoresistance.StepFit:
    """Step at 3 T, parabola to 8 T, the field read 20 mT too high."""
    B = np.arange(-12, 12.01, 0.1)
    b = np.abs(B - 0.02)
    canted = 0.05 * np.minimum(b / 8, 1) ** 2 / (1 + np.exp(-(b - 3) / 0.03))
    noise = 1e-5 * np.random.default_rng(1).standard_normal(B.size)
    options = magnetoresistance.Options(calibration_draws=100)
    return magnetoresistance.fit_steps(B, 10 * (1 - canted + noise), options)


B_KINK = np.arange(0, 9.01, 0.1)
STEP = 1 - 0.05 * B_KINK + 0.1 * (B_KINK > 3.05)


@cache
def location() -> kinks.KinkLocation:
    sigma = np.full(B_KINK.size, 1e-4)
    return kinks.locate_kink(B_KINK, STEP, sigma, degree=3, start=3.05)


THETA = np.arange(0, 360, 15.0)
TURN = np.deg2rad(THETA)


def harmonics(two_fold: float, one_fold: float = 0.0) -> angle.HarmonicFit:
    y = 2 * (1 + two_fold * np.cos(2 * TURN) + one_fold * np.cos(TURN))
    return angle.harmonic_fit(THETA, y, np.full(THETA.size, 1e-6))


def tilted(degrees: float):
    across = 9 * math.sin(math.radians(degrees)) * np.abs(np.cos(TURN))
    return [THETA], [1 - 0.07 * across], [9.0], [-0.07], [1e-5]


def loop_set(T=(2.0, 4.0, 6.0, 8.0, 16.0, 20.0, 22.0, 23.0, 24.0, 26.0, 28.0)) -> loops.LoopSet:
    """Loops that vanish at 24.4 K like (1 - T/24.4)^0.5, with B_c = 0.18 T and 50 mohm at 0 K."""
    T = np.array(T)
    part = np.clip(1 - T / 24.4, 0, None) ** 0.5
    fits = [
        loops.LoopFit(
            T=float(t),
            detected=bool(p > 0),
            p=1e-3 if p > 0 else 0.2,
            coercive=0.18 * p if p > 0 else np.nan,
            coercive_err=1e-4,
            height=0.05 * p,
            height_err=1e-5,
        )
        for t, p in zip(T, part, strict=True)
    ]
    return loops.LoopSet(reason=None, T=T, B=np.empty(0), R=np.empty((2, T.size, 0)), loops=fits)


@cache
def one_loop(coercive: float, lag: float, temperature: float) -> loops.LoopSet:
    """A butterfly of 50 mohm on a parabola, or the parabola alone, seen with field lag."""
    B = np.linspace(-1, 1, 201)
    sign = np.array([[1.0], [-1.0]])
    b = B - sign * lag
    butterfly = 0.05 / np.cosh((b - sign * coercive) / 0.04) ** 2 if coercive else 0.0
    noise = 1e-5 * np.random.default_rng(0).standard_normal((2, 1, B.size))
    R = (20 + b**2 + butterfly)[:, None, :] + noise
    # In one loop alone lag and coercive field are told apart poorly.
    correction = "none" if coercive else "joint"
    options = loops.Options(detection_draws=100, lag_correction=correction)
    return loops.fit_loops([temperature], B, R, options=options)


def jumps() -> np.ndarray:
    """Resistance at -1, 0 and 1 T at 8, 10 and 12 K, both branches: 10 K jumps by 3 ohm."""
    return np.broadcast_to([[1, 0, 1], [3, 0, 3], [2, 0, 2]], (2, 3, 3)).astype(float)


def law(name: str, Tc: float, aicc: float, chi2_nu: float = 1.0) -> temperature_laws.LawFit:
    return temperature_laws.LawFit(
        law=name,
        parameters={"Ic0": 1.0, "Tc": Tc},
        uncertainties={"Ic0": 0.1, "Tc": 0.1},
        chi2_nu=chi2_nu,
        deviation=0.5,
        aicc=aicc,
    )


def fitted_peak(T_AR: float) -> andreev_peak.PeakFit:
    T = np.arange(2, 8.1, 0.25)
    return andreev_peak.fit_peak(curve(T, andreev_peak.peak_height(T, T_AR, 0.3, 0.6), 1e-5))


def flat_and_stepped() -> tuple[float, float]:
    B = np.linspace(-12, 12, 241)
    options = magnetoresistance.Options(calibration_draws=100)
    noise = 1e-3 * np.random.default_rng(2).standard_normal(B.size)
    found = magnetoresistance.kink_preference(B, 10 + noise + (np.abs(B) > 3), options)
    return found["aicc_gain"] > 100, found["p"]


# --------------------------------------------------------------------------------------------------
# one case a definition


class Case(NamedTuple):
    function: Callable[..., Any]
    answer: Callable[[], Any]
    expected: Any
    tolerance: float = 1e-9


CASES = [
    # --- spectra
    Case(spectrum.critical_current, lambda: spectrum.critical_current(TRACE, 1).value, 1.2),
    Case(spectrum.film_critical_current, lambda: spectrum.film_critical_current(FILM).value, 5.8),
    Case(
        spectrum.polarity_difference,
        lambda: spectrum.polarity_difference(TRACE, 0)["z"],
        2,  # 2e-4 over 1e-4
    ),
    # the less significant of height and curvature
    Case(spectrum.andreev_peak, lambda: spectrum.andreev_peak(TRACE)["p"] < 1e-100, True),
    Case(spectrum.count_peaks, lambda: spectrum.count_peaks(TRACE)["both"], 3),
    Case(
        spectrum.order_of_channels,
        lambda: spectrum.order_of_channels([number(x, 0.1) for x in (1, 2, 4, 8)])[
            "differences_mA"
        ],
        [1, 2, 4],
    ),
    # 0.019 mV of 0.95 mA times 2 ohm; channel 1 has 1.2 mA times 1 ohm, which is less
    Case(spectrum.symmetry, lambda: spectrum.symmetry(MAP)["fraction"], 0.019 / 1.2),
    Case(
        spectrum.residual_resistance,
        lambda: spectrum.residual_resistance(TRACE)["significance"],
        5,
    ),
    Case(
        spectrum.current_range,
        lambda: [spectrum.current_range(MAP)[k] for k in ("value", "channels")],
        [3, 3],
    ),
    # --- R(T)
    Case(
        resistive_transition.critical_temperature,
        lambda: resistive_transition.critical_temperature(ramp()).value,
        10.5,
        0.01,
    ),
    Case(
        resistive_transition.temperature_at_10_percent,
        lambda: resistive_transition.temperature_at_10_percent(ramp()).value,
        10.1,
        0.01,
    ),
    Case(
        resistive_transition.temperature_at_90_percent,
        lambda: resistive_transition.temperature_at_90_percent(ramp()).value,
        10.9,
        0.01,
    ),
    # the ramp ends at 11 K; the local fit, 80 mK wide, rounds its corner
    Case(
        resistive_transition.onset_temperature,
        lambda: resistive_transition.onset_temperature(ramp()).value,
        11.0,
        0.09,
    ),
    Case(
        resistive_transition.steepest_slope_temperature,
        lambda: resistive_transition.steepest_slope_temperature(logistic()).value,
        10.6,
        0.01,
    ),
    Case(
        resistive_transition.critical_temperature_interface,
        lambda: resistive_transition.critical_temperature_interface(ramp_on_a_line()).value,
        10.5,
        0.01,
    ),
    Case(
        resistive_transition.minimum_below_transition,
        lambda: resistive_transition.minimum_below_transition(T, (T - 6) ** 2, 10.8).value,
        6,
        0.01,
    ),
    Case(
        resistive_transition.agreement_of_critical_temperatures,
        lambda: resistive_transition.agreement_of_critical_temperatures(
            number(10.8, 0.03), number(10.9, 0.04)
        )["z"],
        2,  # 0.1 over hypot(0.03, 0.04)
    ),
    Case(
        resistive_transition.resistance_features,
        lambda: [
            round(f["T"], 1)
            for f in resistive_transition.resistance_features(
                T, RAMP + 1e-3 * np.random.default_rng(0).standard_normal(T.size)
            )["features"]
        ],
        [10.5],
        0.11,
    ),
    Case(
        resistive_transition.upturn, lambda: resistive_transition.upturn(T, 50 - 2 * T)["slope"], -2
    ),
    # --- Neel temperature: extremum less the shift
    Case(neel.peak_temperature, lambda: neel.peak_temperature(cusp()).value, 24.4, 1e-3),
    Case(neel.curvature_temperature, lambda: neel.curvature_temperature(cusp()).value, 24.4, 1e-3),
    Case(
        neel.largest_slope_temperature,
        lambda: neel.largest_slope_temperature(cusp()).value,
        21.8,
        1e-3,
    ),
    Case(
        neel.spread_of_neel_estimators,
        lambda: neel.spread_of_neel_estimators(
            {"T_N_peak": number(24.4, 0.03), "T_N_max_slope": number(23.8, 0.04)}
        )["difference"],
        0.6,
    ),
    # --- R(B)
    Case(
        magnetoresistance.spin_flop_field,
        lambda: magnetoresistance.spin_flop_field(step_fit()).value,
        3,
        0.02,
    ),
    Case(
        magnetoresistance.saturation_field,
        lambda: magnetoresistance.saturation_field(step_fit()).value,
        8,
        0.02,
    ),
    Case(
        magnetoresistance.side_symmetry,
        lambda: magnetoresistance.side_symmetry(step_fit())["flop"]["half_difference"],
        0.02,
        0.01,
    ),
    Case(
        magnetoresistance.field_asymmetry,
        lambda: magnetoresistance.field_asymmetry(
            {"reason": None, "flop": {"half_difference": 0.02, "half_difference_err": 0.01}}, "flop"
        ).value,
        0.02,
    ),
    Case(
        magnetoresistance.difference_of_fields,
        lambda: magnetoresistance.difference_of_fields(number(3.1), number(3.0)).value,
        0.1,
    ),
    # one of 101: no noise draw gains as much as a step of a thousand standard deviations
    Case(magnetoresistance.kink_preference, flat_and_stepped, (True, 1 / 101)),
    Case(
        magnetoresistance.critical_field_bound,
        lambda: magnetoresistance.critical_field_bound(
            [0, 1, 2, 3, 4], [0, 0, 0.09, 5, 10], normal_resistance=10
        ).value,
        2,
    ),
    # h*(0.1852) = 0.64834 times 10 K times 2 T/K
    Case(
        magnetoresistance.upper_critical_field,
        lambda: magnetoresistance.upper_critical_field(
            [0, 1], [10, 9.5], [0.01, 0.01], 1.852
        ).value,
        12.967,
        1e-3,
    ),
    # --- temperature laws
    # variance 0.5 (0.1^2) + 0.5 (0.1^2 + 0.2^2)
    Case(
        temperature_laws.critical_temperature,
        lambda: temperature_laws.critical_temperature(
            {"a": law("a", 6.0, 0.0), "b": law("b", 6.2, 0.0)}, "a"
        ),
        (6.0, math.sqrt(0.03)),
    ),
    Case(
        temperature_laws.compare_laws,
        lambda: [
            temperature_laws.compare_laws(
                {
                    "kupriyanov-lukichev": law("kupriyanov-lukichev", 6.0, 0.0),
                    "linear": law("linear", 6.0, aicc),
                },
                chi2_limit=1.5,
                deviation_limit=0.05,
            )["exclusive"]
            for aicc in (9.0, 11.0)
        ],
        [False, True],  # ten in AICc excludes
    ),
    Case(
        temperature_laws.order_of_channels,
        lambda: temperature_laws.order_of_channels([(1, 0.3), (2, 0.4), (4, 0.3)])["z"],
        [2, 4],
    ),
    # a quarter against a half, errors 0.03 and 0.04
    Case(
        temperature_laws.ratio_test,
        lambda: temperature_laws.ratio_test((1, 0.12), (4, 0), (6, 0.48), (12, 0))["z"],
        -5,
    ),
    Case(
        andreev_peak.vanishing_temperature,
        lambda: andreev_peak.vanishing_temperature(fitted_peak(6.0), fitted_peak(6.0))[0],
        6,
        0.01,
    ),
    Case(
        andreev_peak.extrapolated_temperature,
        lambda: andreev_peak.extrapolated_temperature(
            curve([4, 4.5, 5, 5.5, 5.9], [0.4, 0.35, 0.3, 0.25, 0.01], 0.01), (4, 5.5)
        )[0],
        8,
    ),
    # --- Ic(B)
    Case(kinks.kink_field, lambda: kinks.kink_field(location())[0], 3.05, 0.05),
    Case(kinks.kink_jump, lambda: kinks.kink_jump(location())[0], 0.1, 0.003),
    Case(
        kinks.sup_f_test,
        lambda: [
            getattr(
                kinks.sup_f_test(B_KINK, STEP, np.full(B_KINK.size, 1e-3), draws=200), attribute
            )
            for attribute in ("field", "p_value")
        ],
        [3.05, 1 / 201],
    ),
    # no jump between three points and three: a mean with 0.1^2/3 on one side, a line met 1.5 before
    # its centre with 0.1^2 (1/3 + 1.5^2/2) on the other, and Student's 2.3534 of three degrees
    Case(
        kinks.jump_bound,
        lambda: kinks.jump_bound(
            np.arange(6.0), np.ones(6), np.full(6, 0.1), degree=0, trim_fraction=0.4
        ),
        (2.3534 * 0.1 * math.sqrt(1 / 3 + 1 / 3 + 1.5**2 / 2), 2.5, 0),
        1e-5,
    ),
    Case(kinks.coincidence, lambda: kinks.coincidence((3.1, 0.03), (3.0, 0.04)), (0.1, 2)),
    Case(
        kinks.local_slope,
        lambda: kinks.local_slope(
            np.array([1, 2.5, 3, 3.5, 5]),
            np.array([9, 1, 2, 3, 9.0]),
            np.ones(5),
            centre=3,
            width=1,
        ),
        (2, math.sqrt(2), 3),
    ),
    # the closest falling curve of 1, 3, 2 is their mean: (1 + 1 + 0) away
    Case(
        monotone.monotone_trend,
        lambda: [
            getattr(monotone.monotone_trend([1, 2, 3], [1, 3, 2], [1, 1, 1], draws=100), attribute)
            for attribute in ("statistic", "reversal")
        ],
        [2, 2],
    ),
    Case(
        kinks.andreev_peak_falls,
        lambda: kinks.andreev_peak_falls(
            curve([0, 1, 2], [0.3, 0.2, 0.1], 1e-3), draws=100, seed_names=()
        )["change"],
        -0.2,
    ),
    # --- angle
    Case(
        angle.two_fold_of_position,
        lambda: angle.two_fold_of_position(harmonics(0.03, 0.05))[0],
        3,
        1e-4,
    ),
    Case(angle.two_fold_of_width, lambda: angle.two_fold_of_width(harmonics(0.25))[0], 25, 1e-4),
    Case(
        angle.equivalence,
        lambda: [
            angle.equivalence(harmonics(a), margin=0.02)["verdict"] for a in (0.0199, 0.0201)
        ],
        ["equivalent", "exceeds"],
    ),
    Case(
        angle._two_fold_test,
        lambda: angle._two_fold_test(harmonics(0.03, 0.01))["largest_other_percent"],
        1,
        1e-4,
    ),
    Case(
        angle._growth,
        lambda: angle._growth(harmonics(0.01), harmonics(0.03))["difference_percent"],
        2,
        1e-4,
    ),
    Case(
        angle.ordered_fall,
        lambda: [
            angle.ordered_fall([1, 4, 9], values, [0.1] * 3)["all_fall"]
            for values in ([3, 2, 1], [3, 1, 2])
        ],
        [True, False],
    ),
    # three fields of equal weight: slope 0.1 per T, error 1/sqrt(sum of squares)
    Case(
        angle.width_growth,
        lambda: [
            angle.width_growth([1, 2, 3], [0.2, 0.3, 0.4], [0.1] * 3)[key]
            for key in ("spearman", "slope", "slope_uncertainty")
        ],
        [1, 0.1, 0.1 / math.sqrt(2)],
    ),
    Case(angle.tilt_fit, lambda: angle.tilt_fit(*tilted(2.0)).tilt_deg, 2, 0.02),
    Case(
        angle.orientation_check,
        lambda: [
            angle.orientation_check(
                "in-plane",
                {(0, 9.0): (mean, 1e-3)},
                {0: curve(B_KINK, 1 - 0.05 * B_KINK, 1e-3)},
                {0: curve(B_KINK, 1 - 0.1 * B_KINK, 1e-3)},
                draws=200,
            )["consistent"]
            for mean in (0.55, 0.1)
        ],
        [True, False],
    ),
    # --- loops
    Case(
        loops.coercive_field_2K,
        lambda: loops.coercive_field_2K(one_loop(0.18, 0.0, 2.0)).value,
        0.18,
        1e-3,
    ),
    Case(
        loops.loop_height_2K,
        lambda: loops.loop_height_2K(one_loop(0.18, 0.0, 2.0)).value,
        0.05,
        1e-4,
    ),
    Case(
        loops.coercive_field_vanishing,
        lambda: loops.coercive_field_vanishing(loop_set()).value,
        24.4,
        0.05,
    ),
    Case(
        loops.loop_height_vanishing,
        lambda: loops.loop_height_vanishing(loop_set()).value,
        24.4,
        0.05,
    ),
    Case(
        loops.largest_field_jump,
        lambda: loops.largest_field_jump([8, 10, 12], [-1, 0, 1], jumps()).value,
        10,
    ),
    # below: the largest p; above: two temperatures, the smaller p of 0.2 twice
    Case(
        loops.hysteresis_below_neel,
        lambda: [loops.hysteresis_below_neel(loop_set(), 24.4)[key] for key in ("p", "p_above")],
        [1e-3, 0.4],
    ),
    Case(
        loops.coercive_field_below_spin_flop,
        lambda: loops.coercive_field_below_spin_flop(loop_set(), number(3.0))["value"],
        0.06 * math.sqrt(1 - 2 / 24.4),
    ),
    Case(
        loops.monotone_loop_quantity,
        lambda: loops.monotone_loop_quantity(loop_set(), "height")["reversal"],
        0,
    ),
    Case(
        loops.field_lag,
        lambda: [
            loops.field_lag(one_loop(0.0, lag, 30.0))["lag"] for lag in (0.0, 0.01)
        ],
        [0, 0.01],
        2e-4,
    ),
    Case(
        loops.vanishing_against_neel,
        lambda: loops.vanishing_against_neel(
            {"T_vanish_Bc": number(25.0, 0.3), "T_vanish_deltaR": number(24.5, 0.1)},
            number(24.4, 0.4),
        )["T_vanish_Bc"]["difference_uncertainty"],
        0.5,
    ),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=[case.function.__name__ for case in CASES])
def test_the_sentence_and_the_number(case):
    answer = case.answer()
    if isinstance(case.expected, list | tuple) and not isinstance(case.expected[0], str):
        answer = list(answer)
        case = case._replace(expected=list(case.expected))
    if isinstance(case.expected, bool) or isinstance(np.ravel(case.expected)[0], str):
        assert answer == case.expected
    else:
        assert answer == pytest.approx(case.expected, abs=case.tolerance, rel=1e-9)


@cache
def stages() -> dict[str, Stage]:
    """Return every stage of a sample without measurements: sentences without numbers."""
    results = {
        "spectrum": spectrum.run({}),
        "transitions": transitions.run({}),
        "temperature_laws": temperature_laws.run(None),
        "kinks": kinks.run(None, None),
        "angle": angle.run(None),
        "loops": loops.run(None)[:2],
    }
    return {name: Stage(estimates=e, statistics=s, attrs={}) for name, (e, s) in results.items()}


def printed() -> dict[str, str]:
    """Return every definition that a stage prints, with one place where it does."""
    found = {}
    for name, stage in stages().items():
        for key, estimate in stage.estimates.items():
            found.setdefault(estimate.definition, f"{name}/{key}")
        for key, entry in stage.statistics.items():
            found.setdefault(entry["definition"], f"{name}/{key}")
    return found


def test_every_printed_definition_is_decided_by_a_case():
    tested = {definition_of(case.function) for case in CASES}
    untested = {place: text for text, place in printed().items() if text not in tested}
    assert not untested


def test_every_case_is_about_a_sentence_that_is_printed():
    # With measurements the kink test and its local slope print theirs, too.
    only_with_data = {definition_of(kinks.sup_f_test), definition_of(kinks.local_slope)}
    known = {*printed(), *only_with_data}
    silent = [c.function.__name__ for c in CASES if definition_of(c.function) not in known]
    assert not silent


def test_the_ledger_prints_these_sentences():
    claims = load_claims(repo_root() / "workflow" / "config" / "claims.yaml")
    swept = currents(np.stack([STEP] * 4)[:, None, :, None], 1e-3, B=B_KINK)
    estimates, statistics = kinks.run(swept, swept, kinks.Options(draws=200, monotone_draws=100))
    with_kinks = stages() | {"kinks": Stage(estimates=estimates, statistics=statistics, attrs={})}
    known = {definition_of(case.function) for case in CASES}
    told = {e["id"]: e["definition"] for e in evaluate(claims, with_kinks) if e["definition"]}
    assert len(told) > 20
    # A plain count or bound is named by where it stands; every sentence is one of those above.
    assert not {name: text for name, text in told.items() if " " in text and text not in known}

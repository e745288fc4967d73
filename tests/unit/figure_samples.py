"""Arrays with the layout of datasets and critical currents, in closed form, for plotting tests.

Shapes are only roughly those of the device: what is tested is drawing, not physics.
"""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import xarray as xr

ATTRS = {"sample": "surrogate", "provenance": "synthetic", "measured": 1}
GEOMETRY = {
    "Ti_nm": 2,
    "NbN_nm": 40,
    "SiO2_under_nm": 300,
    "SiO2_side_nm": 50,
    "Ti_contact_nm": 10,
    "Au_contact_nm": 100,
}


def coordinates(T=(2.0,), B=(0.0,), theta=(0.0,), I=(0.0,)) -> dict:
    units = {"T": "K", "B": "T", "theta": "degree", "I": "mA"}
    values = {"T": T, "B": B, "theta": theta, "I": I}
    return {
        k: (k, np.atleast_1d(np.asarray(v, float)), {"units": units[k]}) for k, v in values.items()
    }


def currents(T=(2.0,), B=(0.0,), theta=(0.0,), I=None, ic=None, **attrs) -> xr.Dataset:
    """Critical currents with peaks of dV/dI at each Ic of both polarities and one at zero bias."""
    I = np.arange(-3, 3.001, 0.02) if I is None else I
    coords = coordinates(T, B, theta, I)
    grid = np.meshgrid(*(coords[k][1] for k in ("T", "B", "theta")), indexing="ij")
    ic = ic or default_ic
    values = np.stack([ic(k, *grid) for k in range(4)])
    seen = (values > 0.05) & (values < np.max(np.abs(I)))
    dvdi = 18 + 4 / (1 + (I / 0.08) ** 2) * np.ones((*grid[0].shape, 1))
    for k in range(4):
        strength = (1, 1, 1.5, 20)[k]
        centre = values[k][..., None]
        peak = 3 * strength / (1 + ((np.abs(I) - centre) / (0.04 * (1 + centre))) ** 2)
        dvdi = dvdi + np.where(seen[k][..., None], peak, 0) + strength * (np.abs(I) > centre)
    dims = ("channel", "T", "B", "theta")
    limit = np.where(seen, values, 0.05)
    return xr.Dataset(
        {
            "Ic": (dims, limit, {"units": "mA"}),
            "Ic_err": (dims, np.where(seen, 0.004 * values, np.nan), {"units": "mA"}),
            "width": (dims, 0.1 * values, {"units": "mA"}),
            "width_err": (dims, 0.002 * values, {"units": "mA"}),
            "censored": (dims, (~seen).astype("int8")),
            "resolved": (dims, seen.astype("int8")),
            "dVdI": (("T", "B", "theta", "I"), dvdi, {"units": "ohm"}),
        },
        coords={**coords, "channel": np.arange(4)},
        attrs=ATTRS | attrs,
    )


def default_ic(k, T, B, theta):
    zero, tc = (1.05, 1.3, 2.2, 5.9)[k], (6.0, 6.6, 8.6, 10.8)[k]
    return zero * np.clip(1 - (T / tc) ** 2, 0, None) ** 1.5 * (1 - 0.05 * B)


def iv_temperature() -> xr.Dataset:
    return currents(
        T=np.r_[np.arange(2, 7, 0.5), np.arange(7, 12.1, 0.5)], I=np.arange(-7, 7.001, 0.05)
    )


def iv_field(orientation: str) -> xr.Dataset:
    return currents(B=np.arange(0, 9.1, 0.5), orientation=orientation)


def iv_angle() -> xr.Dataset:
    return currents(B=(1, 4, 7, 9), theta=np.arange(0, 361, 30), orientation="in-plane")


def spectra() -> dict[str, xr.Dataset]:
    only_nbn = currents(I=np.arange(-8, 8.01, 0.05), ic=lambda k, *g: default_ic(k, *g) * (k == 3))
    flat = currents(ic=lambda k, *g: 0 * default_ic(k, *g))
    flat["dVdI"] = 8.0 + 1e-4 * np.cos(40 * flat["I"]) + 0 * flat["dVdI"]
    return {"interface": currents(), "MnBi2Te4": flat, "NbN": only_nbn}


def resistance() -> dict[str, xr.Dataset]:
    T = np.linspace(2, 40, 200)
    step = 1 / (1 + np.exp(-(T - 10.8) / 0.1))
    cusp = 8 - 0.4 * np.abs(T - 24.4) / 24.4
    curves = {"interface": 20 * step + cusp + 10, "MnBi2Te4": cusp, "NbN": 20 * step}
    return {
        name: xr.Dataset(
            {"R": (("T", "B", "theta", "I"), y[:, None, None, None], {"units": "ohm"})},
            coords=coordinates(T=T),
            attrs=ATTRS | {"configuration": name},
        )
        for name, y in curves.items()
    }


def magnetoresistance() -> dict[str, xr.Dataset]:
    B = np.arange(-12, 12.01, 0.1)
    canted = np.where(np.abs(B) > 3, np.minimum(np.abs(B) / 8, 1) ** 2, 0)
    curves = {
        "interface": 22 - 0.5 * canted,
        "MnBi2Te4": 7.2 - 0.4 * canted,
        "NbN": 1e-4 * np.cos(9 * B),
    }
    return {
        name: xr.Dataset(
            {"R": (("T", "B", "theta", "I"), y[None, :, None, None], {"units": "ohm"})},
            coords=coordinates(B=B),
            attrs=ATTRS | {"configuration": name, "orientation": "out-of-plane"},
        )
        for name, y in curves.items()
    }


LOOP_TEMPERATURES = np.array(
    [2, 4, 6, 8, 9, 10, 10.5, 11, 12, 14, 16, 18, 20, 22, 23, 24, 26, 30.0]
)


def loops() -> xr.Dataset:
    B = np.round(np.arange(-1, 1.001, 0.01), 6)
    resistance = np.empty((2, len(LOOP_TEMPERATURES), len(B), 1, 1))
    for j, temperature in enumerate(LOOP_TEMPERATURES):
        order = np.sqrt(max(1 - temperature / 24.4, 0))
        background = 9 * (1 - np.exp(-np.abs(B))) if 9.5 < temperature < 10.8 else 0.03 * B**2
        for i, sign in enumerate((1, -1)):
            loop = 0.05 * order / np.cosh((B - sign * 0.18 * order) / 0.04) ** 2
            resistance[i, j, :, 0, 0] = 20 + background + loop
    return xr.Dataset(
        {"R": (("branch", "T", "B", "theta", "I"), resistance, {"units": "ohm"})},
        coords={**coordinates(T=LOOP_TEMPERATURES, B=B), "branch": ["up", "down"]},
        attrs=ATTRS | {"orientation": "out-of-plane"},
    )


def loop_table() -> xr.Dataset:
    order = np.sqrt(np.clip(1 - LOOP_TEMPERATURES / 24.4, 0, None))
    count = len(LOOP_TEMPERATURES)
    return xr.Dataset(
        {
            "B_c": ("T", np.where(order > 0, 0.18 * order, np.nan), {"units": "T"}),
            "B_c_err": ("T", np.full(count, 0.003), {"units": "T"}),
            "deltaR": ("T", 0.05 * order**2, {"units": "ohm"}),
            "deltaR_err": ("T", np.full(count, 0.0008), {"units": "ohm"}),
        },
        coords={"T": LOOP_TEMPERATURES},
        attrs=ATTRS,
    )


def absent(measurement: str) -> xr.Dataset:
    reason = f"not measured: measurements.csv has no row '{measurement}'"
    return xr.Dataset(attrs=ATTRS | {"measured": 0, "reason": reason, "measurement": measurement})


def estimate(value, uncertainty):
    return SimpleNamespace(value=value, uncertainty=uncertainty)


ESTIMATES = {
    "Tc_NbN": estimate(10.8, 0.02),
    "Tc_interface": estimate(10.82, 0.03),
    "T_N_peak": estimate(24.4, 0.05),
    "B_flop_interface": estimate(3.0, 0.02),
    "B_flop_mnbi2te4": estimate(3.01, 0.02),
    "B_sat_interface": estimate(8.0, 0.05),
    "B_sat_mnbi2te4": estimate(8.0, 0.03),
    "Ic0_2K": estimate(0.95, 0.001),
    "Ic1_2K": estimate(1.2, 0.001),
    "Ic2_2K": estimate(2.1, 0.001),
    "Ic3_2K": estimate(5.8, 0.01),
    "B_kink_Ic0": estimate(3.02, 0.03),
    "B_kink_Ic1": estimate(3.04, 0.05),
    "B_kink_Ic2": estimate(None, None),
    "T_vanish_Bc": estimate(24.7, 0.8),
    "T_vanish_deltaR": estimate(24.1, 0.7),
}


def laws() -> dict[str, xr.Dataset]:
    T = np.linspace(0, 12, 121)
    return {
        name: xr.Dataset(
            {
                "Ic": (
                    ("channel", "T"),
                    np.stack([default_ic(k, T, 0, 0) * scale for k in range(4)]),
                )
            },
            coords={"T": T, "channel": np.arange(4)},
        )
        for name, scale in (("Kupriyanov-Lukichev", 1.0), ("Bardeen", 0.98))
    }


def draw(number: int):
    """Draw figure ``number`` with everything measured."""
    from nbnmbt.plotting import fig2, fig3, fig4, fig5, fig6, fig7

    if number == 2:
        return fig2.draw(resistance(), magnetoresistance(), spectra(), ESTIMATES, geometry=GEOMETRY)
    if number == 3:
        return fig3.draw(iv_temperature())
    if number == 4:
        return fig4.draw(iv_field("out-of-plane"), iv_field("in-plane"))
    if number == 5:
        return fig5.draw(
            iv_temperature(),
            iv_field("out-of-plane"),
            iv_field("in-plane"),
            laws=laws(),
            estimates=ESTIMATES,
            geometry=GEOMETRY,
        )
    if number == 6:
        return fig6.draw(iv_angle())
    T = np.linspace(2, 24.4, 60)
    curves = {
        name: xr.DataArray(amplitude * (1 - T / 24.4) ** power, dims="T", coords={"T": T})
        for name, amplitude, power in (("B_c", 0.18, 0.5), ("deltaR", 0.05, 1.0))
    }
    return fig7.draw(
        loops(),
        loop_table(),
        ESTIMATES,
        curves=curves,
        excluded=[(9.0, 11.0)],
        geometry=GEOMETRY,
    )


def draw_absent(number: int):
    """Draw figure ``number`` of a sample that lacks its measurements."""
    from nbnmbt.plotting import fig2, fig3, fig4, fig5, fig6, fig7

    if number == 2:
        nothing = {name: absent(name) for name in fig2.CONFIGURATIONS}
        return fig2.draw(nothing, nothing, nothing, {})
    if number == 3:
        return fig3.draw(absent("iv_temperature"))
    if number == 4:
        return fig4.draw(absent("iv_out_of_plane"), absent("iv_in_plane"))
    if number == 5:
        return fig5.draw(absent("iv_temperature"), absent("iv_out_of_plane"), absent("iv_in_plane"))
    if number == 6:
        return fig6.draw(absent("iv_angle"))
    return fig7.draw(absent("loops_interface"), absent("loops_interface"))

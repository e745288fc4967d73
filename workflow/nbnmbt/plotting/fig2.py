"""Figure 2: transport of interface, MnBi2Te4 and NbN: schematics, R(T), R(B), dV/dI."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from nbnmbt.plotting import lines, schematics, style
from nbnmbt.plotting.lines import Mark

TITLE = "Transport properties of the NbN/MnBi2Te4 heterostructure"
CONFIGURATIONS: tuple[str, ...] = ("interface", "MnBi2Te4", "NbN")

_T_MARKS = {
    "interface": (("Tc_interface", r"$T_\mathrm{c}$"), ("T_N_peak", r"$T_\mathrm{N}$")),
    "MnBi2Te4": (("T_N_peak", r"$T_\mathrm{N}$"),),
    "NbN": (("Tc_NbN", r"$T_\mathrm{c}$"),),
}
_B_MARKS = {
    "interface": (
        ("B_flop_interface", r"$B_\mathrm{flop}$"),
        ("B_sat_interface", r"$B_\mathrm{s}$"),
    ),
    "MnBi2Te4": (
        ("B_flop_mnbi2te4", r"$B_\mathrm{flop}$"),
        ("B_sat_mnbi2te4", r"$B_\mathrm{s}$"),
    ),
    "NbN": (),
}
_I_MARKS = {"interface": (0, 1, 2), "MnBi2Te4": (), "NbN": (3,)}


def draw(
    resistance: Mapping[str, xr.Dataset],
    magnetoresistance: Mapping[str, xr.Dataset],
    spectra: Mapping[str, xr.Dataset],
    estimates: Mapping[str, Any],
    *,
    geometry: Mapping[str, float] | None = None,
) -> tuple[style.PaperFigure, xr.Dataset]:
    """Draw Fig. 2, a column a configuration.

    Parameters
    ----------
    resistance, magnetoresistance : mapping of configuration to Dataset
        ``R`` over T and over B.
    spectra : mapping of configuration to Dataset
        ``dVdI`` over I at the lowest temperature.
    estimates : mapping of number key to Estimate
        Transition temperatures, fields and critical currents to mark.
    geometry : mapping, optional
        Layer thicknesses of the sample sheet.

    Returns
    -------
    figure : PaperFigure
    drawn : Dataset
        What each panel shows, named ``{panel}_{variable}``.
    """
    letters = {"interface": "abcd", "MnBi2Te4": "efgh", "NbN": "ijkl"}
    panels: dict[str, xr.Dataset] = {}
    with style.context():
        figure = style.new_figure(style.DOUBLE_COLUMN, 182)
        for column, name in enumerate(CONFIGURATIONS):
            left, width = 12.5 + 59.5 * column, 46.0
            a, b, c, d = letters[name]
            colour = style.CONFIGURATION_COLOURS[name]
            heading = style.add_axes(
                figure, left - 5, 140, width + 6, 33, panel=a, letter_offset=(-6.0, 1.0)
            )
            panels[a] = schematics.measurement(heading, name, geometry)
            heading.set_title(style.CONFIGURATION_NAMES[name], color=colour, fontsize=8, pad=3)
            frames = {
                letter: style.add_axes(
                    figure, left, bottom, width, 36, panel=letter, letter_offset=(-11.0, 0.5)
                )
                for letter, bottom in ((b, 97), (c, 53), (d, 9))
            }
            panels[b] = style.unless_missing(
                frames[b],
                resistance.get(name),
                lines.resistance_temperature,
                marks=_marks(estimates, _T_MARKS[name]),
                colour=colour,
            )
            panels[c] = style.unless_missing(
                frames[c],
                magnetoresistance.get(name),
                lines.magnetoresistance,
                marks=_marks(estimates, _B_MARKS[name]),
                colour=colour,
                minimum_span=0.05 * _largest(resistance.get(name), "R"),
            )
            panels[d] = style.unless_missing(
                frames[d],
                spectra.get(name),
                lambda axes, data, **kw: lines.differential_resistance(axes, data["dVdI"], **kw),
                peaks=[
                    Mark(
                        value=estimates[f"Ic{k}_2K"].value,
                        symbol=style.critical_current_symbol(k),
                        colour=style.CHANNEL_COLOURS[k],
                    )
                    for k in _I_MARKS[name]
                    if f"Ic{k}_2K" in estimates
                ],
                zero_bias="AR" if name == "interface" else None,
                colour=colour,
                minimum_span=0.1 * _largest(spectra.get(name), "dVdI"),
            )
            for axes in frames.values():
                axes.yaxis.set_label_coords(-0.165, 0.5)
        origin = style.origin(*resistance.values(), *magnetoresistance.values(), *spectra.values())
        style.mark_provenance(figure, origin["provenance"], sample=origin["sample"])
    return figure, style.collect(panels, title=TITLE, **origin)


def _marks(estimates: Mapping[str, Any], keys: tuple[tuple[str, str], ...]) -> list[Mark]:
    return [
        Mark(
            value=estimates[key].value,
            uncertainty=estimates[key].uncertainty,
            symbol=symbol,
            colour=style.MUTED,
        )
        for key, symbol in keys
        if key in estimates
    ]


def _largest(data: xr.Dataset | None, name: str) -> float:
    return 0.0 if style.missing(data) else float(np.nanmax(np.abs(data[name].values)))

"""Figure 7: spin structure, loops over temperature, coercive field and loop amplitude."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import xarray as xr

from nbnmbt.plotting import hysteresis, schematics, style

TITLE = "Magnetic transport of the NbN/MnBi2Te4 interface"


def draw(
    data: xr.Dataset,
    loops: xr.Dataset,
    estimates: Mapping[str, Any] | None = None,
    *,
    curves: Mapping[str, xr.DataArray] | None = None,
    excluded: Sequence[tuple[float, float]] = (),
    geometry: Mapping[str, float] | None = None,
) -> tuple[style.PaperFigure, xr.Dataset]:
    """Draw Fig. 7.

    Parameters
    ----------
    data : Dataset
        ``loops_interface``: ``R(branch, T, B)``.
    loops : Dataset
        ``B_c``, ``deltaR`` and their errors over T.
    estimates : mapping of number key to Estimate, optional
        ``T_vanish_Bc``, ``T_vanish_deltaR``, ``T_N_peak``.
    curves : mapping, optional
        Fitted temperature dependences ``B_c`` and ``deltaR`` over a fine T.
    excluded : sequence of (low, high)
        Temperatures left out of the fits, shaded.
    geometry : mapping, optional
        Layer thicknesses of the sample sheet.

    Returns
    -------
    figure : PaperFigure
    drawn : Dataset
    """
    estimates = estimates or {}
    curves = curves or {}
    panels: dict[str, list[xr.Dataset] | xr.Dataset] = {}
    with style.context():
        figure = style.new_figure(style.DOUBLE_COLUMN, 126)
        a = style.add_axes(figure, 6, 11, 42, 103, panel="a", letter_offset=(-5, 1.5))
        panels["a"] = schematics.spin_structure(a, geometry, layers=6)
        b = style.add_axes(figure, 60, 11, 48, 103, panel="b", letter_offset=(-6, 1.5))
        c = style.add_axes(figure, 137, 64, 40, 50, panel="c", letter_offset=(-13, 1.5))
        d = style.add_axes(figure, 137, 11, 40, 50, panel="c", show_letter=False)
        reason = style.missing(data)
        if reason:
            panels["b"] = style.not_measured(b, reason)
        else:
            panels["b"] = hysteresis.stack(b, data)
            hysteresis.branch_legend(b)
        # Curves that are there need not be loops that can be fitted.
        reason = reason or style.missing(loops)
        if reason:
            reason = reason if reason.startswith("not ") else f"not determined: {reason}"
            panels["c"] = style.not_measured(c, reason)
            style.not_measured(d, reason)
        else:
            neel = _pair(estimates, "T_N_peak")
            upper = hysteresis.temperature_dependence(
                c,
                loops,
                "B_c",
                colour=style.CHANNEL_COLOURS[0],
                curve=curves.get("B_c"),
                vanishing=_pair(estimates, "T_vanish_Bc"),
                neel=neel,
                excluded=excluded,
            )
            lower = hysteresis.temperature_dependence(
                d,
                loops,
                "deltaR",
                colour=style.CHANNEL_COLOURS[2],
                marker="s",
                curve=curves.get("deltaR"),
                vanishing=_pair(estimates, "T_vanish_deltaR"),
                neel=neel,
                excluded=excluded,
            )
            panels["c"] = [upper, lower.drop_vars("T")]
            for axes in (c, d):
                axes.set_xlim(0, float(loops["T"].max()) + 1)
            c.set_xlabel("")
            c.tick_params(labelbottom=False)
            if neel[0] is not None:
                c.annotate(
                    r"$T_\mathrm{N}$",
                    (neel[0], 0.97),
                    xycoords=("data", "axes fraction"),
                    xytext=(2, 0),
                    textcoords="offset points",
                    va="top",
                    color=style.MUTED,
                )
        origin = style.origin(data, loops)
        style.mark_provenance(figure, origin["provenance"], sample=origin["sample"])
    return figure, style.collect(panels, title=TITLE, **origin)


def _pair(estimates: Mapping[str, Any], key: str) -> tuple[float | None, float | None]:
    if key not in estimates or estimates[key].value is None:
        return None, None
    return estimates[key].value, estimates[key].uncertainty

"""Figure 6: differential resistance over bias current and in-plane angle at four fields."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from nbnmbt.plotting import maps, schematics, style

TITLE = "Angular-dependent differential resistance spectra"


def draw(
    currents: xr.Dataset, *, fields: Sequence[float] = (1.0, 4.0, 7.0, 9.0)
) -> tuple[style.PaperFigure, xr.Dataset]:
    """Draw Fig. 6.

    Parameters
    ----------
    currents : Dataset
        ``critical_currents/iv_angle``: ``dVdI``, ``Ic``, ``censored`` over B and theta.
    fields : sequence of float
        Fields in T of the panels b to e; a field that was not measured gets an empty panel.

    Returns
    -------
    figure : PaperFigure
    drawn : Dataset
    """
    panels: dict[str, list[xr.Dataset] | xr.Dataset] = {}
    with style.context():
        figure = style.new_figure(style.DOUBLE_COLUMN, 122)
        # at mid-height of the maps, with the letter in line with theirs
        a = style.add_axes(figure, 5, 44, 46, 50.5, panel="a", letter_offset=(-4, 19.2))
        panels["a"] = schematics.field_rotation(a)
        reason = style.missing(currents)
        norm = None if reason else maps.normalisation([currents["dVdI"]], upper=97)
        mesh = None
        for index, field in enumerate(fields):
            letter = "bcde"[index]
            row, column = divmod(index, 2)
            axes = style.add_axes(
                figure,
                64 + 52 * column,
                66.5 - 55.5 * row,
                45,
                46,
                panel=letter,
                letter_offset=(-10 if column == 0 else -4.5, 1.2),
            )
            near = (
                np.array([])
                if reason
                else np.flatnonzero(np.abs(currents["B"].values - field) < 0.05)
            )
            if near.size == 0:
                text = reason or f"not measured: no sweep at {field:g} T"
                panels[letter] = style.not_measured(axes, text)
                continue
            chosen = currents.isel(B=[int(near[0])])
            mesh, drawn = maps.differential_resistance(axes, chosen["dVdI"], "theta", norm=norm)
            panels[letter] = [drawn, maps.ridges(axes, chosen, "theta", size=1.9)]
            axes.text(0.0, 1.02, f"$B$ = {field:g} T", transform=axes.transAxes, va="bottom")
            if column:
                axes.set_ylabel("")
                axes.tick_params(labelleft=False)
        if mesh is not None:
            maps.colour_bar(figure, mesh, (164, 11, 2.4, 101.5))
            legend = maps.channel_legend(
                a,
                maps.resolved_channels(currents),
                loc="upper center",
                bbox_to_anchor=(0.5, 0.0),
                title="critical currents\n(marked at $I$ > 0)",
            )
            legend.get_title().set_multialignment("center")
        origin = style.origin(currents)
        style.mark_provenance(figure, origin["provenance"], sample=origin["sample"])
    return figure, style.collect(panels, title=TITLE, **origin)

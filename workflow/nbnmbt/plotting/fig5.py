"""Figure 5: proximity schematic; critical currents against temperature and field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import xarray as xr

from nbnmbt.plotting import lines, maps, schematics, style
from nbnmbt.plotting.lines import Mark

TITLE = "Temperature- and field-dependent critical currents"


def draw(
    temperature: xr.Dataset,
    out_of_plane: xr.Dataset,
    in_plane: xr.Dataset,
    *,
    laws: Mapping[str, xr.Dataset] | None = None,
    field_curves: Mapping[str, Mapping[str, xr.Dataset]] | None = None,
    estimates: Mapping[str, Any] | None = None,
    geometry: Mapping[str, float] | None = None,
) -> tuple[style.PaperFigure, xr.Dataset]:
    """Draw Fig. 5.

    Parameters
    ----------
    temperature, out_of_plane, in_plane : Dataset
        ``critical_currents`` of the three sweeps.
    laws : mapping of str to Dataset, optional
        Law name to fitted ``Ic(channel, T)``: the first solid, the others dashed and dotted.
    field_curves : mapping, optional
        Orientation to {name: ``Ic(channel, B)``}, fitted curves through the field sweeps; without
        them thin dashed guides join the points.
    estimates : mapping of number key to Estimate, optional
        Kink fields, drawn as dashed verticals with their uncertainty.
    geometry : mapping, optional
        Layer thicknesses of the sample sheet.

    Returns
    -------
    figure : PaperFigure
    drawn : Dataset
    """
    estimates = estimates or {}
    field_curves = field_curves or {}
    panels: dict[str, xr.Dataset] = {}
    with style.context():
        figure = style.new_figure(style.DOUBLE_COLUMN, 131)
        a = style.add_axes(figure, 9, 67, 76, 57, panel="a", letter_offset=(-8, 0.5))
        panels["a"] = schematics.proximity(a, geometry)
        frames = {
            "b": style.add_axes(figure, 103, 72, 73, 50, panel="b", letter_offset=(-11, 2.5)),
            "c": style.add_axes(figure, 13, 10, 72, 50, panel="c", letter_offset=(-12, 1.2)),
            "d": style.add_axes(figure, 103, 10, 73, 50, panel="d", letter_offset=(-11, 1.2)),
        }
        panels["b"] = style.unless_missing(
            frames["b"], temperature, lines.critical_currents, along="T", curves=laws
        )
        if not style.missing(temperature):
            legend = lines.channel_line_legend(
                frames["b"], maps.resolved_channels(temperature), loc="upper right"
            )
            if laws:
                frames["b"].add_artist(legend)
                lines.law_legend(
                    frames["b"], list(laws), loc="upper right", bbox_to_anchor=(0.84, 1.0)
                )
        for letter, data, orientation in (
            ("c", out_of_plane, "out-of-plane"),
            ("d", in_plane, "in-plane"),
        ):
            axes = frames[letter]
            curves = field_curves.get(orientation)
            panels[letter] = style.unless_missing(
                axes,
                data,
                lines.critical_currents,
                along="B",
                curves=curves,
                orientation=orientation,
                guide=not curves,
                channels=(0, 1, 2),
            )
            if style.missing(data):
                continue
            lines.channel_line_legend(axes, (0, 1, 2), loc="upper right")
            axes.set_xlim(0, float(data["B"].max()) * 1.02)
            if orientation == "out-of-plane":
                lines.mark_kinks(
                    axes,
                    [
                        Mark(
                            value=estimates[f"B_kink_Ic{k}"].value,
                            uncertainty=estimates[f"B_kink_Ic{k}"].uncertainty,
                            symbol="",
                            colour=style.CHANNEL_COLOURS[k],
                        )
                        for k in range(3)
                        if f"B_kink_Ic{k}" in estimates
                    ],
                )
        # both orientations on the same scale
        tops = [frames[k].get_ylim()[1] for k in "cd" if f"{k}" in panels and panels[k].sizes]
        for letter in "cd":
            if panels[letter].sizes:
                frames[letter].set_ylim(0, max(tops))
        origin = style.origin(temperature, out_of_plane, in_plane)
        style.mark_provenance(figure, origin["provenance"], sample=origin["sample"])
    return figure, style.collect(panels, title=TITLE, **origin)

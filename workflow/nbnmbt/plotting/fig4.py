"""Figure 4: differential resistance over bias current and field, out of plane and in plane."""

from __future__ import annotations

import xarray as xr

from nbnmbt.plotting import lines, maps, style

TITLE = "Field-dependent differential resistance spectra"


def draw(out_of_plane: xr.Dataset, in_plane: xr.Dataset) -> tuple[style.PaperFigure, xr.Dataset]:
    """Draw Fig. 4.

    Parameters
    ----------
    out_of_plane, in_plane : Dataset
        ``critical_currents`` of ``iv_out_of_plane`` and ``iv_in_plane``.

    Returns
    -------
    figure : PaperFigure
    drawn : Dataset
    """
    panels: dict[str, list[xr.Dataset]] = {}
    with style.context():
        figure = style.new_figure(style.DOUBLE_COLUMN, 174)
        measured = [d["dVdI"] for d in (out_of_plane, in_plane) if not style.missing(d)]
        # one colour scale for both orientations, so that they can be compared by eye
        norm = maps.normalisation(measured, upper=98) if measured else None
        rows = (
            ("a", "b", 91, out_of_plane, "out-of-plane"),
            ("c", "d", 11, in_plane, "in-plane"),
        )
        for first, second, bottom, data, orientation in rows:
            left = style.add_axes(figure, 12, bottom, 62, 70, panel=first, letter_offset=(-10, 1.2))
            right = style.add_axes(
                figure, 103, bottom, 64, 70, panel=second, letter_offset=(-7, 1.2)
            )
            reason = style.missing(data)
            if reason:
                panels[first] = [style.not_measured(left, reason)]
                panels[second] = [style.not_measured(right, reason)]
                continue
            mesh, drawn = maps.differential_resistance(
                left, data["dVdI"], "B", norm=norm, orientation=orientation
            )
            panels[first] = [drawn, maps.ridges(left, data, "B")]
            maps.channel_legend(left, maps.resolved_channels(data))
            maps.colour_bar(figure, mesh, (76, bottom, 2.4, 70))
            panels[second] = [
                lines.stack(right, data["dVdI"], "B", currents=data, count=19, label_unit="T")
            ]
            lines.guide_legend(right, maps.resolved_channels(data))
            for axes in (left, right):
                axes.text(
                    0.0,
                    1.015,
                    {"out-of-plane": r"$B \perp$ plane", "in-plane": r"$B \parallel$ plane"}[
                        orientation
                    ],
                    transform=axes.transAxes,
                    ha="left",
                    va="bottom",
                )
        origin = style.origin(out_of_plane, in_plane)
        style.mark_provenance(figure, origin["provenance"], sample=origin["sample"])
    return figure, style.collect(panels, title=TITLE, **origin)

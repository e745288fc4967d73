"""Figure 3: differential resistance over bias current and temperature, as map and as profiles."""

from __future__ import annotations

import xarray as xr

from nbnmbt.plotting import lines, maps, style

TITLE = "Temperature-dependent differential resistance spectra"


def draw(currents: xr.Dataset) -> tuple[style.PaperFigure, xr.Dataset]:
    """Draw Fig. 3.

    Parameters
    ----------
    currents : Dataset
        ``critical_currents/iv_temperature``: ``dVdI``, ``Ic``, ``censored``.

    Returns
    -------
    figure : PaperFigure
    drawn : Dataset
    """
    panels: dict[str, list[xr.Dataset]] = {}
    with style.context():
        figure = style.new_figure(style.DOUBLE_COLUMN, 96)
        left = style.add_axes(figure, 12, 11, 62, 74, panel="a", letter_offset=(-10, 1.2))
        right = style.add_axes(figure, 103, 11, 64, 74, panel="b", letter_offset=(-7, 1.2))
        reason = style.missing(currents)
        if reason:
            panels = {
                "a": [style.not_measured(left, reason)],
                "b": [style.not_measured(right, reason)],
            }
        else:
            norm = maps.normalisation([currents["dVdI"]], "compressed")
            mesh, drawn = maps.differential_resistance(left, currents["dVdI"], "T", norm=norm)
            ridges = maps.ridges(left, currents, "T")
            maps.channel_legend(left, maps.resolved_channels(currents))
            maps.colour_bar(figure, mesh, (76, 11, 2.4, 74))
            panels["a"] = [drawn, ridges]
            panels["b"] = [
                lines.stack(
                    right,
                    currents["dVdI"],
                    "T",
                    currents=currents,
                    count=14,
                    normalise=True,
                    compress=True,
                    label_unit="K",
                )
            ]
            lines.guide_legend(right, maps.resolved_channels(currents))
        origin = style.origin(currents)
        style.mark_provenance(figure, origin["provenance"], sample=origin["sample"])
    return figure, style.collect(panels, title=TITLE, **origin)

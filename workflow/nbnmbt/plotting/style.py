"""Look of all figures: the style sheet, sizes in millimetres, colours, axis labels, panel letters.

Figures are laid out in millimetres at their final printed size, so a font size of 7 pt is 7 pt on
the page. Nothing in here looks at a clock, at the screen or at the fonts of the machine.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from importlib import resources
from typing import Any

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Colormap, LinearSegmentedColormap
from matplotlib.figure import Figure

MM = 1 / 25.4
"""One millimetre in inches."""

SINGLE_COLUMN = 88.0
"""Width of a one-column figure in mm."""

DOUBLE_COLUMN = 180.0
"""Width of a two-column figure in mm."""

NOTEBOOK_DPI = 130
"""Resolution of a figure shown in a notebook, in dots per inch."""

SMALL = 6.2
"""Size in pt of the smallest type used in a figure."""

INK = "#222222"
MUTED = "#6B6B6B"
STAND_IN_COLOUR = "#B5179E"

CHANNEL_COLOURS: tuple[str, ...] = ("#0072B2", "#009E73", "#D55E00", "#3A3A3A")
"""Colours of the critical currents :math:`I_c^0` to :math:`I_c^3` (Okabe-Ito and dark grey)."""

CHANNEL_MARKERS: tuple[str, ...] = ("o", "^", "s", "D")
"""Markers of the critical currents, so that they differ in greyscale too."""

ANDREEV_COLOUR = "#8E4585"
BRANCH_COLOURS: Mapping[str, str] = {"up": "#C8431B", "down": "#1F5FA8"}
"""Colours of the branches with rising (``up``) and falling (``down``) field."""

LAYER_COLOURS: Mapping[str, str] = {
    "NbN": "#8FB4D9",
    "Ti": "#8C8C8C",
    "MnBi2Te4": "#E8B27A",
    "SiO2": "#E3E9ED",
    "Si": "#B9C2C9",
    "Au": "#E9CE6A",
}
"""Fill colours of the layers in all schematics."""

CONFIGURATION_COLOURS: Mapping[str, str] = {
    "interface": "#6A3D8A",
    "MnBi2Te4": "#B0631C",
    "NbN": "#2B5F93",
}
"""Line colours of the three measurement configurations of Fig. 2."""

MBT = "MnBi₂Te₄"
"""Formula with subscript digits as characters: mathtext would set them in italics."""

CONFIGURATION_NAMES: Mapping[str, str] = {
    "interface": "Interface",
    "MnBi2Te4": MBT,
    "NbN": "NbN",
}

LAW_NAMES: Mapping[str, str] = {
    "usadel": "depairing (Usadel)",
    "usadel-exchange": "depairing by exchange",
    "kupriyanov-lukichev": "Kupriyanov–Lukichev",
    "bardeen": "Bardeen",
    "two-fluid": "two-fluid",
    "ambegaokar-baratoff": "Ambegaokar–Baratoff",
    "ko1": "KO-1",
    "ko2": "KO-2",
    "ginzburg-landau": "Ginzburg–Landau",
    "linear": "linear",
    "d-wave": "d-wave",
    "long-sns": "long SNS",
}
"""Temperature laws as written in a legend."""

LABELS: Mapping[str, str] = {
    "T": r"$T$ (K)",
    "B": r"$B$ (T)",
    "B_out_of_plane": r"$B_\perp$ (T)",
    "B_in_plane": r"$B_\parallel$ (T)",
    "theta": r"$\theta$ (°)",
    "I": r"$I$ (mA)",
    "V": r"$V$ (mV)",
    "R": "$R$ (Ω)",
    "dVdI": "d$V$/d$I$ (Ω)",
    "Ic": r"$I_\mathrm{c}$ (mA)",
    "B_c": r"$B_\mathrm{c}$ (T)",
    "deltaR": r"$\Delta R$ (Ω)",
}
"""Axis labels, each with its unit; one place, so that all figures agree. Units stand outside the
mathtext, which would set the ohm in italics."""


def context() -> AbstractContextManager[None]:
    """Return the context in which figures are made and written (``nbnmbt.mplstyle`` on defaults).

    Starting from matplotlib's own defaults, not from the user's matplotlibrc, keeps a figure the
    same on every machine.
    """
    sheet = resources.files(__package__) / "nbnmbt.mplstyle"
    settings = mpl.rc_params_from_file(str(sheet), use_default_template=True)
    # the backend is the caller's business (JupyterLab, a script); a style must not switch it
    chosen = {key: value for key, value in settings.items() if not key.startswith("backend")}
    return mpl.rc_context(chosen)


class PaperFigure(Figure):
    """A figure at its printed size that shows itself in a notebook without pyplot."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        with context():
            self.savefig(buffer, format="png", dpi=NOTEBOOK_DPI, metadata={"Software": None})
        return buffer.getvalue()


def new_figure(width: float = DOUBLE_COLUMN, height: float = 120.0) -> PaperFigure:
    """Return an empty figure of the given printed size.

    Parameters
    ----------
    width, height : float
        Size in mm.
    """
    figure = PaperFigure(figsize=(width * MM, height * MM))
    FigureCanvasAgg(figure)
    return figure


def add_axes(
    figure: Figure,
    left: float,
    bottom: float,
    width: float,
    height: float,
    *,
    panel: str = "",
    letter_offset: tuple[float, float] = (-9.0, 1.0),
    show_letter: bool = True,
    **kwargs: Any,
) -> Axes:
    """Add axes at a place given in mm from the lower left corner of the figure.

    Parameters
    ----------
    left, bottom, width, height : float
        Frame of the axes in mm.
    panel : str
        Letter of the panel. It becomes the label of the axes, from which the names of the drawn
        variables are made, and is set in bold at ``letter_offset`` mm from the upper left corner.
    letter_offset : tuple of float
        Shift of the letter in mm, right and up.
    show_letter : bool
        Whether the letter is set (the second axes of a panel only carry its name).
    """
    page_width, page_height = figure.get_size_inches() / MM
    axes = figure.add_axes(
        (left / page_width, bottom / page_height, width / page_width, height / page_height),
        label=panel,
        **kwargs,
    )
    if panel and show_letter:
        dx, dy = letter_offset
        figure.text(
            (left + dx) / page_width,
            (bottom + height + dy) / page_height,
            panel,
            fontsize=9,
            fontweight="bold",
            ha="left",
            va="baseline",
        )
    return axes


def mark_provenance(figure: Figure, provenance: str, *, sample: str = "") -> None:
    """Write "synthetic stand-in" on the figure of a synthetic sample; leave measured ones clean.

    Parameters
    ----------
    provenance : str
        ``synthetic`` or ``measured``, from the attributes of the datasets.
    sample : str
        Name of the sample, set beside the mark.

    Raises
    ------
    ValueError
        When the provenance is neither; an unknown origin must not pass for a measurement.
    """
    if provenance not in ("synthetic", "measured"):
        raise ValueError(f"provenance must be 'synthetic' or 'measured', found {provenance!r}")
    if provenance == "measured":
        return
    _, page_height = figure.get_size_inches() / MM
    text = "synthetic stand-in" + (f" ({sample})" if sample else "") + ", not measured data"
    figure.text(
        0.995,
        1 - 0.6 / page_height,
        text,
        ha="right",
        va="top",
        fontsize=6.5,
        fontstyle="italic",
        color=STAND_IN_COLOUR,
        gid="stand-in",
    )


def not_measured(axes: Axes, reason: str = "not measured") -> xr.Dataset:
    """Turn axes into an empty frame that says why nothing is drawn.

    Parameters
    ----------
    axes : Axes
    reason : str
        Begins with what is missing, "not measured" (added if it is left out) or "not determined".

    Returns
    -------
    xarray.Dataset
        No variables; the reason is kept in the attribute ``not_drawn``.
    """
    text = reason.strip() or "not measured"
    if not text.startswith(("not measured", "not determined")):
        text = f"not measured: {text}"
    head, _, rest = text.partition(":")
    axes.set(xticks=[], yticks=[])
    axes.minorticks_off()
    axes.set_facecolor("#F5F5F5")
    for spine in axes.spines.values():
        spine.set(color="#B8B8B8", linestyle=(0, (3, 2)))
    axes.text(
        0.5,
        0.53,
        head,
        transform=axes.transAxes,
        ha="center",
        va="bottom",
        color=MUTED,
        fontsize=8,
    )
    if rest.strip():
        axes.text(
            0.5,
            0.47,
            _wrapped(rest.strip(), _columns(axes)),
            transform=axes.transAxes,
            ha="center",
            va="top",
            color=MUTED,
            fontsize=SMALL,
        )
    return xr.Dataset(attrs={"not_drawn": text})


def _columns(axes: Axes) -> int:
    """Return how many characters of the smallest type fit into the axes."""
    width = axes.get_position().width * axes.figure.get_size_inches()[0] * 72
    return max(12, int(width / (0.62 * SMALL)))


def _wrapped(text: str, columns: int) -> str:
    import textwrap

    return "\n".join(textwrap.wrap(text, columns)[:5])


def field_label(orientation: str | None) -> str:
    """Return the label of the field axis for ``out-of-plane``, ``in-plane`` or no orientation."""
    key = {"out-of-plane": "B_out_of_plane", "in-plane": "B_in_plane"}.get(orientation or "", "B")
    return LABELS[key]


def critical_current_symbol(channel: int) -> str:
    """Return the symbol of the critical current ``channel`` as in the paper, with upright c."""
    return rf"$I_\mathrm{{c}}^\mathrm{{{channel}}}$"


def sequential_colours(count: int) -> list[tuple[float, float, float, float]]:
    """Return ``count`` colours from dark blue to ochre, all dark enough for lines on white."""
    return list(_LINES(np.linspace(0, 1, max(count, 2)))[:count])


_LINES: Colormap = LinearSegmentedColormap.from_list(
    "cividis_lines", mpl.colormaps["cividis"](np.linspace(0.0, 0.70, 256))
)


def outlined(colour: str = "white", width: float = 1.4) -> list[patheffects.AbstractPathEffect]:
    """Return the path effects that keep type readable on a colour map."""
    return [patheffects.withStroke(linewidth=width, foreground=colour)]


def name_artist(axes: Axes, artist: Any, variable: str, index: int | None = None) -> None:
    """Give an artist the name of the variable it draws, ``{panel}_{variable}``.

    The names appear as element ids in the svg, and tests compare each named artist with the
    variable of that name in the written ``.nc``.
    """
    panel = axes.get_label()
    name = f"{panel}_{variable}" if panel else variable
    artist.set_gid(name if index is None else f"{name}:{index}")


def collect(panels: Mapping[str, xr.Dataset | Iterable[xr.Dataset]], **attrs: Any) -> xr.Dataset:
    """Join what each panel drew into one dataset, the content of a figure's ``.nc``.

    Parameters
    ----------
    panels : mapping of str to Dataset
        Panel letter to the drawn variables; every variable and dimension gets the letter as prefix,
        so that grids of different panels cannot be confused.
    **attrs
        Global attributes (title, sample, provenance, ...).
    """
    joined = xr.Dataset(attrs=attrs)
    for letter, drawn in panels.items():
        parts = [drawn] if isinstance(drawn, xr.Dataset) else list(drawn)
        for part in parts:
            names = {str(name): f"{letter}_{name}" for name in (*part.variables, *part.dims)}
            for name, variable in part.rename(names).variables.items():
                if name in joined.variables:
                    raise ValueError(f"panel {letter} draws {name} twice")
                joined = (
                    joined.assign_coords({name: variable})
                    if (name in part.rename(names).coords)
                    else joined.assign({name: variable})
                )
            if "not_drawn" in part.attrs:
                joined.attrs[f"{letter}_not_drawn"] = part.attrs["not_drawn"]
    return joined


def quantity(values: Any, dims: str | tuple[str, ...], units: str, long_name: str) -> xr.DataArray:
    """Return a labelled array with CF ``units`` and ``long_name``, one drawn variable."""
    dims = (dims,) if isinstance(dims, str) else dims
    return xr.DataArray(
        np.asarray(values), dims=dims, attrs={"units": units, "long_name": long_name}
    )


def missing(data: xr.Dataset | None) -> str:
    """Return why a measurement cannot be drawn, an empty string when it can."""
    if data is None:
        return "not measured"
    if int(data.attrs.get("measured", 1)) == 0 or not data.data_vars:
        return str(data.attrs.get("reason", "not measured"))
    return ""


def unless_missing(
    axes: Axes, data: xr.Dataset | None, draw: Callable[..., xr.Dataset], **kwargs: Any
) -> xr.Dataset:
    """Draw ``data`` with ``draw(axes, data, ...)``, or say on the axes that it was not measured."""
    reason = missing(data)
    return not_measured(axes, reason) if reason else draw(axes, data, **kwargs)


def origin(*data: xr.Dataset | None) -> dict[str, str]:
    """Return ``sample`` and ``provenance`` common to all datasets of a figure.

    A figure that mixes synthetic and measured data counts as synthetic.

    Raises
    ------
    ValueError
        When no dataset states its provenance, or two name different samples.
    """
    samples = {str(d.attrs["sample"]) for d in data if d is not None and "sample" in d.attrs}
    stated = {str(d.attrs["provenance"]) for d in data if d is not None and "provenance" in d.attrs}
    if len(samples) > 1:
        raise ValueError(f"a figure shows one sample, found {', '.join(sorted(samples))}")
    if not stated:
        raise ValueError("no dataset states its provenance (synthetic or measured)")
    return {
        "sample": next(iter(samples), ""),
        "provenance": "synthetic" if "synthetic" in stated else stated.pop(),
    }

"""Drawn schematics: device cross-sections, proximity gaps, field rotation, spin structure.

They are illustrations, not to scale and not computed from data; the layer thicknesses written into
them come from the geometry of the sample sheet.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.patches import (
    Circle,
    Ellipse,
    FancyArrowPatch,
    FancyBboxPatch,
    Polygon,
    Rectangle,
)

from nbnmbt.plotting import style

CURRENT_COLOUR = "#C8431B"
VOLTAGE_COLOUR = "#1F5FA8"
SPIN_UP = "#C8431B"
SPIN_DOWN = "#1F5FA8"
_EDGE = "#4A4A4A"


def _canvas(axes: Axes) -> tuple[float, float]:
    """Set the axes to millimetres with the origin at the lower left; return width and height."""
    page = axes.figure.get_size_inches() / style.MM
    box = axes.get_position()
    width, height = box.width * page[0], box.height * page[1]
    axes.set(xlim=(0, width), ylim=(0, height), xticks=[], yticks=[])
    axes.minorticks_off()
    axes.set_axis_off()
    return width, height


def _slab(axes: Axes, x: float, y: float, w: float, h: float, layer: str, **kwargs) -> Rectangle:
    options = {"fc": style.LAYER_COLOURS[layer], "ec": _EDGE, "lw": 0.45, "zorder": 2}
    return axes.add_patch(Rectangle((x, y), w, h, **(options | kwargs)))


def _thickness(geometry: Mapping[str, float], key: str) -> str:
    """Return ``" 2 nm"`` when the sample sheet states the thickness, else nothing."""
    value = geometry.get(key)
    return "" if value is None else f" {float(value):g} nm"


def _wire(axes: Axes, points: list[tuple[float, float]], colour: str, **kwargs) -> None:
    x, y = zip(*points, strict=True)
    options = {"lw": 0.9, "solid_joinstyle": "round", "zorder": 6}
    axes.plot(x, y, color=colour, **(options | kwargs))


def _meter(axes: Axes, x: float, y: float, symbol: str, colour: str, radius: float = 1.9) -> None:
    axes.add_patch(Circle((x, y), radius, fc="white", ec=colour, lw=0.9, zorder=7))
    axes.text(
        x, y - 0.05, symbol, ha="center", va="center_baseline", color=colour, fontsize=7, zorder=8
    )


def measurement(
    axes: Axes,
    configuration: Literal["interface", "MnBi2Te4", "NbN"],
    geometry: Mapping[str, float] | None = None,
) -> xr.Dataset:
    """Draw the device cross-section with the current and voltage contacts of one configuration.

    Interface: current from the top of the NbN mesa to one side of the MnBi2Te4 flake, voltage
    between the mesa and the other side (paper, section 2.1). MnBi2Te4 and NbN: both on the layer
    itself.

    Parameters
    ----------
    configuration : {"interface", "MnBi2Te4", "NbN"}
    geometry : mapping, optional
        ``Ti_nm``, ``NbN_nm``, ``SiO2_under_nm``, ``SiO2_side_nm``, ``Ti_contact_nm``,
        ``Au_contact_nm`` of the sample sheet; labels without a thickness where it is missing.
    """
    geometry = geometry or {}
    width, height = _canvas(axes)
    # vertical grid in mm from the bottom: Si, SiO2, flake, Ti, NbN, contacts, wires
    si, oxide, flake, buffer, nbn, gold = 2.8, 3.2, 5.0, 1.0, 5.2, 1.5
    y_flake = si + oxide
    y_ti = y_flake + flake
    y_nbn = y_ti + buffer
    y_top = y_nbn + nbn
    middle = width / 2
    _slab(axes, 0.2, 0.2, width - 0.4, si - 0.2, "Si")
    _slab(axes, 0.2, si, width - 0.4, oxide, "SiO2")
    flake_left, flake_right = 0.05 * width, 0.95 * width
    _slab(axes, flake_left, y_flake, flake_right - flake_left, flake, "MnBi2Te4")
    mesa_left, mesa_right = 0.325 * width, 0.675 * width
    _slab(axes, mesa_left, y_ti, mesa_right - mesa_left, buffer, "Ti")
    _slab(axes, mesa_left, y_nbn, mesa_right - mesa_left, nbn, "NbN")
    # the SiO2 that keeps the side contacts off the mesa
    side = 0.03 * width
    for left in (mesa_left - side, mesa_right):
        _slab(axes, left, y_ti, side, buffer + nbn, "SiO2")
    contacts = {
        "flake left": (flake_left + 0.02 * width, 0.11 * width, y_ti),
        "flake right": (flake_right - 0.13 * width, 0.11 * width, y_ti),
        "mesa left": (mesa_left + 0.02 * width, 0.115 * width, y_top),
        "mesa right": (mesa_right - 0.135 * width, 0.115 * width, y_top),
    }
    for x, w, y in contacts.values():
        _slab(axes, x, y, w, gold, "Au")

    def top(name: str, shift: float = 0.0) -> tuple[float, float]:
        x, w, y = contacts[name]
        return x + w / 2 + shift, y + gold

    rail = height - 2.1
    low_rail = y_top + gold + 0.42 * (rail - y_top - gold)
    circuits: dict[str, list[tuple[str, str, float, float, str, str]]] = {
        # from, to, shift on the contacts in mm, height of the wire, symbol, colour
        "interface": [
            ("flake left", "mesa left", 0.0, rail, "$I$", CURRENT_COLOUR),
            ("mesa right", "flake right", 0.0, rail, "$V$", VOLTAGE_COLOUR),
        ],
        "MnBi2Te4": [
            ("flake left", "flake right", 1.3, rail, "$I$", CURRENT_COLOUR),
            ("flake left", "flake right", -1.3, low_rail, "$V$", VOLTAGE_COLOUR),
        ],
        "NbN": [
            ("mesa left", "mesa right", 1.6, rail, "$I$", CURRENT_COLOUR),
            ("mesa left", "mesa right", -1.6, low_rail, "$V$", VOLTAGE_COLOUR),
        ],
    }
    for source, target, outwards, level, symbol, colour in circuits[configuration]:
        a, b = top(source, -outwards), top(target, outwards)
        _wire(axes, [a, (a[0], level), (b[0], level), b], colour)
        _meter(axes, (a[0] + b[0]) / 2, level, symbol, colour)
    start, end, curvature = {
        "interface": (
            (mesa_left + 0.075 * width, y_top - 1.0),
            (flake_left + 0.10 * width, y_flake + 1.5),
            -0.36,
        ),
        "MnBi2Te4": (
            (flake_left + 0.10 * width, y_flake + 1.3),
            (flake_right - 0.10 * width, y_flake + 1.3),
            0.0,
        ),
        "NbN": (
            (mesa_left + 0.05 * width, y_nbn + 1.3),
            (mesa_right - 0.05 * width, y_nbn + 1.3),
            0.0,
        ),
    }[configuration]
    axes.add_patch(
        FancyArrowPatch(
            start,
            end,
            connectionstyle=f"arc3,rad={curvature}",
            arrowstyle="-|>,head_width=1.6,head_length=2.6",
            color=CURRENT_COLOUR,
            lw=1.2,
            zorder=5,
            shrinkA=0,
            shrinkB=0,
        )
    )
    type_ = {"fontsize": style.SMALL, "va": "center_baseline", "color": style.INK, "zorder": 9}
    # layer names sit where no current arrow of this configuration runs
    flake_name = {"interface": (0.62, 0.48), "MnBi2Te4": (0.5, 0.68), "NbN": (0.5, 0.48)}
    nbn_name = {"interface": (0.565, 0.5), "MnBi2Te4": (0.5, 0.5), "NbN": (0.5, 0.7)}
    x, y = flake_name[configuration]
    axes.text(x * width, y_flake + y * flake, style.MBT, ha="center", **type_)
    x, y = nbn_name[configuration]
    label = "NbN" if configuration == "interface" else "NbN" + _thickness(geometry, "NbN_nm")
    axes.text(x * width, y_nbn + y * nbn, label, ha="center", **type_)
    axes.text(
        middle,
        si + oxide / 2,
        "SiO₂" + _thickness(geometry, "SiO2_under_nm"),
        ha="center",
        **type_,
    )
    axes.text(middle, si / 2 + 0.1, "Si", ha="center", **type_)
    if configuration == "NbN":
        _name_thin_layers(axes, geometry, width, y_ti, y_top, gold, mesa_left, mesa_right, side)
    return xr.Dataset()


def _name_thin_layers(
    axes: Axes,
    geometry: Mapping[str, float],
    width: float,
    y_ti: float,
    y_top: float,
    gold: float,
    mesa_left: float,
    mesa_right: float,
    side: float,
) -> None:
    """Name with leader lines the layers too thin for their name (contacts, buffer, side oxide)."""
    contact = "Ti/Au"
    if {"Ti_contact_nm", "Au_contact_nm"} <= set(geometry):
        contact += f" {geometry['Ti_contact_nm']:g}/{geometry['Au_contact_nm']:g} nm"
    leaders = (
        (contact, (0.125 * width, y_ti + gold), (-1.0, y_top + 2.0), "left"),
        (
            "SiO₂" + _thickness(geometry, "SiO2_side_nm"),
            (mesa_right + side / 2, y_top - 0.6),
            (width, y_top + 1.2),
            "right",
        ),
        (
            "Ti" + _thickness(geometry, "Ti_nm"),
            (mesa_right - 0.6, y_ti + 0.5),
            (width, y_top - 2.6),
            "right",
        ),
    )
    for text, point, place, side_ in leaders:
        axes.annotate(
            text,
            xy=point,
            xytext=place,
            ha=side_,
            va="bottom",
            fontsize=style.SMALL,
            zorder=9,
            arrowprops={
                "arrowstyle": "-",
                "lw": 0.45,
                "color": style.INK,
                "shrinkA": 0,
                "shrinkB": 0,
                "relpos": (0.3 if side_ == "left" else 0.15, 0.0),
            },
        )


def proximity(axes: Axes, geometry: Mapping[str, float] | None = None) -> xr.Dataset:
    r"""Draw the pair amplitude and the gaps across NbN, interface, Ti buffer and MnBi2Te4.

    From left to right the bulk gap :math:`\Delta_3`, the gap :math:`\Delta_2` of the suppressed NbN
    at the interface and the proximity-induced :math:`\Delta_1` (Ti) and :math:`\Delta_0`
    (MnBi2Te4), drawn as bands of half-width :math:`\Delta_k` about the Fermi energy; above them the
    pair amplitude that leaks into the magnet. Which critical current belongs to which layer is the
    paper's reading, not a measured quantity.
    """
    geometry = geometry or {}
    width, height = _canvas(axes)
    left, right = 6.0, width - 1.0
    bottom, top = 6.2, height - 7.0
    span = right - left
    edges = left + span * np.array([0.0, 0.27, 0.49, 0.62, 1.0])
    fills = ("#A9C6E6", "#CFE0F1", style.LAYER_COLOURS["Ti"], style.LAYER_COLOURS["MnBi2Te4"])
    names = (
        "NbN",
        "NbN, suppressed",
        "Ti" + _thickness(geometry, "Ti_nm"),
        style.MBT,
    )
    middle = bottom + 0.36 * (top - bottom)
    half = np.array([1.0, 0.66, 0.46, 0.34]) * 0.30 * (top - bottom)
    for index in range(4):
        x, w = edges[index], edges[index + 1] - edges[index]
        axes.add_patch(
            Rectangle(
                (x, bottom), w, top - bottom, fc=fills[index], ec="none", alpha=0.55, zorder=1
            )
        )
        axes.add_patch(
            Rectangle(
                (x, middle - half[index]), w, 2 * half[index], fc="white", ec="none", zorder=1.5
            )
        )
        for sign in (1, -1):
            level = middle + sign * half[index]
            axes.plot(
                [x, x + w], [level, level], color=style.CHANNEL_COLOURS[3 - index], lw=1.3, zorder=3
            )
    for edge in edges[1:-1]:
        axes.plot([edge, edge], [bottom, top], color=_EDGE, lw=0.5, ls=(0, (2, 1.5)), zorder=2.5)
    axes.plot([left, right], [middle, middle], color=style.MUTED, lw=0.5, ls=":", zorder=2)
    axes.text(left - 0.8, middle, r"$E_\mathrm{F}$", ha="right", va="center")
    # each gap as a double arrow from the Fermi level to its edge, its symbol beside the arrow
    for index in range(4):
        centre = (edges[index] + edges[index + 1]) / 2 - (1.2 if index == 2 else 1.6)
        axes.annotate(
            "",
            xy=(centre, middle + half[index]),
            xytext=(centre, middle),
            zorder=4,
            arrowprops={
                "arrowstyle": "<|-|>,head_width=0.1,head_length=0.22",
                "lw": 0.6,
                "color": style.CHANNEL_COLOURS[3 - index],
                "shrinkA": 0,
                "shrinkB": 0,
            },
        )
        axes.text(
            centre + 0.7,
            middle + half[index] / 2,
            rf"$\Delta_\mathrm{{{3 - index}}}$",
            ha="left",
            va="center",
            color=style.CHANNEL_COLOURS[3 - index],
            zorder=5,
            fontsize=7.5,
        )
    # pair amplitude: flat in the film, healing towards the interface, decaying in the magnet
    x = np.linspace(left, right, 400)
    base, peak = bottom + 0.70 * (top - bottom), top - 1.6
    u = (x - edges[2]) / span
    film = 1 - 0.42 * np.exp(np.minimum(u, 0) / 0.10)
    magnet = 0.58 * np.exp(-np.maximum(u, 0) / 0.20)
    amplitude = base + (peak - base) * np.where(u < 0, film, magnet)
    axes.fill_between(x, base, amplitude, color=style.ANDREEV_COLOUR, alpha=0.20, lw=0, zorder=3)
    axes.plot(x, amplitude, color=style.ANDREEV_COLOUR, lw=1.2, zorder=4)
    axes.plot([left, right], [base, base], color=style.ANDREEV_COLOUR, lw=0.5, zorder=3)
    axes.text(
        right - 0.8,
        peak + 0.4,
        "pair amplitude",
        ha="right",
        va="top",
        color=style.ANDREEV_COLOUR,
        zorder=5,
    )
    for index, name in enumerate(names):
        text = name.replace(", ", ",\n") if index == 1 else name
        axes.text(
            (edges[index] + edges[index + 1]) / 2,
            top + 0.9,
            text,
            ha="center",
            va="bottom",
            fontsize=style.SMALL,
            linespacing=1.0,
        )
    # moments of the magnet, layer by layer antiparallel
    columns = np.linspace(edges[3] + 2.2, right - 2.0, 5)
    for number, position in enumerate(columns):
        _spin(axes, position, bottom + 2.3, 1.6, up=number % 2 == 0)
    axes.annotate(
        "",
        xy=(right, bottom - 2.6),
        xytext=(left, bottom - 2.6),
        arrowprops={"arrowstyle": "-|>,head_width=0.12,head_length=0.3", "lw": 0.6},
    )
    axes.text((left + right) / 2, bottom - 3.4, "depth", ha="center", va="top")
    return xr.Dataset()


def _spin(axes: Axes, x: float, y: float, half: float, *, up: bool, angle: float = 0.0) -> None:
    """Draw one moment as an arrow through a dot, ``angle`` degrees from the c axis."""
    colour = SPIN_UP if up else SPIN_DOWN
    sign = 1 if up else -1
    dx, dy = half * np.sin(np.deg2rad(angle)), half * np.cos(np.deg2rad(angle))
    axes.add_patch(
        FancyArrowPatch(
            (x - sign * dx, y - sign * dy),
            (x + sign * dx, y + sign * dy),
            arrowstyle="-|>,head_width=1.3,head_length=2.0",
            color=colour,
            lw=1.1,
            shrinkA=0,
            shrinkB=0,
            zorder=6,
        )
    )
    axes.add_patch(Circle((x, y), 0.42, fc="white", ec=colour, lw=0.7, zorder=7))


def field_rotation(axes: Axes, angle: float = 50.0) -> xr.Dataset:
    """Draw the device from above at a slant with the field turned by theta from x in the plane.

    Parameters
    ----------
    angle : float
        Angle of the drawn field from the x axis in degrees.
    """
    width, height = _canvas(axes)
    centre = np.array([0.47 * width, 0.40 * height])
    # cabinet-like projection: x to the lower right, y to the upper right, z up
    ex, ey, ez = np.array([0.86, -0.30]), np.array([0.66, 0.42]), np.array([0.0, 1.0])
    scale = 0.215 * width

    def at(x: float, y: float, z: float) -> np.ndarray:
        return centre + scale * (x * ex + y * ey + z * ez)

    def block(half_x: float, half_y: float, z0: float, z1: float, layer: str, z: float) -> None:
        base = np.array(mpl_rgb(style.LAYER_COLOURS[layer]))
        faces = (
            ([(-1, -1, z1), (1, -1, z1), (1, 1, z1), (-1, 1, z1)], 1.0),
            ([(-1, -1, z0), (1, -1, z0), (1, -1, z1), (-1, -1, z1)], 0.86),
            ([(1, -1, z0), (1, 1, z0), (1, 1, z1), (1, -1, z1)], 0.74),
        )
        for corners, shade in faces:
            points = [at(half_x * a, half_y * b, c) for a, b, c in corners]
            axes.add_patch(
                Polygon(points, closed=True, fc=base * shade, ec=_EDGE, lw=0.45, zorder=z)
            )

    block(1.2, 1.0, -0.46, 0.0, "MnBi2Te4", 2.0)
    block(0.55, 0.45, 0.0, 0.07, "Ti", 3.0)
    block(0.55, 0.45, 0.07, 0.42, "NbN", 4.0)
    plane = 0.42
    slope = float(np.rad2deg(np.arctan2(ex[1], ex[0])))
    on_face = {
        "ha": "center",
        "va": "center",
        "rotation": slope,
        "rotation_mode": "anchor",
        "fontsize": style.SMALL,
        "zorder": 9,
    }
    axes.text(*at(0.0, -1.0, -0.26), style.MBT, **on_face)
    axes.text(*at(0.0, -0.45, 0.22), "NbN", **on_face)
    # the circle the field runs on, seen at a slant
    t = np.deg2rad(np.arange(0, 361, 3))
    ring = np.array([at(1.5 * np.cos(a), 1.5 * np.sin(a), plane) for a in t])
    axes.plot(ring[:, 0], ring[:, 1], color=style.MUTED, lw=0.6, ls=(0, (3, 2)), zorder=5)
    origin = at(0, 0, plane)
    for direction, name, shift in (
        ((1.95, 0.0, 0.0), "$x$", (1.0, -1.2)),
        ((0.0, 1.95, 0.0), "$y$", (1.2, 0.6)),
        ((0.0, 0.0, 1.45), "$z \\parallel c$", (0.0, 1.3)),
    ):
        tip = at(direction[0], direction[1], plane + direction[2])
        _arrow(axes, origin, tip, style.INK, 0.7, z=6)
        axes.text(tip[0] + shift[0], tip[1] + shift[1], name, ha="center", va="center", zorder=7)
    a = np.deg2rad(angle)
    tip = at(1.5 * np.cos(a), 1.5 * np.sin(a), plane)
    _arrow(axes, origin, tip, CURRENT_COLOUR, 1.6, z=8)
    axes.text(
        tip[0] + 1.2, tip[1] + 0.2, "$B$", color=CURRENT_COLOUR, ha="left", va="center", fontsize=8
    )
    arc = np.array([at(0.95 * np.cos(s), 0.95 * np.sin(s), plane) for s in np.linspace(0, a, 40)])
    axes.plot(arc[:, 0], arc[:, 1], color=CURRENT_COLOUR, lw=0.9, zorder=7)
    label = at(1.22 * np.cos(a / 2), 1.22 * np.sin(a / 2), plane)
    axes.text(
        label[0], label[1], r"$\theta$", color=CURRENT_COLOUR, ha="center", va="center", zorder=9
    )
    return xr.Dataset()


def mpl_rgb(colour: str) -> tuple[float, float, float]:
    """Return red, green, blue of a colour."""
    from matplotlib.colors import to_rgb

    return to_rgb(colour)


def _arrow(axes: Axes, start, end, colour: str, width: float, z: float) -> None:
    axes.add_patch(
        FancyArrowPatch(
            tuple(start),
            tuple(end),
            arrowstyle="-|>,head_width=1.7,head_length=2.8",
            color=colour,
            lw=width,
            shrinkA=0,
            shrinkB=0,
            zorder=z,
        )
    )


def spin_structure(
    axes: Axes, geometry: Mapping[str, float] | None = None, *, layers: int = 4
) -> xr.Dataset:
    """Draw NbN without spins, the polarised interface and A-type MnBi2Te4 below it.

    Parameters
    ----------
    layers : int
        Number of septuple layers drawn, antiparallel from one to the next.
    """
    geometry = geometry or {}
    width, height = _canvas(axes)
    left, right = 1.0, width - 1.0
    bottom = 0.8
    gap = 1.0
    buffer = 3.0
    nbn = min(0.20 * height, 13.0)
    layer = (height - 2 * bottom - nbn - buffer - gap * layers) / layers
    # the left end of each layer is kept for its name
    columns = np.linspace(left + 14.0, right - 3.8, 4)
    y = bottom
    for number in range(layers):
        axes.add_patch(
            FancyBboxPatch(
                (left, y),
                right - left,
                layer,
                boxstyle="round,pad=0,rounding_size=1.1",
                fc=style.LAYER_COLOURS["MnBi2Te4"],
                alpha=0.55,
                ec=_EDGE,
                lw=0.45,
                zorder=2,
            )
        )
        up = (layers - 1 - number) % 2 == 0
        for x in columns:
            _spin(axes, x, y + layer / 2, 0.36 * layer, up=up)
        if number == 0:
            axes.text(
                left + 0.7,
                y + layer / 2,
                style.MBT,
                fontsize=style.SMALL,
                ha="left",
                va="center_baseline",
                zorder=9,
            )
        y += layer + gap
    y -= gap * 0.5
    _slab(axes, left, y, right - left, buffer, "Ti")
    axes.text(
        left + 0.7,
        y + buffer / 2,
        "Ti" + _thickness(geometry, "Ti_nm"),
        fontsize=style.SMALL,
        va="center_baseline",
        color="white",
        zorder=9,
    )
    # spin polarisation induced at the interface: parallel to the moments of the outermost layer
    for x in columns:
        _spin(axes, x, y + buffer / 2, 0.42 * buffer, up=True)
    y += buffer
    _slab(axes, left, y, right - left, nbn, "NbN")
    axes.text(
        left + 0.7,
        y + 0.78 * nbn,
        "NbN" + _thickness(geometry, "NbN_nm"),
        fontsize=style.SMALL,
        va="center_baseline",
        zorder=9,
    )
    for x in columns:
        _cooper_pair(axes, x, y + 0.42 * nbn)
    return xr.Dataset()


def _cooper_pair(axes: Axes, x: float, y: float) -> None:
    axes.add_patch(Ellipse((x, y), 5.2, 3.4, fc="white", alpha=0.75, ec=_EDGE, lw=0.45, zorder=3))
    for dx, sign in ((-1.15, 1), (1.15, -1)):
        axes.add_patch(Circle((x + dx, y), 0.42, fc=_EDGE, ec="none", zorder=5))
        axes.add_patch(
            FancyArrowPatch(
                (x + dx, y - 1.2 * sign),
                (x + dx, y + 1.2 * sign),
                arrowstyle="-|>,head_width=0.8,head_length=1.2",
                color=_EDGE,
                lw=0.6,
                shrinkA=0,
                shrinkB=0,
                zorder=4,
            )
        )

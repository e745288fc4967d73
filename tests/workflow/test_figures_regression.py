"""Figures of the default sample against stored references: plotted data first, pixels second.

nbval skips pictures, so a curve that changed tenfold would pass it. Here each variable of a
figure's ``.nc`` is compared with a thinned copy in ``tests/reference/figures``, with a tolerance
for each kind of quantity. After a change that is meant, build `surrogate` and run ::

    python tests/workflow/test_figures_regression.py --fix
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "tests" / "reference" / "figures"
NUMBERS = range(2, 8)
POINTS = 101
"""Most points of a long axis that are stored; they are picked, not averaged."""

#: Kind of a drawn variable (its name without panel) -> relative and absolute tolerance. What is
#: drawn as it was measured must stay as it was; what is estimated may move by part of its error.
TOLERANCES: dict[str, tuple[float, float]] = {
    "R": (1e-5, 1e-5),  # ohm
    "dVdI": (1e-3, 0.02),  # ohm
    "profile": (1e-3, 0.02),
    "offset": (1e-2, 1e-3),
    "factor": (0.0, 0.0),
    "reference": (1e-5, 1e-5),
    "Ic": (0.0, 5e-4),  # mA; a quarter of a step of the current
    "Ic_err": (0.5, 2e-4),
    "upper_limit": (0.5, 0.01),
    "guide_I": (0.0, 5e-4),
    "guide": (5e-3, 0.05),
    "fit_usadel": (0.0, 5e-3),
    "fit_bardeen": (0.0, 5e-3),
    "B_c": (0.0, 2e-3),  # T
    "B_c_err": (0.5, 1e-3),
    "B_c_fit": (0.0, 5e-3),
    "deltaR": (0.0, 2e-3),  # ohm
    "deltaR_err": (0.5, 1e-3),
    "deltaR_fit": (0.0, 3e-3),
}

#: Coordinates: what was set or read must be what it was; the grids of fits follow their estimates.
COORDINATES: dict[str, tuple[float, float]] = {
    "T_fit": (0.0, 0.05),
    "T_fit_B_c": (0.0, 0.5),
    "T_fit_deltaR": (0.0, 0.5),
}


def kind_of(name: str) -> str:
    """Name of a variable without its panel."""
    return name.split("_", 1)[1]


def thinned(drawn: xr.Dataset) -> xr.Dataset:
    """Every n-th point of the long axes, single precision, five digits."""
    steps = {
        dim: slice(None, None, -(-size // POINTS))
        for dim, size in drawn.sizes.items()
        if size > POINTS
    }
    small = drawn.isel(steps)
    attrs = {k: v for k, v in drawn.attrs.items() if k in ("title", "sample", "provenance")}
    out = xr.Dataset(attrs=attrs | {k: v for k, v in drawn.attrs.items() if "not_drawn" in k})
    for name, variable in small.variables.items():
        values = variable.values
        if values.dtype.kind == "f":
            values = digits(values)
        placed = {name: (variable.dims, values, dict(variable.attrs))}
        out = out.assign_coords(placed) if name in small.coords else out.assign(placed)
    return out


def digits(values: np.ndarray, count: int = 6) -> np.ndarray:
    """Round to significant digits, so that the stored file compresses."""
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = 10.0 ** (count - 1 - np.floor(np.log10(np.abs(values))))
        rounded = np.round(values * scale) / scale
    return np.where(np.isfinite(rounded), rounded, values)


def picture(path: Path, width: int = 354) -> np.ndarray:
    """A figure's png as block means, `width` pixels wide: layout and colours, not anti-aliasing."""
    from matplotlib.image import imread

    pixels = imread(path)[..., :3] * 255
    block = pixels.shape[1] // width
    height = pixels.shape[0] // block
    cut = pixels[: height * block, : width * block]
    return cut.reshape(height, block, width, block, 3).mean(axis=(1, 3))


def compare(found: xr.Dataset, stored: xr.Dataset) -> list[str]:
    """Say in which variables the drawn data left the reference."""
    problems = []
    missing, fresh = (
        set(stored.variables) - set(found.variables),
        set(found.variables) - set(stored.variables),
    )
    problems += [f"{name} is no longer drawn" for name in sorted(missing)]
    problems += [f"{name} is drawn but not in the reference" for name in sorted(fresh)]
    for name in sorted(set(found.variables) & set(stored.variables)):
        one, other = found[name], stored[name]
        if one.dims != other.dims or one.shape != other.shape:
            problems.append(f"{name} has shape {one.shape}, reference {other.shape}")
            continue
        if one.attrs.get("units") != other.attrs.get("units"):
            problems.append(
                f"{name} is in {one.attrs.get('units')}, not {other.attrs.get('units')}"
            )
        if one.dtype.kind not in "fiu":
            if not np.array_equal(one.values, other.values):
                problems.append(f"{name} differs")
            continue
        table = COORDINATES if name in stored.coords else TOLERANCES
        relative, absolute = table.get(kind_of(str(name)), (1e-5, 1e-5))
        a, b = one.values.astype(float), other.values.astype(float)
        if not np.array_equal(np.isnan(a), np.isnan(b)):
            problems.append(
                f"{name}: {int(np.sum(np.isnan(a) != np.isnan(b)))} points came or went"
            )
        # the rounding of the reference is no change
        allowed = absolute + (relative + 1e-5) * np.abs(b)
        excess = np.abs(a - b) - allowed
        if np.any(excess > 0):
            worst = np.unravel_index(np.nanargmax(excess), excess.shape)
            problems.append(f"{name}{list(map(int, worst))} is {a[worst]:.6g}, was {b[worst]:.6g}")
    return problems


def open_drawn(path: Path) -> xr.Dataset:
    with xr.open_dataset(path, engine="h5netcdf") as data:
        return data.load()


@pytest.mark.parametrize("number", NUMBERS)
def test_plotted_data(number, surrogate):
    found = thinned(open_drawn(surrogate / "figures" / f"fig{number}.nc"))
    problems = compare(found, open_drawn(REFERENCE / f"fig{number}.nc"))
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("number", NUMBERS)
def test_pixels(number, surrogate):
    found = picture(surrogate / "figures" / f"fig{number}.png")
    stored = picture(REFERENCE / f"fig{number}.png", width=354)
    assert found.shape == stored.shape
    difference = np.abs(found - stored).max(axis=2)
    assert difference.mean() < 1.5
    assert np.mean(difference > 60) < 0.004


@pytest.mark.parametrize("number", NUMBERS)
def test_every_kind_of_quantity_has_a_tolerance(number):
    stored = open_drawn(REFERENCE / f"fig{number}.nc")
    kinds = {kind_of(str(name)) for name in stored.data_vars}
    assert kinds <= set(TOLERANCES)


def test_comparison_finds_a_changed_curve():
    stored = open_drawn(REFERENCE / "fig5.nc")
    assert compare(stored, stored) == []
    tenfold = stored.assign(b_Ic=stored["b_Ic"] * 10)
    assert any(problem.startswith("b_Ic") for problem in compare(tenfold, stored))
    slight = stored.assign(b_Ic=stored["b_Ic"] + 0.001)
    assert any(problem.startswith("b_Ic") for problem in compare(slight, stored))
    within = stored.assign(b_Ic=stored["b_Ic"] + 0.0002)
    assert compare(within, stored) == []
    lost = stored.assign(b_Ic=stored["b_Ic"].where(stored["b_Ic"] > 1))
    assert any("came or went" in problem for problem in compare(lost, stored))
    assert any("no longer drawn" in p for p in compare(stored.drop_vars("b_Ic"), stored))
    volts = stored.copy()
    volts["b_Ic"].attrs["units"] = "V"
    assert any("is in V" in problem for problem in compare(volts, stored))


def test_pictures_differ_when_a_panel_is_missing():
    whole = picture(REFERENCE / "fig5.png")
    without = whole.copy()
    without[whole.shape[0] // 2 :, whole.shape[1] // 2 :] = 255
    difference = np.abs(whole - without).max(axis=2)
    assert difference.mean() > 1.5 or np.mean(difference > 60) > 0.004


def write_references(figures: Path) -> None:
    """Store thinned data and small pictures of built figures."""
    from matplotlib.image import imsave

    REFERENCE.mkdir(parents=True, exist_ok=True)
    for number in NUMBERS:
        small = thinned(open_drawn(figures / f"fig{number}.nc"))
        encoding = {
            name: {"zlib": True, "complevel": 9, "shuffle": True}
            for name, variable in small.variables.items()
            if variable.dtype.kind == "f" and variable.ndim
        }
        small.to_netcdf(REFERENCE / f"fig{number}.nc", engine="h5netcdf", encoding=encoding)
        pixels = np.clip(np.round(picture(figures / f"fig{number}.png")), 0, 255)
        imsave(REFERENCE / f"fig{number}.png", pixels.astype("uint8"), metadata={"Software": None})
        print(f"wrote fig{number}: {re.sub('[^a-z]', '', small.attrs['provenance'])}")


if __name__ == "__main__":
    if "--fix" not in sys.argv[1:]:
        raise SystemExit("usage: python tests/workflow/test_figures_regression.py --fix [FIGURES]")
    given = [word for word in sys.argv[1:] if not word.startswith("-")]
    write_references(Path(given[0]) if given else ROOT / "results" / "surrogate" / "figures")

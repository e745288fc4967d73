"""Write the report of a sample: one folder of pages that opens from disk or from any static host.

Sphinx with myst-nb and furo builds the pages from short Markdown files and the executed notebooks,
which are not executed again. Nothing is loaded from elsewhere: formulas are MathML, the interactive
maps are drawn by a BokehJS file beside the pages.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import copy
import io
import json
import os
import re
import shutil
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

from nbnmbt.errors import InputError
from nbnmbt.numbers import NUMBER_KEYS, format_value
from nbnmbt.paths import repo_root
from nbnmbt.report import content as report_content
from nbnmbt.report.content import Content, Figure, gather
from nbnmbt.report.graph import draw as draw_graph
from nbnmbt.report.typeset import typeset
from nbnmbt.wording import shown_setting

__all__ = ["build", "main"]

# Named here so that an edit of one makes the report stale.
_FILES = (
    "templates/index.md.j2",
    "templates/claims.html.j2",
    "templates/figure.md.j2",
    "templates/inconsistencies.md.j2",
    "templates/studies.md.j2",
    "templates/quality.md.j2",
    "templates/workflow.md.j2",
    "templates/software.md.j2",
    "static/report.css",
    "static/report.js",
)
_HERE = Path(__file__).parent


def build(sample: str, out: Path, root: Path | None = None) -> Path:
    """Write all pages of a sample.

    Parameters
    ----------
    sample : str
        Name of the sample, whose results are built.
    out : Path
        Folder of the pages; replaced as a whole, or left alone when something fails.
    root : Path, optional
        The checkout.

    Returns
    -------
    Path
        ``index.html``.

    Raises
    ------
    InputError
        If results are missing, or the generator warns of anything.
    """
    root = root or repo_root()
    try:
        content = gather(sample, root)
    except FileNotFoundError as error:
        raise InputError(
            f"the results of '{sample}' are not complete: there is no {Path(error.filename).name}",
            advice=f"build them first: snakemake --config sample={sample}",
        ) from None
    out = Path(out).resolve()
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as scratch:
        source, pages = Path(scratch, "source"), Path(scratch, "pages")
        maps = _write_assets(content, pages, root)
        _write_sources(content, source, maps)
        _run_sphinx(content, source, pages, Path(scratch, "doctrees"))
        _tidy(pages)
        old = Path(scratch, "old")
        if out.exists():
            os.replace(out, old)
        os.replace(pages, out)
    return out / "index.html"


# --------------------------------------------------------------------------------------- assets
def _write_assets(content: Content, pages: Path, root: Path) -> dict[int, list[dict[str, Any]]]:
    """Put what pages refer to beside them: figures, tables, maps, studies, BokehJS."""
    import xarray as xr

    from nbnmbt.report import maps
    from nbnmbt.report.tables import drawn_tables

    results = root / "results" / content.sample
    files, scripts = pages / "files", pages / "maps"
    for folder in (files, scripts):
        folder.mkdir(parents=True)
    for figure in content.figures:
        for kind, path in figure.files.items():
            if kind == "png":
                (files / path.name).write_bytes(_small_png(path.read_bytes()))
            else:
                shutil.copyfile(path, files / path.name)
        _thumbnail(figure.files["png"], files / f"{figure.name}_small.png")
        with xr.open_dataset(figure.files["nc"], engine="h5netcdf") as drawn:
            figure.tables = drawn_tables(drawn.load(), figure.name)
        for table in figure.tables:
            (files / table.file).write_bytes(table.data())
        notebook = f"{figure.notebook}.ipynb"
        content_of = json.loads((results / "notebooks" / notebook).read_text(encoding="utf-8"))
        figure.executed = _with_small_pictures(content_of)
        text = json.dumps(figure.executed, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
        (files / notebook).write_text(text, encoding="utf-8", newline="\n")
    for kind in ("json", "csv", "tex"):
        for name in ("claims", "numbers"):
            path = results / f"{name}.{kind}"
            if path.exists():
                shutil.copyfile(path, files / path.name)
    for study in filter(None, content.studies.values()):
        for path in study["files"].values():
            shutil.copyfile(path, files / path.name)

    os.environ.setdefault("BOKEH_SIMPLE_IDS", "yes")
    shown: dict[int, list[dict[str, Any]]] = {}
    opened: dict[str, xr.Dataset] = {}
    for name in {spec.measurement: None for spec in maps.MAPS}:
        path = results / "critical_currents" / f"{name}.nc"
        with xr.open_dataset(path, engine="h5netcdf") as data:
            opened[name] = data[[v for v in maps.VARIABLES if v in data]].load()
    for spec in maps.MAPS:
        currents = opened[spec.measurement]
        beside = {s.measurement for s in maps.MAPS if s.figure == spec.figure}
        item = maps.map_item(currents, spec, [opened[name] for name in sorted(beside)])
        entry = {"spec": spec, "rows": maps.map_table(currents, spec)}
        if item is not None:
            text = json.dumps(item, separators=(",", ":"))
            script = f'window.nbnmbtReport.draw("{spec.name}",{text});\n'
            (scripts / f"{spec.name}.js").write_text(script, encoding="utf-8")
        shown.setdefault(spec.figure, []).append(entry)
    (scripts / "bokeh.min.js").write_bytes(maps.bokeh_script())
    return shown


def _small_png(data: bytes) -> bytes:
    """A PNG in 256 colours of its own, a third of the size; its texts (the stamp) stay."""
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    with Image.open(io.BytesIO(data)) as image:
        words = PngInfo()
        for key, value in getattr(image, "text", {}).items():
            words.add_text(key, value)
        small = image.convert("RGB").quantize(
            256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE
        )
        stream = io.BytesIO()
        small.save(stream, "PNG", optimize=True, pnginfo=words, dpi=image.info.get("dpi"))
    return min(stream.getvalue(), data, key=len)


def _with_small_pictures(notebook: dict[str, Any]) -> dict[str, Any]:
    """An executed notebook whose pictures have 256 colours: the report stays small."""
    for cell in notebook["cells"]:
        for output in cell.get("outputs", ()):
            picture = output.get("data", {}).get("image/png")
            if picture is not None:
                data = base64.b64decode("".join(picture))
                output["data"]["image/png"] = base64.b64encode(_small_png(data)).decode()
    return notebook


def _thumbnail(picture: Path, out: Path, width: int = 720) -> None:
    from PIL import Image

    with Image.open(picture) as image:
        height = round(image.height * width / image.width)
        small = image.convert("RGB").resize(
            (width, height), Image.Resampling.LANCZOS, reducing_gap=2.0
        )
    small = small.quantize(128, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    small.save(out, optimize=True)


# -------------------------------------------------------------------------------------- sources
def _write_sources(content: Content, source: Path, maps: dict[int, list[dict[str, Any]]]) -> None:
    """Write the Markdown pages, the notebooks with alternative texts, style and script."""
    source.mkdir()
    environment = _environment(content)
    pages = {
        "index": ("index.md.j2", {}),
        **{
            f.name: ("figure.md.j2", {"figure": f, "maps": maps.get(f.number, [])})
            for f in content.figures
        },
        "inconsistencies": ("inconsistencies.md.j2", {}),
        "studies": ("studies.md.j2", {}),
        "quality": ("quality.md.j2", {}),
        "workflow": (
            "workflow.md.j2",
            {"graph": draw_graph(content.rules, content.seconds)},
        ),
        "software": ("software.md.j2", {}),
    }
    for name, (template, more) in pages.items():
        text = environment.get_template(template).render(**more)
        (source / f"{name}.md").write_text(text, encoding="utf-8")
    notebooks = source / "notebooks"
    notebooks.mkdir()
    for figure in content.figures:
        name = f"{figure.notebook}.ipynb"
        notebook = _readable(copy.deepcopy(figure.executed), figure)
        (notebooks / name).write_text(json.dumps(notebook), encoding="utf-8")
    static = source / "_static"
    static.mkdir()
    for name in _FILES:
        if name.startswith("static/"):
            shutil.copyfile(_HERE / name, static / Path(name).name)


def _environment(content: Content) -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        # Pages are Markdown with blocks of HTML: what is data is escaped in both.
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["inline"] = _inline_html
    environment.filters["typeset"] = typeset
    environment.filters["size"] = _size
    environment.globals.update(
        report=content,
        notice=report_content.notice(content),
        inputs_of=report_content.inputs_of,
        marks=report_content.MARKS,
        format_value=format_value,
        shown_setting=shown_setting,
        symbols={key: about.symbol for key, about in NUMBER_KEYS.items()},
    )
    return environment


def _inline_html(markdown: str) -> Any:
    """A paragraph of a notebook as HTML, formulas as MathML."""
    from markdown_it import MarkdownIt
    from markupsafe import Markup

    from nbnmbt.report.mathml import formula

    kept: list[str] = []

    def keep(match: re.Match[str]) -> str:
        kept.append(formula(match[1], "inline"))
        return f"\x01{len(kept) - 1}\x02"

    text = re.sub(r"\$([^$]+)\$", keep, markdown)
    html = MarkdownIt("commonmark", {"html": True}).renderInline(text)
    return Markup(re.sub(r"\x01(\d+)\x02", lambda m: kept[int(m[1])], html))


def _size(path: Path) -> str:
    size = path.stat().st_size
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{max(1, round(size / 1e3))} kB"


def _readable(notebook: dict[str, Any], figure: Figure) -> dict[str, Any]:
    """A notebook whose pictures have alternative texts, taken from the headings above them."""
    heading = figure.title
    for cell in notebook["cells"]:
        text = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            found = re.findall(r"^#+\s+(.+)$", text, re.MULTILINE)
            heading = found[-1] if found else heading
            continue
        words = re.sub(r"[*`$\\{}^_]", "", heading)
        whole = re.match(r"Figure \d$", words) is not None
        alt = figure.alt if whole else f"Picture made by this step: {words}"
        cell["metadata"].setdefault("mystnb", {})["image"] = {"alt": alt}
        if "injected-parameters" in cell["metadata"].get("tags", []):
            cell["source"] = text.replace("# Parameters\n", "# parameters of this run\n")
    notebook["metadata"].pop("papermill", None)
    notebook["metadata"].pop("widgets", None)
    return notebook


# --------------------------------------------------------------------------------------- Sphinx
def _run_sphinx(content: Content, source: Path, pages: Path, doctrees: Path) -> None:
    # Deprecations between the generator's own parts are no concern of a reader.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from sphinx.application import Sphinx

    title = f"NbN/MnBi₂Te₄: {content.sample}"
    colours = {
        "color-brand-primary": "#1f5fa8",
        "color-brand-content": "#1f5fa8",
    }
    dark = {"color-brand-primary": "#8fc1f2", "color-brand-content": "#8fc1f2"}
    kind = "synthetic stand-in, not measured data" if content.synthetic else "measured sample"
    settings = {
        "project": title,
        "html_title": title,
        "html_theme": "furo",
        "html_theme_options": {
            "light_css_variables": colours,
            "dark_css_variables": dark,
            "announcement": f"Sample <b>{content.sample}</b>: {kind}",
        },
        "extensions": ["myst_nb", "nbnmbt.report.mathml"],
        "html_math_renderer": "mathml",
        "html_static_path": [str(source / "_static")],
        "html_css_files": ["report.css"],
        "html_js_files": ["report.js"],
        "html_copy_source": False,
        "html_show_sourcelink": False,
        "html_use_index": False,
        "html_show_copyright": False,
        "html_show_sphinx": False,
        "html_last_updated_fmt": None,
        "nb_execution_mode": "off",
        "nb_merge_streams": True,
        "myst_enable_extensions": ["colon_fence", "dollarmath", "amsmath"],
        "myst_update_mathjax": False,
        "pygments_style": "a11y-light",
        "pygments_dark_style": "a11y-high-contrast-dark",
        "language": "en",
        "suppress_warnings": ["myst.header", "mystnb.unknown_mime_type"],
    }
    # A file, not overrides: some settings are known only once the theme is loaded.
    lines = [f"{name} = {value!r}\n" for name, value in settings.items()]
    (source / "conf.py").write_text("".join(lines), encoding="utf-8")
    said = io.StringIO()
    with contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        app = Sphinx(
            srcdir=source,
            confdir=source,
            outdir=pages,
            doctreedir=doctrees,
            buildername="html",
            status=None,
            warning=said,
            freshenv=True,
        )
        app.build(force_all=True)
    lines = said.getvalue().splitlines()
    trouble = [line for line in lines if "WARNING" in line or "ERROR" in line]
    if trouble or app.statuscode:
        first = re.sub(r"\x1b\[[0-9;]*m", "", trouble[0] if trouble else "it failed")
        raise InputError(f"the site generator says: {first.replace(str(source) + '/', '')}")


#: What the generator leaves that no page needs.
_LEFT_OVER = (".buildinfo", "objects.inv", ".doctrees", "_sources")


def _tidy(pages: Path) -> None:
    for name in _LEFT_OVER:
        path = pages / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    for path in pages.rglob("*.map"):
        path.unlink()
    for path in pages.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        # the theme gives the captions of its menu a role that needs a level
        text = text.replace('class="caption" role="heading"', 'class="caption"')
        text = text.replace(
            '<aside class="announcement-content">',
            '<aside class="announcement-content" aria-label="Origin of the sample">',
        )
        path.write_text(text, encoding="utf-8", newline="\n")


def main(argv: list[str] | None = None) -> int:
    """Write the pages of a sample."""
    parser = argparse.ArgumentParser(
        prog="python -m nbnmbt.report.build", description="Write the report of a sample."
    )
    parser.add_argument("--sample", required=True)
    parser.add_argument("--out", required=True, type=Path, help="folder of the pages")
    arguments = parser.parse_args(argv)
    try:
        page = build(arguments.sample, arguments.out)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    total = sum(path.stat().st_size for path in page.parent.rglob("*") if path.is_file())
    print(f"{page} ({total / 1e6:.1f} MB)")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

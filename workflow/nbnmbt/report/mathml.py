"""Sphinx extension: formulas become MathML, which browsers draw themselves, offline.

Sphinx's own choice, MathJax, is loaded from a content delivery network.
"""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

__all__ = ["formula", "setup"]


def formula(tex: str, display: str) -> str:
    """Return a formula as MathML; one that cannot be read stays as it was typed."""
    from latex2mathml.converter import convert

    try:
        return convert(tex, display=display)
    except Exception:
        return f"<code>{html.escape(tex)}</code>"


def _inline(writer: Any, node: Any) -> None:
    from docutils import nodes

    writer.body.append(formula(node.astext(), "inline"))
    raise nodes.SkipNode


def _block(writer: Any, node: Any) -> None:
    from docutils import nodes

    writer.body.append(f'<div class="formula">{formula(node.astext(), "block")}</div>\n')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the renderer under the name ``mathml``."""
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}

"""The workflow as a picture: rules read from ``workflow/rules``, files that join them as arrows.

Drawn from the text of the rules, so the picture cannot fall behind them, and without Graphviz.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Rule", "draw", "edges", "in_order", "read_rules"]

#: Inputs that rules name through a function of `nbnmbt.dag`, by the file that stands for them.
_BY_FUNCTION = {
    "dag.raw_files(": "data/raw/{sample}/measurements.csv",
    "dag.sensitivity_of(": "results/{sample}/sensitivity.json",
}


@dataclass(frozen=True)
class Rule:
    """One rule of the workflow.

    Attributes
    ----------
    name : str
        As in the rule file.
    stage : str
        Name of the rule file.
    message : str
        What the rule says while it runs, without the sample.
    inputs, outputs : tuple of str
        Patterns of files.
    """

    name: str
    stage: str
    message: str = ""
    inputs: tuple[str, ...] = field(default=())
    outputs: tuple[str, ...] = field(default=())


def read_rules(folder: Path) -> list[Rule]:
    """Read name, message and file patterns of each rule that works on a sample.

    Parameters
    ----------
    folder : Path
        ``workflow/rules``.

    Returns
    -------
    list of Rule
        Those whose outputs lie in a sample's folders, in the order of the files' stages.
    """
    rules = []
    for path in sorted(folder.glob("*.smk")):
        text = path.read_text(encoding="utf-8")
        for block in re.split(r"^(?=rule \w+:)", text, flags=re.MULTILINE)[1:]:
            name = re.match(r"rule (\w+):", block)[1]
            parts = re.split(r"^    (\w+):", block, flags=re.MULTILINE)
            sections = dict(zip(parts[1::2], parts[2::2], strict=True))
            outputs = _patterns(sections.get("output", ""))
            if not any("{sample}" in p for p in outputs):
                continue
            message = re.search(r'"(.*?)"', sections.get("message", ""))
            words = message[1] if message else name.replace("_", " ")
            words = re.sub(r"^\{wildcards\.sample\}: ", "", words)
            words = re.sub(r"\{wildcards\.(\w+)\}", r"each \1", words)
            rules.append(
                Rule(
                    name,
                    path.stem,
                    words,
                    _patterns(_spelled_out(sections.get("input", ""), text)),
                    outputs,
                )
            )
    return rules


def _spelled_out(section: str, text: str) -> str:
    """Inputs with the lists and dictionaries they name, and files for the functions they ask."""
    for name in re.findall(r"(?:\*\*|=)([A-Z_]+)\b", section):
        found = re.search(rf"^{name} = [{{\[](.*?)^[}}\]]", text, re.MULTILINE | re.DOTALL)
        section += found[1] if found else ""
    for call, path in _BY_FUNCTION.items():
        if call in section:
            section += f'"{path}"'
    return section


def _patterns(section: str) -> tuple[str, ...]:
    """Paths in a section; ``expand`` and ``multiext`` count by their patterns."""
    section = re.sub(r"#.*", "", section)
    section = re.sub(r"code_inputs\((?:[^()]|\([^()]*\))*\)", "", section)
    found = []
    for match in re.finditer(r'multiext\(\s*"([^"]+)"((?:\s*,\s*"[^"]+")+)', section):
        found += [match[1] + suffix for suffix in re.findall(r'"([^"]+)"', match[2])]
    section = re.sub(r"multiext\([^)]*\)", "", section)
    found += [text for text in re.findall(r'"([^"]+)"', section) if "/" in text]
    return tuple(text.replace("{{", "{").replace("}}", "}") for text in found)


def _matches(wanted: str, made: str) -> bool:
    """Tell whether an input pattern and an output pattern can be the same file."""

    def as_expression(pattern: str) -> str:
        parts = re.split(r"(\{[^{}]*\})", pattern)
        return "".join("[^/]+" if p.startswith("{") else re.escape(p) for p in parts)

    def as_example(pattern: str) -> str:
        return re.sub(r"\{[^{}]*\}", "x", pattern)

    return (
        re.fullmatch(as_expression(made), as_example(wanted)) is not None
        or re.fullmatch(as_expression(wanted), as_example(made)) is not None
    )


def edges(rules: list[Rule]) -> set[tuple[str, str]]:
    """Return which rule needs which other: pairs (maker, user)."""
    found = set()
    for user in rules:
        for maker in rules:
            if maker is user:
                continue
            if any(_matches(i, o) for i in user.inputs for o in maker.outputs):
                found.add((maker.name, user.name))
    return found


def _layers(rules: list[Rule], joined: set[tuple[str, str]]) -> dict[str, int]:
    """Row of each rule: one more than the last of its makers."""
    layer = {rule.name: 0 for rule in rules}
    for _ in rules:
        moved = False
        for maker, user in sorted(joined):
            if layer[user] < layer[maker] + 1:
                layer[user] = layer[maker] + 1
                moved = True
        if not moved:
            return layer
    raise ValueError("the rules need each other in a circle")


def _reduced(joined: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Arrows that are not also a way round over others."""
    after: dict[str, set[str]] = {}
    for maker, user in joined:
        after.setdefault(maker, set()).add(user)

    def reachable(start: str, goal: str) -> bool:
        waiting = [n for n in after.get(start, ()) if n != goal]
        seen = set(waiting)
        while waiting:
            node = waiting.pop()
            for following in after.get(node, ()):
                if following == goal:
                    return True
                if following not in seen:
                    seen.add(following)
                    waiting.append(following)
        return False

    return {(maker, user) for maker, user in joined if not reachable(maker, user)}


def _joined_figures(
    rules: list[Rule], seconds: Mapping[str, float]
) -> tuple[list[Rule], dict[str, float]]:
    """Rules with those that draw one figure each put into one box."""
    times = dict(seconds)
    drawing = [rule for rule in rules if re.fullmatch(r"draw_fig\d", rule.name)]
    if len(drawing) < 2:
        return rules, times
    numbers = [rule.name[-1] for rule in drawing]
    name = f"draw_figs_{numbers[0]}-{numbers[-1]}"
    one = Rule(
        name,
        drawing[0].stage,
        f"draw Figs. {numbers[0]} to {numbers[-1]}, one rule each",
        tuple(path for rule in drawing for path in rule.inputs),
        tuple(path for rule in drawing for path in rule.outputs),
    )
    known = [times[rule.name] for rule in drawing if rule.name in times]
    if known:
        times[name] = sum(known)
    return [one, *(rule for rule in rules if rule not in drawing)], times


def in_order(rules: list[Rule]) -> list[Rule]:
    """Return the rules from raw files to report: each after those that it needs."""
    layer = _layers(rules, edges(rules))
    return sorted(rules, key=lambda rule: layer[rule.name])


def draw(rules: list[Rule], seconds: Mapping[str, float] | None = None) -> str:
    """Draw the rules in rows from raw files to report, as an SVG element for a page.

    Parameters
    ----------
    rules : list of Rule
        From `read_rules`.
    seconds : mapping, optional
        Rule -> run time of this sample, s; written under the name.

    Returns
    -------
    str
        ``<svg>`` whose colours are the page's own (CSS classes), the same for the same rules.
    """
    rules, times = _joined_figures(rules, seconds or {})
    joined = edges(rules)
    layer = _layers(rules, joined)
    rows: dict[int, list[Rule]] = {}
    for rule in rules:
        rows.setdefault(layer[rule.name], []).append(rule)
    width, height, gap_x, gap_y, margin = 146, 42, 18, 36, 8
    widest = max(map(len, rows.values()), default=1)
    full = widest * (width + gap_x) - gap_x
    place: dict[str, tuple[float, float]] = {}
    for row, members in sorted(rows.items()):
        members.sort(key=lambda rule: _mean_place(rule, joined, place, rules))
        left = margin + (full - (len(members) * (width + gap_x) - gap_x)) / 2
        for column, rule in enumerate(members):
            place[rule.name] = (left + column * (width + gap_x), margin + row * (height + gap_y))
    total = (2 * margin + full, 2 * margin + len(rows) * (height + gap_y) - gap_y)
    lines = [
        f'<svg class="workflow-graph" viewBox="0 0 {total[0]:g} {total[1]:g}" '
        f'width="{total[0]:g}" height="{total[1]:g}" role="img" '
        'aria-labelledby="workflow-title workflow-text">',
        '<title id="workflow-title">Steps of the workflow and the files that join them</title>',
        f'<desc id="workflow-text">{html.escape(_in_words(rules, joined))}</desc>',
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="6" '
        'markerHeight="6" orient="auto"><path d="M0 0L8 4L0 8z"/></marker></defs>',
    ]
    for maker, user in sorted(_reduced(joined)):
        (x0, y0), (x1, y1) = place[maker], place[user]
        x0, x1, y0 = x0 + width / 2, x1 + width / 2, y0 + height
        # past the rows between the two straight down, where its own box has kept the place free
        turn = y0 + (layer[user] - layer[maker] - 1) * (height + gap_y)
        bend = (y1 - turn) / 2
        lines.append(
            f'<path class="edge" marker-end="url(#tip)" d="M{x0:g} {y0:g}V{turn:g}'
            f'C{x0:g} {turn + bend:g} {x1:g} {y1 - bend:g} {x1:g} {y1 - 1:g}"/>'
        )
    for rule in rules:
        x, y = place[rule.name]
        time = times.get(rule.name)
        words = rule.name.replace("_", " ")
        lines.append(
            f'<g class="stage-{rule.stage}"><title>{html.escape(rule.message)}</title>'
            f'<rect x="{x:g}" y="{y:g}" width="{width}" height="{height}" rx="6"/>'
            f'<text x="{x + width / 2:g}" y="{y + (18 if time is not None else 25):g}">'
            f"{html.escape(words)}</text>"
            + (
                f'<text class="time" x="{x + width / 2:g}" y="{y + 33:g}">{time:.1f} s</text>'
                if time is not None
                else ""
            )
            + "</g>"
        )
    return "\n".join([*lines, "</svg>"])


def _mean_place(
    rule: Rule,
    joined: set[tuple[str, str]],
    place: Mapping[str, tuple[float, float]],
    rules: list[Rule],
) -> tuple[float, int]:
    """Where a rule crosses the fewest arrows: at the mean of its makers."""
    places = [place[maker][0] for maker, user in joined if user == rule.name and maker in place]
    order = [r.name for r in rules].index(rule.name)
    return (sum(places) / len(places) if places else 0.0, order)


def _in_words(rules: list[Rule], joined: set[tuple[str, str]]) -> str:
    sentences = []
    for rule in rules:
        makers = sorted(maker for maker, user in _reduced(joined) if user == rule.name)
        after = f" after {', '.join(makers)}" if makers else ""
        sentences.append(f"{rule.name}{after}")
    return "; ".join(sentences).replace("_", " ") + "."

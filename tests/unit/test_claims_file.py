"""claims.yaml: all claims and inconsistencies, true quotes, known numbers."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from nbnmbt.claims import load_claims
from nbnmbt.numbers import NUMBER_KEYS, STAGE_FILES, tex_name
from nbnmbt.paths import repo_root
from nbnmbt.wording import quantity, subject

CLAIMS = load_claims(repo_root() / "workflow" / "config" / "claims.yaml")


def words(text: str) -> str:
    return re.sub(r"\s+", " ", text)


def test_every_claim_and_inconsistency_is_there_once():
    assert [claim.id for claim in CLAIMS.claims] == [f"C{n:02d}" for n in range(1, 36)]
    assert [item.id for item in CLAIMS.inconsistencies] == [f"I-{n:02d}" for n in range(1, 22)]


def test_quotes_occur_in_the_paper():
    path = os.environ.get("NBNMBT_PAPER_TEXT")
    if not path:
        pytest.skip("NBNMBT_PAPER_TEXT does not name the paper's text")
    paper = words(Path(path).read_text(encoding="utf-8"))
    quotes = [claim.quote for claim in CLAIMS.claims]
    quotes += [quote for item in CLAIMS.inconsistencies for quote in item.quotes]
    missing = [quote for quote in quotes if words(quote) not in paper]
    assert missing == []
    assert max(len(quote.split()) for quote in quotes) <= 20


def test_inconsistencies_name_claims_that_exist():
    known = {claim.id for claim in CLAIMS.claims}
    for item in CLAIMS.inconsistencies:
        assert set(item.claims) <= known, item.id


def test_criteria_name_known_stages():
    for claim in CLAIMS.claims:
        for criterion in claim.criteria:
            for name, value in criterion.model_dump().items():
                if (
                    name in {"number", "flag", "statistic", "p", "bound", "upper", "count"}
                    and value
                ):
                    assert value.split("/")[0] in STAGE_FILES, (claim.id, value)


def test_the_example_manuscript_uses_numbers_that_exist():
    text = (repo_root() / "docs" / "example.tex").read_text(encoding="utf-8")
    used = set(re.findall(r"\\(nb[A-Za-z]+)", text))
    assert used
    assert used <= {tex_name(key) for key in NUMBER_KEYS}


#: A criterion has words of its own for these.
SAID_OTHERWISE = ("flag", "says", "against", "partial", "open", "sensitive", "listed")


def paths_of(criterion) -> list[str]:
    """Paths of the numbers that a criterion's sentence names."""
    found = []
    for name, value in criterion.model_dump().items():
        if name not in {*SAID_OTHERWISE, "test", "unit", "key", "uncertainty"}:
            found += [v for v in (value if isinstance(value, tuple) else [value]) if v]
    return [path for path in found if isinstance(path, str) and "/" in path]


def test_every_number_that_a_reader_meets_has_words_instead_of_its_key():
    paths = {p for claim in CLAIMS.claims for c in claim.criteria for p in paths_of(c)}
    paths |= {p for item in CLAIMS.inconsistencies for p in item.computed}
    assert len(paths) > 80
    key = re.compile(r"/(?![dI])|[a-z]_[a-z]|_Ic|C\d\d")
    said = {path: subject(path) for path in sorted(paths)}
    assert {path: words for path, words in said.items() if key.search(words)} == {}
    # two numbers of one claim must not look alike; the bounds of one number may
    for claim in CLAIMS.claims:
        numbers = [c.number for c in claim.criteria if hasattr(c, "number")]
        names = [subject(path) for path in numbers]
        assert len(set(names)) == len(set(numbers)), claim.id


def test_a_bound_is_said_without_powers_of_ten():
    assert quantity("angle/angle_invariance_Ic2_4T/upper", 5.76e-06) == "0.00058 %"
    assert quantity("kinks/no_jump_in_plane_Ic0/bound_mA", 1.23e-5) == "0.000012 mA"
    assert quantity("loops/C27/ratio_to_8K_low", 5427.8) == "5428"
    assert quantity("loops/C29/upper", 0.05991) == "5.99 %"

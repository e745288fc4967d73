"""Studies that a person builds by name, negative controls and coverage: what the report shows.

Light, because the rules ask it at every start of Snakemake.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from nbnmbt.paths import repo_root

__all__ = ["STUDIES", "fingerprint"]

#: Folder of ``results/`` -> its files, the one with the content first.
STUDIES: dict[str, tuple[str, ...]] = {
    "controls": ("confusion.json", "confusion.png", "confusion.csv"),
    "coverage": ("coverage.json", "coverage.png", "coverage.csv"),
}


def fingerprint(root: Path | None = None) -> str:
    """Return a hash of the studies that were built, empty without any.

    A rule that has it as a parameter reruns when a study changes, without asking for the study:
    controls and coverage take long and are built by name only.
    """
    digest = hashlib.sha256()
    found = ""
    for name, files in STUDIES.items():
        path = (root or repo_root()) / "results" / name / files[0]
        if path.exists():
            digest.update(name.encode() + path.read_bytes())
            found = digest.hexdigest()
    return found

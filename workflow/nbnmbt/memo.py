"""Small facts remembered between runs, so that a build with nothing to do is quick.

Which modules a file imports, whether a configuration passed its schema: both follow from the
content alone, and both cost more to find again than all the rest of a start. The file lies in
Snakemake's own folder and may be deleted at any time.
"""

from __future__ import annotations

import atexit
import json
import os
import tempfile
from pathlib import Path
from typing import Any

__all__ = ["Memo", "memo_of"]

#: Changes when what is remembered changes its meaning.
_VERSION = 1


class Memo:
    """Key -> (fingerprint, value), kept in a JSON file.

    Parameters
    ----------
    path : Path
        The file. Where it cannot be read or written, nothing is remembered.
    """

    def __init__(self, path: Path):
        self.path = path
        self._changed = False
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            self._facts = content["facts"] if content["version"] == _VERSION else {}
        except (OSError, ValueError, KeyError, TypeError):
            self._facts = {}

    def get(self, key: str, fingerprint: str) -> Any:
        """Return what is remembered of a key, or None if nothing or for another fingerprint."""
        known = self._facts.get(key)
        return known[1] if known and known[0] == fingerprint else None

    def put(self, key: str, fingerprint: str, value: Any) -> None:
        """Remember a value, instead of what was remembered of the key before."""
        self._facts[key] = [fingerprint, value]
        self._changed = True

    def save(self) -> None:
        """Write the file if anything was added, and if Snakemake's folder is there."""
        if not self._changed or not self.path.parent.is_dir():
            return
        text = json.dumps({"version": _VERSION, "facts": self._facts}, sort_keys=True)
        try:
            handle, temporary = tempfile.mkstemp(dir=self.path.parent, prefix=".memo.")
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                stream.write(text)
            os.replace(temporary, self.path)
        except OSError:
            return
        self._changed = False


_memos: dict[Path, Memo] = {}


def memo_of(root: Path) -> Memo:
    """Return the memo of a checkout; it is saved when the process ends."""
    if root not in _memos:
        _memos[root] = Memo(root / ".snakemake" / "nbnmbt_memo.json")
        atexit.register(_memos[root].save)
    return _memos[root]

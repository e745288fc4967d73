"""Results under other analysis choices, and results of virtual devices that leave no files.

Both are `nbnmbt.results.Results` like any other, so that sensitivity sweeps, negative controls and
the coverage study run the very functions that the workflow runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbnmbt import config
from nbnmbt.analysis.estimate import Stage
from nbnmbt.numbers import STAGE_FILES, collect
from nbnmbt.results import Results

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["DEPENDENTS", "SimulatedResults", "VariedResults", "all_stages"]

#: What follows from each stage: a changed choice there changes these too.
DEPENDENTS: dict[str, tuple[str, ...]] = {
    "critical_currents": ("spectrum", "temperature_laws", "kinks", "angle"),
    "transitions": ("kinks", "loops"),
}


def all_stages(results: Results) -> dict[str, Stage]:
    """Return every stage of estimates, by name."""
    return {name: results.stage(name) for name in STAGE_FILES}


class VariedResults(Results):
    """Results of a sample had other choices been made; what they do not touch is the base's.

    Parameters
    ----------
    base : Results
        The sample as analysed.
    choices : mapping of str to mapping
        Stage -> option -> value.
    """

    def __init__(self, base: Results, choices: Mapping[str, Mapping[str, Any]]):
        self.base = base
        self.sample, self.root, self.folder, self.raw = (
            base.sample,
            base.root,
            base.folder,
            base.raw,
        )
        self._kept, self._used = {}, set()
        self.choices = choices
        self.affected = set(choices)
        for stage in choices:
            self.affected.update(DEPENDENTS.get(stage, ()))

    @property
    def info(self) -> dict[str, Any]:
        """The sample sheet."""
        return self.base.info

    def options(self, stage: str) -> Any:
        """Return the stage's options with the varied choices in place."""
        options = self.base.options(stage)
        changes = self.choices.get(stage)
        if not changes:
            return options
        return config.options(stage, {"analysis": {stage: {**options.model_dump(), **changes}}})

    @property
    def measured(self) -> list[str]:
        """Measurements of the sample."""
        return self.base.measured

    def dataset(self, measurement: str) -> xr.Dataset:
        """Return a dataset; no analysis choice enters it."""
        return self.base.dataset(measurement)

    def critical_currents(self, measurement: str) -> xr.Dataset:
        """Return critical currents, fitted anew if a choice of the fit is varied."""
        if "critical_currents" not in self.affected:
            return self.base.critical_currents(measurement)

        def compute() -> xr.Dataset:
            from nbnmbt.analysis import critical_currents

            return critical_currents.extract(
                self.dataset(measurement), self.options("critical_currents")
            )

        return self._once("critical_currents", measurement, compute)

    def stage(self, name: str) -> Stage:
        """Return a stage, computed anew if a choice that it depends on is varied."""
        if name not in self.affected:
            return self.base.stage(name)
        return self._once("stage", name, lambda: self._computed(name)[0])

    def _say(self, what: str) -> None:
        """Stay silent: a sweep reports its own progress."""


class SimulatedResults(Results):
    """Results of one run of a virtual device, computed from its raw files in a scratch folder.

    Parameters
    ----------
    sample : str
        Name of the run; it enters the random streams of the analysis.
    raw : Path
        Folder that `nbnmbt.device.simulate.simulate` wrote.
    root : Path
        The checkout.
    """

    def __init__(self, sample: str, raw: Path, root: Path):
        self.sample, self.root, self.raw = sample, root, raw
        # Nothing is ever written there, so nothing is ever read from it.
        self.folder = raw / "results"
        self._kept, self._used = {}, set()

    def outcome(self, claims: Any, truth: Mapping[str, Any]) -> dict[str, Any]:
        """Analyse the run and set what was found beside what was planted.

        Parameters
        ----------
        claims : nbnmbt.claims.ClaimsFile
            The claims to judge.
        truth : mapping
            Content of ``truth.json``.

        Returns
        -------
        dict
            ``numbers``: key -> value, uncertainty, truth, reason; ``verdicts`` and ``reasons`` by
            claim.
        """
        from nbnmbt.claims import evaluate

        stages = all_stages(self)
        ledger = evaluate(claims, stages, self.geometry, self.measured)
        numbers = {
            key: {
                "value": number.value,
                "uncertainty": number.uncertainty,
                "truth": truth["numbers"].get(key),
                "reason": number.reason,
            }
            for key, number in collect(stages).items()
        }
        return {
            "sample": self.sample,
            "numbers": numbers,
            "verdicts": {entry["id"]: entry["verdict"] for entry in ledger},
            "reasons": {entry["id"]: entry["reason"] for entry in ledger},
        }

    def _say(self, what: str) -> None:
        """Stay silent: a study reports its own progress."""

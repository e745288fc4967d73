"""A sample's results, for notebooks: what the workflow built, or else computed here and now.

A notebook asks for a dataset, critical currents or a stage; it does not care whether Snakemake ran.
What is missing is computed in memory by the same functions with the same options, with a line of
progress, and nothing is written to ``results/`` but what the notebook itself saves.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbnmbt import config, dag, numbers
from nbnmbt.analysis.estimate import Stage, read_stage
from nbnmbt.errors import InputError, did_you_mean
from nbnmbt.numbers import STAGE_FILES, Number
from nbnmbt.paths import raw_folder, repo_root, results_folder
from nbnmbt.provenance import stage_attributes, stamp

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Results", "open_results"]

#: Inputs of each stage when it is computed here: keyword of its ``run`` -> what to fetch. The rules
#: in workflow/rules/analysis.smk say the same of files, and a test compares the outcomes.
_FETCH: dict[str, dict[str, tuple[str, str]]] = {
    "temperature_laws": {"iv_temperature": ("critical_currents", "iv_temperature")},
    "kinks": {
        "out_of_plane": ("critical_currents", "iv_out_of_plane"),
        "in_plane": ("critical_currents", "iv_in_plane"),
        "transitions": ("estimates", "transitions"),
    },
    "angle": {
        "angle": ("critical_currents", "iv_angle"),
        "angle_nbn": ("critical_currents", "iv_angle_nbn"),
        "in_plane": ("critical_currents", "iv_in_plane"),
        "out_of_plane": ("critical_currents", "iv_out_of_plane"),
    },
    "loops": {
        "loops": ("dataset", "loops_interface"),
        "transitions": ("estimates", "transitions"),
    },
}


def open_results(sample: str = "surrogate", root: str | Path | None = None) -> Results:
    """Open the results of a sample from wherever a notebook runs.

    Parameters
    ----------
    sample : str
        Name of the sample.
    root : path-like, optional
        The checkout; found from the working folder when not given.

    Returns
    -------
    Results

    Raises
    ------
    InputError
        If there is no such sample.
    """
    return Results(sample, Path(root).resolve() if root is not None else repo_root())


class Results:
    """Everything that is known of one sample.

    Parameters
    ----------
    sample : str
        Name of the sample.
    root : Path
        The checkout.

    Attributes
    ----------
    sample : str
        Name of the sample.
    folder : Path
        ``results/{sample}``.
    raw : Path
        ``data/raw/{sample}``.
    """

    def __init__(self, sample: str, root: Path):
        self.sample = sample
        self.root = root
        self.folder = results_folder(sample, root)
        self.raw = raw_folder(sample, root)
        self._kept: dict[tuple[str, str], Any] = {}
        self._used: set[Path] = set()
        if not self.raw.exists() and not dag.is_simulated(sample, root):
            known = dag.known_samples(root)
            raise InputError(f"there is no sample '{sample}'", advice=did_you_mean(sample, known))

    def __repr__(self) -> str:
        return f"<Results of sample '{self.sample}' ({self.provenance})>"

    # ------------------------------------------------------------------------------ the sample
    @property
    def info(self) -> dict[str, Any]:
        """The sample sheet ``sample.yaml`` as plain values."""

        def load() -> dict[str, Any]:
            import yaml

            path = self._raw_sheet() / "sample.yaml"
            self._used.add(path)
            return yaml.safe_load(path.read_text(encoding="utf-8"))

        return self._once("info", "", load)

    @property
    def provenance(self) -> str:
        """``synthetic`` or ``measured``."""
        return str(self.info["provenance"])

    @property
    def geometry(self) -> dict[str, float]:
        """Layer thicknesses of the sample sheet, in nm."""
        return dict(self.info.get("geometry") or {})

    @property
    def measured(self) -> list[str]:
        """Measurement keys of the sample sheet."""
        from nbnmbt import samples

        return self._once("measured", "", lambda: samples.load(self._raw_sheet()).measurements)

    def options(self, stage: str) -> Any:
        """Return the options a stage was built with, or those it would be built with.

        Parameters
        ----------
        stage : str
            ``critical_currents`` or a stage of estimates.

        Returns
        -------
        pydantic.BaseModel
            The stage's ``Options``.
        """
        if stage in STAGE_FILES and (self.folder / STAGE_FILES[stage]).exists():
            used = self.stage(stage).attrs.get("options")
            if used is not None:
                return config.options(stage, {"analysis": {stage: used}})
        return config.options(stage)

    # --------------------------------------------------------------------------- what there is
    def dataset(self, measurement: str) -> xr.Dataset:
        """Return the labelled dataset of one measurement.

        Parameters
        ----------
        measurement : str
            A key of ``measurements.csv``, e.g. ``"iv_angle"``.

        Returns
        -------
        xarray.Dataset
            Without variables, and with ``measured=0``, where the sample lacks the measurement.
        """

        def compute() -> xr.Dataset:
            from nbnmbt import datasets

            return datasets.assemble(self._raw_sheet(), measurement)

        return self._file("datasets", measurement, compute)

    def critical_currents(self, measurement: str) -> xr.Dataset:
        """Return the critical currents fitted to one V-I measurement.

        Parameters
        ----------
        measurement : str
            ``iv_...``.

        Returns
        -------
        xarray.Dataset
        """

        def compute() -> xr.Dataset:
            module = importlib.import_module(config.STAGES["critical_currents"])
            data = self.dataset(measurement)
            return module.extract(data, self.options("critical_currents"))

        return self._file("critical_currents", measurement, compute)

    def stage(self, name: str) -> Stage:
        """Return estimates and statistics of one analysis stage.

        Parameters
        ----------
        name : str
            ``transitions``, ``spectrum``, ``temperature_laws``, ``kinks``, ``angle`` or ``loops``.

        Returns
        -------
        Stage

        Raises
        ------
        InputError
            If there is no such stage.
        """
        if name not in STAGE_FILES:
            raise InputError(
                f"there is no stage '{name}' of estimates", advice=did_you_mean(name, STAGE_FILES)
            )

        def load() -> Stage:
            path = self.folder / STAGE_FILES[name]
            if path.exists():
                self._used.add(path)
                return read_stage(path)
            return self._computed(name)[0]

        return self._once("stage", name, load)

    def loops(self) -> xr.Dataset:
        """Return the fitted loops: coercive field and hysteresis amplitude over temperature."""

        def load() -> xr.Dataset:
            path = self.folder / "loops.nc"
            return self._read(path) if path.exists() else self._computed("loops")[1]

        return self._once("loops", "", load)

    def estimates(self, *stages: str) -> dict[str, Any]:
        """Return the estimates of some stages together, key -> Estimate."""
        found: dict[str, Any] = {}
        for name in stages:
            found |= self.stage(name).estimates
        return found

    def numbers(self, keys: Sequence[str]) -> dict[str, Number]:
        """Return some of the numbers of ``numbers.json``, from the stages that estimate them.

        Parameters
        ----------
        keys : sequence of str
            Keys of `nbnmbt.numbers.NUMBER_KEYS`.

        Returns
        -------
        dict of str to Number
        """
        known = numbers.NUMBER_KEYS
        stages = dict.fromkeys(known[key].stage for key in keys if key in known)
        return numbers.select(numbers.collect({name: self.stage(name) for name in stages}), keys)

    # --------------------------------------------------------------------------------- saving
    def stamp(self, options: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return the provenance stamp of what is made from all that was read so far.

        Parameters
        ----------
        options : mapping, optional
            The parameters of the notebook.

        Returns
        -------
        dict
            See `nbnmbt.provenance.stamp`.
        """
        return stamp(
            self._used, options, sample=self.sample, provenance=self.provenance, root=self.root
        )

    def save_numbers(self, name: str, keys: Sequence[str]) -> Path:
        """Write the numbers a notebook shows to ``numbers/{name}.json``.

        Parameters
        ----------
        name : str
            ``fig2`` to ``fig7``.
        keys : sequence of str
            Their keys.

        Returns
        -------
        Path
        """
        path = self.folder / "numbers" / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(numbers.to_json(self.numbers(keys)), encoding="utf-8", newline="\n")
        return path

    # ------------------------------------------------------------------------------- inner works
    def _once(self, kind: str, name: str, load: Any) -> Any:
        if (kind, name) not in self._kept:
            self._kept[kind, name] = load()
        return self._kept[kind, name]

    def _file(self, kind: str, name: str, compute: Any) -> xr.Dataset:
        def load() -> xr.Dataset:
            path = self.folder / kind / f"{name}.nc"
            if path.exists():
                return self._read(path)
            self._say(f"{kind.replace('_', ' ')} {name}")
            return compute()

        return self._once(kind, name, load)

    def _read(self, path: Path) -> xr.Dataset:
        import xarray as xr

        self._used.add(path)
        with xr.open_dataset(path, engine="h5netcdf") as data:
            return data.load()

    def _computed(self, name: str) -> tuple[Stage, Any]:
        """Return a stage run in memory, once, and what it yields beside estimates."""
        return self._once("computed", name, lambda: self._compute_stage(name))

    def _compute_stage(self, name: str) -> tuple[Stage, Any]:
        module = importlib.import_module(config.STAGES[name])
        options = self.options(name)
        arguments = self._arguments(name)
        self._say(f"stage {name}")
        estimates, statistics, *more = module.run(**arguments, options=options, sample=self.sample)
        attrs = stage_attributes(
            name,
            options.model_dump(mode="json"),
            self._used,
            sample=self.sample,
            provenance=self.provenance,
            root=self.root,
        )
        return Stage(estimates=estimates, statistics=statistics, attrs=attrs), (more or [None])[0]

    def _arguments(self, stage: str) -> dict[str, Any]:
        fetch = {
            "dataset": self.dataset,
            "critical_currents": self.critical_currents,
            "estimates": lambda name: self.stage(name).estimates,
        }
        if stage == "transitions":
            names = importlib.import_module(config.STAGES[stage]).MEASUREMENTS
            return {"datasets": {name: self.dataset(name) for name in names}}
        if stage == "spectrum":
            names = importlib.import_module(config.STAGES[stage]).MEASUREMENTS
            return {"fits": {name: self.critical_currents(name) for name in names}}
        return {key: fetch[kind](name) for key, (kind, name) in _FETCH[stage].items()}

    def _raw_sheet(self) -> Path:
        """Folder of the raw files; those of a virtual device are simulated when missing."""
        sheet = self.raw / "measurements.csv"
        if not sheet.exists() and dag.is_simulated(self.sample, self.root):
            self._say("raw files (simulated, as the workflow would)")
            simulate = importlib.import_module("nbnmbt.device.simulate").simulate
            simulate(
                self.root / dag.devices(self.root)[self.sample],
                self.raw.parent,
                False,
                sample=self.sample,
            )
        self._used.update((self.raw / "sample.yaml", sheet))
        return self.raw

    def _say(self, what: str) -> None:
        print(f"{self.sample}: not built yet, computing {what} ...", file=sys.stderr, flush=True)

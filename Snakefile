# NbN/MnBi2Te4: from raw files to Figs. 2-7, every number and the executed notebooks.
# Composition only: configuration, one file of rules a stage, and what a plain `snakemake` builds.
#
#   snakemake --cores all                              the paper, for the sample `surrogate`
#   snakemake --cores all --config sample=mydevice     the same for another sample
#   snakemake --cores all --config sample=a,b          several side by side
import json
import re
import sys
from pathlib import Path

import yaml
from snakemake.exceptions import WorkflowError

sys.path.insert(0, str(Path(workflow.basedir, "workflow")))

from nbnmbt import dag, progress
from nbnmbt.errors import InputError
from nbnmbt.provenance import code_inputs

dag.prepare_environment(Path(workflow.basedir))
progress.attach()


configfile: "workflow/config/default.yaml"


# What --config nests arrives as text.
config.update(dag.typed_once(config))

try:
    SAMPLES = dag.check_build(config)
except InputError as error:
    raise WorkflowError(str(error)) from None


wildcard_constraints:
    sample=r"[A-Za-z0-9][A-Za-z0-9_.-]*",
    measurement=r"[a-z][a-z0-9_]*",


include: "workflow/rules/simulate.smk"
include: "workflow/rules/datasets.smk"
include: "workflow/rules/analysis.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/claims.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/exchange.smk"
include: "workflow/rules/studies.smk"


rule all:
    default_target: True
    input:
        expand(
            "results/{sample}/figures/fig{n}.{kind}",
            sample=SAMPLES,
            n=range(2, 8),
            kind=["pdf", "svg", "png", "nc"],
        ),
        expand(
            "results/{sample}/notebooks/{notebook}.{kind}",
            sample=SAMPLES,
            notebook=NOTEBOOKS,
            kind=["ipynb", "html"],
        ),
        expand(
            "results/{sample}/numbers.{kind}",
            sample=SAMPLES,
            kind=["json", "csv", "tex"],
        ),
        expand(
            "results/{sample}/claims.{kind}",
            sample=SAMPLES,
            kind=["json", "csv", "tex", "html"],
        ),
        expand("results/{sample}/report/index.html", sample=SAMPLES),
        expand("results/{sample}/ro-crate-metadata.json", sample=SAMPLES),
    message:
        "Everything is there"


onerror:
    for sentence in dag.failures(log):
        print(f"The build stopped: {sentence}", file=sys.stderr)

# Targets beside the paper: negative controls and coverage. One job a control device, or ten random
# devices, so that they spread over cores, resume after an interruption and run on a cluster as they
# are, and a process pays for its tables once.
# How many runs, on which grids, is stated in workflow/config/controls.yaml and coverage.yaml.

with open("workflow/config/controls.yaml", encoding="utf-8") as stream:
    CONTROLS = yaml.safe_load(stream)
with open("workflow/config/coverage.yaml", encoding="utf-8") as stream:
    COVERAGE = yaml.safe_load(stream)


rule run_control:
    input:
        device=lambda wildcards: DEVICES[wildcards.device],
        base=lambda wildcards: dag.device_bases(wildcards.device),
        grids=DEVICES[CONTROLS["grids"]],
        claims="workflow/config/claims.yaml",
        code=code_inputs("nbnmbt.studies.runs"),
    output:
        outcomes="results/controls/runs/{device}.json",
    log:
        "results/controls/logs/{device}.log",
    benchmark:
        "results/controls/benchmarks/{device}.tsv"
    wildcard_constraints:
        device="|".join(map(re.escape, DEVICES)),
    conda:
        "../../env.yml"
    params:
        grids=CONTROLS["grids"],
        runs=list(range(1, CONTROLS["runs"] + 1)),
    message:
        "Control {wildcards.device}"
    shell:
        "python -m nbnmbt.studies.runs --device {wildcards.device:q} --runs {params.runs}"
        " --grids {params.grids} --claims {input.claims:q} --out {output.outcomes:q}"
        " > {log:q} 2>&1"


rule gather_controls:
    input:
        runs=expand(
            "results/controls/runs/{device}.json",
            device=[CONTROLS["default"], *CONTROLS["controls"]],
        ),
        controls="workflow/config/controls.yaml",
        code=code_inputs("nbnmbt.studies.controls"),
    output:
        multiext("results/controls/confusion", ".csv", ".png"),
        matrix="results/controls/confusion.json",
    log:
        "results/controls/logs/gather_controls.log",
    benchmark:
        "results/controls/benchmarks/gather_controls.tsv"
    conda:
        "../../env.yml"
    message:
        "Confusion matrix of the negative controls"
    shell:
        "python -m nbnmbt.studies.controls --controls {input.controls:q}"
        " --out {output.matrix:q} {input.runs:q} > {log:q} 2>&1"


rule controls:
    input:
        "results/controls/confusion.json",
    message:
        "The negative controls are in results/controls"


rule run_random_devices:
    input:
        device=DEVICES[COVERAGE["device"]],
        grids=DEVICES[COVERAGE["grids"]],
        priors="workflow/config/coverage.yaml",
        claims="workflow/config/claims.yaml",
        code=code_inputs("nbnmbt.studies.runs"),
    output:
        outcomes="results/coverage/runs/{first}-{last}.json",
    log:
        "results/coverage/logs/{first}-{last}.log",
    benchmark:
        "results/coverage/benchmarks/{first}-{last}.tsv"
    wildcard_constraints:
        first=r"\d+",
        last=r"\d+",
    conda:
        "../../env.yml"
    params:
        device=COVERAGE["device"],
        grids=COVERAGE["grids"],
        runs=lambda wildcards: list(
            range(int(wildcards.first), int(wildcards.last) + 1)
        ),
    message:
        "Random devices {wildcards.first} to {wildcards.last}"
    shell:
        "python -m nbnmbt.studies.runs --device {params.device} --runs {params.runs}"
        " --grids {params.grids} --priors {input.priors:q} --claims {input.claims:q}"
        " --out {output.outcomes:q} > {log:q} 2>&1"


rule gather_coverage:
    input:
        runs=[
            f"results/coverage/runs/{first}-{min(first + 9, COVERAGE['count'])}.json"
            for first in range(1, COVERAGE["count"] + 1, 10)
        ],
        code=code_inputs("nbnmbt.studies.coverage"),
    output:
        multiext("results/coverage/coverage", ".csv", ".png"),
        summary="results/coverage/coverage.json",
    log:
        "results/coverage/logs/gather_coverage.log",
    benchmark:
        "results/coverage/benchmarks/gather_coverage.tsv"
    conda:
        "../../env.yml"
    message:
        "Pulls and coverage of the reported uncertainties"
    shell:
        "python -m nbnmbt.studies.coverage --out {output.summary:q} {input.runs:q} > {log:q} 2>&1"


rule coverage:
    input:
        "results/coverage/coverage.json",
    message:
        "The coverage study is in results/coverage"

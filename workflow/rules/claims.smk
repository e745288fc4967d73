# Stage 5: numbers and statistics -> the claims of the paper, each with a verdict, and how far the
# verdict depends on the choices of the analysis.

STAGE_RESULTS = {
    "spectrum": "results/{sample}/spectrum.json",
    "transitions": "results/{sample}/transitions.json",
    "laws": "results/{sample}/laws.json",
    "kinks": "results/{sample}/kinks.json",
    "angle": "results/{sample}/angle.json",
    "loops": "results/{sample}/loops.json",
}
# Stages whose choices are swept; `joint` draws all of them at once.
SWEPT = [
    "critical_currents",
    "spectrum",
    "transitions",
    "temperature_laws",
    "kinks",
    "angle",
    "loops",
    "joint",
]


rule judge_claims:
    input:
        **STAGE_RESULTS,
        claims="workflow/config/claims.yaml",
        sheet="data/raw/{sample}/sample.yaml",
        code=code_inputs("nbnmbt.claims"),
    output:
        verdicts="results/{sample}/verdicts.json",
        inconsistencies="results/{sample}/inconsistencies.json",
    log:
        "results/{sample}/logs/judge_claims.log",
    benchmark:
        "results/{sample}/benchmarks/judge_claims.tsv"
    conda:
        "../../env.yml"
    message:
        "{wildcards.sample}: judge the claims of the paper"
    shell:
        "python -m nbnmbt.claims judge --claims {input.claims:q} --sample-yaml {input.sheet:q}"
        " --stages results/{wildcards.sample:q} --out {output.verdicts:q}"
        " --inconsistencies {output.inconsistencies:q} > {log:q} 2>&1"


rule write_ledger:
    input:
        verdicts="results/{sample}/verdicts.json",
        # The sweep of the choices, if it is asked for or was made before.
        sensitivity=lambda wildcards: dag.sensitivity_of(wildcards.sample, config),
        sheet="data/raw/{sample}/sample.yaml",
        code=code_inputs("nbnmbt.claims"),
    output:
        multiext("results/{sample}/claims", ".json", ".csv", ".tex", ".html"),
    log:
        "results/{sample}/logs/write_ledger.log",
    benchmark:
        "results/{sample}/benchmarks/write_ledger.tsv"
    conda:
        "../../env.yml"
    params:
        sensitivity=lambda wildcards, input: (
            f"--sensitivity {input.sensitivity}" if input.sensitivity else ""
        ),
    message:
        "{wildcards.sample}: write the claims ledger"
    shell:
        "python -m nbnmbt.claims ledger --verdicts {input.verdicts:q}"
        " --sample-yaml {input.sheet:q} {params.sensitivity}"
        " --out results/{wildcards.sample:q}/claims.json > {log:q} 2>&1"


rule vary_analysis:
    input:
        **STAGE_RESULTS,
        numbers="results/{sample}/numbers.json",
        claims="workflow/config/claims.yaml",
        code=code_inputs("nbnmbt.studies.sensitivity"),
    output:
        runs="results/{sample}/sensitivity/{stage}.json",
    log:
        "results/{sample}/logs/vary_analysis/{stage}.log",
    benchmark:
        "results/{sample}/benchmarks/vary_analysis/{stage}.tsv"
    wildcard_constraints:
        stage="|".join(SWEPT),
    conda:
        "../../env.yml"
    params:
        analysis=lambda wildcards: json.dumps(config["analysis"], sort_keys=True),
        joint=config["joint_variants"],
    message:
        "{wildcards.sample}: analyse again under other choices of {wildcards.stage}"
    shell:
        "python -m nbnmbt.studies.sensitivity vary --sample {wildcards.sample:q}"
        " --stage {wildcards.stage} --joint {params.joint} --analysis {params.analysis:q}"
        " --claims {input.claims:q} --out {output.runs:q} > {log:q} 2>&1"


rule gather_sensitivity:
    input:
        verdicts="results/{sample}/verdicts.json",
        runs=expand("results/{{sample}}/sensitivity/{stage}.json", stage=SWEPT),
        code=code_inputs("nbnmbt.studies.sensitivity"),
    output:
        summary="results/{sample}/sensitivity.json",
    log:
        "results/{sample}/logs/gather_sensitivity.log",
    benchmark:
        "results/{sample}/benchmarks/gather_sensitivity.tsv"
    conda:
        "../../env.yml"
    message:
        "{wildcards.sample}: gather the sweeps of the analysis choices"
    shell:
        "python -m nbnmbt.studies.sensitivity gather --ledger {input.verdicts:q}"
        " --out {output.summary:q} {input.runs:q} > {log:q} 2>&1"

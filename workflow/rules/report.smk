# Stage 6: everything a sample has -> the pages a person opens. Studies that take long (controls,
# coverage) are shown where they were built; their hash is a parameter, so that a new one is seen
# and none is ever built for the pages' sake.

from nbnmbt.report.studies import fingerprint

READ_REPORTS = [
    "rt_interface",
    "rt_mnbi2te4",
    "rt_nbn",
    "mr_interface",
    "mr_mnbi2te4",
    "mr_nbn",
    "iv_interface",
    "iv_mnbi2te4",
    "iv_nbn",
    "iv_temperature",
    "iv_out_of_plane",
    "iv_in_plane",
    "iv_angle",
    "iv_angle_nbn",
    "loops_interface",
]


rule write_report:
    input:
        sheet="data/raw/{sample}/sample.yaml",
        claims="results/{sample}/claims.json",
        inconsistencies="results/{sample}/inconsistencies.json",
        numbers="results/{sample}/numbers.json",
        figures=expand(
            "results/{{sample}}/figures/fig{n}.{kind}",
            n=range(2, 8),
            kind=["pdf", "svg", "png", "nc"],
        ),
        notebooks=expand(
            "results/{{sample}}/notebooks/{notebook}.ipynb", notebook=NOTEBOOKS
        ),
        datasets=expand(
            "results/{{sample}}/datasets/{measurement}.nc", measurement=READ_REPORTS
        ),
        fits=expand(
            "results/{{sample}}/critical_currents/{measurement}.nc",
            measurement=[
                "iv_temperature",
                "iv_out_of_plane",
                "iv_in_plane",
                "iv_angle",
            ],
        ),
        published="workflow/config/published.yaml",
        # For the pages on the workflow and on the software.
        rules=sorted(map(str, Path("workflow/rules").glob("*.smk"))),
        project="pyproject.toml",
        code=code_inputs("nbnmbt.report.build"),
    output:
        page="results/{sample}/report/index.html",
    log:
        "results/{sample}/logs/write_report.log",
    benchmark:
        "results/{sample}/benchmarks/write_report.tsv"
    conda:
        "../../env.yml"
    params:
        studies=fingerprint(),
    message:
        "{wildcards.sample}: write the report"
    shell:
        "python -m nbnmbt.report.build --sample {wildcards.sample:q}"
        " --out results/{wildcards.sample:q}/report > {log:q} 2>&1"

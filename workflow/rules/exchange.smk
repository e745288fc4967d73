# Stage 7: what leaves the house. The run as an RO-Crate beside the results, and, when asked for
# (`snakemake archive`), raw data, results, code and lock in one checksummed zip.

DESCRIBED = [
    "results/{sample}/report/index.html",
    "results/{sample}/numbers.json",
    "results/{sample}/numbers.csv",
    "results/{sample}/numbers.tex",
    "results/{sample}/claims.json",
    "results/{sample}/claims.csv",
    "results/{sample}/claims.tex",
    "results/{sample}/claims.html",
    *[
        f"results/{{sample}}/notebooks/{notebook}.{kind}"
        for notebook in NOTEBOOKS
        for kind in ("ipynb", "html")
    ],
]


rule describe_run:
    input:
        results=DESCRIBED,
        sheet="data/raw/{sample}/sample.yaml",
        measurements="data/raw/{sample}/measurements.csv",
        citation="CITATION.cff",
        snakefile="Snakefile",
        rules=sorted(map(str, Path("workflow/rules").glob("*.smk"))),
        code=code_inputs("nbnmbt.exchange"),
    output:
        crate="results/{sample}/ro-crate-metadata.json",
        workflow="results/{sample}/workflow/Snakefile",
    log:
        "results/{sample}/logs/describe_run.log",
    benchmark:
        "results/{sample}/benchmarks/describe_run.tsv"
    conda:
        "../../env.yml"
    params:
        config=json.dumps({"analysis": config["analysis"]}, sort_keys=True),
    message:
        "{wildcards.sample}: describe the run as an RO-Crate"
    shell:
        "python -m nbnmbt.exchange describe --sample {wildcards.sample:q}"
        " --config {params.config:q} --out {output.crate:q} > {log:q} 2>&1"


rule pack_archive:
    input:
        crate="results/{sample}/ro-crate-metadata.json",
        lock="requirements.lock",
        code=code_inputs("nbnmbt.exchange"),
    output:
        bundle="results/{sample}/archive/nbnmbt-{sample}.zip",
        sha256="results/{sample}/archive/nbnmbt-{sample}.zip.sha256",
    log:
        "results/{sample}/logs/pack_archive.log",
    benchmark:
        "results/{sample}/benchmarks/pack_archive.tsv"
    conda:
        "../../env.yml"
    params:
        config=json.dumps({"analysis": config["analysis"]}, sort_keys=True),
    message:
        "{wildcards.sample}: pack raw data, results, code and lock into one archive"
    shell:
        "python -m nbnmbt.exchange archive --sample {wildcards.sample:q}"
        " --config {params.config:q} --out {output.bundle:q} > {log:q} 2>&1"


rule archive:
    input:
        expand("results/{sample}/archive/nbnmbt-{sample}.zip", sample=SAMPLES),
    message:
        "The archive is in results/*/archive"

# Stage 2: the raw files of one measurement -> one labelled dataset. A sample that lacks the
# measurement gets an empty dataset that says so, hence the same work for every sample.


rule assemble_dataset:
    input:
        raw=lambda wildcards: dag.raw_files(wildcards.sample, wildcards.measurement),
        code=code_inputs("nbnmbt.datasets"),
    output:
        dataset="results/{sample}/datasets/{measurement}.nc",
    log:
        "results/{sample}/logs/assemble_dataset/{measurement}.log",
    benchmark:
        "results/{sample}/benchmarks/assemble_dataset/{measurement}.tsv"
    conda:
        "../../env.yml"
    message:
        "{wildcards.sample}: assemble {wildcards.measurement} from its raw files"
    shell:
        "python -m nbnmbt.datasets --raw data/raw/{wildcards.sample:q}"
        " --measurement {wildcards.measurement} --out {output.dataset:q} > {log:q} 2>&1"

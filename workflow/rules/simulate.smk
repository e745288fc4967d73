# Stage 1: raw files of a virtual device. A measured sample brings its own, so this rule speaks only
# of samples that have a YAML file in workflow/devices.

DEVICES = dag.devices()


rule simulate:
    input:
        device=lambda wildcards: DEVICES[wildcards.sample],
        # A device that states only its difference from another depends on that one too.
        base=lambda wildcards: dag.device_bases(wildcards.sample),
        code=code_inputs("nbnmbt.device.simulate"),
    output:
        sheet="data/raw/{sample}/sample.yaml",
        measurements="data/raw/{sample}/measurements.csv",
        truth="data/raw/{sample}/truth.json",
    log:
        "results/{sample}/logs/simulate.log",
    benchmark:
        "results/{sample}/benchmarks/simulate.tsv"
    wildcard_constraints:
        sample="|".join(map(re.escape, DEVICES)),
    conda:
        "../../env.yml"
    message:
        "{wildcards.sample}: simulate the raw files"
    shell:
        "python -m nbnmbt.device.simulate --device {input.device:q}"
        " --out data/raw/{wildcards.sample:q} > {log:q} 2>&1"

# Stage 3: datasets -> critical currents -> estimates. Each extraction is made once, here, so that
# figures, numbers and claims share it. A stage's options are its only parameters.


rule fit_critical_currents:
    input:
        dataset="results/{sample}/datasets/{measurement}.nc",
        code=code_inputs("nbnmbt.analysis.critical_currents"),
    output:
        fits="results/{sample}/critical_currents/{measurement}.nc",
    log:
        "results/{sample}/logs/fit_critical_currents/{measurement}.log",
    benchmark:
        "results/{sample}/benchmarks/fit_critical_currents/{measurement}.tsv"
    wildcard_constraints:
        measurement="iv_[a-z0-9_]+",
    conda:
        "../../env.yml"
    params:
        options=dag.options_text(config, "critical_currents"),
    message:
        "{wildcards.sample}: fit the V(I) curves of {wildcards.measurement}"
    shell:
        "python -m nbnmbt.analysis.critical_currents --dataset {input.dataset:q}"
        " --options {params.options:q} --out {output.fits:q} > {log:q} 2>&1"


rule estimate_transitions:
    input:
        rt_interface="results/{sample}/datasets/rt_interface.nc",
        rt_mnbi2te4="results/{sample}/datasets/rt_mnbi2te4.nc",
        rt_nbn="results/{sample}/datasets/rt_nbn.nc",
        mr_interface="results/{sample}/datasets/mr_interface.nc",
        mr_mnbi2te4="results/{sample}/datasets/mr_mnbi2te4.nc",
        mr_nbn="results/{sample}/datasets/mr_nbn.nc",
        code=code_inputs("nbnmbt.analysis.transitions"),
    output:
        stage="results/{sample}/transitions.json",
    log:
        "results/{sample}/logs/estimate_transitions.log",
    benchmark:
        "results/{sample}/benchmarks/estimate_transitions.tsv"
    conda:
        "../../env.yml"
    params:
        options=dag.options_text(config, "transitions"),
    message:
        "{wildcards.sample}: estimate Tc, T_N and the spin-flop and saturation fields"
    shell:
        "python -m nbnmbt.analysis.transitions"
        " --rt-interface {input.rt_interface:q} --rt-mnbi2te4 {input.rt_mnbi2te4:q}"
        " --rt-nbn {input.rt_nbn:q} --mr-interface {input.mr_interface:q}"
        " --mr-mnbi2te4 {input.mr_mnbi2te4:q} --mr-nbn {input.mr_nbn:q}"
        " --options {params.options:q} --out {output.stage:q} > {log:q} 2>&1"


rule estimate_spectrum:
    input:
        iv_interface="results/{sample}/critical_currents/iv_interface.nc",
        iv_mnbi2te4="results/{sample}/critical_currents/iv_mnbi2te4.nc",
        iv_nbn="results/{sample}/critical_currents/iv_nbn.nc",
        iv_temperature="results/{sample}/critical_currents/iv_temperature.nc",
        iv_out_of_plane="results/{sample}/critical_currents/iv_out_of_plane.nc",
        iv_in_plane="results/{sample}/critical_currents/iv_in_plane.nc",
        code=code_inputs("nbnmbt.analysis.spectrum"),
    output:
        stage="results/{sample}/spectrum.json",
    log:
        "results/{sample}/logs/estimate_spectrum.log",
    benchmark:
        "results/{sample}/benchmarks/estimate_spectrum.tsv"
    conda:
        "../../env.yml"
    params:
        options=dag.options_text(config, "spectrum"),
    message:
        "{wildcards.sample}: estimate the critical currents at 2 K"
    shell:
        "python -m nbnmbt.analysis.spectrum"
        " --iv-interface {input.iv_interface:q} --iv-mnbi2te4 {input.iv_mnbi2te4:q}"
        " --iv-nbn {input.iv_nbn:q} --iv-temperature {input.iv_temperature:q}"
        " --iv-out-of-plane {input.iv_out_of_plane:q} --iv-in-plane {input.iv_in_plane:q}"
        " --options {params.options:q} --out {output.stage:q} > {log:q} 2>&1"


rule fit_temperature_laws:
    input:
        fits="results/{sample}/critical_currents/iv_temperature.nc",
        code=code_inputs("nbnmbt.analysis.temperature_laws"),
    output:
        stage="results/{sample}/laws.json",
    log:
        "results/{sample}/logs/fit_temperature_laws.log",
    benchmark:
        "results/{sample}/benchmarks/fit_temperature_laws.tsv"
    conda:
        "../../env.yml"
    params:
        options=dag.options_text(config, "temperature_laws"),
    message:
        "{wildcards.sample}: fit the temperature laws of the critical currents"
    shell:
        "python -m nbnmbt.analysis.temperature_laws --critical-currents {input.fits:q}"
        " --options {params.options:q} --out {output.stage:q} > {log:q} 2>&1"


rule detect_kinks:
    input:
        out_of_plane="results/{sample}/critical_currents/iv_out_of_plane.nc",
        in_plane="results/{sample}/critical_currents/iv_in_plane.nc",
        transitions="results/{sample}/transitions.json",
        code=code_inputs("nbnmbt.analysis.kinks"),
    output:
        stage="results/{sample}/kinks.json",
    log:
        "results/{sample}/logs/detect_kinks.log",
    benchmark:
        "results/{sample}/benchmarks/detect_kinks.tsv"
    conda:
        "../../env.yml"
    params:
        options=dag.options_text(config, "kinks"),
    message:
        "{wildcards.sample}: look for kinks of the critical currents against field"
    shell:
        "python -m nbnmbt.analysis.kinks --out-of-plane {input.out_of_plane:q}"
        " --in-plane {input.in_plane:q} --transitions {input.transitions:q}"
        " --options {params.options:q} --out {output.stage:q} > {log:q} 2>&1"


rule analyse_angle:
    input:
        angle="results/{sample}/critical_currents/iv_angle.nc",
        angle_nbn="results/{sample}/critical_currents/iv_angle_nbn.nc",
        in_plane="results/{sample}/critical_currents/iv_in_plane.nc",
        out_of_plane="results/{sample}/critical_currents/iv_out_of_plane.nc",
        code=code_inputs("nbnmbt.analysis.angle"),
    output:
        stage="results/{sample}/angle.json",
    log:
        "results/{sample}/logs/analyse_angle.log",
    benchmark:
        "results/{sample}/benchmarks/analyse_angle.tsv"
    conda:
        "../../env.yml"
    params:
        options=dag.options_text(config, "angle"),
    message:
        "{wildcards.sample}: analyse the dependence on the in-plane angle"
    shell:
        "python -m nbnmbt.analysis.angle --angle {input.angle:q}"
        " --angle-nbn {input.angle_nbn:q} --in-plane {input.in_plane:q}"
        " --out-of-plane {input.out_of_plane:q}"
        " --options {params.options:q} --out {output.stage:q} > {log:q} 2>&1"


rule fit_loops:
    input:
        loops="results/{sample}/datasets/loops_interface.nc",
        transitions="results/{sample}/transitions.json",
        code=code_inputs("nbnmbt.analysis.loops"),
    output:
        loops="results/{sample}/loops.nc",
        stage="results/{sample}/loops.json",
    log:
        "results/{sample}/logs/fit_loops.log",
    benchmark:
        "results/{sample}/benchmarks/fit_loops.tsv"
    conda:
        "../../env.yml"
    params:
        options=dag.options_text(config, "loops"),
    message:
        "{wildcards.sample}: fit the hysteresis loops"
    shell:
        "python -m nbnmbt.analysis.loops --loops {input.loops:q}"
        " --transitions {input.transitions:q} --options {params.options:q}"
        " --out {output.stage:q} --out-loops {output.loops:q} > {log:q} 2>&1"


rule collect_numbers:
    input:
        spectrum="results/{sample}/spectrum.json",
        transitions="results/{sample}/transitions.json",
        laws="results/{sample}/laws.json",
        kinks="results/{sample}/kinks.json",
        angle="results/{sample}/angle.json",
        loops="results/{sample}/loops.json",
        code=code_inputs("nbnmbt.numbers"),
    output:
        multiext("results/{sample}/numbers", ".json", ".csv", ".tex"),
    log:
        "results/{sample}/logs/collect_numbers.log",
    benchmark:
        "results/{sample}/benchmarks/collect_numbers.tsv"
    conda:
        "../../env.yml"
    message:
        "{wildcards.sample}: collect the numbers"
    shell:
        "python -m nbnmbt.numbers --spectrum {input.spectrum:q} --transitions {input.transitions:q}"
        " --temperature-laws {input.laws:q} --kinks {input.kinks:q} --angle {input.angle:q}"
        " --loops {input.loops:q} --out results/{wildcards.sample:q}/numbers > {log:q} 2>&1"

# Stage 4: one notebook a figure, executed with the sample as its parameter. The executed notebook is
# an output like the figure itself. Each rule names what its notebook opens, and the code it runs.

NOTEBOOKS = [
    "fig2_transport_properties",
    "fig3_temperature_spectra",
    "fig4_field_spectra",
    "fig5_critical_currents",
    "fig6_angular_spectra",
    "fig7_interface_magnetism",
]


rule draw_fig2:
    input:
        notebook="notebooks/fig2_transport_properties.ipynb",
        sheet=multiext("data/raw/{sample}/", "sample.yaml", "measurements.csv"),
        published="workflow/config/published.yaml",
        datasets=expand(
            "results/{{sample}}/datasets/{measurement}.nc",
            measurement=[
                "rt_interface",
                "rt_mnbi2te4",
                "rt_nbn",
                "mr_interface",
                "mr_mnbi2te4",
                "mr_nbn",
                "iv_interface",
                "iv_mnbi2te4",
                "iv_nbn",
            ],
        ),
        fits=expand(
            "results/{{sample}}/critical_currents/{measurement}.nc",
            measurement=[
                "iv_interface",
                "iv_mnbi2te4",
                "iv_nbn",
            ],
        ),
        stages=[
            "results/{sample}/transitions.json",
            "results/{sample}/spectrum.json",
        ],
        code=code_inputs(
            "nbnmbt.notebooks", "notebooks/fig2_transport_properties.ipynb"
        ),
    output:
        multiext("results/{sample}/figures/fig2", ".pdf", ".svg", ".png", ".nc"),
        notebook="results/{sample}/notebooks/fig2_transport_properties.ipynb",
        page="results/{sample}/notebooks/fig2_transport_properties.html",
        numbers="results/{sample}/numbers/fig2.json",
    log:
        "results/{sample}/logs/draw_fig2.log",
    benchmark:
        "results/{sample}/benchmarks/draw_fig2.tsv"
    conda:
        "../../env.yml"
    message:
        "{wildcards.sample}: draw Fig. 2, the transport properties"
    shell:
        "python -m nbnmbt.notebooks run {input.notebook:q} {output.notebook:q}"
        " -p sample {wildcards.sample:q} > {log:q} 2>&1"


rule draw_fig3:
    input:
        notebook="notebooks/fig3_temperature_spectra.ipynb",
        sheet=multiext("data/raw/{sample}/", "sample.yaml", "measurements.csv"),
        published="workflow/config/published.yaml",
        datasets="results/{sample}/datasets/iv_temperature.nc",
        fits="results/{sample}/critical_currents/iv_temperature.nc",
        stages="results/{sample}/laws.json",
        code=code_inputs("nbnmbt.notebooks", "notebooks/fig3_temperature_spectra.ipynb"),
    output:
        multiext("results/{sample}/figures/fig3", ".pdf", ".svg", ".png", ".nc"),
        notebook="results/{sample}/notebooks/fig3_temperature_spectra.ipynb",
        page="results/{sample}/notebooks/fig3_temperature_spectra.html",
        numbers="results/{sample}/numbers/fig3.json",
    log:
        "results/{sample}/logs/draw_fig3.log",
    benchmark:
        "results/{sample}/benchmarks/draw_fig3.tsv"
    conda:
        "../../env.yml"
    message:
        "{wildcards.sample}: draw Fig. 3, the spectra against temperature"
    shell:
        "python -m nbnmbt.notebooks run {input.notebook:q} {output.notebook:q}"
        " -p sample {wildcards.sample:q} > {log:q} 2>&1"


rule draw_fig4:
    input:
        notebook="notebooks/fig4_field_spectra.ipynb",
        sheet=multiext("data/raw/{sample}/", "sample.yaml", "measurements.csv"),
        published="workflow/config/published.yaml",
        datasets=expand(
            "results/{{sample}}/datasets/{measurement}.nc",
            measurement=[
                "iv_out_of_plane",
                "iv_in_plane",
            ],
        ),
        fits=expand(
            "results/{{sample}}/critical_currents/{measurement}.nc",
            measurement=[
                "iv_out_of_plane",
                "iv_in_plane",
            ],
        ),
        stages="results/{sample}/kinks.json",
        code=code_inputs("nbnmbt.notebooks", "notebooks/fig4_field_spectra.ipynb"),
    output:
        multiext("results/{sample}/figures/fig4", ".pdf", ".svg", ".png", ".nc"),
        notebook="results/{sample}/notebooks/fig4_field_spectra.ipynb",
        page="results/{sample}/notebooks/fig4_field_spectra.html",
        numbers="results/{sample}/numbers/fig4.json",
    log:
        "results/{sample}/logs/draw_fig4.log",
    benchmark:
        "results/{sample}/benchmarks/draw_fig4.tsv"
    conda:
        "../../env.yml"
    message:
        "{wildcards.sample}: draw Fig. 4, the spectra against field"
    shell:
        "python -m nbnmbt.notebooks run {input.notebook:q} {output.notebook:q}"
        " -p sample {wildcards.sample:q} > {log:q} 2>&1"


rule draw_fig5:
    input:
        notebook="notebooks/fig5_critical_currents.ipynb",
        sheet=multiext("data/raw/{sample}/", "sample.yaml", "measurements.csv"),
        published="workflow/config/published.yaml",
        fits=expand(
            "results/{{sample}}/critical_currents/{measurement}.nc",
            measurement=[
                "iv_temperature",
                "iv_out_of_plane",
                "iv_in_plane",
            ],
        ),
        stages=[
            "results/{sample}/laws.json",
            "results/{sample}/kinks.json",
        ],
        code=code_inputs("nbnmbt.notebooks", "notebooks/fig5_critical_currents.ipynb"),
    output:
        multiext("results/{sample}/figures/fig5", ".pdf", ".svg", ".png", ".nc"),
        notebook="results/{sample}/notebooks/fig5_critical_currents.ipynb",
        page="results/{sample}/notebooks/fig5_critical_currents.html",
        numbers="results/{sample}/numbers/fig5.json",
    log:
        "results/{sample}/logs/draw_fig5.log",
    benchmark:
        "results/{sample}/benchmarks/draw_fig5.tsv"
    conda:
        "../../env.yml"
    message:
        "{wildcards.sample}: draw Fig. 5, the critical currents"
    shell:
        "python -m nbnmbt.notebooks run {input.notebook:q} {output.notebook:q}"
        " -p sample {wildcards.sample:q} > {log:q} 2>&1"


rule draw_fig6:
    input:
        notebook="notebooks/fig6_angular_spectra.ipynb",
        sheet=multiext("data/raw/{sample}/", "sample.yaml", "measurements.csv"),
        published="workflow/config/published.yaml",
        datasets=expand(
            "results/{{sample}}/datasets/{measurement}.nc",
            measurement=[
                "iv_angle",
                "iv_angle_nbn",
            ],
        ),
        fits=expand(
            "results/{{sample}}/critical_currents/{measurement}.nc",
            measurement=[
                "iv_angle",
                "iv_angle_nbn",
            ],
        ),
        stages="results/{sample}/angle.json",
        code=code_inputs("nbnmbt.notebooks", "notebooks/fig6_angular_spectra.ipynb"),
    output:
        multiext("results/{sample}/figures/fig6", ".pdf", ".svg", ".png", ".nc"),
        notebook="results/{sample}/notebooks/fig6_angular_spectra.ipynb",
        page="results/{sample}/notebooks/fig6_angular_spectra.html",
        numbers="results/{sample}/numbers/fig6.json",
    log:
        "results/{sample}/logs/draw_fig6.log",
    benchmark:
        "results/{sample}/benchmarks/draw_fig6.tsv"
    conda:
        "../../env.yml"
    message:
        "{wildcards.sample}: draw Fig. 6, the spectra against angle"
    shell:
        "python -m nbnmbt.notebooks run {input.notebook:q} {output.notebook:q}"
        " -p sample {wildcards.sample:q} > {log:q} 2>&1"


rule draw_fig7:
    input:
        notebook="notebooks/fig7_interface_magnetism.ipynb",
        sheet=multiext("data/raw/{sample}/", "sample.yaml", "measurements.csv"),
        published="workflow/config/published.yaml",
        datasets="results/{sample}/datasets/loops_interface.nc",
        stages=[
            "results/{sample}/transitions.json",
            "results/{sample}/loops.json",
            "results/{sample}/loops.nc",
        ],
        code=code_inputs("nbnmbt.notebooks", "notebooks/fig7_interface_magnetism.ipynb"),
    output:
        multiext("results/{sample}/figures/fig7", ".pdf", ".svg", ".png", ".nc"),
        notebook="results/{sample}/notebooks/fig7_interface_magnetism.ipynb",
        page="results/{sample}/notebooks/fig7_interface_magnetism.html",
        numbers="results/{sample}/numbers/fig7.json",
    log:
        "results/{sample}/logs/draw_fig7.log",
    benchmark:
        "results/{sample}/benchmarks/draw_fig7.tsv"
    conda:
        "../../env.yml"
    message:
        "{wildcards.sample}: draw Fig. 7, the magnetism of the interface"
    shell:
        "python -m nbnmbt.notebooks run {input.notebook:q} {output.notebook:q}"
        " -p sample {wildcards.sample:q} > {log:q} 2>&1"

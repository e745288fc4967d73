"""JupyterLab as a person meets it: open the notebook of Fig. 5, Run All Cells, see the figure.

Such a test passes by itself unless care is taken: stored outputs are stripped first, a kernel has
to be seen, every cell is kept on the page, and the file that JupyterLab saves is judged.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = "fig5_critical_currents.ipynb"
TOKEN = "for-a-test-on-this-machine-only"


@pytest.fixture(scope="module")
def lab(surrogate: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """JupyterLab on a copy of the notebook without outputs; its address and the folder."""
    pytest.importorskip("jupyterlab", reason="JupyterLab is not installed")
    home = tmp_path_factory.mktemp("home")
    # inside the checkout, so that the notebook finds it from where it lies
    folder = ROOT / "results" / f".lab-{os.getpid()}"
    folder.mkdir(parents=True)
    notebook = json.loads((ROOT / "notebooks" / NOTEBOOK).read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell["outputs"], cell["execution_count"] = [], None
    (folder / NOTEBOOK).write_text(json.dumps(notebook), encoding="utf-8")
    settings = home / "settings" / "@jupyterlab" / "notebook-extension"
    settings.mkdir(parents=True)
    # without this, cells out of view are not on the page
    (settings / "tracker.jupyterlab-settings").write_text('{"windowingMode": "none"}')
    news = home / "settings" / "@jupyterlab" / "apputils-extension"
    news.mkdir(parents=True)
    (news / "notification.jupyterlab-settings").write_text(
        '{"fetchNews": "false", "checkForUpdates": false}'
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {
        "HOME": str(home),
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "IPYTHONDIR": str(home / "ipython"),
    }
    command = [sys.executable, "-m", "jupyter", "lab", "--no-browser", "--allow-root"]
    command += [f"--port={port}", "--ip=127.0.0.1", f"--IdentityProvider.token={TOKEN}"]
    command += [f"--ServerApp.root_dir={folder}"]
    log = (home / "lab.log").open("w")
    server = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            if server.poll() is not None:
                pytest.fail("JupyterLab ended:\n" + (home / "lab.log").read_text()[-2000:])
            try:
                ask(address, "status")
                break
            except urllib.error.URLError:
                time.sleep(0.1)
        yield address, folder
    finally:
        server.terminate()
        try:
            server.wait(15)
        except subprocess.TimeoutExpired:
            server.kill()
        log.close()
        shutil.rmtree(folder, ignore_errors=True)


def ask(address: str, what: str):
    request = urllib.request.Request(
        f"{address}/api/{what}", headers={"Authorization": f"token {TOKEN}"}
    )
    with urllib.request.urlopen(request, timeout=5) as answer:
        return json.load(answer)


def test_run_all_cells_of_fig5_shows_the_figure(driver, lab):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

    address, folder = lab

    def wait(condition, seconds=30):
        return WebDriverWait(driver, seconds, poll_frequency=0.2).until(lambda _: condition())

    def by(selector):
        return driver.find_elements(By.CSS_SELECTOR, selector)

    driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": 1400, "height": 1000, "deviceScaleFactor": 1, "mobile": False},
    )
    driver.get(f"{address}/lab/tree/{NOTEBOOK}?token={TOKEN}&reset")
    wait(lambda: by(".jp-Notebook .jp-CodeCell"), 60)
    wait(lambda: [s for s in ask(address, "sessions") if s["kernel"]["execution_state"] == "idle"])
    assert not by(".jp-OutputArea-output"), "outputs are there before anything ran"

    def menu(name: str, entry: str) -> None:
        wait(lambda: [e for e in by(".lm-MenuBar-item") if e.text == name])[0].click()
        items = wait(lambda: [e for e in by(".lm-Menu-item") if e.text.startswith(entry)])
        items[0].click()

    menu("Run", "Run All Cells")
    path = folder / NOTEBOOK
    cells = [c for c in json.loads(path.read_text())["cells"] if c["cell_type"] == "code"]
    prompts = [f"[{n}]:" for n in range(1, len(cells) + 1)]
    wait(lambda: [e.text for e in by(".jp-CodeCell .jp-InputPrompt")] == prompts, 60)

    # the figure is on the page as a person sees it
    pictures = by(".jp-RenderedImage img")
    assert pictures
    sizes = [driver.execute_script("return arguments[0].naturalWidth", p) for p in pictures]
    assert max(sizes) > 800

    # and in the file that JupyterLab saves
    menu("File", "Save Notebook")
    wait(lambda: '"execution_count": 1,' in path.read_text(), 20)
    saved = [c for c in json.loads(path.read_text())["cells"] if c["cell_type"] == "code"]
    assert [c["execution_count"] for c in saved] == list(range(1, len(saved) + 1))
    outputs = [output for cell in saved for output in cell["outputs"]]
    assert not [o for o in outputs if o["output_type"] == "error"]
    figure = next(cell for cell in saved if "fig5.draw(" in "".join(cell["source"]))
    assert any("image/png" in output.get("data", {}) for output in figure["outputs"])

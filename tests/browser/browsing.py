"""How the browser tests look at a page: every look survives that the page changes under it.

A page that redraws itself replaces elements between two calls of the driver. So a text is read in
one call, in the page; and a wait takes an element that has gone since for "not yet".
"""

from __future__ import annotations

import contextlib
import json
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

#: Of JupyterLab, which listens on this machine only.
TOKEN = "for-a-test-on-this-machine-only"


def by(driver, selector: str, within=None) -> list:
    """Return the elements of a CSS selector."""
    from selenium.webdriver.common.by import By

    return (within or driver).find_elements(By.CSS_SELECTOR, selector)


def wait(driver, condition: Callable[[], Any], seconds: float = 30) -> Any:
    """Return what the condition returns once that is true."""
    from selenium.common import exceptions
    from selenium.webdriver.support.ui import WebDriverWait

    not_yet = (
        exceptions.StaleElementReferenceException,
        exceptions.NoSuchElementException,
        exceptions.ElementNotInteractableException,
        exceptions.ElementClickInterceptedException,
        exceptions.MoveTargetOutOfBoundsException,
    )
    patience = WebDriverWait(driver, seconds, poll_frequency=0.05, ignored_exceptions=not_yet)
    return patience.until(lambda _: condition())


def visit(driver, address: str) -> None:
    """Load a page and wait until it is there whole.

    A browser that has just started can drop the first address it is sent, or answer for the page
    that was there before. So the address is asked for, and sent again while it is another.
    """

    def there() -> bool:
        if driver.execute_script("return document.URL") != address:
            driver.get(address)
            return False
        return driver.execute_script("return document.readyState") == "complete"

    # between two pages even the same address would be taken for a place on this one
    driver.get("about:blank")
    driver.get_log("browser")
    wait(driver, there)


def click(driver, selector: str, text: str, seconds: float = 30) -> None:
    """Click the element of a CSS selector whose text begins so, as soon as there is one."""

    def clicked() -> bool:
        for element in by(driver, selector):
            if element.text.startswith(text):
                element.click()
                return True
        return False

    wait(driver, clicked, seconds)


def texts(driver, selector: str, within=None) -> list[str]:
    """Return the texts of the elements of a CSS selector, all at one moment."""
    return driver.execute_script(
        "return [...(arguments[1] || document).querySelectorAll(arguments[0])]"
        ".map(element => element.innerText.trim())",
        selector,
        within,
    )


def window(driver, width: int = 1400, height: int = 1000) -> None:
    """Give the page this many pixels; below 600 it is a phone."""
    driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600},
    )


def ask(address: str, what: str, method: str = "GET") -> Any:
    """Return what JupyterLab's server answers."""
    request = urllib.request.Request(
        f"{address}/api/{what}", headers={"Authorization": f"token {TOKEN}"}, method=method
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read() or "null")


class Notebook:
    """A notebook open in JupyterLab, nothing of it run yet.

    Parameters
    ----------
    driver : selenium.webdriver.Chrome
    address : str
        Of JupyterLab's server.
    name : str
        File of the notebook in the server's folder.
    """

    def __init__(self, driver, address: str, name: str) -> None:
        self.driver, self.address, self.name = driver, address, name
        # a laptop's screen
        window(driver, 1366, 768)
        driver.get(f"{address}/lab/tree/{name}?token={TOKEN}&reset")
        self.wait(lambda: by(driver, ".jp-Notebook .jp-CodeCell"), 60)
        # a run that no kernel answers would leave everything as it is
        self.wait(
            lambda: any(s["kernel"]["execution_state"] == "idle" for s in self.sessions()), 60
        )
        assert not by(driver, ".jp-OutputArea-output"), "outputs are there before anything ran"

    def wait(self, condition: Callable[[], Any], seconds: float = 30) -> Any:
        return wait(self.driver, condition, seconds)

    def sessions(self) -> list[dict[str, Any]]:
        return [one for one in ask(self.address, "sessions") if one["path"] == self.name]

    def kernel_seconds(self) -> float:
        """Return the processor time that the kernel has used so far."""
        import psutil

        kernel = self.sessions()[0]["kernel"]["id"]
        for process in psutil.Process().children(recursive=True):
            # of what ended meanwhile nothing can be asked
            with contextlib.suppress(psutil.Error):
                if any(kernel in word for word in process.cmdline()):
                    times = process.cpu_times()
                    return times.user + times.system
        raise AssertionError("the kernel's process is not found")

    def menu(self, name: str, entry: str) -> None:
        click(self.driver, ".lm-MenuBar-item", name)
        click(self.driver, ".lm-Menu-item", entry)

    def run_all(self, cells: int) -> None:
        """Run all cells and wait until each has its number, in order."""
        self.menu("Run", "Run All Cells")
        prompts = [f"[{n}]:" for n in range(1, cells + 1)]
        self.wait(lambda: texts(self.driver, ".jp-CodeCell .jp-InputPrompt") == prompts, 240)

    def saved(self, path: Path) -> list[dict[str, Any]]:
        """Save the notebook and return the code cells of the file; none may have failed."""
        self.menu("File", "Save Notebook")
        found: list[dict[str, Any]] = []

        def whole() -> bool:
            # The server writes while this reads: half a file is no file yet.
            text = path.read_text(encoding="utf-8")
            with contextlib.suppress(json.JSONDecodeError):
                found[:] = json.loads(text)["cells"]
            return bool(found) and '"execution_count": 1,' in text

        self.wait(whole)
        cells = found
        code = [cell for cell in cells if cell["cell_type"] == "code"]
        assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
        errors = [o for cell in code for o in cell["outputs"] if o["output_type"] == "error"]
        assert not errors, f"{errors[0]['ename']}: {errors[0]['evalue']}"
        return code

    def cell(self, source: str):
        """Return the cell whose source begins so, scrolled into view."""
        found = self.driver.execute_script(
            """const cells = [...document.querySelectorAll('.jp-CodeCell')];
            const cell = cells.find(one => one.querySelector('.cm-content')
              .textContent.startsWith(arguments[0]));
            if (cell) cell.scrollIntoView();
            return cell || null;""",
            source,
        )
        assert found, f"no cell begins with {source}"
        return found

    def close(self) -> None:
        """End the kernel: the next notebook wants its core."""
        for session in self.sessions():
            ask(self.address, f"sessions/{session['id']}", "DELETE")

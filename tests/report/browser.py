"""A page in headless Chromium: what a reader would stumble over, as lists of faults that are empty for a good page.

The browser is offline: what a page does not hold itself it cannot show.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

PROGRAMS = ("chromium", "chromedriver")
MISSING = [name for name in PROGRAMS if shutil.which(name) is None]
NEEDS_BROWSER = pytest.mark.skipif(
    bool(MISSING), reason=f"NOT TESTED in a browser: {' and '.join(MISSING)} missing, Debian has both as packages"
)
WIDE, PHONE = 1200, 390
HEIGHT = 844
LOAD_S = 30

# Of every chart that is shown: how many marks it drew, and its size.
_PLOTS = """
return [...document.querySelectorAll(".plot")].filter(place => !place.closest("[hidden]")).map(place => {
  const marks = [...place.querySelectorAll(
    ".scatterlayer path, .barlayer path, .heatmaplayer image, .imagelayer image, .errorbars path"
  )].filter(mark => mark.tagName !== "path" || (mark.getAttribute("d") || "").length > 4);
  const area = place.getBoundingClientRect();
  return [place.id, marks.length, area.width, area.height];
});
"""
_CELLS = """
return [...document.querySelectorAll("table")].map(table => [
  (table.closest("section, div[data-scenario]") || table).innerText.slice(0, 60),
  [...table.querySelectorAll("tbody tr")].map(row => [...row.children].map(cell => cell.textContent.trim())),
]);
"""
# What sticks out of the window, but for what scrolls by itself.
_WIDE = """
const width = document.documentElement.clientWidth;
if (document.documentElement.scrollWidth <= width) return [];
return [...document.body.querySelectorAll("*")].filter(one => one.getBoundingClientRect().right > width + 1)
  .slice(0, 5).map(one => one.tagName + "." + one.className);
"""
_WORDS = ("undefined", "NaN", "[object", "Infinity")


class Page:
    """One opened page."""

    def __init__(self, driver: Any) -> None:
        self._driver = driver

    def open(self, path: Path, *, width: int = WIDE, height: int = HEIGHT, dark: bool = False) -> Page:
        """Opens a file in a window of this width; what an earlier page logged is forgotten."""
        self._send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.dark(dark)
        self._driver.get("about:blank")
        self._driver.get_log("browser")
        self._driver.get(path.resolve().as_uri())
        return self

    def dark(self, on: bool) -> None:
        """The reader prefers dark pages, or light ones."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if on else "light"}
        self._send("Emulation.setEmulatedMedia", features=[scheme])

    def resize(self, width: int) -> None:
        """The window is so wide from now on."""
        self._send("Emulation.setDeviceMetricsOverride", width=width, height=HEIGHT, deviceScaleFactor=1, mobile=False)

    def ask(self, script: str, *arguments: Any) -> Any:
        """What a script returns in the page."""
        return self._driver.execute_script(script, *arguments)

    def faults(self) -> list[str]:
        """Everything that is wrong with the page as it is shown now."""
        return [*self.script_errors(), *self.undrawn(), *self.bad_cells(), *self.bad_words(), *self.sticking_out()]

    def script_errors(self) -> list[str]:
        """What the browser complained of since the page was opened or this was asked last."""
        return [f"{entry['level']}: {entry['message']}" for entry in self._driver.get_log("browser")]

    def plots(self) -> dict[str, int]:
        """Marks by chart that is shown: points, lines, bars."""
        return {name: marks for name, marks, _, _ in self.ask(_PLOTS)}

    def undrawn(self) -> list[str]:
        """Charts that have a place and nothing in it."""
        return [
            f"chart {name} has {marks} marks on {width} x {height} pixels"
            for name, marks, width, height in self.ask(_PLOTS)
            if not marks or width < 100 or height < 100
        ]

    def bad_cells(self) -> list[str]:
        """Tables without rows, and cells with nothing in them. A first table's rows of one cell are headings."""
        faults = []
        for where, rows in self.ask(_CELLS):
            if not rows:
                faults.append(f"table without rows: {where!r}")
            faults += [f"empty cell in {row} of {where!r}" for row in rows if not all(row)]
        return faults

    def bad_words(self) -> list[str]:
        """What a script shows where it has nothing."""
        text = self.ask("return document.body.innerText")
        return [f"the page says {word}" for word in _WORDS if word in text]

    def sticking_out(self) -> list[str]:
        """Elements because of which the page scrolls sideways."""
        return [f"sticks out: {one}" for one in self.ask(_WIDE)]

    def press(self, kind: str, number: int) -> None:
        """Presses a button that chooses a `kind`."""
        self.ask(f"document.querySelector('[data-choose={kind}][data-value=\"{number}\"]').click()")

    def pressed(self, kind: str) -> list[int]:
        """Which buttons of a `kind` are pressed."""
        script = f"return [...document.querySelectorAll('[data-choose={kind}][aria-pressed=true]')]"
        return [int(value) for value in self.ask(f"{script}.map(one => one.dataset.value)")]

    def picture(self, path: Path, *, width: int, height: int) -> None:
        """Writes the top of the page as PNG."""
        import base64

        shown = self._send(
            "Page.captureScreenshot",
            format="png",
            captureBeyondViewport=True,
            clip={"x": 0, "y": 0, "width": width, "height": height, "scale": 1},
        )
        path.write_bytes(base64.b64decode(shown["data"]))

    def _send(self, command: str, **values: Any) -> Any:
        return self._driver.execute_cdp_cmd(command, values)


@contextmanager
def chromium() -> Iterator[Page]:
    """A headless Chromium without a network."""
    options = Options()
    options.binary_location = shutil.which("chromium") or ""
    for argument in (
        "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
        "--force-color-profile=srgb", "--font-render-hinting=none", "--lang=en-US",
    ):  # fmt: skip
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    try:
        driver.set_page_load_timeout(LOAD_S)
        driver.execute_cdp_cmd("Network.enable", {})
        driver.execute_cdp_cmd(
            "Network.emulateNetworkConditions",
            {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0},
        )
        yield Page(driver)
    finally:
        driver.quit()

"""JupyterLab as a person has it: a server, a kernel of this checkout, and Debian's chromium.

    python -m integration.jupyterlab_lane       # installs what the lane needs

JupyterLab and playwright lie in a virtual environment of their own: nothing else here needs them.
The kernel is this Python's.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from integration.beds import BedCannotRun, BedFailed, _packages
from integration.venvs import tools_venv

LIGHT, DARK = "JupyterLab Light", "JupyterLab Dark"
_BROWSER = "chromium"
_KERNEL = "checkout"
_PATIENCE = 60.0
"""Seconds for what a person would give up on; a machine that does other work is slow."""
_SETTINGS = {"apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False}}
"""JupyterLab asks new users whether it may fetch news."""
_MEASURE = Path(__file__).with_name("jupyterlab_lane.js").read_text("utf-8")


def prepare() -> Path:
    """The virtual environment, made unless it is there; the browser is there then, too.

    Raises:
        BedCannotRun: there is no browser, and it cannot be installed.
    """
    _packages.require({_BROWSER: "chromium"})
    return tools_venv("jupyterlab", "jupyterlab>=4.2", "playwright>=1.49")


@contextmanager
def opened(folder: Path, cells: Sequence[str], env: Mapping[str, str]) -> Iterator[Lab]:
    """A notebook with these cells in a browser's window, none of them run; its kernel is idle.

    Args:
        folder: an empty one; the server's log is in it then.
        env: all variables of the server and of the kernel, but for those that name the user's own
            settings.

    Raises:
        BedCannotRun: as `prepare`.
        BedFailed: the server did not come up.
    """
    venv = prepare()
    with _served(venv, folder, cells, env) as url, _browser(venv) as browser:
        page = browser.new_page(viewport={"width": 1200, "height": 900})
        page.set_default_timeout(_PATIENCE * 1000)
        page.goto(url)
        page.get_by_text(f"{_KERNEL} | Idle").wait_for()
        yield Lab(page, tuple(cells))


@dataclass(frozen=True)
class Lab:
    """The window, and what a person does there."""

    page: Any
    """Playwright's."""
    cells: tuple[str, ...]

    def run(self, cell: str) -> None:
        """Run a cell to its end."""
        self.begin(cell)
        self.wait(cell)

    def begin(self, cell: str) -> None:
        """Run a cell."""
        self._cell(cell).locator(".cm-content").click()
        self.page.keyboard.press("Control+Enter")

    def wait(self, cell: str) -> None:
        """Until a cell has run: a number stands beside it in place of a star."""
        prompt = self._cell(cell).locator(".jp-InputPrompt")
        prompt.get_by_text(re.compile(r"\[\d+\]")).wait_for(timeout=200_000)

    def interrupt(self) -> None:
        """The square in the toolbar."""
        self.page.locator('[data-command="notebook:interrupt-kernel"]').first.click()

    def watch(self) -> None:
        """From now on, keep what each output shows while it changes."""
        self.page.evaluate(f"({_MEASURE}).watch()")

    def watched(self) -> list[list[str]]:
        """What the outputs that are no stream and no table showed together, each time that one of
        them changed.
        """
        seen: list[list[str]] = self.page.evaluate("window.boatSeen")
        return seen

    def choose(self, theme: str) -> None:
        """Settings, Theme."""
        self.page.get_by_text("Settings", exact=True).click()
        for item in ("Theme", theme):
            self.page.locator(".lm-Menu-itemLabel").get_by_text(item, exact=True).click()
        light = "true" if theme == LIGHT else "false"
        self.page.wait_for_function(
            "light => document.body.dataset.jpThemeLight === light", arg=light
        )

    def hide_files(self) -> None:
        """Close the list of files at the left."""
        self.page.locator('.lm-TabBar-tab[data-id="filebrowser"]').click()
        self.page.locator(".jp-DirListing").first.wait_for(state="hidden")

    def look(self, width: int, picture: Path | None = None) -> dict[str, list[Any]]:
        """What the outputs of each cell look like in a window of this width: source -> outputs, as
        `measure` in jupyterlab_lane.js has them.

        The window is as high as the notebook: what is out of sight is not drawn.
        """
        self.page.set_viewport_size({"width": width, "height": 3600})
        self.page.wait_for_timeout(500)  # drawn anew, in steps
        if picture:
            picture.parent.mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=str(picture))
        return dict(zip(self.cells, self.page.evaluate(f"({_MEASURE}).measure()"), strict=True))

    def _cell(self, source: str) -> Any:
        return self.page.locator(".jp-Notebook .jp-Cell").nth(self.cells.index(source))


@contextmanager
def _browser(venv: Path) -> Iterator[Any]:
    (libraries,) = venv.glob("lib/python*/site-packages")
    sys.path.append(str(libraries))
    try:
        from playwright.sync_api import sync_playwright

        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=shutil.which(_BROWSER))
            try:
                yield browser
            finally:
                browser.close()
    finally:
        sys.path.remove(str(libraries))


@contextmanager
def _served(
    venv: Path, folder: Path, cells: Sequence[str], env: Mapping[str, str]
) -> Iterator[str]:
    """URL of the notebook."""
    notebooks = folder / "notebooks"
    _write(notebooks / "boat.ipynb", _notebook(cells))
    _write(folder / "data" / "kernels" / _KERNEL / "kernel.json", _kernel())
    for name, setting in _SETTINGS.items():
        _write(folder / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings", setting)
    command = [str(venv / "bin" / "python"), "-m", "jupyterlab", "--no-browser", "--allow-root"]
    command += ["--ip=127.0.0.1", "--ServerApp.port_retries=100", f"--notebook-dir={notebooks}"]
    command += ["--LabApp.extension_manager=readonly"]
    with (folder / "jupyterlab.log").open("wb") as log:
        server = subprocess.Popen(
            command,
            cwd=folder,
            env=_environment(folder, env),
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        known = _known_server(server, folder)
        yield f"{known['url']}lab/tree/boat.ipynb?token={known['token']}"
    finally:
        server.terminate()  # its kernels end with it
        with suppress(subprocess.TimeoutExpired):
            server.wait(30)
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def _known_server(server: subprocess.Popen[bytes], folder: Path) -> dict[str, Any]:
    """What the server writes for clients, once it serves."""
    path = folder / "runtime" / f"jpserver-{server.pid}.json"
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end and server.poll() is None:
        with suppress(FileNotFoundError, ValueError):  # not yet, or half
            told: dict[str, Any] = json.loads(path.read_text("utf-8"))
            return told
        time.sleep(0.05)
    raise BedFailed(f"JupyterLab did not come up: see {folder / 'jupyterlab.log'}")


def _environment(folder: Path, env: Mapping[str, str]) -> dict[str, str]:
    """Without the user's own settings of JupyterLab and IPython."""
    return {
        **{name: value for name, value in env.items() if not name.startswith("JUPYTER")},
        "HOME": str(folder),
        "IPYTHONDIR": str(folder / "ipython"),
        "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "JUPYTER_PATH": str(folder / "data"),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
    }


def _kernel() -> dict[str, Any]:
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    return {"argv": argv, "display_name": _KERNEL, "language": "python"}


def _notebook(cells: Sequence[str]) -> dict[str, Any]:
    return {
        "cells": [
            {
                "cell_type": "code",
                "id": f"cell-{number}",
                "metadata": {},
                "outputs": [],
                "execution_count": None,
                "source": source,
            }
            for number, source in enumerate(cells)
        ],
        "metadata": {"kernelspec": {"name": _KERNEL, "display_name": _KERNEL}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def _write(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), "utf-8")


if __name__ == "__main__":
    try:
        print(prepare())
    except BedCannotRun as reason:
        sys.exit(str(reason))

"""A real browser without a window: the system's Chromium and the driver that is packaged with it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.remote.webdriver import WebDriver

# Nothing is to be asked of any other computer; as root there is no sandbox.
_QUIET = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)


@contextmanager
def browser(profile: Path, width: int = 1280, height: int = 800, *, dark: bool = False) -> Iterator[WebDriver]:
    """A browser with an empty profile.

    Args:
        profile: Folder for it.
        width: Of the page, pixels.
        height: Of the page, pixels.
        dark: Whether the person prefers dark pages.
    """
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("no chromium and chromedriver here: scripts/bootstrap.sh dev says how to install them")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for word in (*_QUIET, f"--user-data-dir={profile}"):
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    window = webdriver.Chrome(options=options, service=Service(driver))
    try:
        resize(window, width, height)
        media = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        window.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": media})
        yield window
    finally:
        window.quit()


def resize(window: WebDriver, width: int, height: int) -> None:
    """The page's own size, without what a window has around it."""
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    window.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def complaints(window: WebDriver) -> list[str]:
    """What the browser found wrong with the page: errors of scripts, refusals of its security policy."""
    return [entry["message"] for entry in window.get_log("browser") if entry["level"] == "SEVERE"]

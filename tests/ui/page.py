"""What a user does in a browser: look, click, wait."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from selenium.common.exceptions import (
    ElementClickInterceptedException,
    ElementNotInteractableException,
    NoSuchElementException,
    StaleElementReferenceException,
)
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

_PATIENCE_S = 90  # both UIs answer within a second or two on a quiet machine
_NOT_YET = (
    NoSuchElementException,
    StaleElementReferenceException,
    ElementClickInterceptedException,
    ElementNotInteractableException,
)


class Page:
    """A browser's window; everything waits until it is there."""

    def __init__(self, driver: Chrome) -> None:
        self.driver = driver

    def open(self, url: str, *, width: int = 1500, height: int = 1000, scale: int = 1) -> None:
        """Open a page in a window of this size, drawn with `scale` points per pixel."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        self.driver.get("about:blank")  # another place on the same page would not be loaded anew
        self.driver.get(url)

    def wait(self, what: str, found: Callable[[], Any]) -> Any:
        """Return what is found, once it is something; fail with what was waited for."""
        wait = WebDriverWait(self.driver, _PATIENCE_S, poll_frequency=0.2, ignored_exceptions=_NOT_YET)
        return wait.until(lambda _: found(), message=f"waited for {what}; the page says: {self.text()[:2000]}")

    def all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def see(self, selector: str) -> WebElement:
        return self.wait(selector, lambda: next((each for each in self.all(selector) if each.is_displayed()), None))

    def read(self, *texts: str) -> None:
        """Wait until the page says all of these."""
        self.wait(f"the texts {texts}", lambda: all(text in self.text() for text in texts))

    def click(self, selector: str, text: str | None = None) -> None:
        """Click the first of these that can be clicked, with this text if one is given."""

        def clicked() -> bool:
            for each in self.all(selector):
                if each.is_displayed() and (text is None or each.text.strip() == text):
                    each.click()
                    return True
            return False

        self.wait(f"{selector} {text or ''} to click", clicked)

    def click_if_there(self, selector: str) -> None:
        for each in self.all(selector):
            if each.is_displayed():
                each.click()

    def text(self) -> str:
        """Return what the page says, on one line."""
        return " ".join(str(self.driver.execute_script("return document.body ? document.body.innerText : ''")).split())

    def remember(self, key: str, value: Any) -> None:
        """Have this in the browser's storage, as after an earlier visit."""
        self.driver.execute_script("localStorage.setItem(arguments[0], arguments[1])", key, json.dumps(value))

    def picture(self, name: str) -> None:
        """Keep what is seen, where pictures are wanted."""
        folder = os.environ.get("RESTEM_PICTURES")
        if folder:
            self.driver.save_screenshot(str(Path(folder).resolve() / f"{name}.png"))

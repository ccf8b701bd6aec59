"""Pictures whose labels are known, and what a user does on the page."""

import base64
import io
import json

import numpy as np
from PIL import Image
from service_helpers import LABELS, brightest, encoded

COLORS = np.array(LABELS.colors)


def quadrants() -> np.ndarray:
    """(60, 80, 3) uint8: sure red, unsure green; sure blue, unsure red."""
    picture = np.zeros((60, 80, 3), np.uint8)
    picture[:30, :40] = (200, 10, 20)
    picture[:30, 40:] = (90, 110, 30)
    picture[30:, :40] = (5, 30, 220)
    picture[30:, 40:] = (130, 120, 110)
    return picture


PICTURE = quadrants()
TRUTH = brightest(PICTURE)
RED, GREEN, BLUE = 0, 1, 2


def photo(seed: int) -> bytes:
    """A PNG of coarse noise, of 40 x 60 pixels."""
    cells = np.random.default_rng(seed).integers(0, 256, (4, 6, 3), np.uint8)
    return encoded(cells.repeat(10, 0).repeat(10, 1))


def scores_at(y: int, x: int) -> np.ndarray:
    """The softmax scores that `Brightest` gives a pixel of `PICTURE`."""
    exponentials = np.exp(8.0 * PICTURE[y, x] / 255)
    return exponentials / exponentials.sum()


class Page:
    """The page in a browser; coordinates are the picture's, (x, y), unless said."""

    def __init__(self, browser_page, url: str, expected: tuple[str, ...] = ()) -> None:
        self.browser_page = browser_page
        self.url = url
        self.expected = (
            "willReadFrequently",
            *expected,
        )  # the browser's advice on how these tests read the canvas
        self.messages: list[str] = []
        self.asked: list[str] = []
        browser_page.set_default_timeout(20_000)
        browser_page.on("pageerror", lambda error: self.messages.append(f"error: {error}"))
        browser_page.on("console", lambda message: self.messages.append(f"{message.type}: {message.text}"))
        browser_page.on("request", lambda request: self.asked.append(request.url))

    def faults(self) -> list[str]:
        return [
            message
            for message in self.messages
            if message.startswith(("error", "warning")) and not any(each in message for each in self.expected)
        ]

    def other_hosts(self) -> list[str]:
        return [url for url in self.asked if not url.startswith((self.url, "blob:"))]

    # ---- what a user does

    def choose(self, *files) -> None:
        """Picks files: paths, or (name, bytes)."""
        given = [
            {"name": file[0], "mimeType": "image/png", "buffer": file[1]}
            if isinstance(file, tuple)
            else str(file)
            for file in files
        ]
        self.browser_page.set_input_files("#files", given)

    def give(self, picture: np.ndarray = PICTURE, name: str = "four.png") -> None:
        self.choose((name, encoded(picture)))
        self.until_done()

    def until_done(self, count: int = 1) -> None:
        self.wait(f"document.querySelectorAll('.thumb[data-state=done]').length >= {count}")
        self.wait("!document.getElementById('side').inert && !document.getElementById('side').hidden")
        self.settle()

    def hand_over(self, kind: str, *files: tuple[str, bytes]) -> None:
        """Drops or pastes files, as the browser tells the page of it."""
        packed = [[name, base64.b64encode(content).decode()] for name, content in files]
        self.browser_page.evaluate(
            """([kind, files]) => {
              const transfer = new DataTransfer();
              for (const [name, content] of files) {
                const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
                transfer.items.add(new File([bytes], name, { type: "image/png" }));
              }
              const event = kind === "drop" ? new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true })
                : new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true });
              document.body.dispatchEvent(event);
            }""",
            [kind, packed],
        )

    def hover(self, x: float, y: float) -> str:
        """What is said of the place under the pointer."""
        self.browser_page.mouse.move(*self.on_screen(x, y))
        return self.browser_page.inner_text("#tip") if self.browser_page.is_visible("#tip") else ""

    def drag(self, *places: tuple[float, float]) -> None:
        mouse = self.browser_page.mouse
        mouse.move(*self.on_screen(*places[0]))
        mouse.down()
        for place in places[1:]:
            mouse.move(*self.on_screen(*place), steps=4)
        mouse.up()
        self.settle()

    def press(self, *keys: str) -> None:
        for key in keys:
            self.browser_page.keyboard.press(key)
        self.settle()

    def click(self, selector: str) -> None:
        self.browser_page.click(selector)
        self.settle()

    def set_range(self, selector: str, value: float) -> None:
        self.browser_page.fill(selector, str(value))
        self.settle()

    # ---- what is there

    def wait(self, condition: str) -> None:
        self.browser_page.wait_for_function(f"() => {condition}")

    def settle(self) -> None:
        """Until what was asked for is drawn."""
        self.browser_page.evaluate(
            "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
        )

    def text(self, selector: str) -> str:
        return self.browser_page.inner_text(selector)

    def shares(self) -> dict[str, str]:
        rows = self.browser_page.query_selector_all("#legend li:not(.rest)")
        return {
            row.query_selector("button").inner_text(): row.query_selector("span").inner_text() for row in rows
        }

    def geometry(self, width: int = 80, height: int = 60) -> tuple[float, float, float, float, float]:
        """The canvas' left and top, the picture's left and top in it, and its scale, while it is fitted."""
        x, y, across, down = self.browser_page.evaluate(
            "() => { const box = document.getElementById('canvas').getBoundingClientRect(); "
            "return [box.x, box.y, box.width, box.height]; }"
        )
        scale = min((across - 32) / width, (down - 32) / height, 24)
        return x, y, (across - width * scale) / 2, (down - height * scale) / 2, scale

    def on_screen(self, x: float, y: float) -> tuple[float, float]:
        left, top, inner_left, inner_top, scale = self.geometry()
        return left + inner_left + x * scale, top + inner_top + y * scale

    def drawn(self, x: float, y: float, size: tuple[int, int] = (80, 60)) -> np.ndarray:
        """The colour that stands on the canvas at a place of the fitted picture: (3,) uint8."""
        _, _, left, top, scale = self.geometry(*size)
        return self.canvas_pixel(left + x * scale, top + y * scale)

    def canvas_pixel(self, left: float, top: float) -> np.ndarray:
        """At a place on the stage, in CSS pixels."""
        rgba = self.browser_page.evaluate(
            """([x, y]) => { const canvas = document.getElementById("canvas");
              return [...canvas.getContext("2d").getImageData(x * devicePixelRatio, y * devicePixelRatio, 1, 1).data]; }""",
            [left, top],
        )
        return np.array(rgba[:3], np.uint8)

    def downloaded(self, button: str) -> tuple[str, bytes]:
        with self.browser_page.expect_download() as waiting:
            self.browser_page.click(button)
        download = waiting.value
        with open(download.path(), "rb") as file:
            return download.suggested_filename, file.read()

    def mask(self) -> np.ndarray:
        """The label map, by way of its download."""
        return np.asarray(Image.open(io.BytesIO(self.downloaded("#getMask")[1])))

    def json(self) -> dict:
        return json.loads(self.downloaded("#getJson")[1])

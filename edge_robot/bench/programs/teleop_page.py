"""The page in a real Chromium, and when it draws which picture.

Arguments, as JSON: `url` and `token`. At every line of input it prints `drawn` since: [when it was
captured, as the picture itself says, ms modulo 2^20, when it was drawn on the page's canvas, when
the browser began the frame after that, both ms on the wall clock].
"""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import suppress

from playwright.async_api import async_playwright

from edge_robot.bench.chromium import ARGUMENTS, browser_path
from edge_robot.bench.teleop.scene import BITS, CELL, HEIGHT

WATCH = f"""(() => {{
  const drawn = window.benchDrawn = [];
  const draw = CanvasRenderingContext2D.prototype.drawImage;
  const probe = new OffscreenCanvas({BITS}, 1).getContext("2d", {{ willReadFrequently: true }});
  probe.imageSmoothingEnabled = false;
  let last = null;
  CanvasRenderingContext2D.prototype.drawImage = function (image, ...where) {{
    draw.call(this, image, ...where);
    if (this.canvas.id !== "camera" || image === last) return;
    last = image;
    const now = Date.now(), row = Math.floor({CELL / 2 / HEIGHT} * image.height);
    probe.drawImage(image, 0, row, image.width, 1, 0, 0, {BITS}, 1);
    const {{ data }} = probe.getImageData(0, 0, {BITS}, 1);
    let code = 0;
    for (let bit = 0; bit < {BITS}; bit++) if (data[4 * bit + 1] > 127) code += 2 ** bit;
    const entry = [code, now, now];
    drawn.push(entry);
    requestAnimationFrame(() => {{ entry[2] = Date.now(); }});
  }};
}})()"""


async def main(url: str, token: str) -> None:
    """Watch until the input ends."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=browser_path(), args=list(ARGUMENTS)
        )
        page = await browser.new_page(viewport={"width": 1280, "height": 800})
        await page.add_init_script(WATCH)
        await page.goto(url)
        await page.fill("#token", token)
        await page.click("#login")
        while not await page.evaluate("window.benchDrawn.length"):
            await asyncio.sleep(0.1)
        print(json.dumps({"watching": True}), flush=True)
        while await asyncio.to_thread(sys.stdin.readline):
            drawn = await page.evaluate("window.benchDrawn.splice(0)")
            print(json.dumps({"drawn": drawn}), flush=True)
        await browser.close()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main(**json.loads(sys.argv[1])))

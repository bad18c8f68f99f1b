// A report in a real browser: light, dark, on a phone, on paper, and without its script.
//
//   node report.mjs FILE.html FOLDER [--chromium /usr/bin/chromium]
//
// Screenshots go into the folder. What must hold: nothing is fetched, nothing fails, nothing is wider than the page, every
// chart has a line or a bar, text can be read against what is behind it, and hovering shows what a chart says.

import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";

// The browser's driver is installed with the real clients.
const { chromium } = createRequire(new URL("../../gateway/tests/clients/package.json", import.meta.url))("playwright-core");

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { chromium: { type: "string", default: "/usr/bin/chromium" } },
});
const [file, folder] = positionals;
if (!folder) {
  console.error("usage: node report.mjs FILE.html FOLDER [--chromium PATH]");
  process.exit(2);
}
await mkdir(folder, { recursive: true });
const url = pathToFileURL(resolve(file)).href;
const FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"];
const browser = await chromium.launch({ executablePath: options.chromium, args: FLAGS });

/** The page as someone sees it, with everything that went wrong. */
async function open(settings) {
  const context = await browser.newContext({ viewport: { width: 1180, height: 900 }, ...settings });
  const page = await context.newPage();
  const wrong = [];
  page.on("pageerror", (error) => wrong.push(String(error)));
  page.on("console", (message) => message.type() === "error" && wrong.push(message.text()));
  page.on("request", (request) => request.url() !== url && wrong.push(`fetched ${request.url()}`));
  await page.goto(url);
  return { page, wrong, close: () => context.close() };
}

/** WCAG's contrast of two computed colours. */
function contrast(a, b) {
  const luminance = (colour) => {
    const [r, g, b] = colour.match(/[\d.]+/g).slice(0, 3).map((value) => {
      const part = value / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const [bright, dark] = [luminance(a), luminance(b)].sort((x, y) => y - x);
  return (bright + 0.05) / (dark + 0.05);
}

let passed = 0;
try {
  for (const colorScheme of ["light", "dark"]) {
    const { page, wrong, close } = await open({ colorScheme });
    const shown = await page.evaluate(() => {
      const style = (selector, name) => getComputedStyle(document.querySelector(selector))[name];
      return {
        paper: style("body", "backgroundColor"),
        ink: style("body", "color"),
        note: [style(".note", "color"), style(".note", "backgroundColor")],
        charts: [...document.querySelectorAll("figure svg")].map((svg) => svg.querySelectorAll("path, circle, .bar").length),
        lines: [...document.querySelectorAll("figure svg path")].map((path) => getComputedStyle(path).stroke),
        text: document.body.innerText,
      };
    });
    assert.ok(contrast(shown.ink, shown.paper) >= 10, `${colorScheme}: ${shown.ink} on ${shown.paper}`);
    assert.ok(contrast(...shown.note) >= 4.5, `${colorScheme}: ${shown.note}`);
    for (const line of shown.lines) assert.ok(contrast(line, shown.paper) >= 3, `${colorScheme}: a line of ${line}`);
    assert.ok(shown.charts.length >= 1 && shown.charts.every((drawn) => drawn > 0), `charts: ${shown.charts}`);
    assert.doesNotMatch(shown.text, /NaN|undefined|inf\b|null/);
    const svg = page.locator("figure svg").first();
    await svg.hover();
    const tip = page.locator("figure").first().locator(".tip");
    assert.match(await tip.innerText(), /\d/);
    await page.mouse.move(0, 0);
    await page.screenshot({ path: join(folder, `${colorScheme}.png`), fullPage: true });
    assert.deepEqual(wrong, []);
    await close();
    passed++;
  }
  {
    const { page, wrong, close } = await open({ viewport: { width: 390, height: 844 }, isMobile: true, deviceScaleFactor: 2 });
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    assert.ok(wide <= 0, `the page is ${wide} px wider than a phone`);
    await page.screenshot({ path: join(folder, "phone.png") });
    assert.deepEqual(wrong, []);
    await close();
    passed++;
  }
  {
    const { page, close } = await open({ colorScheme: "dark", javaScriptEnabled: false });
    await page.emulateMedia({ media: "print" });
    await page.screenshot({ path: join(folder, "print.png"), fullPage: true });
    await page.pdf({ path: join(folder, "print.pdf"), format: "A4", margin: { top: "15mm", bottom: "15mm", left: "15mm", right: "15mm" } });
    await close();
    passed++;
  }
} finally {
  await browser.close();
}
console.log(`report: ${passed} passed, 0 failed`);

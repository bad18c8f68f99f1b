// The chat in a real browser, as a visitor sees it.
//
// The page is at `/`, with: `#join` (form) and `#nickname`; `#messages` (list) of `li.message` with `.author`, `.text`,
// `.time`, and `li.notice`; `#count`; `#form` and `#input`.

import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { chromium } from "playwright-core";

export const DESKTOP = { width: 1280, height: 800 };
export const PHONE = { width: 390, height: 844 };
const STEP_MS = 15_000;

const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** Chromium, for visits to the chat at `url`; screenshots go to `folder`. */
export async function openBrowser(url, folder, executablePath) {
  await mkdir(folder, { recursive: true });
  const browser = await chromium.launch({ executablePath, args: FLAGS });
  return {
    browser,
    visit: (name, viewport, more) => Visitor.open({ browser, url, folder }, name, viewport, more),
    close: () => browser.close(),
  };
}

/** One visitor: a page of its own, and everything that went wrong in it. */
class Visitor {
  static async open({ browser, url, folder }, name, viewport, more = {}) {
    const context = await browser.newContext({ viewport, ...more });
    const page = await context.newPage();
    page.setDefaultTimeout(STEP_MS);
    const visitor = new Visitor(name, page, context, folder);
    page.on("pageerror", (error) => visitor.errors.push(String(error)));
    page.on("console", (message) => message.type() === "error" && visitor.errors.push(message.text()));
    page.on("requestfailed", (request) => visitor.failed.push(request.url()));
    const response = await page.goto(url);
    assert.equal(response.status(), 200);
    await page.fill("#nickname", name);
    await page.locator("#join").evaluate((form) => form.requestSubmit());
    await page.locator("#input").waitFor({ state: "visible" });
    return visitor;
  }

  errors = [];
  failed = [];

  constructor(name, page, context, folder) {
    this.name = name;
    this.page = page;
    this.context = context;
    this.folder = folder;
  }

  async say(text) {
    await this.page.fill("#input", text);
    await this.page.press("#input", "Enter");
  }

  /** Waits for a message of `author` with exactly this text. */
  async hears(author, text) {
    const message = this.page
      .locator("#messages li.message")
      .filter({ has: this.page.locator(".author", { hasText: author }) })
      .filter({ has: this.page.getByText(text, { exact: true }) });
    await message.last().waitFor({ state: "visible" });
    assert.match(await message.last().locator(".time").innerText(), /\d/);
    assert.equal(await message.last().locator(".text").innerText(), text);
  }

  async notices(name) {
    await this.page.locator("#messages li.notice", { hasText: name }).last().waitFor({ state: "visible" });
  }

  async counts(n) {
    await this.page.waitForFunction(
      (wanted) => document.querySelector("#count")?.textContent.match(/\d+/)?.[0] === String(wanted),
      n,
    );
  }

  /** From now on, notes whenever the page says that it is offline. */
  async watch() {
    await this.page.evaluate(() => {
      window.disconnects = 0;
      const look = () => document.body.classList.contains("offline") && window.disconnects++;
      new MutationObserver(look).observe(document.body, { attributes: true });
      look();
    });
  }

  /** Fails if the page has noticed anything since `watch()`. */
  async noticedNothing() {
    assert.equal(await this.page.evaluate(() => window.disconnects), 0, `${this.name} was offline`);
    assert.equal(await this.page.locator("#status").isVisible(), false);
    assert.deepEqual(this.errors, []);
    assert.deepEqual(this.failed, []);
  }

  screenshot(name) {
    return this.page.screenshot({ path: join(this.folder, `${name}.png`) });
  }
}

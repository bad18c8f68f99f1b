// A real browser: two pages of the chat talk to each other, and screenshots are taken.
//
//   node browser.mjs URL FOLDER [--chromium /usr/bin/chromium]
//
// The chat page is at `/`, with: `#join` (form) and `#nickname`; `#messages` (list) of `li.message` with `.author`,
// `.text`, `.time`, and `li.notice`; `#count`; `#form` and `#input`.

import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { chromium } from "playwright-core";
import { baseUrl, runAndExit } from "./lib/check.mjs";

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { chromium: { type: "string", default: "/usr/bin/chromium" } },
});
const usage = "node browser.mjs URL FOLDER [--chromium PATH]";
const url = baseUrl(positionals[0], usage);
const folder = positionals[1];
if (!folder) {
  console.error(`usage: ${usage}`);
  process.exit(2);
}

const DESKTOP = { width: 1280, height: 800 };
const PHONE = { width: 390, height: 844 };
const STEP_MS = 15_000;
const WATCHDOG_MS = 90_000;

const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

await mkdir(folder, { recursive: true });

/** One visitor: a page of its own, and everything that went wrong in it. */
class Visitor {
  static async open(browser, name, viewport, more = {}) {
    const context = await browser.newContext({ viewport, ...more });
    const page = await context.newPage();
    page.setDefaultTimeout(STEP_MS);
    const visitor = new Visitor(name, page, context);
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

  constructor(name, page, context) {
    this.name = name;
    this.page = page;
    this.context = context;
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

  screenshot(name) {
    return this.page.screenshot({ path: join(folder, `${name}.png`) });
  }
}

const checks = [
  {
    name: "two pages chat with each other, and see each other come and go",
    async run({ browser }) {
      const ada = await Visitor.open(browser, "Ada", DESKTOP);
      await ada.counts(1);
      const grace = await Visitor.open(browser, "Grace", PHONE, { isMobile: true, hasTouch: true, deviceScaleFactor: 2 });
      await ada.notices("Grace");
      await ada.counts(2);
      await grace.counts(2);

      await ada.say("Hello, is anybody there?");
      await grace.hears("Ada", "Hello, is anybody there?");
      await ada.hears("Ada", "Hello, is anybody there?");
      await grace.say("Yes! Über 😀 <b>not bold</b> & \"quoted\"");
      await ada.hears("Grace", "Yes! Über 😀 <b>not bold</b> & \"quoted\"");
      for (let i = 1; i <= 12; i++) await (i % 2 ? ada : grace).say(`line ${i}`);
      for (let i = 1; i <= 12; i++) {
        await ada.hears(i % 2 ? "Ada" : "Grace", `line ${i}`);
        await grace.hears(i % 2 ? "Ada" : "Grace", `line ${i}`);
      }
      assert.equal(await ada.page.locator("#messages .text b").count(), 0, "markup must be shown, not obeyed");
      const order = await ada.page.locator("#messages li.message .text").allInnerTexts();
      assert.equal(order.filter((text) => text.startsWith("line")).length, 12, "each line once");

      await ada.screenshot("chat-desktop");
      await grace.screenshot("chat-phone");
      const wide = await grace.page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
      assert.ok(wide <= 0, `the page is ${wide} px wider than the phone`);

      await grace.context.close();
      await ada.counts(1);
      assert.ok((await ada.page.locator("#messages li.notice", { hasText: "Grace" }).count()) >= 2, "came and left");
      await ada.screenshot("chat-left-alone");
      assert.deepEqual(ada.errors, []);
      assert.deepEqual(grace.errors, []);
      await ada.context.close();
    },
  },
  {
    name: "a visitor who has not joined yet sees the form",
    async run({ browser }) {
      const context = await browser.newContext({ viewport: PHONE });
      const page = await context.newPage();
      await page.goto(url);
      await page.locator("#nickname").waitFor({ state: "visible" });
      await page.screenshot({ path: join(folder, "join-phone.png") });
      await context.close();
    },
  },
];

/** A browser for each check, ended with it. */
async function makeContext() {
  const browser = await chromium.launch({ executablePath: options.chromium, args: FLAGS });
  return { browser, close: () => browser.close() };
}

await runAndExit("browser", checks, makeContext, { watchdog: WATCHDOG_MS });

// A real browser: two pages of the chat talk to each other, and screenshots are taken.
//
//   node browser.mjs URL FOLDER [--chromium /usr/bin/chromium]

import assert from "node:assert/strict";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { baseUrl, runAndExit } from "./lib/check.mjs";
import { DESKTOP, PHONE, openBrowser } from "./lib/visitor.mjs";

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

const WATCHDOG_MS = 90_000;

const checks = [
  {
    name: "two pages chat with each other, and see each other come and go",
    async run({ visit }) {
      const ada = await visit("Ada", DESKTOP);
      await ada.counts(1);
      const grace = await visit("Grace", PHONE, { isMobile: true, hasTouch: true, deviceScaleFactor: 2 });
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

// A browser for each check, ended with it.
await runAndExit("browser", checks, () => openBrowser(url, folder, options.chromium), { watchdog: WATCHDOG_MS });

// The example page with a customer's live timeline, opened from another origin than the API's.

import { createServer } from "node:http";
import { readFileSync } from "node:fs";
import { launch } from "./chromium.mjs";

const { LIVE_API, LIVE_TOKEN, LIVE_KEY, LIVE_CUSTOMER, LIVE_PAGE, LIVE_PORT } = process.env;
const html = readFileSync(LIVE_PAGE, "utf8");
const site = createServer((request, response) => {
  response.setHeader("Content-Type", "text/html");
  response.end(request.url === "/favicon.ico" ? "" : html);
});
await new Promise((resolve) => site.listen(Number(LIVE_PORT), "127.0.0.1", resolve));

const browser = await launch();

async function report(name) {
  const answer = await fetch(`${LIVE_API}/v1/touchpoints`, {
    method: "POST",
    headers: { Authorization: `Bearer ${LIVE_KEY}`, "Content-Type": "application/json" },
    body: JSON.stringify({ type: "page.viewed", name, customer: { id: LIVE_CUSTOMER } }),
  });
  if (answer.status !== 201) throw new Error(await answer.text());
}

function address(token) {
  const where = new URLSearchParams({ api: LIVE_API, token, customer: LIVE_CUSTOMER });
  return `http://127.0.0.1:${LIVE_PORT}/#${where}`;
}

await report("Before");
const page = await browser.newPage();
const complaints = [];
page.on("console", (line) => line.type() === "error" && complaints.push(line.text()));
page.on("pageerror", (error) => complaints.push(String(error)));
await page.goto(address(LIVE_TOKEN));
const lines = () => page.locator("#timeline li").evaluateAll((all) => all.map((one) => one.lastChild.textContent));
await page.waitForFunction(() => document.getElementById("state").textContent === "Live");
const begun = Date.now();
await report("First");
await page.locator("li.new", { hasText: "First" }).waitFor({ timeout: 5000 });
const late = Date.now() - begun;
await report("Second");
await page.locator("li.new", { hasText: "Second" }).waitFor({ timeout: 5000 });
const shown = await lines();
const expected = ["Second", "First", "Before", "customer.created"];
if (JSON.stringify(shown) !== JSON.stringify(expected)) throw new Error(`the page shows ${shown}`);
if (complaints.length > 0) throw new Error(complaints.join("\n"));

// A token that is no good: the page says that it cannot, instead of trying for ever.
const refused = await browser.newPage();
await refused.goto(address(`${LIVE_TOKEN}x`));
await refused.waitForFunction(() => !/^(Loading|Live)/.test(document.getElementById("state").textContent));

await browser.close();
site.close();
console.log(`done: an event was on the page after ${late} ms`);

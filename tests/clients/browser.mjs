// Segment's library for browsers, in a page of another origin.

import { createServer } from "node:http";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { launch } from "./chromium.mjs";
import { order, user } from "./tracks.mjs";

const { TRACK_KEY, TRACK_URL } = process.env;
const here = dirname(fileURLToPath(import.meta.url));
const library = dirname(createRequire(import.meta.url).resolve("@segment/analytics-next/package.json"));
const html = readFileSync(join(here, "page.html"), "utf8")
  .replace("TRACK_KEY", TRACK_KEY)
  .replace("TRACK_URL", TRACK_URL);

const shop = createServer((request, response) => {
  const path = new URL(request.url, "http://shop").pathname;
  if (path === "/favicon.ico") return response.writeHead(204).end();
  if (path === "/boots") {
    response.setHeader("Content-Type", "text/html");
    return response.end(html);
  }
  try {
    const name = path === "/analytics.js" ? "standalone.js" : path.slice(1).replace(/[^\w.-]/g, "");
    response.setHeader("Content-Type", "text/javascript");
    response.end(readFileSync(join(library, "dist/umd", name)));
  } catch {
    response.writeHead(404).end();
  }
});
await new Promise((resolve) => shop.listen(0, "127.0.0.1", resolve));

const browser = await launch();
const page = await browser.newPage();
const complaints = [];
page.on("console", (line) => line.type() === "error" && complaints.push(line.text()));
page.on("pageerror", (error) => complaints.push(String(error)));
const answers = [];
page.on("response", (answer) => {
  if (answer.url().startsWith(TRACK_URL)) answers.push(`${answer.status()} ${new URL(answer.url()).pathname}`);
});
await page.goto(`http://127.0.0.1:${shop.address().port}/boots?utm_source=news&utm_campaign=spring`);
await page.evaluate(
  async ([user, order]) => {
    await new Promise((resolve) => window.analytics.ready(resolve));
    const analytics = window.analytics;
    await analytics.setAnonymousId(`${user}-before`);
    await analytics.page("Boots");
    const traits = { email: `${user}@shop.example.com`, name: "Ada Lindqvist", plan: "gold" };
    await analytics.identify(user, traits);
    await analytics.alias(user, `${user}-before`);
    await analytics.group(`club of ${user}`, { name: `Club of ${user}` });
    await analytics.track("Product Viewed", { product_id: "7", price: 19.99, currency: "EUR" });
    await analytics.track("Order Completed", order);
  },
  [user, order],
);
for (let waited = 0; answers.filter((answer) => / \/v1\/[iptga]$/.test(answer)).length < 6; waited += 100) {
  if (waited > 30_000) throw new Error(`only ${answers}; ${complaints}`);
  await new Promise((resolve) => setTimeout(resolve, 100));
}
await browser.close();
shop.close();
const refused = answers.filter((answer) => !/^20[04] /.test(answer));
if (refused.length + complaints.length > 0) throw new Error(`${refused} ${complaints}`);
console.log("done");

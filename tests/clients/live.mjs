// The example page with a customer's live timeline, opened from another origin than the API's.

import { createServer } from "node:http";
import { connect, createServer as createWay } from "node:net";
import { readFileSync } from "node:fs";
import { launch } from "./chromium.mjs";

const { LIVE_API, LIVE_TOKEN, LIVE_KEY, LIVE_CUSTOMER, LIVE_PAGE, LIVE_PORT } = process.env;
const html = readFileSync(LIVE_PAGE, "utf8");
const site = createServer((request, response) => {
  response.setHeader("Content-Type", "text/html");
  response.end(request.url === "/favicon.ico" ? "" : html);
});
await new Promise((resolve) => site.listen(Number(LIVE_PORT), "127.0.0.1", resolve));

// The page's way to the API, which can be cut, or end at a proxy that finds no service.
let mode = "open";
let refusals = 0;
const sockets = new Set();
const way = createWay((socket) => {
  sockets.add(socket);
  socket.on("error", () => {}).on("close", () => sockets.delete(socket));
  if (mode === "cut") return socket.destroy();
  if (mode === "refused") {
    return socket.on("data", (sent) => {
      if (String(sent).startsWith("GET /v1/changes/stream")) refusals += 1;
      socket.end("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    });
  }
  const { hostname, port } = new URL(LIVE_API);
  const service = connect(Number(port), hostname);
  service.on("error", () => socket.destroy()).on("close", () => socket.destroy());
  socket.on("close", () => service.destroy()).pipe(service).pipe(socket);
});
await new Promise((resolve) => way.listen(0, "127.0.0.1", resolve));

function become(next) {
  mode = next;
  sockets.forEach((socket) => socket.destroy());
}

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
  const api = `http://127.0.0.1:${way.address().port}`;
  const where = new URLSearchParams({ api, token, customer: LIVE_CUSTOMER });
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

const says = (text) =>
  page.waitForFunction((text) => document.getElementById("state").textContent === text, text);

// What happens while the connection is cut is shown when it is back.
become("cut");
await says("Connecting again …");
await report("Third");
become("open");
await page.locator("li.new", { hasText: "Third" }).waitFor({ timeout: 30000 });
await says("Live");

// A refusal ends the browser's stream for good; the page begins another.
become("refused");
while (refusals === 0) await new Promise((resolve) => setTimeout(resolve, 50));
await report("Fourth");
become("open");
await page.locator("li.new", { hasText: "Fourth" }).waitFor({ timeout: 30000 });
await says("Live");
const all = ["Fourth", "Third", ...expected];
if (JSON.stringify(await lines()) !== JSON.stringify(all)) throw new Error(`the page shows ${await lines()}`);

// A token that is no good: the page says that it cannot, instead of trying for ever.
const refused = await browser.newPage();
await refused.goto(address(`${LIVE_TOKEN}x`));
await refused.waitForFunction(() => !/^(Loading|Live)/.test(document.getElementById("state").textContent));

await browser.close();
site.close();
way.close();
console.log(`done: an event was on the page after ${late} ms`);

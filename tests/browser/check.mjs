// Looks at pages in Chromium as people do: in light and dark, in English and Dutch, on a desk and on a phone, by keyboard, and on paper.
//
//   node check.mjs CHROMIUM '{"pages": [{"name": "…", "url": "http://127.0.0.1:…/"}], "shots": "FOLDER" }'
//
// Prints one line of JSON: {"looked": N, "problems": ["…"]}. With "shots", full-page screenshots are put into that folder.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const [, , executablePath, text] = process.argv;
const { pages, shots } = JSON.parse(text);
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

const browser = await chromium.launch({
  executablePath,
  args: [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--force-color-profile=srgb",
  ],
});

const problems = [];
let looked = 0;

async function look(page, { name, url }, language, scheme, size) {
  const where = `${name} ${language} ${scheme} ${size.name}`;
  const wrong = (what) => problems.push(`${where}: ${what}`);
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && wrong(`the browser says: ${message.text()}`));
  page.on("requestfailed", (request) => wrong(`not loaded: ${request.url()}`));
  const response = await page.goto(url, { waitUntil: "load" });
  if (response.status() !== 200) wrong(`status ${response.status()}`);
  looked += 1;

  // Folded parts have to be in order as well.
  await page.evaluate(() => document.querySelectorAll("details").forEach((details) => { details.open = true; }));
  await page.evaluate(axe);
  const found = await page.evaluate(() => axe.run(document));
  if (found.passes.length < 15) wrong(`axe found only ${found.passes.length} rules to look at`);
  for (const { id, help, nodes } of found.violations) wrong(`axe ${id}: ${help}: ${nodes.slice(0, 3).map((node) => node.target.join(" ")).join(" | ")}`);
  await page.evaluate(() => document.querySelectorAll("details").forEach((details) => { details.open = false; }));

  const width = await page.evaluate(() => [document.documentElement.scrollWidth, window.innerWidth]);
  if (width[0] > width[1]) wrong(`the page is ${width[0]} px wide in a window of ${width[1]}`);
  if ((await page.getByRole("main").count()) !== 1) wrong("there is not one main landmark");
  if ((await page.getByRole("heading", { level: 1 }).count()) !== 1) wrong("there is not one first heading");
  const lang = await page.getAttribute("html", "lang");
  if (lang !== language.slice(0, 2)) wrong(`the language is ${lang}`);
  // What a screen reader is given: the answer, whole, and each day of the strip in words.
  const answer = await page.getByRole("heading", { level: 1 }).innerText();
  if (answer.length < 20) wrong(`the answer is '${answer}'`);
  for (const strip of await page.locator("ol.strip").all()) {
    const days = await strip.getByRole("listitem").allTextContents();
    if (days.length !== 30 || days.some((day) => !/\d{4}-\d\d-\d\d: \p{L}/u.test(day))) wrong(`the strip reads: ${days.join(", ")}`);
  }
  await page.keyboard.press("Tab");
  const first = await page.evaluate(() => document.activeElement?.getAttribute("href"));
  if (first !== "#main") wrong(`the first stop of the keyboard is ${first}`);
  await page.evaluate(() => { document.activeElement?.blur(); window.scrollTo(0, 0); });

  if (shots) {
    const whole = await page.evaluate(() => document.documentElement.scrollHeight);
    const clip = { x: 0, y: 0, width: size.width, height: Math.min(whole, 1500) };
    await page.screenshot({ path: `${shots}/${name}-${language.slice(0, 2)}-${scheme}-${size.name}.png`, fullPage: true, clip });
  }
}

// The check itself has to see: a page with faults that everybody knows must not pass.
const bad = await browser.newPage();
await bad.setContent('<title>x</title><img src="data:,"><p style="color:#aaa;background:#fff">faint</p><a href="/"></a><table><th></th></table>');
await bad.evaluate(axe);
const faults = (await bad.evaluate(() => axe.run(document))).violations.map(({ id }) => id);
for (const id of ["image-alt", "color-contrast", "link-name", "html-has-lang"]) if (!faults.includes(id)) problems.push(`axe does not see what is wrong: ${id}`);
await bad.close();

const sizes = [{ name: "desk", width: 1180, height: 900 }, { name: "phone", width: 375, height: 760 }];
for (const entry of pages) {
  for (const language of ["en-GB", "nl-NL"]) {
    for (const colorScheme of ["light", "dark"]) {
      for (const size of sizes) {
        const context = await browser.newContext({ locale: language, colorScheme, viewport: { width: size.width, height: size.height }, extraHTTPHeaders: entry.headers ?? {} });
        await look(await context.newPage(), entry, language, colorScheme, size);
        await context.close();
      }
    }
  }
  const paper = await browser.newPage();
  await paper.goto(entry.url);
  const pdf = await paper.pdf({ format: "A4", ...(shots ? { path: `${shots}/${entry.name}.pdf` } : {}) });
  if (pdf.length < 5000) problems.push(`${entry.name}: nothing comes out of the printer`);
  await paper.close();
}
await browser.close();
console.log(JSON.stringify({ looked, problems }));

// What makes a page quicker to use: rows as links, charts that answer, figures that come by themselves.
// Without this script every figure, filter and form is still there.
"use strict";

const one = (selector, within = document) => within.querySelector(selector);
const all = (selector, within = document) => [...within.querySelectorAll(selector)];

// A row leads where its first cell leads.
document.addEventListener("click", (event) => {
  const row = event.target.closest("tbody tr");
  if (!row || event.target.closest("a, button, input, select, summary") || getSelection().toString()) return;
  const link = one("th a", row);
  if (link) link.click();
});

// Menus close when something else is meant.
document.addEventListener("click", (event) => {
  for (const menu of all("details.menu[open]")) if (!menu.contains(event.target)) menu.open = false;
});

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.dataset.ask && !confirm(form.dataset.ask)) event.preventDefault();
  const key = one("[data-filter-key]", form);
  if (key) one("[data-filter]", form).value = `${key.value}=${one("[data-filter-value]", form).value}`;
});

// Values to filter by, the dearest first, asked for when the key is picked.
async function suggest(form) {
  const key = one("[data-filter-key]", form).value;
  const answer = await fetch(`${form.dataset.suggest}?limit=50&by=${encodeURIComponent(key)}`);
  if (!answer.ok) return;
  const { rows } = await answer.json();
  const options = rows.map((row) => row[key] ?? row[`label.${key}`]).filter((value) => value != null);
  one("datalist", form).replaceChildren(...options.map((value) => new Option(value, value)));
}

function prepareFilter(form) {
  const key = one("[data-filter-key]", form);
  key.addEventListener("change", () => suggest(form));
  form.closest("details").addEventListener("toggle", (event) => {
    if (event.target.open) suggest(form);
  });
}

// A chart becomes alive when somebody reaches for it: until then it is a picture.
let library;
const load = () =>
  (library ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = document.body.dataset.script;
    script.onload = resolve;
    script.onerror = reject;
    document.head.append(script);
  }));

async function enliven(figure) {
  if (figure.dataset.alive) return;
  figure.dataset.alive = "soon";
  const picture = one(".picture", figure);
  const isAtMost = (width) => matchMedia(`(max-width: ${width}px)`).matches;
  const address = new URL(figure.dataset.chart, location.href);
  address.searchParams.set("frame", isAtMost(700) ? "narrow" : isAtMost(1180) ? "middle" : "wide");
  if (matchMedia("(prefers-color-scheme: dark)").matches) address.searchParams.set("theme", "dark");
  try {
    const [answer] = await Promise.all([fetch(address), load()]);
    const spec = await answer.json();
    const place = document.createElement("div");
    place.hidden = true;
    picture.append(place);
    const drawn = one("img", picture);
    const width = drawn.clientWidth;
    await vegaEmbed(place, fitted(spec, width), {
      ast: true, // expressions are interpreted: no text is run as a program
      actions: false,
      defaultStyle: false,
      renderer: "svg",
      tooltip: { disableDefaultStyle: true, theme: "ours" },
    });
    place.hidden = false;
    drawn.closest("picture").hidden = true;
    figure.dataset.alive = "yes";
  } catch {
    delete figure.dataset.alive;
  }
}

// The plot as wide as the picture it takes the place of.
function fitted(spec, width) {
  const frame = (part) => (spec.padding?.left ?? 0) + (spec.padding?.right ?? 0) + (part.usermeta?.beside ?? 0);
  delete spec.$schema; // the script here may be of another version than the picture
  for (const part of spec.vconcat ?? [spec]) part.width = Math.max(120, width - frame(spec));
  return spec;
}

function prepareCharts() {
  for (const figure of all("[data-chart]")) {
    const picture = one(".picture", figure);
    picture?.addEventListener("pointerenter", () => enliven(figure), { once: true });
  }
}

// Keys.
function step(by) {
  const links = all("tbody tr th a").filter((link) => link.checkVisibility());
  if (!links.length) return;
  const at = links.indexOf(document.activeElement);
  const next = at < 0 ? (by > 0 ? 0 : links.length - 1) : (at + by + links.length) % links.length;
  links[next].focus();
}

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    for (const menu of all("details.menu[open]")) {
      menu.open = false;
      one("summary", menu).focus();
    }
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, select, textarea")) return;
  const menu = one(`details.menu[data-key="${CSS.escape(event.key)}"]`);
  if (menu) {
    menu.open = true;
    one("a, select, input:not([type=hidden])", one(".sheet", menu)).focus();
  } else if (event.key === "j") step(1);
  else if (event.key === "k") step(-1);
  else if (one(`[data-answer="${CSS.escape(event.key)}"]`)) one(`[data-answer="${CSS.escape(event.key)}"]`).click();
  else if (event.key === "n" && one("[data-take]:enabled")) one("[data-take]").click();
  else if (event.key === "?") one("#keys")?.showModal();
  else return;
  event.preventDefault();
});

// Figures that come by themselves: the page is asked for anew, and only its content is changed.
let asking = false;
let dueAt = 0;

async function renew() {
  if (asking || document.hidden || one("details[open], dialog[open]") || Date.now() < dueAt) return;
  const held = document.activeElement;
  if (held && held.matches("input, select, textarea")) return;
  asking = true;
  dueAt = Date.now() + 5000;
  try {
    const answer = await fetch(location.href, { headers: { accept: "text/html" } });
    if (!answer.ok || answer.redirected) return;
    const came = new DOMParser().parseFromString(await answer.text(), "text/html");
    const content = one("#content", came);
    if (!content) return;
    const place = one("#content").contains(held) ? held.getAttribute("href") : null;
    one("#content").replaceWith(document.adoptNode(content));
    if (place) one(`#content a[href="${CSS.escape(place)}"]`)?.focus({ preventScroll: true });
    prepare();
    told("Figures are up to date.");
  } finally {
    asking = false;
  }
}

function told(text) {
  const toast = one("[data-toast]");
  toast.textContent = text;
  toast.hidden = false;
  setTimeout(() => (toast.hidden = true), 1800);
}

function listen() {
  if (!document.body.dataset.live) return;
  const stream = new EventSource(document.body.dataset.live);
  let waiting;
  stream.addEventListener("calls", () => {
    if (one("[data-first-run]")) dueAt = 0;
    clearTimeout(waiting);
    waiting = setTimeout(renew, Math.max(300, dueAt - Date.now()));
  });
  addEventListener("pagehide", () => stream.close());
}

function prepare() {
  prepareCharts();
  all("form[data-suggest]").forEach(prepareFilter);
  const keys = one("[data-keys]");
  if (keys) {
    keys.hidden = false;
    keys.addEventListener("click", () => one("#keys").showModal());
  }
}

prepare();
listen();

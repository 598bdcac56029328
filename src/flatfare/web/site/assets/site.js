// Sorting, filtering and the chart's points, drawn from the tables that stand in the page.
// Without this script every figure is still there.
"use strict";

const number = (cell) => {
  const value = cell.dataset.value;
  return value === undefined || value === "" ? null : Number(value);
};

const keyOf = (row, column) => {
  const cell = row.cells[column];
  return cell.dataset.value === undefined ? cell.textContent.trim().toLowerCase() : number(cell);
};

// What is not known stays last in either direction.
const compare = (a, b, sign) => {
  if (a === null || b === null) return (a === null) - (b === null);
  return sign * (typeof a === "string" ? a.localeCompare(b, "en", { numeric: true }) : a - b);
};

function sortBy(table, column, head) {
  const sorted = head.getAttribute("aria-sort");
  const falling = sorted ? sorted === "ascending" : head.dataset.first === "descending";
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", falling ? "descending" : "ascending");
  const rows = [...table.tBodies[0].rows].map((row) => [keyOf(row, column), row]);
  rows.sort((a, b) => compare(a[0], b[0], falling ? -1 : 1));
  table.tBodies[0].append(...rows.map(([, row]) => row));
}

function makeSortable(table) {
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    if (head.classList.contains("plain")) return;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "sort";
    button.append(...head.childNodes);
    button.addEventListener("click", () => sortBy(table, column, head));
    head.append(button);
  });
}

function makeFilterable(table) {
  if (table.tBodies[0].rows.length < 8) return;
  const input = document.createElement("input");
  input.type = "search";
  input.className = "filter";
  input.placeholder = table.dataset.filter;
  input.setAttribute("aria-label", table.dataset.filter);
  input.addEventListener("input", () => {
    const words = input.value.toLowerCase().split(/\s+/);
    for (const row of table.tBodies[0].rows) {
      const path = row.querySelector(".path").textContent.toLowerCase();
      row.hidden = !words.every((word) => path.includes(word));
    }
  });
  table.before(input);
}

function addPoints(figure) {
  const picture = figure.querySelector(".picture");
  const narrow = matchMedia("(max-width: 700px)");
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  picture.append(tip);
  const spots = [...document.querySelectorAll("tr[data-wide]")].map((row) => makePoint(row, picture, tip));
  const settle = () => spots.forEach((spot) => spot.settle(narrow.matches ? "narrow" : "wide"));
  narrow.addEventListener("change", settle);
  settle();
}

function makePoint(row, picture, tip) {
  const spot = document.createElement("button");
  spot.type = "button";
  spot.className = "spot";
  spot.tabIndex = -1; // the table's rows are the keyboard's way through the same points
  spot.setAttribute("aria-hidden", "true");
  let [x, y] = [0, 0];
  const light = (on) => {
    row.classList.toggle("lit", on);
    spot.classList.toggle("lit", on);
  };
  const show = () => {
    light(true);
    tip.replaceChildren(...describe(row));
    tip.hidden = false;
    const room = picture.clientWidth - tip.offsetWidth;
    tip.style.left = `${Math.max(0, Math.min(room, x * picture.clientWidth - tip.offsetWidth / 2))}px`;
    const above = y * picture.clientHeight - tip.offsetHeight - 16;
    tip.style.top = `${above < 0 ? y * picture.clientHeight + 16 : above}px`;
  };
  const hide = () => {
    light(false);
    tip.hidden = true;
  };
  spot.addEventListener("mouseenter", show);
  spot.addEventListener("mouseleave", hide);
  spot.addEventListener("click", () => row.scrollIntoView({ block: "center" }));
  row.addEventListener("mouseenter", () => light(true));
  row.addEventListener("mouseleave", () => light(false));
  picture.append(spot);
  return {
    settle(frame) {
      [x, y] = row.dataset[frame].split(" ").map(Number);
      spot.style.left = `${x * 100}%`;
      spot.style.top = `${y * 100}%`;
    },
  };
}

function describe(row) {
  const name = document.createElement("b");
  name.textContent = row.querySelector(".path").firstChild.textContent.trim();
  const lines = [...row.querySelectorAll("td.number")].slice(0, 2).map((cell) => {
    const line = document.createElement("span");
    const parts = [...cell.childNodes].map((node) => node.textContent.trim()).filter(Boolean);
    line.textContent = `${cell.dataset.label}: ${parts.join(" · ")}`;
    return line;
  });
  return [name, ...lines.flatMap((line, at) => (at ? [document.createElement("br"), line] : [line]))];
}

document.querySelectorAll("table[data-sortable]").forEach(makeSortable);
document.querySelectorAll("table[data-filter]").forEach(makeFilterable);
document.querySelectorAll("[data-chart]").forEach(addPoints);

"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const [layer, head, told, map] = ["layer", "head", "told", "map"].map((id) => document.getElementById(id));
const rows = [...map.rows];
const hint = told.textContent;
let view, focused, marked = [];

const number = (whole) => (whole / 10000).toFixed(4);
const place = (cell) => [cell.parentNode.rowIndex, cell.cellIndex];

function fill(body, lines) {
  body.replaceChildren(...lines.map((line) => {
    const row = document.createElement("tr");
    line.forEach((text) => { row.insertCell().textContent = text; });
    row.lastChild.className = "number";
    return row;
  }));
}

function draw() {
  view = data.views[layer.value][head.value];
  view.weights.forEach((weights, row) => weights.forEach((weight, column) => {
    const cell = rows[row + 1].cells[column + 1];
    cell.textContent = Math.round(weight / 100) || "";
    cell.style.setProperty("--weight", Math.sqrt(weight / 10000));
  }));
  fill(document.getElementById("links"), view.links.map(([who, what, weight]) => [who, what, number(weight)]));
  fill(document.getElementById("shares"), view.shares.map(([name, share]) => [name, number(share)]));
  tell(focused);
}

function heaviest(weights) {
  const order = weights.map((weight, token) => [weight, token]).sort((a, b) => b[0] - a[0] || a[1] - b[1]);
  return order.slice(0, 5).map(([weight, token]) => `${token + 1} ${data.tokens[token]} ${number(weight)}`).join(", ");
}

function mark(cells, name) {
  for (const cell of cells) cell.classList.add(name);
  marked.push(...cells);
}

function tell(cell) {
  const [row, column] = cell ? place(cell) : [-1, -1];
  const name = (n) => `${n} ${data.tokens[n - 1]}`;
  marked.forEach((other) => other.classList.remove("row", "column"));
  marked = [];
  if (row > 0) mark(rows[row].cells, "row");
  if (column > 0) mark(rows.map((one) => one.cells[column]), "column");
  told.classList.toggle("hint", !cell);
  told.textContent = !cell
    ? hint
    : row === 0
      ? `${name(column)} is looked at most by: ${heaviest(view.weights.map((weights) => weights[column - 1]))}`
      : column === 0
        ? `${name(row)} looks most at: ${heaviest(view.weights[row - 1])}`
        : `${name(row)} looks at ${name(column)}: ${number(view.weights[row - 1][column - 1])}`;
}

function focus(cell) {
  map.querySelector("[tabindex='0']").tabIndex = -1;
  cell.tabIndex = 0;
  focused = cell;
  tell(cell);
}

const cellOf = (event) => event.target.closest("#map [tabindex]");
map.addEventListener("pointerover", (event) => { if (cellOf(event)) tell(cellOf(event)); });
map.addEventListener("pointerleave", () => tell(focused));
map.addEventListener("focusin", (event) => focus(cellOf(event)));
map.addEventListener("keydown", (event) => {
  const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
  if (!step) return;
  const [row, column] = place(focused);
  const next = rows[row + step[0]]?.cells[column + step[1]];
  if (next?.hasAttribute("tabindex")) next.focus();
  event.preventDefault();
});
[layer, head].forEach((select) => select.addEventListener("change", draw));
draw();

"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const element = (id) => document.getElementById(id);
const [source, layer, head, told] = ["source", "layer", "head", "told"].map(element);
const TOLD = 10, NUMBERED = 5, LEAST = 100;
const VERBS = { owed: "is owed most to", copy: "would be copied most from", attention: "looked most at" };
const REST = { owed: "the reader’s own vocabulary", attention: "the question and special tokens" };

const number = (whole) => (whole / 10000).toFixed(4);
const percent = (whole) => (whole / 100).toFixed(whole < 1000 || (whole > 9900 && whole < 10000) ? 1 : 0);

function unpack(text) {
  const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  const weights = [];
  let weight = 0, place = 1;
  for (const character of text) {
    const digit = digits.indexOf(character);
    weight += (digit % 32) * place;
    place *= 32;
    if (digit < 32) {
      weights.push(weight);
      [weight, place] = [0, 1];
    }
  }
  return weights;
}

function start() {
  const answer = element("answer");
  const radios = [...answer.querySelectorAll("[role=radio]")];
  const passages = [...document.querySelectorAll(".passage")].map((passage) => ({
    rank: passage.id.split("-")[1],
    sum: passage.querySelector(".sum"),
    words: [...passage.querySelectorAll(".text span")],
  }));
  const words = passages.flatMap(({ rank, words }) => words.map((word) => ({ rank, word })));
  const whole = radios.length - 1;
  let chosen = whole, lit = [];

  function shown(radio) {
    const view = source.value === "attention" ? data.views.attention[layer.value][head.value] : data.views[source.value];
    const row = radio === whole ? 0 : radio + 1;
    return { weights: unpack(view.rows[row]), others: view.others[row], outside: view.outside[row] };
  }

  function light(weights, heaviest, copied) {
    for (const word of lit) {
      word.className = "";
      word.removeAttribute("style");
      delete word.dataset.percent;
    }
    lit = [];
    weights.forEach((weight, n) => {
      const { word } = words[n];
      if (weight === 0 && !copied.includes(n)) return;
      word.style.setProperty("--weight", Math.sqrt(weight / 10000));
      if (weight >= LEAST) word.classList.add("heavy");
      if (copied.includes(n)) word.classList.add("copied");
      lit.push(word);
    });
    for (const n of heaviest.slice(0, NUMBERED)) {
      if (weights[n] >= LEAST) words[n].word.dataset.percent = percent(weights[n]);
    }
  }

  function row(...texts) {
    const line = document.createElement("tr");
    texts.forEach((text) => { line.insertCell().textContent = text; });
    line.lastChild.className = "number";
    return line;
  }

  function show(radio) {
    const { weights, others, outside } = shown(radio);
    const order = weights.map((_, n) => n).sort((a, b) => weights[b] - weights[a] || a - b).slice(0, TOLD);
    light(weights, order, radio === whole ? data.copied.flat() : data.copied[radio]);
    radios.forEach((one, n) => one.classList.toggle("shown", n === radio));
    const name = radio === whole ? "the answer" : `“${radios[radio].textContent}”`;
    const best = words[order[0]];
    told.textContent = best
      ? `${radio === whole ? "The answer" : name} ${VERBS[source.value]} “${best.word.textContent}” in passage ${best.rank}: ${number(weights[order[0]])}`
      : "";
    element("heaviest").replaceChildren(
      ...order.filter((n) => weights[n] > 0).map((n) => row(words[n].rank, words[n].word.textContent, number(weights[n]))),
      row("", "all other words", number(others)),
      ...(REST[source.value] ? [row("", REST[source.value], number(outside))] : []),
    );
    let at = 0;
    for (const passage of passages) {
      const own = weights.slice(at, (at += passage.words.length)).reduce((sum, weight) => sum + weight, 0);
      const isShare = source.value === "owed" && radio === whole;
      passage.sum.textContent = isShare ? "" : `${name}: ${percent(own)} % here`;
    }
  }

  function choose(radio) {
    chosen = radio;
    radios.forEach((one, n) => {
      one.tabIndex = n === radio ? 0 : -1;
      one.setAttribute("aria-checked", String(n === radio));
    });
    show(radio);
  }

  function refresh() {
    document.querySelectorAll(".heads").forEach((label) => { label.hidden = source.value !== "attention"; });
    show(chosen);
  }

  const radioOf = (event) => radios.indexOf(event.target.closest("[role=radio]"));
  answer.addEventListener("pointerover", (event) => show(radioOf(event) < 0 ? chosen : radioOf(event)));
  answer.addEventListener("pointerleave", () => show(chosen));
  answer.addEventListener("focusin", (event) => choose(radioOf(event)));
  answer.addEventListener("click", (event) => { if (radioOf(event) >= 0) radios[radioOf(event)].focus(); });
  answer.addEventListener("keydown", (event) => {
    const last = radios.length;
    const to = {
      ArrowRight: (chosen + 1) % last, ArrowDown: (chosen + 1) % last,
      ArrowLeft: (chosen + last - 1) % last, ArrowUp: (chosen + last - 1) % last,
      Home: 0, End: whole - 1, Escape: whole,
    }[event.key];
    if (to === undefined) return;
    radios[to].focus();
    event.preventDefault();
  });
  [source, layer, head].forEach((select) => select.addEventListener("change", refresh));
  refresh();
}

if (data) start();

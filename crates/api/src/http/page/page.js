"use strict";
// The path of the page can lack its trailing slash, for example behind a prefix.
const base = location.origin + location.pathname.replace(/\/?$/, "/");
const DEBOUNCE_MS = 250;
const TIMEOUT_MS = 30000;
const DETAILED = 32; // maximum number of texts in the matrix and the token list; 1,024 cells are still readable
const HEAD = 32, TAIL = 8; // tokens shown at the start and end of a long text

const $ = (id) => document.getElementById(id);

/** Returns an element with classes and children. Strings become text nodes, never markup. */
function make(name, classes, ...children) {
  const element = document.createElement(name);
  if (classes) element.className = classes;
  element.append(...children);
  return element;
}

// Requests to the server

class Failure extends Error {
  constructor(title, message) {
    super(message);
    this.title = title;
  }
}

/** One request; run.abort() ends it. Rejects with a Failure unless the run was superseded. */
async function ask(run, route, body) {
  const started = performance.now();
  let late = false;
  const timer = setTimeout(() => { late = true; run.abort(); }, TIMEOUT_MS);
  let response, text;
  try {
    response = await fetch(base + route, {
      method: body === undefined ? "GET" : "POST",
      headers: { accept: "application/json", ...(body === undefined ? {} : { "content-type": "application/json" }) },
      body: body === undefined ? undefined : JSON.stringify(body),
      cache: "no-store",
      signal: run.signal,
    });
    text = await response.text();
  } catch (cause) {
    if (late) throw new Failure("Timed out", `/${route} did not respond within ${TIMEOUT_MS / 1000} s.`);
    if (run.signal.aborted) throw cause;
    throw new Failure("No connection", `/${route} cannot be reached. Check that the server is running and the network is available.`);
  } finally {
    clearTimeout(timer);
  }
  const elapsed = performance.now() - started;
  let value;
  try { value = JSON.parse(text); } catch { /* not JSON: said below */ }
  if (!response.ok) throw refusal(route, response, value, text);
  if (value === undefined) throw new Failure(`HTTP ${response.status}`, `The response of /${route} is not JSON: ${excerpt(text)}`);
  return { value, headers: response.headers, elapsed };
}

function refusal(route, response, value, text) {
  const code = value?.error_type ?? value?.error?.code;
  const said = value?.error?.message ?? value?.error ?? value?.message ?? value?.Message;
  const wait = response.headers.get("retry-after");
  return new Failure(
    `HTTP ${response.status}` + (typeof code === "string" ? ` ${code}` : ""),
    (typeof said === "string" ? said : `/${route} returned: ${excerpt(text)}`) + (wait ? ` (retry after ${wait} s)` : ""),
  );
}

function excerpt(text) {
  const line = text.replace(/\s+/g, " ").trim();
  return line === "" ? "an empty body" : line.length > 160 ? line.slice(0, 160) + "…" : line;
}

function expect(holds, route) {
  if (!holds) throw new Failure("Unexpected response", `The response of /${route} does not have the expected shape.`);
}

// The input

function read() {
  const query = $("query").value;
  const candidates = $("candidates").value.split("\n").filter((line) => line.trim() !== "");
  return { query, candidates, missing: query.trim() === "" ? "Type a query to compare with." : candidates.length === 0 ? "Type at least one candidate." : "" };
}

const label = (index) => index === 0 ? "Q" : String(index);
const spoken = (index) => index === 0 ? "query" : `candidate ${index}`;
const fixed = (value, digits) => value.toFixed(digits).replace(/^-(0\.0*)$/, "$1");
const count = (number, noun) => `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;

// One run: the scores first, then the tokens and the matrix. The requests are sequential, so that a
// function has one cold start and embeds each text once.

let current = null; // the run in progress
let pending = 0; // the timer of the debounce
let info = null; // the response of GET /info
let shown = null; // the texts, scores and indices of truncated texts on the screen

async function score() {
  clearTimeout(pending);
  current?.abort();
  const { query, candidates, missing } = read();
  if (missing) return clear(missing);
  const run = current = new AbortController();
  const texts = [query, ...candidates];
  const detailed = texts.slice(0, DETAILED);
  const done = new Set();
  busy(true);
  $("status").textContent = "Scoring…";
  try {
    const scored = await ask(run, "similarity", { inputs: { source_sentence: query, sentences: candidates }, parameters: { truncate: true } });
    if (run !== current) return;
    expect(Array.isArray(scored.value) && scored.value.length === candidates.length && scored.value.every(Number.isFinite), "similarity");
    const header = (scored.headers.get("x-semblance-truncated") ?? "").split(",").filter((part) => part.trim() !== "").map(Number);
    shown = { texts, scores: scored.value, truncated: new Set(header.filter((index) => index in texts)) };
    drawScores();
    drawTimings(scored);
    fresh("scores", done);
    $("status").textContent = `${count(candidates.length, "candidate")} scored in ${fixed(scored.elapsed, 0)} ms`;

    if (info === null) {
      const { value } = await ask(run, "info");
      if (run !== current) return;
      expect(value !== null && typeof value === "object" && !Array.isArray(value), "info");
      info = value;
      drawFacts();
      drawScores();
      if (info.has_indexes === true) showIndexes();
    }

    const split = await ask(run, "tokenize", { inputs: detailed });
    if (run !== current) return;
    expect(Array.isArray(split.value) && split.value.length === detailed.length && split.value.every(Array.isArray), "tokenize");
    drawTokens(texts, split.value);
    fresh("tokens", done);

    const embedded = await ask(run, "embed", { inputs: detailed, truncate: true });
    if (run !== current) return;
    expect(Array.isArray(embedded.value) && embedded.value.length === detailed.length && embedded.value.every((row) => Array.isArray(row) && row.length === embedded.value[0].length && row.every(Number.isFinite)), "embed");
    drawMatrix(texts, embedded.value);
    fresh("matrix", done);
    $("alert").replaceChildren();
  } catch (cause) {
    if (run !== current) return; // superseded by another run: ignore its errors
    const failure = cause instanceof Failure ? cause : new Failure("Error in this page", String(cause));
    fail(failure, done);
  } finally {
    if (run === current) { current = null; busy(false); }
  }
}

function schedule() {
  clearTimeout(pending);
  // The run in progress is for an outdated input.
  current?.abort();
  if (current) { current = null; busy(false); $("status").textContent = ""; }
  drawRequests();
  if (read().missing) score(); else pending = setTimeout(score, DEBOUNCE_MS);
}

const PANELS = ["scores", "tokens", "matrix"];

function busy(is) {
  for (const panel of PANELS) $(`${panel}-panel`).setAttribute("aria-busy", String(is));
}

function stale(panel, is) {
  $(`${panel}-panel`).classList.toggle("stale", is);
  $(`${panel}-title`).querySelector(".tag").hidden = !is;
}

function fresh(panel, done) {
  done.add(panel);
  stale(panel, false);
}

function fail(failure, done) {
  const behind = PANELS.filter((panel) => !done.has(panel));
  for (const panel of behind) stale(panel, shown !== null);
  const rest = shown === null || behind.length === 0 ? "" : "Panels marked “not updated” show the previous results. ";
  $("alert").replaceChildren(make("p", "", make("strong", "", failure.title), ` ${failure.message}`), make("p", "soft", `${rest}Press Score to try again.`));
  if (!done.has("scores")) $("status").textContent = "";
}

function clear(why) {
  current = null;
  shown = null;
  busy(false);
  for (const panel of PANELS) stale(panel, false);
  for (const id of ["alert", "axis", "truncation", "timings", "matrix", "matrix-hint", "tokens", "tokens-hint", "readout", "status"]) $(id).replaceChildren();
  $("legend").hidden = true;
  $("bars").replaceChildren(make("li", "empty", why));
  $("bars").firstChild.style.display = "block";
}

// Scores

function drawScores() {
  const { texts, scores, truncated } = shown;
  const order = scores.map((_, index) => index);
  if (!$("keep").checked) order.sort((a, b) => scores[b] - scores[a] || a - b);
  const least = Math.min(...scores);
  // The axis starts at 0, or at the step below the lowest score, so that it rarely changes.
  const low = least >= 0 ? 0 : [-0.1, -0.25, -0.5, -1].find((step) => step <= least) ?? -1;
  const at = (value) => `${(Math.min(1, Math.max(low, value)) - low) / (1 - low) * 100}%`;
  $("bars").replaceChildren(...order.map((index) => {
    const value = scores[index];
    const bar = make("span", value < 0 ? "bar below" : "bar");
    bar.style.left = at(Math.min(0, value));
    bar.style.right = `calc(100% - ${at(Math.max(0, value))})`;
    const track = make("div", "track", bar);
    track.setAttribute("aria-hidden", "true");
    if (low < 0) {
      const origin = make("span", "origin");
      origin.style.left = at(0);
      track.append(origin);
    }
    const text = make("span", "sentence", texts[index + 1]);
    text.title = texts[index + 1];
    const number = make("span", "score number", fixed(value, 4));
    const row = make("li", "", make("span", "place number", label(index + 1)), text, number, track);
    if (truncated.has(index + 1)) text.prepend(make("span", "tag", "truncated"), " ");
    row.dataset.index = index;
    return row;
  }));
  const ticks = low === 0 ? [0, 0.5, 1] : low === -0.1 ? [0, 1] : [low, 0, 1]; // -0.1 and 0 would touch
  $("axis").replaceChildren(make("div", "number", ...ticks.map((value) => {
    const tick = make("span", value === low ? "first" : value === 1 ? "last" : "", String(value));
    tick.style.left = at(value);
    return tick;
  })));
  const names = [...truncated].sort((a, b) => a - b);
  const numbers = names.filter((index) => index > 0);
  const whose = [...(truncated.has(0) ? ["the query"] : []), ...(numbers.length ? [`candidate${numbers.length === 1 ? "" : "s"} ${numbers.join(", ")}`] : [])].join(" and ");
  $("truncation").textContent = names.length === 0 ? "" : `Truncated on the right: ${whose}. The model reads only the first ${Number.isFinite(info?.max_input_length) ? `${info.max_input_length} ` : ""}tokens of a text.`;
}

function drawTimings({ headers, elapsed }) {
  const time = (header) => headers.get(header) === null ? "–" : `${headers.get(header)} ms`;
  const rows = [
    ["Round trip", `${fixed(elapsed, 1)} ms`],
    ["In the server", time("x-total-time")],
    ["Tokenization", time("x-tokenization-time")],
    ["Inference", time("x-inference-time")],
    ["Tokens", headers.get("x-compute-tokens") ?? "–"],
  ];
  $("timings").replaceChildren(...rows.map(([term, value]) => make("div", "", make("dt", "", term), make("dd", "number", value))));
}

// The matrix

function drawMatrix(texts, rows) {
  // Rows have unit length, so their dot product is the cosine.
  const dot = (a, b) => a.reduce((sum, value, index) => sum + value * b[index], 0);
  const size = rows.length;
  const values = rows.map(() => new Array(size));
  for (let i = 0; i < size; i++) for (let j = i; j < size; j++) values[i][j] = values[j][i] = dot(rows[i], rows[j]);

  const heading = (scope, index, ...children) => {
    const cell = make("th", "", ...children);
    cell.scope = scope;
    cell.title = texts[index];
    return cell;
  };
  const head = make("thead", "", make("tr", "", make("th", "", make("span", "hidden", "Text")), ...rows.map((_, index) => heading("col", index, label(index)))));
  const body = make("tbody", "", ...values.map((line, i) => make("tr", "",
    heading("row", i, make("div", "", make("span", "letter number", label(i)), make("span", "", texts[i]))),
    ...line.map((value, j) => {
      const cell = make("td", value < 0 ? "negative number" : "positive number", fixed(value, 2));
      cell.style.setProperty("--share", `${Math.min(1, Math.abs(value)) * 100}%`);
      cell.title = `${fixed(value, 4)}: ${spoken(i)} and ${spoken(j)}`;
      cell.setAttribute("aria-label", cell.title);
      cell.tabIndex = i === 0 && j === 0 ? 0 : -1;
      Object.assign(cell.dataset, { row: i, column: j, value: fixed(value, 4) });
      return cell;
    }))));
  const focused = document.activeElement?.closest?.("#matrix td");
  $("matrix").style.setProperty("--size", size);
  $("matrix").replaceChildren(head, body);
  if (focused) cellAt(Math.min(size - 1, focused.dataset.row), Math.min(size - 1, focused.dataset.column)).focus();
  $("legend").hidden = false;
  $("readout").textContent = "Point at a cell, or use the arrow keys, to see its two texts.";
  $("matrix-hint").textContent = "Q is the query, the numbers are the candidates in input order."
    + (texts.length > size ? ` The first ${size} of ${texts.length} texts are shown.` : "");
}

const cellAt = (row, column) => $("matrix").querySelector(`td[data-row="${row}"][data-column="${column}"]`);

function readOut(event) {
  const cell = event.target.closest("td[data-row]");
  if (!cell || shown === null) return;
  const short = (index) => { const text = shown.texts[index] ?? ""; return text.length > 120 ? text.slice(0, 120) + "…" : text; };
  const { row, column, value } = cell.dataset;
  $("readout").replaceChildren(make("strong", "number", value), ` “${short(row)}” and “${short(column)}”`);
}

function moveCell(event) {
  const cell = event.target.closest("td[data-row]");
  if (!cell || event.ctrlKey || event.metaKey || event.altKey) return;
  const last = $("matrix").querySelectorAll("tbody tr").length - 1;
  let row = Number(cell.dataset.row), column = Number(cell.dataset.column);
  if (event.key === "ArrowUp") row--;
  else if (event.key === "ArrowDown") row++;
  else if (event.key === "ArrowLeft") column--;
  else if (event.key === "ArrowRight") column++;
  else if (event.key === "Home") column = 0;
  else if (event.key === "End") column = last;
  else return;
  event.preventDefault();
  const next = cellAt(row, column);
  if (next) { cell.tabIndex = -1; next.tabIndex = 0; next.focus(); }
}

// Tokens

function drawTokens(texts, split) {
  const limit = info?.max_input_length;
  $("tokens").replaceChildren(...split.map((tokens, index) => {
    // The special token at the end is kept: truncation does not remove it.
    let tail = 0;
    while (tail < tokens.length && tokens[tokens.length - 1 - tail].special) tail++;
    const over = Number.isFinite(limit) ? Math.min(tokens.length - tail, Math.max(0, tokens.length - limit)) : 0;
    const from = tokens.length - tail - over;
    const chips = make("div", "chips", ...runOf(tokens, 0, from, false));
    if (over > 0) chips.append(make("span", "tag", `truncated here, after ${limit} tokens`), ...runOf(tokens, from, from + over, true));
    chips.append(...runOf(tokens, from + over, tokens.length, false));
    const row = make("li", "", make("p", "counted", make("strong", "letter number", label(index)),
      make("span", "number", count(tokens.length, "token") + (over > 0 ? `, ${over.toLocaleString("en")} of them truncated` : ""))), chips);
    row.dataset.index = index;
    return row;
  }));
  $("tokens-hint").textContent = "The tokens of each text. A dashed edge joins the pieces of one word."
    + (texts.length > split.length ? ` The first ${split.length} of ${texts.length} texts are shown.` : "");
}

/** Returns chips of tokens[from..to]. A button expands the middle of a long run. */
function runOf(tokens, from, to, gone) {
  const draw = (first, end) => {
    const drawn = [];
    for (let index = first; index < end; index++) {
      const { id, text, special, start } = tokens[index];
      const joined = index > from && !special && start !== null && start === tokens[index - 1].stop;
      const chip = make(gone ? "del" : "span", `chip${special ? " special" : ""}${gone ? " gone" : ""}${joined ? " joined" : ""}`, text);
      chip.title = `token ${index + 1}, id ${id}${gone ? ", truncated" : ""}`;
      drawn.push(chip);
    }
    return drawn;
  };
  if (to - from <= HEAD + TAIL + 8) return draw(from, to);
  const more = make("button", "", `${(to - from - HEAD - TAIL).toLocaleString("en")} more`);
  more.type = "button";
  more.addEventListener("click", () => {
    const rest = draw(from + HEAD, to - TAIL);
    more.replaceWith(...rest);
    rest[0].tabIndex = -1;
    rest[0].focus();
  });
  return [...draw(from, from + HEAD), more, ...draw(to - TAIL, to)];
}

// The same request with other tools

function drawRequests() {
  const { query, candidates, missing } = read();
  const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
  const body = { inputs: { source_sentence: query, sentences: candidates }, parameters: { truncate: true } };
  $("curl").textContent = missing || `curl -sS ${quoted(base + "similarity")} \\\n  -H 'content-type: application/json' \\\n  -d ${quoted(JSON.stringify(body, null, 2))}`;
  $("event").textContent = missing || JSON.stringify({ query_from_app: query, actual_queries: candidates }, null, 2);
  $("copy-curl").disabled = $("copy-event").disabled = missing !== "";
  $("counted").textContent = count(candidates.length, "candidate") + "; empty lines are ignored";
}

async function copy(button, source) {
  try {
    await navigator.clipboard.writeText(source.textContent);
  } catch {
    // Over plain HTTP from another host, the clipboard API is unavailable. Select the text instead.
    getSelection().selectAllChildren(source);
    if (!document.execCommand("copy")) {
      $("copied").textContent = "Selected; press Ctrl C to copy.";
      return;
    }
  }
  $("copied").textContent = "Copied.";
  const face = button.firstChild;
  face.data = "Copied";
  setTimeout(() => { face.data = "Copy"; $("copied").textContent = ""; }, 1500);
}

function drawFacts() {
  const number = (value) => Number.isFinite(value) ? value.toLocaleString("en") : null;
  const rows = [
    ["Model", info.model_id],
    ["dimensions", number(info.dimensions)],
    ["max. tokens of a text", number(info.max_input_length)],
    ["max. texts of a request", number(info.max_client_batch_size)],
    ["weights", info.model_dtype],
    ["pooling", info.model_type?.embedding?.pooling],
    ["semblance", info.version],
  ];
  $("facts").replaceChildren(...rows.filter(([, value]) => value !== null && value !== undefined)
    .map(([term, value]) => make("div", "", make("dt", "", term), make("dd", "number", String(value)))));
}

for (const id of ["openapi", "info", "health"]) $(`to-${id}`).href = base + (id === "openapi" ? "openapi.json" : id);
for (const id of ["curl", "event", "invoke"]) $(`copy-${id}`).addEventListener("click", () => copy($(`copy-${id}`), $(id)));
$("form").addEventListener("input", schedule);
$("form").addEventListener("submit", (event) => { event.preventDefault(); drawRequests(); score(); });
$("form").addEventListener("reset", () => setTimeout(() => { drawRequests(); score(); }));
$("form").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); drawRequests(); score(); }
});
$("keep").addEventListener("change", () => { if (shown) drawScores(); });
for (const kind of ["mouseover", "focusin", "click"]) $("matrix").addEventListener(kind, readOut);
$("matrix").addEventListener("keydown", moveCell);
drawRequests();
score();

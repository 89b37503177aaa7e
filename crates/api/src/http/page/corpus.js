
// Indexes: search and map. The panel appears if the service has indexes.

const MAP_COLORS = ["#4477aa", "#ee6677", "#228833", "#aa3377", "#33a0c8", "#dd8a1d", "#332288", "#44aa99", "#882255", "#999933", "#cc6677", "#117733"];
const MAP_LABELS = 24; // maximum number of labels
const MAP_EDGE = 28; // space around the points

let searching = null; // the search or map in progress
let map = null; // the response of POST /map, its scaled points and the cluster of each row

async function showIndexes() {
  const run = new AbortController();
  try {
    const { value } = await ask(run, "indexes");
    expect(Array.isArray(value?.indexes), "indexes");
    $("index").replaceChildren(...value.indexes.map((name) => make("option", "", name)));
    $("corpus-panel").hidden = value.indexes.length === 0;
  } catch (cause) {
    $("corpus-panel").hidden = false;
    $("corpus-status").textContent = `${cause.title ?? "Error"}: ${cause.message}`;
  }
}

/** Runs a request of the panel; the one before it ends. Failures are shown in the panel. */
async function askIndex(route, body, what) {
  searching?.abort();
  const run = searching = new AbortController();
  $("corpus-panel").setAttribute("aria-busy", "true");
  $("corpus-status").textContent = what;
  try {
    const answered = await ask(run, route, body);
    return run === searching ? answered : null;
  } catch (cause) {
    if (run === searching) $("corpus-status").textContent = `${cause.title ?? "Error"}: ${cause.message}`;
    return null;
  } finally {
    if (run === searching) { searching = null; $("corpus-panel").setAttribute("aria-busy", "false"); }
  }
}

async function search() {
  const query = $("corpus-query").value, written = $("filter").value.trim();
  if (query.trim() === "") { $("corpus-status").textContent = "Type what to search for."; return; }
  let filter = null;
  if (written !== "") {
    try { filter = JSON.parse(written); } catch { $("corpus-status").textContent = "The filter is not JSON, for example {\"year\": {\"$gte\": 2020}}."; return; }
  }
  const answered = await askIndex("search", { index: $("index").value, query, filter, top_k: 10 }, "Searching…");
  if (answered === null) return;
  const { value, elapsed } = answered;
  const rows = value?.results?.[0] ?? [];
  $("corpus-status").textContent = `${count(value.searched, "row")} searched in ${fixed(elapsed, 0)} ms, ${value.exact ? "exactly" : "approximately"}`;
  $("found").replaceChildren(...rows.map((row, place) => {
    const bar = make("span", "bar");
    bar.style.left = "0";
    bar.style.right = `${(1 - Math.min(1, Math.max(0, row.score))) * 100}%`;
    const track = make("div", "track", bar);
    track.setAttribute("aria-hidden", "true");
    const text = make("span", "sentence", row.text);
    text.title = row.text;
    const facts = Object.entries(row.metadata).map(([name, value]) => `${name}: ${value}`);
    return make("li", "", make("span", "place number", String(place + 1)), text, make("span", "score number", fixed(row.score, 4)), track,
      make("span", "facts", [row.id, ...facts].join(" · ")));
  }));
  if (rows.length === 0) $("found").replaceChildren(make("li", "empty", "No row passes the filter."));
  // The rows that were found are marked on the map.
  if (map !== null) { map.found = new Set(rows.map((row) => row.id)); drawMap(); }
}

async function openMap() {
  const index = $("index").value;
  const answered = await askIndex("map", { index, threshold: Number($("threshold").value), min_size: 5 }, "Arranging the rows…");
  if (answered === null) return;
  const { value, elapsed } = answered;
  const cluster = new Map();
  value.clusters.forEach((one, number) => one.members.forEach((row) => cluster.set(row, number)));
  map = { ...value, cluster, found: new Set(), at: null };
  $("corpus-status").textContent = `${count(value.points.length, "row")} and ${count(value.clusters.length, "cluster")} in ${fixed(elapsed, 0)} ms`;
  $("map").hidden = $("map-hint").hidden = false;
  $("map").setAttribute("aria-label", `Map of ${index}: ${count(value.points.length, "point")}; the list names the clusters`);
  $("themes").replaceChildren(...value.clusters.slice(0, MAP_LABELS).map((one, number) => {
    const dot = make("span", "dot");
    dot.style.background = MAP_COLORS[number % MAP_COLORS.length];
    const item = make("li", "", dot, make("span", "", one.words.slice(0, 3).join(", ") || one.label), make("span", "soft number", ` ${one.size}`));
    item.title = one.label;
    return item;
  }));
  drawMap();
}

/** Scales points to the canvas. The outermost ones do not decide. */
function scale(points, width, height) {
  const range = (axis) => {
    const values = points.map((point) => point[axis]).sort((a, b) => a - b);
    const at = (share) => values[Math.round(share * (values.length - 1))] ?? 0;
    return [at(0.005), Math.max(at(0.995) - at(0.005), 1e-9)];
  };
  const ranges = [range(0), range(1)], size = [width, height];
  const place = (point) => ranges.map(([least, length], axis) =>
    MAP_EDGE + Math.min(1.02, Math.max(-0.02, (point[axis] - least) / length)) * (size[axis] - 2 * MAP_EDGE));
  return points.map(place);
}

function drawMap() {
  const canvas = $("map"), ratio = devicePixelRatio || 1;
  const width = canvas.clientWidth, height = canvas.clientHeight;
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  const to = canvas.getContext("2d"), style = getComputedStyle(document.documentElement);
  const color = (name) => style.getPropertyValue(name).trim();
  to.scale(ratio, ratio);
  map.at = scale(map.points, width, height);
  const radius = Math.min(5, Math.max(1.2, 60 / Math.sqrt(map.points.length)));
  const dot = (row, size) => { to.beginPath(); to.arc(map.at[row][0], map.at[row][1], size, 0, 2 * Math.PI); to.fill(); };
  const rows = [...map.points.keys()];
  to.globalAlpha = 0.8;
  to.fillStyle = color("--line");
  for (const row of rows) if (!map.cluster.has(row)) dot(row, radius);
  for (const row of rows) if (map.cluster.has(row)) { to.fillStyle = MAP_COLORS[map.cluster.get(row) % MAP_COLORS.length]; dot(row, radius); }
  to.globalAlpha = 1;
  to.strokeStyle = color("--text");
  to.lineWidth = 2;
  for (const row of rows) if (map.found.has(map.ids[row])) { to.beginPath(); to.arc(map.at[row][0], map.at[row][1], radius + 3, 0, 2 * Math.PI); to.stroke(); }
  drawLabels(to, width, height, color);
}

function drawLabels(to, width, height, color) {
  to.font = "600 13px system-ui, sans-serif";
  to.textAlign = "center";
  to.textBaseline = "middle";
  to.lineJoin = "round";
  const taken = [];
  for (const one of map.clusters.slice(0, MAP_LABELS)) {
    const text = one.words.slice(0, 2).join(", ") || one.label.slice(0, 30);
    const half = to.measureText(text).width / 2 + 4;
    const middle = (axis) => one.members.map((row) => map.at[row][axis]).sort((a, b) => a - b)[one.members.length >> 1];
    const x = Math.min(width - half, Math.max(half, middle(0)));
    for (let step = 0; step < 9; step++) {
      const y = Math.min(height - 10, Math.max(10, middle(1) + (step % 2 ? -1 : 1) * Math.ceil(step / 2) * 18));
      const area = [x - half, y - 9, x + half, y + 9];
      if (taken.some((other) => area[0] < other[2] && other[0] < area[2] && area[1] < other[3] && other[1] < area[3])) continue;
      taken.push(area);
      to.lineWidth = 4;
      to.strokeStyle = color("--panel");
      to.strokeText(text, x, y);
      to.fillStyle = color("--text");
      to.fillText(text, x, y);
      break;
    }
  }
}

function pointOut(event) {
  if (map?.at == null) return;
  const { left, top } = $("map").getBoundingClientRect();
  const x = event.clientX - left, y = event.clientY - top;
  let nearest = null, least = 15 ** 2;
  map.at.forEach(([a, b], row) => {
    const square = (a - x) ** 2 + (b - y) ** 2;
    if (square < least) { least = square; nearest = row; }
  });
  if (nearest === null) return;
  const text = map.texts[nearest];
  $("map-hint").replaceChildren(make("strong", "", map.ids[nearest]), ` ${text.length > 240 ? text.slice(0, 240) + "…" : text}`);
}

$("search-form").addEventListener("submit", (event) => { event.preventDefault(); search(); });
$("draw").addEventListener("click", openMap);
$("index").addEventListener("change", () => { map = null; $("map").hidden = $("map-hint").hidden = true; $("found").replaceChildren(); $("themes").replaceChildren(); });
for (const kind of ["mousemove", "click"]) $("map").addEventListener(kind, pointOut);
addEventListener("resize", () => { if (map !== null) drawMap(); });

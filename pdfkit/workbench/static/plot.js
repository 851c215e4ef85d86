"use strict";
// Curves on the plots: thinned for the zoom shown to the lowest and highest point of each column of pixels, which draws
// the same picture and hides no peak.
(() => {
  const { on, curves, send } = workbench;
  const at = (id) => document.getElementById(id);
  const { PARTS } = workbench.figures;
  let doc, late = null, pending = false, offset = 0, known = "", parts = [], below = false;

  // Returns the first index whose r is not below a value.
  function first(r, value) {
    let low = 0, high = r.length;
    while (low < high) { const mid = (low + high) >> 1; if (r[mid] < value) low = mid + 1; else high = mid; }
    return low;
  }

  function thinned(r, values, low, high, columns) {
    const from = Math.max(0, first(r, low) - 1), to = Math.min(r.length, first(r, high) + 2);
    if (to - from <= 2 * columns) return { x: r.subarray(from, to), y: values.subarray(from, to) };
    const scale = columns / (high - low), px = new Float32Array(2 * columns + 8), py = new Float32Array(2 * columns + 8);
    let size = 0, k = from;
    while (k < to && size < px.length - 1) {
      const end = Math.floor((r[k] - low) * scale) + 1;
      let least = k, most = k;
      for (; k < to && (r[k] - low) * scale < end; k += 1) {
        if (values[k] < values[least]) least = k;
        if (values[k] > values[most]) most = k;
      }
      for (const one of least < most ? [least, most] : least > most ? [most, least] : [least]) {
        px[size] = r[one]; py[size] = values[one]; size += 1;
      }
    }
    return { x: px.subarray(0, size), y: py.subarray(0, size) };
  }

  const NONE = new Float32Array(0);
  let columns = 200; // of pixels; to ask for it at each move would lay the page out each time
  const named = (name) => doc.get_model_by_name(name);

  function fill(name, r, values, range) {
    const some = r?.length && values?.length === r.length;
    const source = named(name);
    // Setting `data` itself would compare all numbers first.
    Object.assign(source.data, some ? thinned(r, values, range.start, range.end, columns) : { x: NONE, y: NONE });
    source.change.emit();
  }

  function draw(names) {
    const range = named("x"), points = at("as-points").checked;
    const wants = (id) => at(id).checked;
    const show = { measured: wants("show-measured") && !points, points: wants("show-measured") && points,
      calculated: wants("show-calculated"), difference: wants("show-difference") };
    for (const name of names) {
      if (name in show) fill(name, curves.r, show[name] ? curves[name === "points" ? "measured" : name] : null, range);
    }
    PARTS.forEach((part, k) => { if (parts[k] || named(`part${k}`).data.x.length) fill(`part${k}`, curves.r, parts[k] && curves[parts[k]], range); });
  }

  function difference() {
    const { measured = NONE, calculated = NONE } = curves;
    const some = measured.length && measured.length === calculated.length;
    curves.difference = some ? measured.map((value, i) => value - calculated[i] + offset) : NONE;
  }

  function extent(...all) {
    let low = Infinity, high = -Infinity;
    for (const values of all) for (const value of values ?? []) { if (value < low) low = value; if (value > high) high = value; }
    return [low, high];
  }

  function span(range, start, end) { range.setv({ start, end, reset_start: start, reset_end: end }); }

  // Chooses the offset of the difference and the range of G from the data: when other data come, or on demand.
  function whole() {
    const { r } = curves;
    if (!r?.length) return;
    span(named("x"), r[0] > 0.2 * r.at(-1) ? r[0] : 0, r.at(-1));
    upright();
  }

  function upright() {
    const [floor, top] = extent(curves.measured, curves.calculated), height = top - floor || 1;
    if (!Number.isFinite(height)) return;
    offset = 0; difference();
    const [under, over] = extent(curves.difference), some = Number.isFinite(under);
    offset = some ? floor - over - 0.05 * height : 0;
    difference();
    const low = some ? under + offset : floor;
    span(named("y"), low - 0.05 * (top - low), top + 0.05 * (top - low));
  }

  function show(fresh) {
    if (!doc) { late = new Set([...(late ?? []), ...fresh]); return; } // Bokeh's script is still read
    const { r } = curves, what = r?.length ? `${r.length} ${r[0]} ${r.at(-1)} ${curves.measured[r.length >> 1]}` : "";
    const before = parts.join("\n");
    parts = [...fresh].filter((name) => name.startsWith("part "));
    const compared = Boolean(curves.calculated?.length);
    if (what !== known) { known = what; whole(); } else if (compared !== below) upright(); else difference();
    below = compared;
    draw(fresh.has("r") ? ["measured", "points", "calculated", "difference"] : ["calculated", "difference"]);
    if (parts.join("\n") !== before) keys();
    if (fresh.has("Q")) show_q();
  }

  function show_q() {
    const { Q } = curves, [low, high] = extent(curves["F measured"], curves["F calculated"]);
    if (named("xq").reset_end !== Q.at(-1)) span(named("xq"), 0, Q.at(-1));
    if (Number.isFinite(low)) span(named("yq"), low - 0.05 * (high - low), high + 0.05 * (high - low));
    for (const one of ["measured", "calculated"]) fill(`fq-${one}`, Q, curves[`F ${one}`], named("xq"));
  }

  function keys() {
    at("part-keys").replaceChildren(...parts.slice(0, PARTS.length).map((name, k) => {
      const label = document.createElement("span"), key = document.createElement("i");
      key.className = PARTS[k][1].length ? "key dashed" : "key"; key.style.setProperty("--of", PARTS[k][0]);
      label.append(key, name.slice(5));
      return label;
    }));
  }

  function zoomed() {
    if (pending) return;
    pending = true;
    requestAnimationFrame(() => { pending = false; draw(["measured", "points", "calculated", "difference"]); });
  }

  let shown = null, dragged = 0;

  function range(limits) {
    shown = limits;
    if (!doc) return;
    const box = named("range"), some = Boolean(limits) && (curves.measured?.length ?? 0) > 0;
    box.visible = some;
    if (some) box.setv({ left: limits[0], right: limits[1] });
    for (const [id, k] of [["rmin", 0], ["rmax", 1]]) { at(id).value = some ? +limits[k].toFixed(4) : ""; at(id).disabled = !some; }
  }

  const chosen = () => at("chosen").value;

  let held = false; // a button of the mouse, or a finger
  for (const [name, now] of [["pointerdown", true], ["pointerup", false], ["pointercancel", false]]) addEventListener(name, () => { held = now; }, true);

  // An edge of the box was dragged: it is told when it is let go, as one step.
  function moved() {
    const { left, right } = named("range");
    if (!shown || (left === shown[0] && right === shown[1])) return;
    clearTimeout(dragged);
    dragged = setTimeout(function tell() {
      if (held) { dragged = setTimeout(tell, 50); return; }
      const { left, right } = named("range");
      const ends = [Math.min(left, right), Math.max(left, right)].map((one) => +one.toFixed(2));
      send({ do: "range", data: chosen(), rmin: Math.max(ends[0], 0), rmax: ends[1] });
    }, 250);
  }

  function look() { send({ do: "look", parts: at("parts").value, Q: !at("panel-q").hidden }); }

  // Bokeh's tools are boxes without a role: those who hear the page, too, are told that they are buttons, and pressed.
  function tools(place) {
    for (const one of place.querySelectorAll("*")) {
      if (one.shadowRoot) tools(one.shadowRoot);
      if (one.matches(".bk-events[tabindex]")) { one.setAttribute("role", "group"); one.setAttribute("aria-label", "Plot"); }
      if (!one.matches(".bk-OnOffButton, .bk-ClickButton") || one.hasAttribute("role")) continue;
      one.setAttribute("role", "button"); one.setAttribute("aria-label", one.title);
      if (!one.matches(".bk-OnOffButton")) continue;
      const press = () => one.setAttribute("aria-pressed", String(one.classList.contains("bk-active")));
      new MutationObserver(press).observe(one, { attributeFilter: ["class"] }); press();
    }
  }

  function ready(document_) {
    doc = document_;
    for (const id of ["picture", "picture-q"]) new ResizeObserver(() => tools(at(id))).observe(at(id));
    for (const edge of ["start", "end"]) named("x").properties[edge].change.connect(zoomed);
    for (const edge of ["left", "right"]) named("range").properties[edge].change.connect(moved);
    for (const id of ["show-measured", "as-points", "show-calculated", "show-difference"]) at(id).onchange = zoomed;
    for (const [id, key] of [["rmin", "rmin"], ["rmax", "rmax"]]) {
      at(id).onchange = () => send({ do: "range", data: chosen(), [key]: at(id).value === "" ? null : Number(at(id).value) });
    }
    at("parts").onchange = look;
    at("chosen").onchange = () => send({ do: "show", data: chosen() });
    const seen = new ResizeObserver(() => { columns = Math.max(200, at("picture").clientWidth, at("picture-q").clientWidth); zoomed(); });
    for (const id of ["picture", "picture-q"]) seen.observe(at(id));
    columns = Math.max(200, at("picture").clientWidth);
    if (late) { show(late); range(shown); }
  }

  on("curves", show);
  on("range", range);
  workbench.plot = { ready, thinned, look, whole };
})();

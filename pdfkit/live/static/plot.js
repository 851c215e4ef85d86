"use strict";
// Curves on the plot: thinned for the zoom shown to the lowest and highest point of each column of pixels, which draws
// the same picture and hides no peak.
(() => {
  const { on, curves } = workbench;
  let x, y, sources, pending = false;

  // Returns the first index whose r is not below a value.
  function first(r, value) {
    let low = 0, high = r.length;
    while (low < high) { const mid = (low + high) >> 1; if (r[mid] < value) low = mid + 1; else high = mid; }
    return low;
  }

  function thinned(r, values, low, high, columns) {
    const from = Math.max(0, first(r, low) - 1), to = Math.min(r.length, first(r, high) + 2);
    if (to - from <= 2 * columns) return { x: r.subarray(from, to), y: values.subarray(from, to) };
    const px = new Float32Array(2 * columns + 4), py = new Float32Array(2 * columns + 4), scale = columns / (high - low);
    let size = 0, at = from;
    while (at < to && size < px.length - 1) {
      const end = Math.floor((r[at] - low) * scale) + 1;
      let least = at, most = at;
      for (; at < to && (r[at] - low) * scale < end; at += 1) {
        if (values[at] < values[least]) least = at;
        if (values[at] > values[most]) most = at;
      }
      for (const one of least < most ? [least, most] : least > most ? [most, least] : [least]) {
        px[size] = r[one]; py[size] = values[one]; size += 1;
      }
    }
    return { x: px.subarray(0, size), y: py.subarray(0, size) };
  }

  function columns() { return Math.max(200, document.getElementById("picture").clientWidth); }

  function draw(names) {
    const { r } = curves;
    for (const name of names) {
      if (name === "r" || !sources[name]) continue;
      const values = curves[name];
      const shown = values?.length === r?.length ? thinned(r, values, x.start, x.end, columns()) : { x: [], y: [] };
      Object.assign(sources[name].data, shown); // setting `data` itself would compare all numbers first
      sources[name].change.emit();
    }
  }

  let offset = 0;

  function difference() {
    const { measured = [], calculated = [] } = curves;
    if (!measured.length || measured.length !== calculated.length) { curves.difference = []; return; }
    curves.difference = measured.map((value, i) => value - calculated[i] + offset);
  }

  function extent(values) {
    let low = Infinity, high = -Infinity;
    for (const value of values ?? []) { if (value < low) low = value; if (value > high) high = value; }
    return [low, high];
  }

  // Chooses offset and y range from the data: when data come, or a curve leaves the picture.
  function fit_y() {
    const [low, high] = extent(curves.measured), [less, more] = extent(curves.calculated);
    const floor = Math.min(low, less), top = Math.max(high, more), height = top - floor || 1;
    if (!Number.isFinite(height)) return;
    offset = 0; difference();
    const [under, over] = extent(curves.difference), some = Number.isFinite(under);
    offset = some ? floor - over - 0.05 * height : 0;
    difference();
    const bottom = some ? Math.min(floor, under + offset) : floor;
    y.setv({ start: bottom - 0.05 * height, end: top + 0.05 * height, reset_start: bottom - 0.05 * height, reset_end: top + 0.05 * height });
  }

  let known = null;

  function show(fresh) {
    const { r } = curves;
    if (fresh.has("r") && r.length && known !== `${r[0]} ${r.at(-1)} ${curves.measured[0]}`) {
      known = `${r[0]} ${r.at(-1)} ${curves.measured[0]}`;
      x.setv({ start: r[0], end: r.at(-1), reset_start: r[0], reset_end: r.at(-1) });
      fit_y();
    } else difference();
    draw([...fresh, "difference"]);
  }

  function zoomed() {
    if (pending) return;
    pending = true;
    requestAnimationFrame(() => { pending = false; draw(Object.keys(sources)); });
  }

  function ready(doc) {
    [x, y] = ["x", "y"].map((name) => doc.get_model_by_name(name));
    sources = Object.fromEntries(["measured", "calculated", "difference"].map((name) => [name, doc.get_model_by_name(name)]));
    x.properties.start.change.connect(zoomed);
    x.properties.end.change.connect(zoomed);
    on("curves", show);
  }

  workbench.plot = { ready, thinned };
})();

"use strict";
// Rooms beside the model: what a peak is, atoms (atoms.js), candidates of a ranking, trends of a series.
(() => {
  const at = (id) => document.getElementById(id);
  const { send, on, changed } = workbench;
  const tabs = [...document.querySelectorAll("#rooms [role=tab]")];
  const known = {};

  // --- Tabs: the one that is chosen again closes its room.
  function choose(tab) {
    for (const one of tabs) {
      const open = one === tab, panel = at(one.getAttribute("aria-controls"));
      if (one.id === "tab-atoms" && open === panel.hidden) send({ do: "atoms", open });
      one.setAttribute("aria-selected", open); panel.hidden = !open;
      if (tab) one.tabIndex = open ? 0 : -1;
    }
    window.dispatchEvent(new Event("resize"));
  }
  function step(event) {
    const way = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!way) return;
    const next = tabs[(tabs.indexOf(event.target) + way + tabs.length) % tabs.length];
    choose(next); next.focus(); event.preventDefault();
  }
  for (const tab of tabs) {
    tab.onclick = () => choose(tab.getAttribute("aria-selected") === "true" ? null : tab);
    tab.onkeydown = step;
  }

  // --- Tables from rows of text; each is named by its first cell.
  function table(heads, rows, make) {
    const out = document.createElement("table"), head = out.createTHead().insertRow();
    for (const text of heads) {
      const th = document.createElement("th");
      th.scope = "col"; th.textContent = text; head.append(th);
    }
    const body = out.createTBody();
    for (const row of rows) {
      const tr = body.insertRow();
      (row.cells ?? row).forEach((text, k) => {
        const cell = k ? tr.insertCell() : tr.appendChild(Object.assign(document.createElement("th"), { scope: "row" }));
        cell.textContent = text;
      });
      make?.(tr, row);
    }
    return out;
  }
  const lines = (texts) => texts.map((text) => Object.assign(document.createElement("p"), { textContent: text }));

  // --- What is this peak?
  function ask(r) { choose(at("tab-peak")); send({ do: "peak", r }); }
  at("peak-ask").onclick = () => ask(at("peak-r").value);
  at("peak-r").onkeydown = (event) => { if (event.key === "Enter") ask(at("peak-r").value); };
  changed("peak", (peak) => {
    if (!peak) { at("peak-words").textContent = ""; at("peak-table").replaceChildren(); return; }
    if (document.activeElement !== at("peak-r")) at("peak-r").value = peak.r.toFixed(2);
    const largest = peak.pairs.reduce((best, one) => (one.share > (best?.share ?? 0) ? one : best), null);
    const most = largest ? `. Most of it: ${largest.words} (${largest.phase}, ${Math.round(100 * largest.share)} %).` : ".";
    const [first, ...others] = peak.lines;
    at("peak-words").textContent = `${peak.heading}${most}${first ? ` ${[first, ...others].join(" ")}` : ""}`;
    at("peak-table").replaceChildren(...(peak.rows.length ? [table(peak.rows[0], peak.rows.slice(1))] : []));
  });
  function listen() {
    const plot = window.Bokeh?.documents?.[0]?.get_model_by_name("plot");
    if (!plot) { setTimeout(listen, 50); return; }
    plot.on_event("tap", (event) => ask(event.x));
  }
  listen();

  // --- Candidates
  changed("candidates", (found) => {
    document.querySelector("#room-candidates .empty").hidden = Boolean(found);
    const make = (tr, row) => {
      if (row.listed) tr.className = "listed";
      const name = tr.children[1], button = document.createElement("button");
      button.type = "button"; button.textContent = name.textContent;
      button.title = row.remarks.join("\n"); button.onclick = () => send({ do: "candidate", name: row.name });
      name.replaceChildren(button); tr.dataset.shown = `candidate ${row.name}`;
    };
    at("candidates-table").replaceChildren(...(found ? [table(found.heads, found.rows, make)] : []));
    at("candidates-words").replaceChildren(...lines(found ? [...found.words, "Bold: in the list."] : []));
    if (found && !known.candidates) choose(at("tab-candidates"));
    known.candidates = Boolean(found);
  });

  // --- What stands in for the model in the plot
  function mark(shown) {
    for (const one of document.querySelectorAll("#rooms [data-shown]")) {
      one.classList.toggle("chosen", one.dataset.shown === shown);
      one.ariaCurrent = one.dataset.shown === shown ? "true" : null;
    }
  }
  on("shown", (shown) => {
    at("shown-beside").hidden = !shown; at("shown-name").textContent = shown ? `The plot shows ${shown}.` : "";
    mark(shown);
  });
  at("show-model").onclick = () => send({ do: "model" });

  // --- Series
  const W = 640, H = 240, LEFT = 88, FOOT = 40;
  function shape(name, about, text) {
    const out = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(about)) out.setAttribute(key, value);
    if (text !== undefined) out.textContent = text;
    return out;
  }
  function scale(values, from, to) {
    const low = Math.min(...values), high = Math.max(...values), span = high - low || Math.abs(high) * 0.1 || 1;
    return (value) => from + ((value - low) / span) * (to - from);
  }
  const short = (value) => String(Number(value.toPrecision(6)));
  function draw(trend) {
    const points = trend.index.map((x, k) => ({ x, k, y: trend.values[k], e: trend.errors[k] ?? 0 })).filter((p) => p.y !== null && p.x !== null);
    const picture = at("trend-picture");
    picture.replaceChildren(); picture.toggleAttribute("hidden", points.length === 0); picture.setAttribute("aria-label", trend.words);
    if (!points.length) return;
    const ends = points.flatMap((p) => [p.y - p.e, p.y + p.e]), xs = points.map((p) => p.x);
    const X = scale(xs, LEFT + 10, W - 15), Y = scale(ends, H - FOOT - 8, 14);
    const low = Math.min(...ends), high = Math.max(...ends);
    picture.append(shape("path", { d: `M${LEFT},8V${H - FOOT}H${W - 8}`, fill: "none", stroke: "#333" }));
    for (const y of low === high ? [low] : [low, (low + high) / 2, high])
      picture.append(shape("text", { x: LEFT - 6, y: Y(y) + 4, "text-anchor": "end", fill: "#111" }, short(y)));
    for (const x of new Set([Math.min(...xs), Math.max(...xs)]))
      picture.append(shape("text", { x: X(x), y: H - FOOT + 16, "text-anchor": "middle", fill: "#111" }, short(x)));
    picture.append(shape("text", { x: (LEFT + W) / 2, y: H - 6, "text-anchor": "middle", fill: "#111" }, trend.axis));
    const name = trend.unit ? `${trend.name} (${trend.unit})` : trend.name;
    picture.append(shape("text", { x: 13, y: (H - FOOT) / 2, fill: "#111", "text-anchor": "middle", transform: `rotate(-90 13 ${(H - FOOT) / 2})` }, name));
    if (points.some((p) => p.e > 0)) {
      const band = [...points.map((p) => [X(p.x), Y(p.y + p.e)]), ...[...points].reverse().map((p) => [X(p.x), Y(p.y - p.e)])];
      picture.append(shape("polygon", { points: band.join(" "), fill: "#0072B2", opacity: 0.2 }));
    }
    picture.append(shape("polyline", { points: points.map((p) => [X(p.x), Y(p.y)]).join(" "), fill: "none", stroke: "#0072B2" }));
    for (const p of points) {
      const dot = shape("circle", { cx: X(p.x), cy: Y(p.y), r: 4, fill: trend.status[p.k] === "fitted" ? "#0072B2" : "#D55E00", "data-scan": p.k });
      dot.append(shape("title", {}, `${trend.titles[p.k]}: ${short(p.y)}${p.e ? ` ± ${p.e.toPrecision(2)}` : ""} (${trend.status[p.k]})`));
      dot.dataset.shown = trend.titles[p.k];
      dot.onclick = () => send({ do: "scan", scan: p.k });
      picture.append(dot);
    }
  }
  function options(select, texts, chosen) {
    if (document.activeElement !== select || select.options.length !== texts.length)
      select.replaceChildren(...texts.map(([value, text]) => new Option(text, value)));
    if (chosen !== undefined) select.value = chosen;
  }
  changed("trend", (trend, view) => {
    document.querySelector("#room-series .empty").hidden = Boolean(trend);
    at("series-controls").hidden = !trend;
    if (trend) {
      options(at("trend-name"), trend.names.map((one) => [one, one]), trend.name);
      options(at("trend-scan"), [["", "choose"], ...trend.titles.map((one, k) => [k, `${one} (${trend.status[k]})`])]);
      draw(trend); mark(view.shown);
    } else { at("trend-picture").toggleAttribute("hidden", true); }
    at("trend-words").textContent = trend?.words ?? "";
    if (trend && !known.trend) choose(at("tab-series"));
    known.trend = Boolean(trend);
  });
  at("trend-name").onchange = () => send({ do: "trend", name: at("trend-name").value });
  at("trend-scan").onchange = () => { if (at("trend-scan").value !== "") send({ do: "scan", scan: at("trend-scan").value }); };
  setInterval(() => {
    if (known.trend && !at("room-series").hidden && at("trend-renew").checked && !document.hidden) send({ do: "renew", moving: true, name: "renew" });
  }, 3000);
})();

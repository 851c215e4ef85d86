"use strict";
// What stands beside plot and table: remarks, data, phases, fits done, correlation.
(() => {
  const { send, changed: on } = workbench;
  const at = (id) => document.getElementById(id);
  const open = new Set();

  function node(kind, attributes = {}, ...children) {
    const one = document.createElement(kind);
    for (const [key, value] of Object.entries(attributes)) {
      if (key.startsWith("on")) one[key] = value; else if (value !== false && value != null) one.setAttribute(key, value === true ? "" : value);
    }
    one.append(...children.filter((child) => child != null));
    return one;
  }

  function choice(label, values, now, change) {
    const list = values.includes(now) ? values : [now, ...values];
    return node("label", {}, `${label} `, node("select", { onchange: (event) => change(event.target.value) },
      ...list.map((value) => node("option", { value, selected: value === now }, String(value || "none")))));
  }

  function number(label, now, change) {
    return node("label", {}, `${label} `, node("input", { type: "number", step: "any", value: now ?? "", onchange: (event) => change(event.target.value === "" ? null : Number(event.target.value)) }));
  }

  function card(key, title, ...inside) {
    return node("details", { class: "card", "aria-label": title, open: open.has(key), ontoggle: (event) => { if (event.target.open) open.add(key); else open.delete(key); } },
      node("summary", {}, title), node("div", {}, ...inside));
  }

  on("remarks", (list) => {
    at("remarks").replaceChildren(...(list.length ? [node("h2", {}, "Remarks"), node("ul", {}, ...list.map((one) => node("li", {}, one)))] : []));
  });

  const PROBES = ["X", "N", "E"];

  function instrument(used, windows, change, keys) {
    return [choice("Probe", PROBES, used.probe, (value) => change("probe", value)), choice("Window", windows ?? [], used.window ?? "none", (value) => change("window", value)),
      ...keys.map((key) => number(key, used[key] === "inf" ? null : used[key], (value) => change(key, value)))];
  }

  on("data", (list, view) => {
    const cards = list.map((one) => card(`data ${one.name}`, `${one.name || one.file.split("/").at(-1)}: ${one.points} points`,
      ...instrument(one.used, view.windows, (key, value) => send({ do: "data", name: one.name, key, value }), ["qmin", "qmax", "qdamp", "qbroad"]),
      node("button", { type: "button", onclick: () => send({ do: "remove", kind: "data", name: one.name }) }, "Remove")));
    if (view.beam) cards.push(card("beam", "Simulated: no data yet", ...instrument(view.beam, view.windows, (key, value) => send({ do: "beam", key, value }), ["qmin", "qmax", "qdamp", "rmax"])));
    at("data").replaceChildren(node("h2", {}, "Data"), ...cards);
    const names = view.chosen && !list.some((one) => one.name === view.chosen) ? [view.chosen] : list.map((one) => one.name);
    const several = list.length > 1;
    at("chosen").replaceChildren(...names.map((name) => node("option", { value: name, selected: name === view.chosen }, name || "data")));
    at("chosen").parentElement.hidden = !several;
  }, (view) => [view.beam, view.chosen, view.windows]);

  on("phases", (list, view) => {
    const shapes = view.shapes ?? [];
    const cards = list.map((one) => card(`phase ${one.name}`, one.heading.startsWith(one.name) ? one.heading : `${one.name}: ${one.heading}`,
      node("label", {}, "Name ", node("input", { value: one.name, size: 12, onchange: (event) => send({ do: "rename", kind: "phase", name: one.name, to: event.target.value }) })),
      choice("Shape", ["", ...shapes], one.shape, (kind) => send({ do: "shape", phase: one.name, kind: kind || "none" })),
      node("button", { type: "button", onclick: () => send({ do: "remove", kind: "phase", name: one.name }) }, "Remove")));
    const added = node("input", { list: "structures", placeholder: "CdSe_wurtzite…", "aria-label": "Structure that comes with pdfkit" });
    const add = () => { if (added.value) send({ do: "open", files: [added.value.trim()] }); };
    added.onkeydown = (event) => { if (event.key === "Enter") add(); };
    const layers = card("stacked", "Add stacked layers", ...stack());
    const hint = list.length ? null : node("p", { class: "note" }, "Drop a structure (.cif, .stru, .xyz), or add one that comes with pdfkit.");
    at("phases").replaceChildren(...[node("h2", {}, "Phases"), hint].filter(Boolean), ...cards,
      node("div", { class: "add" }, added, node("button", { type: "button", onclick: add }, "Add structure")), layers);
  }, (view) => view.shapes);

  // Layers in random order, between zinc blende and wurtzite, need no file.
  function stack() {
    const elements = node("input", { value: "Cd S", size: 6 }), side = node("input", { type: "number", step: "any", value: 4.13 }), alpha = node("input", { type: "number", step: "any", min: 0, max: 1, value: 0.5 });
    const add = () => send({ do: "stack", elements: elements.value.split(/[\s,]+/).filter(Boolean), a_h: Number(side.value), alpha: Number(alpha.value) });
    return [node("label", {}, "Elements ", elements), node("label", { title: "side of the triangular lattice" }, "a_h (Å) ", side),
      node("label", { title: "chance that a layer is hexagonal: 0 is zinc blende, 1 wurtzite" }, "alpha ", alpha), node("button", { type: "button", onclick: add }, "Add layers")];
  }

  on("structures", (names) => {
    document.getElementById("structures")?.remove();
    document.body.append(node("datalist", { id: "structures" }, ...names.map((value) => node("option", { value }))));
  });

  const digits = (value, n = 4) => value == null ? "–" : Number(value).toFixed(n);

  on("history", (list, view) => {
    const chosen = new Set(view.compared?.fits ?? []);
    const body = list.toReversed().map((one) => node("tr", { "aria-current": one.number === view.fitted ? "true" : false },
      node("td", {}, node("input", { type: "checkbox", checked: chosen.has(one.number), "aria-label": `compare fit ${one.number}`,
        onchange: (event) => { if (event.target.checked) chosen.add(one.number); else chosen.delete(one.number); send({ do: "compare", fits: [...chosen] }); } })),
      node("th", { scope: "row" }, `${one.number}${one.number === view.fitted ? " (shown)" : ""}`),
      node("td", {}, node("button", { type: "button", "aria-label": `Restore fit ${one.number}`, onclick: () => send({ do: "restore", fit: one.number }) }, "Restore")), node("td", {}, digits(one.rw)),
      node("td", { title: one.why }, one.lnz != null ? `${one.lnz.toFixed(1)} ± ${(one.lnz_error ?? 0).toFixed(1)}` : one !== list.at(-1) || !one.why ? "–" :
        node("button", { type: "button", title: one.why, onclick: () => send({ do: "weigh" }) }, "compute")),
      node("td", { title: one.reduced_chi2 == null ? "known where the data have errors" : "" }, one.reduced_chi2 == null ? "–" : one.reduced_chi2.toPrecision(3)),
      node("td", {}, String(one.free)), node("td", {}, one.phases.join(", ")), node("td", {}, `${one.seconds.toFixed(1)} s`)));
    const heads = ["Compare", "Fit", "", "Rw", "ln Z", "Reduced χ²", "Free", "Phases", "Time"];
    const table = node("table", { "aria-label": "Fits" }, node("thead", {}, node("tr", {}, ...heads.map((head) => node("th", { scope: "col" }, head)))), node("tbody", {}, ...body));
    at("panel-history").replaceChildren(list.length ? node("div", { class: "wide" }, table) : node("p", { class: "note" }, "No fit was done yet: press Fit."),
      ...list.toReversed().flatMap(minima), ...side(view.compared));
  }, (view) => [view.fitted, view.compared]);

  function minima(one) {
    if (one.minima.length < 2) return [];
    const rows = one.minima.map((low, k) => node("tr", {}, node("th", { scope: "row" }, node("button", { type: "button", "aria-label": `Show minimum ${k + 1} of fit ${one.number}`,
      onclick: () => send({ do: "minimum", fit: one.number, which: k + 1 }) }, `Show ${k + 1}`)), node("td", {}, digits(low.rw)), node("td", {}, String(low.reached)),
      node("td", {}, [low.differs, ...low.flaws].filter(Boolean).join("; "))));
    return [node("h2", {}, `Minima of fit ${one.number}`), node("p", { class: "note" }, one.searched), node("div", { class: "wide" }, node("table", { "aria-label": `Minima of fit ${one.number}` },
      node("thead", {}, node("tr", {}, ...["Minimum", "Rw", "Reached", "Apart from the best"].map((head) => node("th", { scope: "col" }, head)))), node("tbody", {}, ...rows)))];
  }

  function side(compared) {
    if (!compared) return [];
    const rows = compared.rows ?? [], say = (value) => value == null ? "" : String(value);
    const lines = rows.map((row) => node("tr", {}, ...Object.values(row).map((value, k) => node(k ? "td" : "th", k ? {} : { scope: "row" }, say(value)))));
    return [node("h2", {}, "Side by side"), compared.why ? node("p", { class: "note" }, compared.why) : null,
      node("div", { class: "wide" }, node("table", { "aria-label": "Side by side" }, node("thead", {}, node("tr", {}, ...(compared.head ?? []).map((one) => node("th", { scope: "col" }, say(one))))), node("tbody", {}, ...lines)))].filter(Boolean);
  }

  function shade(value) {
    if (value == null) return "";
    const light = Math.round(255 - 140 * Math.abs(value));
    return value < 0 ? `rgb(${light}, ${Math.round((255 + light) / 2)}, 255)` : `rgb(255, ${Math.round((255 + 2 * light) / 3)}, ${light})`;
  }

  on("correlation", (found) => {
    const panel = at("panel-correlation");
    if (!found || !found.names.length) { panel.replaceChildren(node("p", { class: "note" }, "Correlations are known after a fit of two or more parameters.")); return; }
    const head = node("tr", {}, node("td"), ...found.names.map((name, k) => node("th", { scope: "col", title: name }, String(k + 1))));
    const body = found.matrix.map((line, i) => node("tr", {}, node("th", { scope: "row" }, `${i + 1} ${found.names[i]}`),
      ...line.map((value, j) => { const cell = node("td", { title: `${found.names[i]}, ${found.names[j]}` }, value == null ? "–" : value.toFixed(2)); cell.style.background = shade(value); return cell; })));
    panel.replaceChildren(node("table", {}, node("caption", {}, "Correlation of what was fitted"), node("thead", {}, head), node("tbody", {}, ...body)));
  });

  workbench.node = node;
})();

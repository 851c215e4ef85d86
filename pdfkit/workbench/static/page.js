"use strict";
// Header, tabs, dialogs and keys of the page.
(() => {
  const at = (id) => document.getElementById(id);
  const { send, on } = workbench;

  // A button that is switched off takes the focus along, and brings it back when it is on again.
  let lost = null;
  function off(button, yes) {
    if (yes && document.activeElement === button) lost = button;
    button.disabled = yes;
    if (yes || lost !== button) return;
    lost = null;
    if (document.activeElement === document.body) button.focus();
  }

  on("reading", (text) => { at("progress").textContent = at("said").textContent = text; });
  on("message", (message) => { at("message").textContent = message; });
  on("rw", (rw) => { at("rw").textContent = rw == null ? "" : `Rw ${rw.toFixed(4)}`; });
  on("undo", (undo, view) => { off(at("undo"), !undo); off(at("redo"), !view.redo); });
  on("fit", (fit) => { at("search").value = fit.search; });
  on("busy", (busy) => {
    const fits = Boolean(busy?.fits || busy?.opens);
    document.body.dataset.busy = fits ? "yes" : "no";
    off(at("fit"), fits || document.body.dataset.empty === "yes");
    if (!fits && document.activeElement === at("stop")) at("fit").focus();
    at("stop").hidden = !fits;
    const rw = busy?.rw ?? busy?.best;
    // What is done next is told to those who do not see; each evaluation would be too much.
    const said = busy?.what ?? (at("said").textContent ? "done" : "");
    if (at("said").textContent !== said) at("said").textContent = said;
    at("progress").textContent = !busy ? "" : busy.evaluations === 0 ? `${busy.what}…` :
      `${busy.what}: ${busy.evaluations} evaluations${rw == null ? "" : `, Rw ${rw.toFixed(4)}`}, ${busy.seconds.toFixed(0)} s`;
    at("progress").title = at("progress").textContent;
  });
  on("rows", (rows, view) => {
    const empty = !rows.length && !(view.data ?? []).length && !view.candidates && !view.trend;
    // Who opened something from the keyboard goes on with it, not through the whole page.
    const goes = !empty && document.body.dataset.empty === "yes" && (document.activeElement === document.body || at("empty").contains(document.activeElement));
    document.body.dataset.empty = empty ? "yes" : "no";
    at("empty").hidden = !empty;
    off(at("fit"), empty || document.body.dataset.busy === "yes");
    if (goes && at("fit").disabled) lost = at("fit"); else if (goes) at("fit").focus({ focusVisible: true });
  });

  function choose() { at("files").click(); }
  at("choose").onclick = at("choose-first").onclick = choose;
  at("files").onchange = async () => { await workbench.open?.([...at("files").files]); at("files").value = ""; };
  at("example").onclick = () => send({ do: "example" });
  at("undo").onclick = () => send({ do: "undo" });
  at("redo").onclick = () => send({ do: "redo" });
  at("fit").onclick = () => send({ do: "fit" });
  at("stop").onclick = () => send({ do: "stop", keep: true });
  at("search").onchange = () => send({ do: "set", key: "search", value: at("search").value });
  at("show-help").onclick = () => at("help").showModal();

  const kinds = () => document.querySelectorAll("#save option").length;
  on("exports", (list) => {
    if (kinds() === 1) at("save").append(...list.map(([kind, label]) => workbench.node("option", { value: kind }, label)));
  });
  at("save").onchange = async () => { const kind = at("save").value; at("save").value = ""; if (kind) await workbench.save?.(kind); };
  at("show-script").onclick = () => send({ do: "script" });
  on("script", (text) => {
    if (!text) return;
    at("script").querySelector("pre").textContent = text;
    if (!at("script").open) at("script").showModal();
  });
  at("copy").onclick = () => navigator.clipboard?.writeText(at("script").querySelector("pre").textContent);

  const tabs = () => [...document.querySelectorAll("#tabs [role=tab]")].filter((one) => !one.hidden);
  function select(tab) {
    for (const one of tabs()) {
      const chosen = one === tab;
      one.setAttribute("aria-selected", String(chosen));
      one.tabIndex = chosen ? 0 : -1;
      at(one.getAttribute("aria-controls")).hidden = !chosen;
    }
    if (tab.id === "tab-q" || workbench.looked) workbench.plot.look();
    workbench.looked = tab.id === "tab-q";
    workbench.opened?.[tab.id]?.();
  }
  at("tabs").onclick = (event) => { const tab = event.target.closest("[role=tab]"); if (tab) select(tab); };
  at("tabs").onkeydown = (event) => {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!by) return;
    const all = tabs(), next = all[(all.indexOf(document.activeElement) + by + all.length) % all.length];
    next.focus(); select(next);
  };

  const writing = (target) => target.matches?.("input:not([type=range]):not([type=checkbox]), textarea") && target.value !== target.defaultValue && target.dataset.typed === "yes";
  addEventListener("input", (event) => { if (event.isTrusted) event.target.dataset.typed = "yes"; }, true);
  addEventListener("change", (event) => { delete event.target.dataset.typed; }, true);
  addEventListener("keydown", (event) => {
    const key = event.key.toLowerCase(), control = event.ctrlKey || event.metaKey;
    if (control && key === "enter") { event.preventDefault(); at("fit").click(); }
    else if (control && key === "z" && !writing(event.target)) { event.preventDefault(); send({ do: event.shiftKey ? "redo" : "undo" }); }
    else if (control && key === "y" && !writing(event.target)) { event.preventDefault(); send({ do: "redo" }); }
    else if (key === "escape" && document.body.dataset.busy === "yes" && !document.querySelector("dialog[open]")) send({ do: "stop", keep: true });
    else if (key === "?" && !event.target.matches?.("input:not([type=range]):not([type=checkbox]), textarea")) at("help").showModal();
  });

  // A page that begins empty is used at once: what is done waits for Python.
  if (document.body.dataset.begins === "empty" && !workbench.before) { document.body.dataset.empty = "yes"; at("empty").hidden = false; at("fit").disabled = true; }

  workbench.begin((doc) => workbench.plot.ready(doc));
})();

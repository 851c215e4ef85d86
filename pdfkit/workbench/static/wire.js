"use strict";
// The wire between page and Python. Actions go one at a time: while one is under way, a slider's later values replace
// each other, everything else waits in line. What comes back is a frame of text and numbers (pdfkit/workbench/frames.py);
// parts of the page say with workbench.on(key, render) what they show, and are called when a frame has that key.
const workbench = (() => {
  let wire = null, open = false, told = false, drawn = false, sent = 0, done = 0, resting = null, timer = 0;
  const line = [], shows = new Map(), curves = {}, whole = {}, last = new Map();

  function send(action) {
    if (action.moving && action.name === resting?.name) resting = null; else rested();
    const last = line.at(-1);
    if (last && action.moving && last.moving && last.name === action.name) line.pop();
    line.push(action);
    next();
  }

  // A value where a slider may stay: told when it does not move on, or before anything else is.
  function rest(action, soon) {
    clearTimeout(timer);
    resting = action;
    timer = setTimeout(rested, soon);
  }

  function rested() {
    const action = resting;
    resting = null;
    if (action) send(action);
  }

  function next() {
    if (!open || done < sent || line.length === 0) return;
    sent += 1;
    wire.send(JSON.stringify({ ...line.shift(), n: sent }));
  }

  function on(key, render) {
    if (!shows.has(key)) shows.set(key, []);
    shows.get(key).push(render);
  }

  function unpacked(bytes) {
    const size = new DataView(bytes).getUint32(0, true);
    const view = JSON.parse(new TextDecoder().decode(new Uint8Array(bytes, 4, size)));
    let at = 4 + size;
    for (const [name, count] of view.arrays) {
      curves[name] = new Float32Array(bytes, at, count);
      at += 4 * count;
    }
    return view;
  }

  function show(bytes) {
    const view = unpacked(bytes);
    open = true;
    done = Math.max(done, view.done ?? 0);
    next();
    const fresh = new Set(view.arrays.map(([name]) => name));
    if (fresh.size) view.curves = fresh;
    Object.assign(whole, view);
    const all = "rows" in view; // what is large comes only when it is new, but stands beside what is not
    for (const [key, renders] of shows) {
      if (key in view || (all && key !== "curves" && key in whole)) for (const render of renders) render(whole[key], whole);
    }
    if ("message" in view && !told) { told = true; ripe(); } // before that it says what is read
  }

  // What is the same as before is not built anew, or the focus in it would be lost; but with a message all is, as what
  // was typed is not what holds.
  function changed(key, render, beside = () => null) {
    on(key, (value, view) => {
      const now = JSON.stringify([value, beside(view)]);
      if (last.get(render) === now && !view.message) return;
      last.set(render, now);
      render(value, view);
    });
  }

  // Begins when the scripts have said what they show. Plots are drawn when Bokeh's script has been read.
  function begin(ready) {
    wire = new WebSocket(`ws://${location.host}${location.pathname.replace(/\/?$/, "/")}ws`);
    wire.binaryType = "arraybuffer";
    wire.onmessage = (event) => show(event.data);
    wire.onclose = (event) => { open = false; workbench.lost?.(event); };
    addEventListener("DOMContentLoaded", async () => { ready(await workbench.figures.draw({ plot: "root-plot", fq: "root-fq" })); drawn = true; ripe(); });
  }

  // The page can be looked at: what it shows has come, and is drawn, or there is nothing to draw.
  function ripe() { if (told && (drawn || document.body.dataset.empty === "yes")) document.body.dataset.ready = "yes"; }

  return { send, rest, on, changed, begin, curves, done: () => done, idle: () => done >= sent && line.length === 0 && !resting && !whole.busy?.opens };
})();
window.workbench = workbench;

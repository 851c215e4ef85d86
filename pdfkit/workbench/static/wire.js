"use strict";
// The wire between page and Python. Actions go one at a time: while one is under way, a slider's later values replace
// each other, everything else waits in line. What comes back is a frame of text and numbers (pdfkit/workbench/frames.py);
// parts of the page say with workbench.on(key, render) what they show, and are called when a frame has that key.
const workbench = (() => {
  let wire = null, sent = 0, done = 0, resting = null, timer = 0;
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
    if (!wire || done < sent || line.length === 0) return;
    sent += 1;
    wire.action = JSON.stringify({ ...line.shift(), n: sent });
  }

  function on(key, render) {
    if (!shows.has(key)) shows.set(key, []);
    shows.get(key).push(render);
  }

  function unpacked(bytes) {
    const whole = bytes instanceof ArrayBuffer ? new Uint8Array(bytes) : bytes;
    const size = new DataView(whole.buffer, whole.byteOffset).getUint32(0, true);
    const view = JSON.parse(new TextDecoder().decode(whole.subarray(4, 4 + size)));
    let at = 4 + size;
    for (const [name, count] of view.arrays) {
      curves[name] = new Float32Array(whole.buffer.slice(whole.byteOffset + at, whole.byteOffset + at + 4 * count));
      at += 4 * count;
    }
    return view;
  }

  function show() {
    const view = unpacked(wire.sent[1]);
    if ("message" in view) document.body.dataset.ready = "yes"; // before that it says what is read
    done = Math.max(done, view.done ?? 0);
    next();
    const fresh = new Set(view.arrays.map(([name]) => name));
    if (fresh.size) view.curves = fresh;
    Object.assign(whole, view);
    const all = "rows" in view; // what is large comes only when it is new, but stands beside what is not
    for (const [key, renders] of shows) {
      if (key in view || (all && key !== "curves" && key in whole)) for (const render of renders) render(whole[key], whole);
    }
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

  // The papers of this page, asked for while Bokeh's script is read; Python answers when it has loaded what it needs.
  const papers = fetch("session", { method: "POST" });
  const is_there = (test) => new Promise((done) => { const look = () => (test() ? done() : setTimeout(look, 10)); look(); });

  async function draw() {
    let answer;
    try { answer = await papers; } catch {
      document.getElementById("message").textContent = "pdfkit live has ended: what it said stands where it was started.";
      return;
    }
    if (!answer.ok) { document.getElementById("message").textContent = await answer.text(); return; }
    const { token, roots } = await answer.json();
    await is_there(() => window.Bokeh);
    Bokeh.set_log_level("info");
    const places = { [roots.plot]: "root-plot", [roots.fq]: "root-fq" };
    await Bokeh.embed.embed_items({}, [{ token, roots: places, root_ids: Object.keys(places) }]);
  }
  draw();

  function begin(ready) {
    const doc = window.Bokeh?.documents[0];
    wire = doc?.get_model_by_name("wire") ?? null;
    if (!wire || !window.Bokeh.index?.roots?.length) { setTimeout(begin, 10, ready); return; }
    ready(doc);
    wire.properties.sent.change.connect(show);
    show();
  }

  return { send, rest, on, changed, begin, curves, done: () => done, idle: () => done >= sent && line.length === 0 && !resting && !whole.busy?.opens };
})();
window.workbench = workbench;

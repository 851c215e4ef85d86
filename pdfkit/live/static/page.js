"use strict";
// The page sends actions one at a time: while one is under way, a slider's later values replace each other.
(() => {
  const at = (id) => document.getElementById(id);
  let wire = null, sent = 0, waiting = null;

  function send(action) {
    if (wire.done < sent) { waiting = action; return; }
    sent += 1;
    wire.action = JSON.stringify({ ...action, n: sent });
  }

  function row(one) {
    const tr = document.createElement("tr");
    tr.innerHTML = `<th scope="row"></th><td><input type="number" step="any"></td><td><input type="range"></td>
      <td><input type="checkbox"></td><td></td><td></td><td></td><td></td>`;
    const [value, slider, free] = tr.querySelectorAll("input"), cells = tr.children;
    cells[0].textContent = one.name;
    value.value = one.value; value.setAttribute("aria-label", `${one.name}, value`);
    const span = Math.abs(one.value) * 0.2 || 0.1;
    Object.assign(slider, { min: one.value - span, max: one.value + span, step: span / 500, value: one.value });
    slider.setAttribute("aria-label", one.name);
    free.checked = one.free; free.setAttribute("aria-label", `${one.name}, free`);
    value.disabled = slider.disabled = free.disabled = one.tie !== "";
    cells[4].textContent = one.min ?? ""; cells[5].textContent = one.max ?? ""; cells[6].textContent = one.tie;
    slider.oninput = () => { value.value = slider.value; send({ do: "value", name: one.name, value: slider.value, moving: true }); };
    value.onchange = () => { slider.value = value.value; send({ do: "value", name: one.name, value: value.value }); };
    free.onchange = () => send({ do: "free", name: one.name, free: free.checked });
    return tr;
  }

  function show() {
    const view = JSON.parse(wire.view);
    at("message").textContent = view.message;
    at("rw").textContent = view.rw == null ? "" : `Rw ${view.rw.toFixed(4)}`;
    if (view.rows === undefined) return;
    at("undo").disabled = !view.undo; at("redo").disabled = !view.redo;
    document.querySelector("#parameters tbody").replaceChildren(...view.rows.map(row));
  }

  function begin() {
    const doc = window.Bokeh?.documents[0];
    wire = doc?.get_model_by_name("wire");
    if (!wire) { setTimeout(begin, 10); return; }
    wire.properties.view.change.connect(show);
    wire.properties.done.change.connect(() => { if (waiting) { const next = waiting; waiting = null; send(next); } });
    for (const name of ["undo", "redo", "fit"]) at(name).onclick = () => send({ do: name });
    show();
    document.body.dataset.ready = "yes";
  }
  begin();
})();

"use strict";
// Controls of the page.
(() => {
  const at = (id) => document.getElementById(id);
  const { send, on } = workbench;

  function row(one) {
    const tr = document.createElement("tr");
    tr.innerHTML = `<th scope="row"></th><td><input type="number" step="any"></td><td><input type="range"></td>
      <td><input type="checkbox"></td><td></td><td></td><td></td><td></td>`;
    const [value, slider, free] = tr.querySelectorAll("input"), cells = tr.children;
    cells[0].textContent = one.name;
    value.value = one.value; value.setAttribute("aria-label", `${one.name}, value`);
    Object.assign(slider, { min: one.low, max: one.high, step: one.step, value: one.value });
    slider.setAttribute("aria-label", one.name);
    free.checked = one.free; free.setAttribute("aria-label", `${one.name}, free`);
    value.disabled = slider.disabled = free.disabled = one.tie !== "";
    cells[4].textContent = one.min ?? ""; cells[5].textContent = one.max ?? ""; cells[6].textContent = one.tie;
    slider.oninput = () => { value.value = slider.value; send({ do: "value", name: one.name, value: slider.value, moving: true }); };
    value.onchange = () => { slider.value = value.value; send({ do: "value", name: one.name, value: value.value }); };
    free.onchange = () => send({ do: "free", name: one.name, free: free.checked });
    return tr;
  }

  on("message", (message) => { at("message").textContent = message; });
  on("rw", (rw) => { at("rw").textContent = rw == null ? "" : `Rw ${rw.toFixed(4)}`; });
  on("undo", (undo, view) => { at("undo").disabled = !undo; at("redo").disabled = !view.redo; });
  on("rows", (rows) => document.querySelector("#parameters tbody").replaceChildren(...rows.map(row)));
  for (const name of ["undo", "redo", "fit"]) at(name).onclick = () => send({ do: name });
  workbench.begin((doc) => workbench.plot.ready(doc));
})();

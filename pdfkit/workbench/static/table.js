"use strict";
// The table of parameters: one group for each phase, rows that stay while their numbers change, so that the focus stays.
(() => {
  const { on, send, rest } = workbench;
  const at = (id) => document.getElementById(id);
  const rows = new Map();
  let order = "";

  const short = (value, digits = 6) => value == null ? "" : String(+Number(value).toPrecision(digits));

  const brief = (value, digits) => value && Math.abs(value) < 1e-3 ? Number(value).toExponential(digits - 1).replace(/\.?0*e/, "e") : short(value, digits);

  function row(one) {
    const tr = document.createElement("tr");
    tr.innerHTML = `<th scope="row"><span></span> <span class="unit"></span></th>
      <td><input type="number" step="any"></td><td><input type="range"></td><td><input type="checkbox"></td>
      <td><input type="number" step="any" class="small"></td><td><input type="number" step="any" class="small"></td>
      <td><input type="text" class="small" spellcheck="false"></td><td></td>`;
    const [value, slider, free, min, max, tie] = tr.querySelectorAll("input");
    const name = one.name, parts = { tr, value, slider, free, min, max, tie, error: tr.lastElementChild, step: one.step };
    const say = (input, what) => input.setAttribute("aria-label", `${name}${what}`);
    say(value, ", value"); say(slider, ""); say(free, ", free"); say(min, ", lowest"); say(max, ", highest"); say(tie, ", tied to");
    const head = tr.firstElementChild;
    head.firstElementChild.textContent = one.group ? name.slice(one.group.length + 1) : name;
    head.lastElementChild.textContent = one.unit;
    head.title = `${name}: ${one.meaning}`;
    const move = (number) => send({ do: "value", name, value: number, moving: true });
    const now = (input) => ({ do: "value", name, value: Number(input.value) });
    slider.oninput = () => { value.value = short(slider.value); move(Number(slider.value)); };
    slider.onchange = () => rest(now(slider), 250); // each arrow key is a change
    value.onchange = () => { slider.value = value.value; send(now(value)); };
    const wheel = (event) => {
      if (value.disabled) return;
      event.preventDefault();
      const by = parts.step * (event.shiftKey ? 10 : 1) * (event.deltaY < 0 ? 1 : -1);
      value.value = short(Number(value.value) + by);
      slider.value = value.value;
      move(Number(value.value));
      rest(now(value), 400);
    };
    for (const input of [value, slider]) input.addEventListener("wheel", wheel, { passive: false });
    free.onchange = () => send({ do: "free", name, free: free.checked });
    const limits = () => send({ do: "limits", name, min: min.value === "" ? null : Number(min.value), max: max.value === "" ? null : Number(max.value) });
    min.onchange = max.onchange = limits;
    tie.onchange = () => send(tie.value.trim() ? { do: "tie", name, to: tie.value.trim() } : { do: "untie", name });
    return parts;
  }

  // A slider stays where it is until its value comes near an end, so that the thumb does not run away from the hand.
  function place(slider, one) {
    const low = Number(slider.min), high = Number(slider.max), edge = 0.08 * (high - low);
    const within = slider.dataset.set && low >= (one.limited ? one.min ?? low : low) && high <= (one.limited ? one.max ?? high : high);
    if (!(within && one.value > low + edge && one.value < high - edge)) {
      slider.step = "any"; slider.min = one.low; slider.max = one.high; slider.step = one.step; slider.dataset.set = "yes";
    }
    slider.value = one.value;
  }

  // What is set is laid out anew, also where it is what it was.
  function put(node, now) { for (const [key, value] of Object.entries(now)) if (node[key] !== value) node[key] = value; }

  function renew(parts, one) {
    const tied = one.tie !== "", { value, slider, free, min, max, tie } = parts;
    parts.step = one.step;
    parts.free_now = one.free;
    put(value, { value: short(one.value), disabled: tied });
    place(slider, one);
    put(slider, { disabled: tied });
    put(free, { checked: one.free, disabled: tied || !one.refinable });
    put(min, { value: short(one.limited ? one.min : null), placeholder: brief(one.min, 3), disabled: tied });
    put(max, { value: short(one.limited ? one.max : null), placeholder: brief(one.max, 3), disabled: tied });
    put(tie, { value: one.tie, title: one.tie });
    put(parts.error, { textContent: one.error == null ? "" : `±${brief(one.error, 2)}` });
  }

  function show(list) {
    const table = document.querySelector("#parameters table"), now = list.map((one) => one.name).join("\n");
    if (now !== order) {
      order = now;
      rows.clear();
      for (const body of [...table.tBodies]) body.remove();
      const groups = new Map();
      for (const one of list) {
        if (!groups.has(one.group)) {
          const body = table.createTBody(), head = body.insertRow();
          head.className = "group";
          head.innerHTML = `<th colspan="8" scope="rowgroup"></th>`;
          head.firstElementChild.textContent = one.group || "Instrument and fit";
          groups.set(one.group, body);
        }
        const parts = row(one);
        rows.set(one.name, parts);
        groups.get(one.group).append(parts.tr);
      }
    }
    for (const one of list) renew(rows.get(one.name), one);
    sift();
  }

  function sift() {
    const word = at("filter").value.trim().toLowerCase(), only = at("only-free").checked;
    for (const [name, parts] of rows) parts.tr.hidden = !name.toLowerCase().includes(word) || (only && !parts.free_now);
    for (const body of document.querySelectorAll("#parameters tbody")) body.hidden = ![...body.rows].slice(1).some((tr) => !tr.hidden);
  }

  at("filter").oninput = at("only-free").onchange = sift;
  at("reset").onclick = () => send({ do: "reset" });
  on("rows", show);
})();

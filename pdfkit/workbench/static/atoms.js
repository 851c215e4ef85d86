"use strict";
// Atoms on a canvas: spheres and bonds, the far ones first and paler; nothing is loaded from anywhere.
(() => {
  const at = (id) => document.getElementById(id);
  const { send, changed } = workbench;
  const canvas = at("atoms-picture");
  let known = null, near = 1, pending = false;
  let turn = [[1, 0, 0], [0, 1, 0], [0, 0, 1]];

  const times = (a, b) => a.map((row) => b[0].map((_, k) => row.reduce((sum, one, m) => sum + one * b[m][k], 0)));
  function rotate(right, down) {
    const [c, s, d, t] = [Math.cos(right), Math.sin(right), Math.cos(down), Math.sin(down)];
    turn = times([[1, 0, 0], [0, d, -t], [0, t, d]], times([[c, 0, s], [0, 1, 0], [-s, 0, c]], turn));
    ask();
  }
  const placed = ([x, y, z]) => turn.map(([a, b, c]) => a * x + b * y + c * z);

  // Mixes a colour with the white of the paper: 0 is the colour, 1 the paper.
  function pale(colour, share) {
    const parts = [1, 3, 5].map((k) => parseInt(colour.slice(k, k + 2), 16));
    return `rgb(${parts.map((one) => Math.round(one + (255 - one) * share)).join(",")})`;
  }

  function draw() {
    pending = false;
    const ratio = window.devicePixelRatio || 1, width = canvas.clientWidth, height = canvas.clientHeight;
    if (!width || !known) return;
    canvas.width = width * ratio; canvas.height = height * ratio;
    const pen = canvas.getContext("2d");
    pen.scale(ratio, ratio); pen.clearRect(0, 0, width, height);
    const xyz = known.xyz.map(placed), edges = known.edges.map((pair) => pair.map(placed));
    const size = Math.max(1, ...known.xyz.map((p) => Math.hypot(...p)), ...known.edges.flat().map((p) => Math.hypot(...p)));
    const scale = (0.46 * Math.min(width, height) * near) / size;
    const flat = ([x, y]) => [width / 2 + scale * x, height / 2 - scale * y];
    const depth = (z) => 0.55 * Math.min(1, Math.max(0, 0.5 - z / (2 * size)));
    const parts = [
      ...xyz.map((p, k) => ({ z: p[2], draw: () => ball(pen, flat(p), scale, known.kind[k], depth(p[2])) })),
      ...known.bonds.map(([i, j]) => ({ z: (xyz[i][2] + xyz[j][2]) / 2 - 0.01, draw: () => stick(pen, flat(xyz[i]), flat(xyz[j]), known.kind[i], known.kind[j], scale, depth(xyz[i][2])) })),
      ...edges.map(([p, q]) => ({ z: (p[2] + q[2]) / 2, draw: () => line(pen, flat(p), flat(q), "#555", 1) })),
    ];
    for (const part of parts.sort((a, b) => a.z - b.z)) part.draw();
  }

  function line(pen, [x, y], [u, v], colour, width) {
    pen.strokeStyle = colour; pen.lineWidth = width;
    pen.beginPath(); pen.moveTo(x, y); pen.lineTo(u, v); pen.stroke();
  }
  function stick(pen, p, q, first, second, scale, far) {
    const middle = [(p[0] + q[0]) / 2, (p[1] + q[1]) / 2], width = Math.max(1, 0.18 * scale);
    line(pen, p, middle, pale(known.elements[first][1], far), width);
    line(pen, middle, q, pale(known.elements[second][1], far), width);
  }
  function ball(pen, [x, y], scale, kind, far) {
    const [element, colour, radius] = known.elements[kind], r = Math.max(1.5, 0.42 * radius * scale);
    pen.fillStyle = pale(colour, far); pen.strokeStyle = pale("#222222", far); pen.lineWidth = 0.8;
    pen.beginPath(); pen.arc(x, y, r, 0, 2 * Math.PI); pen.fill(); pen.stroke();
    if (known.xyz.length > 80 || r < 8) return;
    pen.fillStyle = "#fff"; pen.strokeStyle = "#222"; pen.lineWidth = 2.5; pen.font = `600 ${Math.min(14, r)}px system-ui, sans-serif`;
    pen.textAlign = "center"; pen.textBaseline = "middle"; pen.strokeText(element, x, y); pen.fillText(element, x, y);
  }

  function ask() { if (!pending) { pending = true; requestAnimationFrame(draw); } }
  function zoom(factor) { near = Math.min(8, Math.max(0.3, near * factor)); ask(); }

  canvas.onpointerdown = (event) => canvas.setPointerCapture(event.pointerId);
  canvas.onpointermove = (event) => { if (canvas.hasPointerCapture(event.pointerId)) rotate(event.movementX * 0.01, event.movementY * 0.01); };
  canvas.onwheel = (event) => { event.preventDefault(); zoom(event.deltaY < 0 ? 1.1 : 1 / 1.1); };
  canvas.onkeydown = (event) => {
    const turns = { ArrowLeft: [-0.15, 0], ArrowRight: [0.15, 0], ArrowUp: [0, -0.15], ArrowDown: [0, 0.15] }[event.key];
    if (turns) rotate(...turns);
    else if (event.key === "+") zoom(1.2);
    else if (event.key === "-") zoom(1 / 1.2);
    else return;
    event.preventDefault();
  };
  new ResizeObserver(ask).observe(canvas);

  changed("atoms", (atoms) => {
    if (!atoms) return;
    if (!known || known.phase !== atoms.phase || known.whole !== atoms.whole) { near = 1; turn = [[1, 0, 0], [0, 1, 0], [0, 0, 1]]; rotate(-0.35, 0.25); }
    known = atoms;
    at("atoms-phase").replaceChildren(...atoms.phases.map((one) => new Option(one, one, false, one === atoms.phase)));
    at("atoms-whole").checked = atoms.whole && atoms.particles; at("atoms-whole").disabled = !atoms.particles;
    at("atoms-words").textContent = atoms.words; canvas.setAttribute("aria-label", atoms.words);
    at("atoms-legend").replaceChildren(...atoms.elements.map(([element, colour]) => {
      const span = document.createElement("span"), dot = document.createElement("i");
      dot.style.background = colour; span.append(dot, element);
      return span;
    }));
    ask();
  });
  at("atoms-phase").onchange = () => send({ do: "atoms", phase: at("atoms-phase").value });
  at("atoms-whole").onchange = () => send({ do: "atoms", whole: at("atoms-whole").checked });
})();

"use strict";
// The two plots as Bokeh's models, without data: plot.js fills their sources, which it knows by name. What moves is drawn
// at the level "overlay", which Bokeh paints without painting axes, grid and measured points again, and in lines one pixel
// wide, which a browser draws three times as fast as wider ones.
workbench.figures = (() => {
  // Colours that people who see red and green alike can tell apart (Okabe and Ito). Shares have four others, unlike in
  // lightness, too; the next four are these, dashed.
  const BLUE = "#0072B2", ORANGE = "#D55E00";
  const COLOURS = ["#009E73", "#56B4E9", "#882255", "#E69F00"];
  const PARTS = [...COLOURS.map((colour) => [colour, []]), ...COLOURS.map((colour) => [colour, [6, 3]])];
  let count = 0;
  const model = (name, attributes = {}) => ({ type: "object", name, id: `m${(count += 1)}`, attributes });
  const field = (name) => ({ type: "field", field: name });
  const places = { x: field("x"), y: field("y") };

  function renderer(source, glyph, more) {
    const data = { type: "map", entries: [["x", []], ["y", []]] };
    return model("GlyphRenderer", { data_source: model("ColumnDataSource", { name: source, data }), glyph, ...more });
  }
  const line = (source, line_color, line_width, more = {}, dash = []) => renderer(source, model("Line", { ...places, line_color, line_width, line_dash: dash }), more);
  const moving = (source, colour, width, more = {}, dash = []) => line(source, colour, width, { level: "overlay", ...more }, dash);

  function axis(label) {
    const size = "13px";
    return model("LinearAxis", { ticker: model("BasicTicker", { mantissas: [1, 2, 5] }), formatter: model("BasicTickFormatter"), axis_label: label,
      axis_label_text_font_style: "normal", axis_label_text_font_size: size, major_label_text_font_size: size, major_label_policy: model("AllLabels") });
  }

  function figure(name, [x, y], [x_label, y_label], renderers, beside = []) {
    const below = axis(x_label), left = axis(y_label), ref = (one) => ({ id: one.id });
    const zoom = model("BoxZoomTool", { dimensions: "both" }), wheel = model("WheelZoomTool", { dimensions: "width", renderers: "auto" });
    const hover = model("HoverTool", { renderers: "auto", tooltips: [[x_label, "@x{0.000}"], [y_label, "@y{0.0000}"]], sort_by: null, attachment: "above" });
    const toolbar = model("Toolbar", { tools: [model("PanTool"), zoom, wheel, model("ResetTool"), model("SaveTool"), hover], logo: null, active_drag: ref(zoom), active_scroll: ref(wheel),
      stylesheets: [":host { min-width: 220px; padding-right: 8px; box-sizing: border-box; }"] }); // or Bokeh hides tools for good that have no room while a window gets narrower
    return model("Figure", { name, renderers, below: [below], left: [left], toolbar, toolbar_location: "above", sizing_mode: "stretch_both", min_height: 120, min_border_right: 16,
      x_range: model("Range1d", { name: x, start: 0, end: 30 }), y_range: model("Range1d", { name: y, start: -1, end: 1 }), x_scale: model("LinearScale"), y_scale: model("LinearScale"),
      center: [model("Grid", { axis: ref(below) }), model("Grid", { dimension: 1, axis: ref(left) }), ...beside] });
  }

  // The range of the fit: its left and right edge can be dragged.
  function range() {
    const white = model("AreaVisuals", { fill_color: "white", hover_fill_color: "lightgray" }), end = (symbol) => model("Node", { target: "frame", symbol });
    return model("BoxAnnotation", { name: "range", left: 0, right: 0, top: end("top"), bottom: end("bottom"), editable: true, movable: "none", resizable: "x", visible: false,
      fill_color: BLUE, fill_alpha: 0.06, line_color: BLUE, line_dash: [6], hover_line_color: ORANGE, hover_fill_color: BLUE, hover_fill_alpha: 0.06,
      handles: model("BoxInteractionHandles", { all: white }) });
  }

  function roots() {
    const dots = model("Scatter", { ...places, size: { type: "value", value: 4 }, fill_color: { type: "value", value: null }, line_color: { type: "value", value: "black" } });
    const curves = [line("measured", "black", 1.2, { name: "line" }), renderer("points", dots, { name: "dots" }),
      ...PARTS.map(([colour, dash], k) => moving(`part${k}`, colour, 1, {}, dash)), moving("calculated", ORANGE, 1, { name: "model" }), moving("difference", BLUE, 1)];
    const of_q = [line("fq-measured", "black", 1.2), moving("fq-calculated", ORANGE, 1)];
    return [figure("plot", ["x", "y"], ["r (Å)", "G (Å⁻²)"], curves, [range()]), figure("fq", ["xq", "yq"], ["Q (Å⁻¹)", "F (Å⁻¹)"], of_q)];
  }

  // Draws the plots into their places; returns the document.
  async function draw(places) {
    const all = roots(), into = Object.fromEntries(all.map((one) => [one.id, places[one.attributes.name]]));
    Bokeh.set_log_level("info");
    await Bokeh.embed.embed_items({ page: { version: Bokeh.version, title: document.title, roots: all } }, [{ docid: "page", roots: into, root_ids: Object.keys(into) }]);
    return Bokeh.documents[0];
  }

  return { draw, PARTS };
})();

// Draws the figures in the page's own colours, again when those change.
const figures = JSON.parse(document.getElementById("figures").textContent);
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

const draw = () => {
  const [ink, line] = [colour("--ink"), colour("--line")];
  const axis = (own) => ({ gridcolor: line, linecolor: line, tickcolor: line, ...own }); // Plotly writes into what it gets
  for (const [at, { data, layout: { height, ...layout } }] of figures.entries()) {
    const place = document.getElementById(`plot-${at}`);
    place.style.height = `${height}px`; // there, not in the layout: Plotly forgets that one when the window changes
    const axes = layout.polar
      ? { polar: { bgcolor: "transparent", angularaxis: axis(), radialaxis: axis(layout.polar.radialaxis) } }
      : { xaxis: axis(layout.xaxis), yaxis: axis(layout.yaxis) };
    const margin = layout.polar ? { t: 40, r: 80, b: 40, l: 80 } : { t: 40, r: 24, b: 48, l: 48 };
    const around = { margin, paper_bgcolor: "transparent", plot_bgcolor: "transparent" };
    const font = { color: ink, family: getComputedStyle(document.body).fontFamily, size: 13 };
    const traces = data.map((trace) => (trace.error_x ? { ...trace, error_x: { ...trace.error_x, color: ink } } : trace));
    Plotly.react(place, traces, { ...layout, ...around, font, ...axes }, { displayModeBar: false, responsive: true });
  }
};

draw();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);

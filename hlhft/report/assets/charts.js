"use strict";
(function () {
  const charts = JSON.parse(document.getElementById("figures").textContent);
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const narrow = window.matchMedia("(max-width: 560px)");

  function colour(name) {
    return getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
  }
  function axis(own) {
    return Object.assign({
      gridcolor: colour("line"), linecolor: colour("line"), zerolinecolor: colour("faint"), zeroline: false,
      automargin: true, tickfont: { size: narrow.matches ? 11 : 12 }, fixedrange: narrow.matches
    }, own);
  }
  function themed(trace) {
    const copy = Object.assign({}, trace);
    if (copy.line) {
      copy.line = Object.assign({}, copy.line);
      if (copy.line.color === "ink" || copy.line.color === "faint") copy.line.color = colour(copy.line.color);
    }
    return copy;
  }
  function redraw() {
    for (const chart of charts) {
      Plotly.react(chart.id, chart.data.map(themed), {
        font: { family: "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif", size: 12, color: colour("soft") },
        paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", margin: { l: 8, r: 14, t: 8, b: 8 },
        hovermode: "closest", showlegend: true,
        hoverlabel: { bgcolor: colour("card"), bordercolor: colour("line"), font: { color: colour("ink") } },
        legend: { orientation: "h", x: 0, y: -0.28, yanchor: "top", font: { color: colour("ink"), size: narrow.matches ? 11 : 12 } },
        xaxis: axis(chart.layout.xaxis), yaxis: axis(chart.layout.yaxis)
      }, { responsive: true, displaylogo: false, displayModeBar: false });
    }
  }
  dark.addEventListener("change", redraw);
  narrow.addEventListener("change", redraw);
  redraw();
})();

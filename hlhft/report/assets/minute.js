"use strict";
(function () {
  const shown = JSON.parse(document.getElementById("figures").textContent);
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const narrow = window.matchMedia("(max-width: 560px)");

  function colour(name) {
    return getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
  }
  function axis(own) {
    return Object.assign({
      gridcolor: colour("line"), linecolor: colour("line"), zeroline: false, automargin: true,
      tickfont: { size: narrow.matches ? 11 : 12 }, fixedrange: narrow.matches
    }, own);
  }
  function highest(maps) {
    const values = maps.flatMap((map) => map.z.flat()).filter((value) => value !== null).sort((a, b) => a - b);
    return values.length ? Math.max(values[Math.floor(0.98 * (values.length - 1))], 1e-9) : 1;
  }
  function themed(trace, most) {
    const copy = Object.assign({}, trace);
    if (trace.type === "heatmap") {
      const strong = trace.side > 0 ? "31,138,112" : "209,73,91";
      Object.assign(copy, {
        colorscale: [[0, "rgba(" + strong + ",0.06)"], [0.35, "rgba(" + strong + ",0.34)"], [1, "rgba(" + strong + ",0.92)"]],
        zmin: 0, zmax: most, showscale: false, showlegend: false,
        hovertemplate: "%{y:,}<br>%{z:,.0f} rest<extra>" + trace.name + "</extra>"
      });
      delete copy.side;
    }
    if (copy.marker) copy.marker = Object.assign({}, copy.marker, { line: { width: 1, color: colour("card") } });
    return copy;
  }
  function redraw() {
    const maps = shown.data.filter((trace) => trace.type === "heatmap");
    const most = highest(maps);
    Plotly.react("minute", shown.data.map((trace) => themed(trace, most)), {
      font: { family: "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif", size: 12, color: colour("soft") },
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", margin: { l: 8, r: 14, t: 8, b: 8 },
      hovermode: "closest", showlegend: true,
      hoverlabel: { bgcolor: colour("card"), bordercolor: colour("line"), font: { color: colour("ink") } },
      legend: { orientation: "h", x: 0, y: -0.1, yanchor: "top", font: { color: colour("ink"), size: narrow.matches ? 11 : 12 } },
      xaxis: axis({ type: "date", range: shown.range, hoverformat: "%H:%M:%S.%L", nticks: narrow.matches ? 4 : 8 }),
      yaxis: axis({ tickformat: ",", hoverformat: "," })
    }, { responsive: true, displaylogo: false, displayModeBar: false });
  }
  dark.addEventListener("change", redraw);
  narrow.addEventListener("change", redraw);
  redraw();
})();

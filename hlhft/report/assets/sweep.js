"use strict";
(function () {
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const state = { scenario: 0, pair: 0 };
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const narrow = window.matchMedia("(max-width: 560px)");
  const palette = ["#1f8a70", "#6a6fc1", "#e08e45", "#4c9fd0", "#9c6ade"];

  function colour(name) {
    return getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
  }
  function axis(own) {
    return Object.assign({
      gridcolor: colour("line"), linecolor: colour("line"), zerolinecolor: colour("faint"), zeroline: false,
      automargin: true, tickfont: { size: narrow.matches ? 11 : 12 }, fixedrange: narrow.matches
    }, own);
  }
  function draw(id, traces, layout) {
    const place = document.getElementById(id);
    if (!place) return;
    Plotly.react(id, traces, Object.assign({
      font: { family: "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif", size: 12, color: colour("soft") },
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", margin: { l: 8, r: 14, t: 8, b: 8 },
      hoverlabel: { bgcolor: colour("card"), bordercolor: colour("line"), font: { color: colour("ink") } },
      legend: { orientation: "h", x: 0, y: -0.16, yanchor: "top", font: { color: colour("ink"), size: narrow.matches ? 11 : 12 } }
    }, layout), { responsive: true, displaylogo: false, displayModeBar: false });
  }
  function scale() {
    return [[0, colour("loss")], [0.5, colour("tint")], [1, colour("gain")]];
  }
  function bar() {
    return { thickness: 12, outlinewidth: 0, title: { text: "USDC", font: { size: 12 } } };
  }
  function bounds(values) {
    const known = values.filter((value) => value !== null);
    const largest = Math.max(1e-9, ...known.map(Math.abs));
    return [-largest, largest];
  }
  function drawMap() {
    const shown = figures.maps[state.pair];
    if (!shown) return;
    const profit = shown.profit[state.scenario];
    if (shown.kind === "line") {
      draw("map", [{
        type: "scatter", mode: "lines+markers", x: shown.x, y: profit, text: shown.text,
        line: { color: "#6a6fc1", width: 1.6 }, marker: { size: 6, color: "#6a6fc1" },
        hovertemplate: "%{text}<br>%{y:+,.2f} USDC<extra></extra>"
      }], { xaxis: axis({ title: { text: shown.name }, type: shown.x_type }), yaxis: axis({ title: { text: "USDC" }, zeroline: true }) });
      return;
    }
    const [low, high] = bounds(profit.flat());
    const axes = { xaxis: axis({ title: { text: shown.x_name } }), yaxis: axis({ title: { text: shown.y_name } }) };
    if (shown.kind === "points") {
      axes.xaxis.type = shown.x_type;
      axes.yaxis.type = shown.y_type;
      draw("map", [{
        type: "scatter", mode: "markers", x: shown.x, y: shown.y, text: shown.text, customdata: profit,
        marker: {
          color: profit, colorscale: scale(), cmin: low, cmax: high, size: 11, colorbar: bar(),
          line: { width: 1, color: colour("faint") }
        },
        hovertemplate: "%{text}<br>%{customdata:+,.2f} USDC<extra></extra>"
      }], axes);
      return;
    }
    axes.xaxis.type = axes.yaxis.type = "category";
    const cells = shown.x.length * shown.y.length;
    draw("map", [{
      type: "heatmap", x: shown.x, y: shown.y, z: profit, colorscale: scale(), zmin: low, zmax: high, xgap: 2, ygap: 2,
      colorbar: bar(), texttemplate: cells <= 64 && !narrow.matches ? "%{z:+,.2f}" : "",
      hovertemplate: shown.x_name + " %{x}<br>" + shown.y_name + " %{y}<br>%{z:+,.2f} USDC<extra></extra>"
    }], axes);
  }
  function drawLines() {
    const shown = figures.lines[state.scenario];
    const traces = shown.lines.map(function (line, index) {
      const isMedian = line.name.startsWith("median");
      return {
        type: "scatter", mode: "lines", name: line.name, x: shown.x, y: line.y, hovertemplate: "%{y:+,.2f}",
        line: { color: isMedian ? colour("faint") : palette[index % palette.length], width: index === 0 ? 2.6 : 1.4,
          dash: isMedian ? "dot" : "solid" }
      };
    });
    draw("lines", traces, {
      showlegend: true, hovermode: narrow.matches ? "closest" : "x unified", xaxis: axis({ type: "date" }),
      yaxis: axis({ title: { text: "USDC" }, zeroline: true })
    });
  }
  function redraw() {
    drawMap();
    drawLines();
    for (const button of document.querySelectorAll("[data-choose]")) {
      button.setAttribute("aria-pressed", String(state[button.dataset.choose] === Number(button.dataset.value)));
    }
    for (const part of document.querySelectorAll("[data-scenario]")) {
      part.hidden = Number(part.dataset.scenario) !== state.scenario;
    }
  }
  for (const button of document.querySelectorAll("[data-choose]")) {
    button.addEventListener("click", function () {
      state[button.dataset.choose] = Number(button.dataset.value);
      redraw();
    });
  }
  dark.addEventListener("change", redraw);
  narrow.addEventListener("change", redraw);
  redraw();
})();

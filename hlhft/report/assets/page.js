"use strict";
(function () {
  const scenarios = JSON.parse(document.getElementById("figures").textContent);
  const state = { scenario: 0, market: 0 };
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const narrow = window.matchMedia("(max-width: 560px)");

  function colour(name) {
    return getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
  }
  function resolved(value) {
    return value === "ink" || value === "faint" ? colour(value) : value;
  }
  function themed(trace) {
    const copy = Object.assign({}, trace);
    for (const part of ["line", "marker", "error_y"]) {
      if (copy[part]) copy[part] = Object.assign({}, copy[part], { color: resolved(copy[part].color) });
    }
    return copy;
  }
  function axis(own) {
    return Object.assign({
      gridcolor: colour("line"), linecolor: colour("line"), zerolinecolor: colour("faint"), zeroline: false,
      automargin: true, tickfont: { size: narrow.matches ? 11 : 12 }, fixedrange: narrow.matches
    }, own);
  }
  function draw(id, figure) {
    const layout = {
      font: { family: "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif", size: 12, color: colour("soft") },
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      margin: { l: 8, r: 14, t: 8, b: 8 }, hovermode: "x unified",
      hoverlabel: { bgcolor: colour("card"), bordercolor: colour("line"), font: { color: colour("ink") } },
      legend: { orientation: "h", x: 0, y: -0.16, yanchor: "top", font: { color: colour("ink"), size: narrow.matches ? 11 : 12 } },
      showlegend: figure.data.length > 1,
      annotations: figure.layout.annotations || [],
      xaxis: axis(figure.layout.xaxis), yaxis: axis(figure.layout.yaxis)
    };
    if (["price", "distance", "queue"].includes(id)) layout.hovermode = "closest";
    if (figure.layout.barmode) layout.barmode = figure.layout.barmode;
    if (!layout.xaxis.type) Object.assign(layout.xaxis, { type: "date", hoverformat: "%Y-%m-%d %H:%M:%S.%L", nticks: narrow.matches ? 4 : 8 });
    const options = { responsive: true, displaylogo: false, displayModeBar: false };
    Plotly.react(id, figure.data.map(themed), layout, options);
  }
  function redraw() {
    const shown = scenarios[state.scenario];
    for (const place of document.querySelectorAll(".plot")) {
      const figure = place.id === "price" ? shown.prices[state.market] : shown[place.id];
      place.closest("section").hidden = !figure;
      if (figure) draw(place.id, figure);
    }
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

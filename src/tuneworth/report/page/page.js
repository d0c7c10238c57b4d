// Draws every chart from the one copy of the numbers, follows the page's light or dark, and saves charts as SVG.
"use strict";
(() => {
  const page = JSON.parse(document.getElementById("page").textContent);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const views = new Map();
  const chosen = { picked: [] };
  let drawing = 0;
  const [ERROR, WARN] = [1, 2]; // Vega's log levels

  const records = ({ fields, values }, panel) =>
    values.filter((row) => row[0] === panel).map((row) => Object.fromEntries(fields.map((name, i) => [name, row[i]])));

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  function theme() {
    const [ink, soft, line] = ["--ink", "--soft", "--line"].map(colour);
    const font = getComputedStyle(document.body).fontFamily;
    return {
      background: colour("--page"), font,
      view: { stroke: null },
      axis: { labelColor: soft, titleColor: soft, gridColor: line, domainColor: line, tickColor: line, labelFontSize: 12, titleFontSize: 12, titleFontWeight: 400, titlePadding: 8, labelFont: font, titleFont: font },
      axisY: { domain: false, ticks: false, tickCount: 5 },
      legend: { labelColor: ink, labelFontSize: 12, labelLimit: 0, labelFont: font, rowPadding: 4, columnPadding: 14, offset: 10 },
      title: { color: ink, subtitleColor: soft, anchor: "start", fontSize: 14, subtitleFontSize: 12, fontWeight: 600, offset: 12, font, subtitleFont: font },
      text: { color: soft, fontSize: 11, font }, rule: { color: soft },
    };
  }

  function specification(element) {
    const number = Number(element.dataset.panel);
    const panel = page.panels[number];
    const spec = structuredClone(page.charts[element.dataset.chart]);
    for (const param of spec.params) {
      if (param.name in panel) param.value = panel[param.name];
      if (param.name in chosen) param.value = chosen[param.name];
    }
    spec.description = element.getAttribute("aria-label");
    spec.title = { text: panel.title, subtitle: panel.subtitle + (spec.usermeta?.baseline ? panel.baseline_said : "") };
    const tables = Object.fromEntries(Object.entries(page.tables).map(([name, table]) => [name, records(table, number)]));
    spec.datasets = { ...spec.datasets, ...tables };
    return spec;
  }

  // An unfinished study has budgets and fractions of which one panel has trials and another none yet.
  function markEmpty(element, spec) {
    const asked = Object.keys(chosen).filter((name) => name !== "picked" && spec.params.some((param) => param.name === name));
    if (!asked.length) return WARN;
    const shown = records(page.tables.cells, Number(element.dataset.panel)).filter((cell) => cell.seeds);
    const empty = !shown.some((cell) => asked.every((name) => cell[name] === chosen[name]));
    element.toggleAttribute("data-empty", empty);
    return empty ? ERROR : WARN; // Vega warns of axes without an extent
  }

  async function draw(element, config) {
    const spec = specification(element);
    const logLevel = markEmpty(element, spec);
    const options = { actions: false, config, logLevel, renderer: "svg", tooltip: { theme: dark.matches ? "dark" : "light" } };
    views.get(element)?.finalize();
    views.set(element, await vegaEmbed(element, spec, options));
    element.setAttribute("role", "img"); // Vega has put its own
    element.querySelector("svg").ariaHidden = "true"; // the label says it in one sentence; marks would be noise
    element.dataset.drawn = dark.matches ? "dark" : "light";
  }

  async function drawAll() {
    const turn = ++drawing;
    const config = theme();
    for (const element of document.querySelectorAll(".chart")) {
      await draw(element, config);
      if (turn !== drawing) return; // the theme changed again meanwhile
    }
  }

  async function save(event) {
    const link = event.currentTarget;
    const drawn = views.get(link.closest("figure").querySelector(".chart"));
    if (!link.dataset.fresh) {
      event.preventDefault();
      if (!drawn) return;
      const svg = await drawn.view.toSVG();
      link.href = URL.createObjectURL(new Blob([svg], { type: "image/svg+xml" }));
      link.dataset.fresh = "yes";
      link.click(); // comes back here, and then downloads
    } else {
      const old = link.href;
      delete link.dataset.fresh;
      setTimeout(() => URL.revokeObjectURL(old), 10000);
    }
  }

  for (const select of document.querySelectorAll(".choices select")) {
    const take = () => { chosen[select.name] = select.name === "fraction" ? Number(select.value) : select.value; };
    take(); // a reloaded page may remember another choice
    select.addEventListener("change", () => {
      take();
      for (const [element, { view }] of views) {
        if (!view.getState().signals || !(select.name in view.getState().signals)) continue;
        view.logLevel(markEmpty(element, page.charts[element.dataset.chart]));
        view.signal(select.name, chosen[select.name]).runAsync();
      }
    });
  }
  for (const select of document.querySelectorAll(".cost select")) {
    const shown = [...document.querySelectorAll("#cost .chart")];
    const take = () => { for (const element of shown) element.dataset.chart = select.value; };
    take();
    select.addEventListener("change", () => {
      take();
      for (const element of shown) draw(element, theme());
    });
  }
  const buttons = [...document.querySelectorAll(".methods button")];
  for (const button of buttons) {
    button.addEventListener("click", () => {
      button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") !== "true"));
      chosen.picked = buttons.filter((one) => one.getAttribute("aria-pressed") === "true").map((one) => one.value);
      for (const { view } of views.values()) view.signal("picked", chosen.picked).runAsync();
    });
  }
  // Headings that are jumped to must not end under the bar that stays in sight.
  const bar = document.querySelector(".choices");
  const stays = () => bar && getComputedStyle(bar).position === "sticky";
  const keepClear = () => { document.documentElement.style.scrollPaddingTop = stays() ? `${bar.offsetHeight + 16}px` : ""; };
  if (bar) new ResizeObserver(keepClear).observe(bar);
  for (const link of document.querySelectorAll("a.save")) link.addEventListener("click", save);
  dark.addEventListener("change", drawAll);
  drawAll();
})();

"use strict";
// Responses to events, pooled over sessions.
(() => {
  const sections = [...document.querySelectorAll("[data-section=scenes]")].filter((section) => section.querySelector(".responses"));
  const areas = sections.map((section) => section.querySelector(".responses"));
  if (!areas.length || !charts.canDraw(areas, "this page")) return;
  // On a phone the two panels of a row are stacked.
  const stackPanels = (layout) => {
    const axes = charts.axesOf(layout).filter((name) => name.startsWith("x")), rows = axes.length;
    axes.sort((a, b) => Number(a.slice(5) || 1) - Number(b.slice(5) || 1));
    layout.height = 190 * rows + 34;
    axes.forEach((name, k) => {
      const domain = [1 - (k + 1) / rows, 1 - k / rows - 46 / (190 * rows)];
      layout[name].domain = [0, 1];
      layout[name.replace("x", "y")].domain = domain;
      Object.assign(layout.annotations[k], { x: 0, y: domain[1] });
    });
  };
  const drawOnce = (area, section) => {
    if (area.dataset.drawn) return;
    area.dataset.drawn = "soon";
    const figure = JSON.parse(section.querySelector("script.figure").textContent);
    if (charts.isNarrow(area)) stackPanels(figure.layout);
    charts.draw(area, figure);
  };
  const observer = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) if (isIntersecting) drawOnce(target, target.closest("section"));
  }, { rootMargin: "600px" });
  const drawnAreas = () => areas.filter((area) => area.layout);
  areas.forEach((area) => observer.observe(area));
  charts.onThemeChange(() => drawnAreas().forEach(charts.repaint));
  addEventListener("beforeprint", () => {
    areas.forEach((area, k) => drawOnce(area, sections[k]));
    drawnAreas().forEach((area) => charts.fitToPaper(area, charts.paperHeight(0.8 * area.layout.height)));
  });
  addEventListener("afterprint", () => drawnAreas().forEach((area) => charts.fitToScreen(area)));
})();

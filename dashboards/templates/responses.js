"use strict";
// Responses to events, pooled over sessions.
(() => {
  const sections = [...document.querySelectorAll("[data-section=scenes]")].filter((section) => section.querySelector(".responses"));
  const areas = sections.map((section) => section.querySelector(".responses"));
  if (!areas.length || !charts.canDraw(areas, "this page")) return;
  const figureOf = (section) => JSON.parse(section.querySelector("script.figure").textContent);
  const drawOnce = (area, section) => {
    if (area.dataset.drawn) return;
    area.dataset.drawn = "soon";
    const figure = figureOf(section);
    if (charts.isNarrow(area)) charts.stackPanels(figure.layout, 190, 46);
    charts.draw(area, figure);
  };
  const observer = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) if (isIntersecting) drawOnce(target, target.closest("section"));
  }, { rootMargin: "600px" });
  const drawnAreas = () => areas.filter((area) => area.layout);
  areas.forEach((area) => observer.observe(area));
  charts.onThemeChange(() => drawnAreas().forEach(charts.repaint));
  let undo = [];
  addEventListener("beforeprint", () => { undo = areas.map((area, k) => charts.printPanels(area, figureOf(sections[k]))); });
  addEventListener("afterprint", () => { for (const step of undo) step(); });
})();

"use strict";
// Unpacks plotly, which is compressed within the page, and then runs what draws.
(async () => {
  const run = (text) => {
    const script = document.createElement("script");
    script.textContent = text;
    document.body.append(script);
  };
  try {
    const bytes = Uint8Array.from(atob(document.getElementById("plotly-packed").textContent), (char) => char.charCodeAt(0));
    run(await new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text());
  } catch {
    // A browser of before 2023: the tables say the same, and the scripts say that the chart is missing.
  }
  document.querySelectorAll("script.after-plotly").forEach((script) => run(script.textContent));
})();

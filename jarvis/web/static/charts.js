// The pictures of an account that can be looked into: drag over days to see them closer, double-click to see all again.
(() => {
  "use strict";

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const money = new Intl.NumberFormat("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
  const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 2 });
  const share = new Intl.NumberFormat("en", { style: "percent", maximumSignificantDigits: 3, signDisplay: "negative" });
  const day = (at) => new Date(at * 1000).toISOString().slice(0, 10);
  let drawn = [];

  const axis = (values, size) => ({
    stroke: colour("--quiet"), grid: { stroke: colour("--rule"), width: 1 }, ticks: { show: false }, font: "11px system-ui, sans-serif", size, values,
  });

  // Days as the other pictures write them, and no finer than a day.
  const dated = { day: { day: "2-digit", month: "short" }, month: { month: "short", year: "numeric" }, year: { year: "numeric" } };
  const days = (_, ticks, _axis, _room, step) => {
    const form = new Intl.DateTimeFormat("en-GB", { ...(step < 25 * 86400 ? dated.day : step < 360 * 86400 ? dated.month : dated.year), timeZone: "UTC" });
    return ticks.map((at) => (at % 86400 ? "" : form.format(new Date(at * 1000))));
  };
  const axes = (form) => [{ ...axis(days, 26), space: 80 }, axis((_, ticks) => ticks.map((value) => form.format(value)), 60)];

  // Deposits and withdrawals stand as lines behind the curves.
  const marking = (marks) => ({
    hooks: {
      drawAxes: (plot) => {
        for (const mark of marks) {
          const x = Math.round(plot.valToPos(mark.at, "x", true));
          if (x < plot.bbox.left || x > plot.bbox.left + plot.bbox.width) continue;
          plot.ctx.save();
          plot.ctx.globalAlpha = 0.45;
          plot.ctx.strokeStyle = colour(mark.kind === "in" ? "--up" : "--down");
          plot.ctx.lineWidth = 2 * devicePixelRatio;
          plot.ctx.beginPath();
          plot.ctx.moveTo(x, plot.bbox.top);
          plot.ctx.lineTo(x, plot.bbox.top + plot.bbox.height);
          plot.ctx.stroke();
          plot.ctx.restore();
        }
      },
    },
  });

  const told = (marks) => (plot, at) => {
    if (at == null) return "–";
    const of = marks.filter((mark) => day(mark.at) === day(at)).map((mark) => mark.says.slice(mark.says.indexOf(":") + 2));
    return [day(at), ...of].join(", ");
  };

  const pictures = {
    value: (curve) => ({
      data: [curve.days, curve.capital, curve.value], height: 300, plugins: [marking(curve.marks)],
      series: [
        { label: "day", value: told(curve.marks) },
        { label: "capital", stroke: colour("--capital"), width: 1.3, dash: [5, 3], paths: uPlot.paths.stepped({ align: 1 }), value: (_, v) => (v == null ? "–" : money.format(v)) },
        { label: "value", stroke: colour("--value"), width: 1.6, value: (_, v) => (v == null ? "–" : money.format(v)) },
      ],
      axes: axes(short),
    }),
    below: (curve) => ({
      data: [curve.days, curve.below], height: 200, plugins: [],
      series: [
        { label: "day", value: (_, at) => (at == null ? "–" : day(at)) },
        { label: "below the peak", stroke: colour("--down"), fill: colour("--down") + "33", width: 1.4, value: (_, v) => (v == null ? "–" : share.format(v)) },
      ],
      axes: axes(share),
    }),
  };

  const draw = () => {
    for (const plot of drawn) plot.destroy();
    drawn = [];
    const source = document.getElementById("curve");
    if (!source) return;
    const curve = JSON.parse(source.textContent);
    for (const holder of document.querySelectorAll(".chart")) {
      const { data, ...options } = pictures[holder.dataset.chart](curve);
      if (data[0].length < 2 || !holder.clientWidth) continue;
      const plot = new uPlot({
        ...options, width: holder.clientWidth, tzDate: (at) => uPlot.tzDate(new Date(at * 1000), "Etc/UTC"),
        cursor: { sync: { key: "account" }, y: false }, series: options.series.map((line) => ({ ...line, points: { show: data[0].length < 20 } })),
      }, data, holder);
      plot.root.setAttribute("aria-hidden", "true"); // the picture that the server drew says the same to who cannot see it
      holder.classList.add("drawn");
      drawn.push(plot);
    }
  };

  // Drawn anew where the days, the colours or the room have changed, and not each time that the page looks.
  let before = "";
  const drawIfChanged = () => {
    const source = document.getElementById("curve");
    const now = source ? source.textContent : "";
    if (now === before && drawn.every((plot) => plot.root.isConnected)) return;
    before = now;
    draw();
  };
  document.addEventListener("dressed", drawIfChanged);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  let width = innerWidth;
  addEventListener("resize", () => { if (innerWidth !== width) { width = innerWidth; draw(); } });
})();

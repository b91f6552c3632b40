// Accuracy after n drawings, each network as a line in the band of its 95 % interval.
const SVG = "http://www.w3.org/2000/svg";
const COLOURS = ["#0067a3", "#b24a00", "#00785a", "#8a3d7a"];

export function percent(share, digits = 0) {
  return `${(100 * share).toFixed(digits)} %`;
}

function add(parent, name, attributes, text) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  parent.append(element);
  return element;
}

export function drawChart(svg, standings) {
  svg.replaceChildren();
  const wide = svg.clientWidth, high = svg.clientHeight, left = 42, bottom = 20, top = 6, right = 8;
  if (!wide || !high) return;
  const most = Math.max(10, ...standings.flatMap((one) => one.running.map((row) => row[0])));
  const x = (n) => left + (wide - left - right) * n / most;
  const y = (share) => top + (high - top - bottom) * (1 - share);
  for (const share of [0, 0.5, 1]) {
    add(svg, "line", {x1: left, x2: wide - right, y1: y(share), y2: y(share), stroke: "#e2e2dc"});
    add(svg, "text", {x: left - 6, y: y(share) + 4, "text-anchor": "end"}, percent(share));
  }
  add(svg, "text", {x: left, y: high - 3}, "0");
  add(svg, "text", {x: wide - right, y: high - 3, "text-anchor": "end"}, `${most} drawings`);
  standings.forEach((one, number) => {
    const colour = COLOURS[number % COLOURS.length], rows = one.running;
    if (!rows.length) return;
    const ends = rows.map((row) => `${x(row[0])},${y(row[3])}`)
      .concat(rows.toReversed().map((row) => `${x(row[0])},${y(row[2])}`));
    add(svg, "polygon", {points: ends.join(" "), fill: colour, opacity: 0.14});
    add(svg, "polyline", {points: rows.map((row) => `${x(row[0])},${y(row[1])}`).join(" "), fill: "none",
      stroke: colour, "stroke-width": 2, "stroke-linejoin": "round"});
    const last = rows.at(-1);
    add(svg, "circle", {cx: x(last[0]), cy: y(last[1]), r: 3, fill: colour});
    if (standings.length > 1) {
      const place = Math.min(x(last[0]), wide - right);
      const name = add(svg, "text", {x: place, y: y(last[1]) + (number ? 16 : -7), "text-anchor": "end"}, one.model);
      name.style.fill = colour;  // an attribute `style` is what the page's own policy refuses
    }
  });
  svg.setAttribute("aria-label", standings.length ? standings.map((one) => `${one.model}: ${inWords(one.total)}`).join("; ")
    : "Accuracy so far: no drawing yet");
}

function inWords(share) {
  return `${share.correct} of ${share.n} read correctly: ${percent(share.correct / share.n, 1)}, ` +
    `95 % interval ${percent(share.low, 1)} to ${percent(share.high, 1)}`;
}

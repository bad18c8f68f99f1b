// What the pointer is over, in words the page already has. Without this script nothing is missing but the hovering.
for (const figure of document.querySelectorAll("figure[data-x]")) {
  const xs = figure.dataset.x.split(" ").map(Number), rows = figure.dataset.rows.split("|");
  const svg = figure.querySelector("svg"), view = svg.viewBox.baseVal;
  const cross = figure.appendChild(Object.assign(document.createElement("div"), { className: "cross" }));
  const tip = figure.appendChild(Object.assign(document.createElement("div"), { className: "tip" }));
  const hide = () => { cross.style.display = tip.style.display = "none"; };
  svg.addEventListener("pointerleave", hide);
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect(), outer = figure.getBoundingClientRect(), scale = box.width / view.width;
    const x = (event.clientX - box.left) / scale;
    let best = 0;
    for (let i = 1; i < xs.length; i++) if (Math.abs(xs[i] - x) < Math.abs(xs[best] - x)) best = i;
    tip.textContent = rows[best].replaceAll(";", "\n");
    cross.style.display = tip.style.display = "block";
    const at = box.left - outer.left + xs[best] * scale, top = box.top - outer.top;
    Object.assign(cross.style, { left: at + "px", top: top + 8 * scale + "px", height: box.height - 34 * scale + "px" });
    const left = at + tip.offsetWidth + 24 > outer.width ? at - tip.offsetWidth - 10 : at + 10;
    Object.assign(tip.style, { left: left + "px", top: top + 8 + "px" });
  });
}

// A slider for each condition { name, kind, unit, low, high, ends } of a student: how much to change, in its unit.

export function makeSliders(section, conditions, changed) {
  section.hidden = !conditions.length;
  const sliders = conditions.map((condition) => makeSlider(condition, changed));
  section.querySelector("#sliders").replaceChildren(...sliders.map(({ row }) => row));
  section.querySelector("#reset").addEventListener("click", () => {
    sliders.forEach(({ set }) => set(0));
    changed();
  });
  return { values: () => sliders.map(({ input }) => Number(input.value)) };
}

function makeSlider({ name, unit, low, high, ends }, changed) {
  const row = document.createElement("label");
  const input = Object.assign(document.createElement("input"), { type: "range", name, min: low, max: high, step: stepOf(high), value: 0 });
  const said = document.createElement("output");
  row.className = "slider";
  row.append(text("slider-name", name), said, input, text("slider-ends", ends[0]), text("slider-ends", ends[1]));
  const show = () => {
    const sign = input.value > 0 ? "+" : "";
    said.textContent = Number(input.value) === 0 ? "no change" : `${sign}${input.value}${unit ? ` ${unit}` : ""}`;
    input.setAttribute("aria-valuetext", said.textContent);
  };
  input.addEventListener("input", show);
  input.addEventListener("change", changed);
  show();
  return { row, input, set: (value) => { input.value = value; show(); } };
}

/** A hundredth of the range at most, and a round number. */
function stepOf(high) {
  return high >= 10 ? 1 : high >= 1 ? 0.05 : 0.01;
}

function text(kind, words) {
  return Object.assign(document.createElement("span"), { className: kind, textContent: words });
}

// Two pictures of one size over each other, and a line between them that is moved by pointer or keys.

export class Compare {
  constructor(element) {
    this.element = element;
    [this.before, this.after] = element.querySelectorAll("canvas");
    this.slider = element.querySelector("input");
    this.slider.addEventListener("input", () => this.move());
    this.move();
  }

  /** Show a picture, and the same with some parts changed. */
  show(picture, parts) {
    for (const canvas of [this.before, this.after]) {
      Object.assign(canvas, { width: picture.width, height: picture.height });
      canvas.getContext("2d").putImageData(imageData(picture), 0, 0);
    }
    this.element.style.setProperty("--shape", picture.width / picture.height);
    this.change(parts);
  }

  /** Show other changed parts: [{ left, top, width, height, data }]. */
  change(parts) {
    const context = this.after.getContext("2d");
    for (const part of parts) context.putImageData(imageData(part), part.left ?? 0, part.top ?? 0);
  }

  move() {
    const after = 100 - this.slider.value;
    this.element.style.setProperty("--at", `${this.slider.value}%`);
    this.slider.setAttribute("aria-valuetext", `${100 - after} % before, ${after} % after`);
  }

  /** What is shown as after, as a PNG. */
  file() {
    return new Promise((resolve) => this.after.toBlob(resolve, "image/png"));
  }
}

export function imageData({ data, width, height }) {
  return new ImageData(data, width, height);
}

// Scale, warp and blur pictures as Pillow and scipy do, so that the page cuts faces out as distill does in Python.
// A picture is { data: Uint8ClampedArray RGBA, width, height }, as ImageData; its alpha is 255 everywhere.

const CUBIC = -0.5; // Pillow's bicubic kernel

const lanczos = (x) => (x === 0 ? 1 : Math.abs(x) < 3 ? sinc(x) * sinc(x / 3) : 0);

function sinc(x) {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}

export function makePicture(width, height) {
  const data = new Uint8ClampedArray(4 * width * height);
  for (let place = 3; place < data.length; place += 4) data[place] = 255;
  return { data, width, height };
}

/** Round to the nearest whole number, halves to the even one, as Python does. */
export function roundEven(value) {
  const low = Math.floor(value);
  const rest = value - low;
  return rest < 0.5 || (rest === 0.5 && low % 2 === 0) ? low : low + 1;
}

/** Scale a picture by Lanczos, over the whole area where it gets smaller; of the result, only what is in `window`. */
export function resize(picture, width, height, window = { left: 0, top: 0, right: width, bottom: height }) {
  if (width === picture.width && height === picture.height) return cutOut(picture, window);
  const rows = taps(picture.height, height, window.top, window.bottom);
  const columns = taps(picture.width, width, window.left, window.right);
  const top = rows[0].first, bottom = rows.at(-1).first + rows.at(-1).weights.length; // rows that are needed
  return resizeDown(resizeAcross(picture, columns, top, bottom), rows, top);
}

/** A part of a picture. */
export function cutOut(picture, { left, top, right, bottom }) {
  const part = makePicture(right - left, bottom - top);
  for (let y = top; y < bottom; y++) {
    const start = 4 * (y * picture.width + left);
    part.data.set(picture.data.subarray(start, start + 4 * part.width), 4 * (y - top) * part.width);
  }
  return part;
}

function resizeAcross({ data, width }, columns, top, bottom) {
  const out = makePicture(columns.length, bottom - top);
  for (let y = top, to = 0; y < bottom; y++) {
    for (let x = 0; x < columns.length; x++, to += 4) {
      const { first, weights } = columns[x];
      let red = 0, green = 0, blue = 0;
      for (let n = 0, from = 4 * (y * width + first); n < weights.length; n++, from += 4) {
        const weight = weights[n];
        red += weight * data[from];
        green += weight * data[from + 1];
        blue += weight * data[from + 2];
      }
      out.data[to] = red;
      out.data[to + 1] = green;
      out.data[to + 2] = blue;
    }
  }
  return out;
}

function resizeDown({ data, width }, rows, top) {
  const out = makePicture(width, rows.length);
  const sums = new Float32Array(4 * width);
  rows.forEach(({ first, weights }, y) => {
    sums.fill(0);
    weights.forEach((weight, n) => {
      const row = 4 * (first + n - top) * width;
      for (let place = 0; place < sums.length; place++) sums[place] += weight * data[row + place];
    });
    out.data.set(sums, 4 * y * width);
  });
  return out;
}

/** For the pixels `from` to `to` of a line of `count`, made of one of `length`: the first pixel and all weights. */
function taps(length, count, from, to) {
  const scale = length / count;
  const wide = Math.max(scale, 1);
  return Array.from({ length: to - from }, (_, place) => {
    const centre = (from + place + 0.5) * scale;
    const first = Math.max(Math.trunc(centre - 3 * wide + 0.5), 0);
    const end = Math.min(Math.trunc(centre + 3 * wide + 0.5), length);
    const weights = new Float64Array(end - first);
    for (let n = 0; n < weights.length; n++) weights[n] = lanczos((first + n - centre + 0.5) / wide);
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    return { first, weights: weights.map((weight) => weight / total) };
  });
}

/** What lies inside a quad (corners from the edge of the first pixel: upper left, lower left, lower right, upper
 * right) as a square, bilinear; black where it leaves the picture. */
export function warpSquare(picture, [upperLeft, lowerLeft, lowerRight, upperRight], side) {
  const out = makePicture(side, side);
  const corner = (axis) => [
    upperLeft[axis],
    (upperRight[axis] - upperLeft[axis]) / side,
    (lowerLeft[axis] - upperLeft[axis]) / side,
    (lowerRight[axis] - lowerLeft[axis] - upperRight[axis] + upperLeft[axis]) / side ** 2,
  ];
  const [x0, xRight, xDown, xBoth] = corner(0);
  const [y0, yRight, yDown, yBoth] = corner(1);
  for (let row = 0, to = 0; row < side; row++) {
    const v = row + 0.5;
    for (let column = 0; column < side; column++, to += 4) {
      const u = column + 0.5;
      sampleLinear(picture, x0 + xRight * u + xDown * v + xBoth * u * v,
        y0 + yRight * u + yDown * v + yBoth * u * v, out.data, to);
    }
  }
  return out;
}

function sampleLinear({ data, width, height }, x, y, out, to) {
  if (!(x >= 0 && y >= 0 && x < width && y < height)) return;
  const left = Math.floor(x - 0.5), top = Math.floor(y - 0.5);
  const across = x - 0.5 - left, down = y - 0.5 - top;
  const x0 = 4 * Math.max(left, 0), x1 = 4 * Math.min(left + 1, width - 1);
  const y0 = 4 * width * Math.max(top, 0), y1 = 4 * width * Math.min(top + 1, height - 1);
  for (let channel = 0; channel < 3; channel++) {
    const upper = data[y0 + x0 + channel] * (1 - across) + data[y0 + x1 + channel] * across;
    const lower = data[y1 + x0 + channel] * (1 - across) + data[y1 + x1 + channel] * across;
    out[to + channel] = Math.floor(upper * (1 - down) + lower * down); // Pillow cuts decimals off
  }
}

/** Sample a picture at (x, y), counted from its edge, bicubic, into three numbers; false outside of it. */
export function sampleCubic({ data, width, height }, x, y, out) {
  if (!(x >= 0 && y >= 0 && x < width && y < height)) return false;
  const left = Math.floor(x - 0.5), top = Math.floor(y - 0.5);
  const across = cubicWeights(x - 0.5 - left), down = cubicWeights(y - 0.5 - top);
  out.fill(0);
  for (let row = 0; row < 4; row++) {
    const start = 4 * width * Math.min(Math.max(top - 1 + row, 0), height - 1);
    for (let column = 0; column < 4; column++) {
      const from = start + 4 * Math.min(Math.max(left - 1 + column, 0), width - 1);
      const weight = across[column] * down[row];
      for (let channel = 0; channel < 3; channel++) out[channel] += weight * data[from + channel];
    }
  }
  for (let channel = 0; channel < 3; channel++) out[channel] = Math.min(Math.max(out[channel], 0), 255);
  return true;
}

function cubicWeights(t) {
  const near = (d) => ((CUBIC + 2) * d - (CUBIC + 3)) * d * d + 1;
  const far = (d) => ((CUBIC * d - 5 * CUBIC) * d + 8 * CUBIC) * d - 4 * CUBIC;
  return [far(1 + t), near(t), near(1 - t), far(2 - t)];
}

/** Blur one channel [height * width] by a Gaussian, as three running means: the edges are mirrored. */
export function blur(values, width, height, sigma) {
  let [from, to] = [Float32Array.from(values), new Float32Array(values.length)];
  for (const radius of boxRadii(sigma)) {
    runningMean(from, to, { lines: height, step: width, length: width, stride: 1, radius });
    runningMean(to, from, { lines: width, step: 1, length: height, stride: width, radius });
  }
  return from;
}

/** Radii of three means whose variances add up to that of the Gaussian, as nearly as whole pixels can. */
function boxRadii(sigma) {
  const ideal = Math.sqrt(4 * sigma * sigma + 1);
  const small = Math.max(Math.floor((ideal - 1) / 2), 0);
  const side = 2 * small + 1;
  const smaller = Math.round((12 * sigma * sigma - 3 * side * side - 12 * side - 9) / (-4 * side - 4));
  return [0, 1, 2].map((place) => (place < smaller ? small : small + 1));
}

function runningMean(from, to, { lines, step, length, stride, radius }) {
  const mirrored = (place) => {
    const inside = ((place % (2 * length)) + 2 * length) % (2 * length);
    return inside < length ? inside : 2 * length - 1 - inside;
  };
  for (let line = 0; line < lines; line++) {
    const start = line * step;
    let sum = 0;
    for (let n = -radius; n <= radius; n++) sum += from[start + stride * mirrored(n)];
    for (let place = 0; place < length; place++) {
      to[start + stride * place] = sum / (2 * radius + 1);
      const [gone, next] = [place - radius, place + radius + 1];
      sum += from[start + stride * (next < length ? next : mirrored(next))];
      sum -= from[start + stride * (gone >= 0 ? gone : mirrored(gone))];
    }
  }
}

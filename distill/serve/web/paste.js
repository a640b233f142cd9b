// Put edited faces back where they were cut out of a photo: distill/faces/paste.py, step by step.
// Here (x, y) counts from the edge of the first pixel.

import { blurredMargins, quadCut } from "./alignment.js";
import { cutOut, resize, sampleCubic } from "./resample.js";

const FEATHER = 0.25; // of the crop's side: the rim over which an edit fades into the photo
const RIVALRY = 4; // where faces overlap, each counts by its mask to this power

/** The parts of a photo that edits { quad, pixels } change: [{ left, top, width, height, data }], in order. */
export function pasteBack(photo, edits) {
  const places = edits.map((edit) => placeOf(photo, edit));
  const result = { ...photo, data: new Uint8ClampedArray(photo.data) };
  const filled = places.filter(({ box }) => box.left < box.right && box.top < box.bottom);
  for (const place of filled) pasteOne(photo, result, place, filled.filter((other) => other !== place));
  return filled.map(({ box }) => ({ ...cutOut(result, box), left: box.left, top: box.top }));
}

function placeOf(photo, { quad, pixels }) {
  const size = pixels.width;
  const corners = quadCut(quad, photo, size).map(([x, y]) => [x + 0.5, y + 0.5]);
  const [corner, lowerLeft, , upperRight] = corners;
  const right = [upperRight[0] - corner[0], upperRight[1] - corner[1]];
  const down = [lowerLeft[0] - corner[0], lowerLeft[1] - corner[1]];
  const [xs, ys] = [0, 1].map((axis) => corners.map((point) => point[axis]));
  const box = {
    left: Math.max(Math.floor(Math.min(...xs)), 0),
    top: Math.max(Math.floor(Math.min(...ys)), 0),
    right: Math.min(Math.ceil(Math.max(...xs)), photo.width),
    bottom: Math.min(Math.ceil(Math.max(...ys)), photo.height),
  };
  const sides = [Math.hypot(...right), Math.hypot(...down)];
  const area = right[0] * down[1] - right[1] * down[0];
  const toCrop = { // a point of the photo in the crop, as shares of its sides
    u: (x, y) => ((x - corner[0]) * down[1] - (y - corner[1]) * down[0]) / area,
    v: (x, y) => ((y - corner[1]) * right[0] - (x - corner[0]) * right[1]) / area,
  };
  const margins = blurredMargins(quad, photo, size);
  // Reduced first where the photo shows the face smaller: sampling does not average.
  const shown = resize(pixels, ...sides.map((side) => Math.min(size, Math.max(1, Math.round(side)))));
  return { shown, box, toCrop, weight: maskOf(photo, toCrop, sides, margins) };
}

/** The weight of an edit at a point: 1 in the middle, 0 from shortly before the crop's edge on.
 *
 * Lines of one weight are |u|³ + |v|³ = c, between a circle and a square. */
function maskOf({ width, height }, toCrop, sides, [left, top, right, bottom]) {
  const kept = 2 / Math.min(...sides); // two photo pixels of the rim, as far as sampling reaches
  return (x, y) => {
    const u = Math.abs(toCrop.u(x, y) - 0.5), v = Math.abs(toCrop.v(x, y) - 0.5);
    let weight = smooth((0.5 - Math.cbrt(u * u * u + v * v * v) - kept) / FEATHER);
    if (left > 0) weight *= smooth(x / left);
    if (right > 0) weight *= smooth((width - x) / right);
    if (top > 0) weight *= smooth(y / top);
    if (bottom > 0) weight *= smooth((height - y) / bottom);
    return weight;
  };
}

/** 0 below 0, 1 above 1, between them a curve without corners. */
function smooth(t) {
  const inside = Math.min(Math.max(t, 0), 1);
  return inside * inside * (3 - 2 * inside);
}

function pasteOne(photo, result, { shown, box, toCrop, weight }, others) {
  const colour = [0, 0, 0];
  for (let y = box.top; y < box.bottom; y++) {
    for (let x = box.left; x < box.right; x++) {
      const own = weight(x + 0.5, y + 0.5);
      if (own === 0) continue;
      const u = toCrop.u(x + 0.5, y + 0.5) * shown.width, v = toCrop.v(x + 0.5, y + 0.5) * shown.height;
      const share = others.length ? shareOf(own, others.map((other) => other.weight(x + 0.5, y + 0.5))) : own;
      if (!sampleCubic(shown, u, v, colour)) colour.fill(0);
      const place = 4 * (y * photo.width + x);
      for (let channel = 0; channel < 3; channel++) {
        result.data[place + channel] += (Math.trunc(colour[channel]) - photo.data[place + channel]) * share;
      }
    }
  }
}

/** Divide the cover of a pixel, that of its strongest mask, among the masks. */
function shareOf(own, rivals) {
  if (!rivals.some((rival) => rival > 0)) return own;
  const total = rivals.reduce((sum, rival) => sum + rival ** RIVALRY, own ** RIVALRY);
  return (Math.max(own, ...rivals) * own ** RIVALRY) / total;
}

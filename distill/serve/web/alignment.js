// The FFHQ crop of a face from its 68 landmarks: distill/faces/alignment.py, step by step.
// (x, y) are pixel indices: the centre of the upper left pixel is (0, 0). A quad is the upper left, lower left,
// lower right and upper right corner of the crop.

import { blur, makePicture, resize, roundEven, warpSquare } from "./resample.js";
import { UserError } from "./messages.js";

const OVERSAMPLING = 4; // side of the warp / side of the crop
const LARGEST_PADDED = 100e6; // pixels
const FINE = 16; // steps of a pixel value, for the median

const plus = (a, b) => [a[0] + b[0], a[1] + b[1]];
const minus = (a, b) => [a[0] - b[0], a[1] - b[1]];
const times = (a, factor) => [a[0] * factor, a[1] * factor];
const length = (a) => Math.hypot(a[0], a[1]);
const quarterTurn = ([x, y]) => [-y, x];

export function mean(points) {
  return times(points.reduce(plus, [0, 0]), 1 / points.length);
}

/** The corners of the FFHQ crop of 68 landmarks. */
export function ffhqQuad(landmarks) {
  const leftEye = mean(landmarks.slice(36, 42)), rightEye = mean(landmarks.slice(42, 48));
  const eyes = mean([leftEye, rightEye]);
  const across = minus(rightEye, leftEye);
  const toMouth = minus(mean([landmarks[48], landmarks[54]]), eyes);
  let right = minus(across, quarterTurn(toMouth));
  right = times(right, Math.max(2 * length(across), 1.8 * length(toMouth)) / length(right));
  const down = quarterTurn(right);
  const centre = plus(eyes, times(toMouth, 0.1));
  const [left, up] = [times(right, -1), times(down, -1)];
  return [[left, up], [left, down], [right, down], [right, up]].map(([x, y]) => plus(plus(centre, x), y));
}

/** The largest square in the middle of a picture, as a quad. */
export function middleQuad({ width, height }) {
  const side = Math.min(width, height);
  const left = Math.floor((width - side) / 2) - 0.5, top = Math.floor((height - side) / 2) - 0.5;
  return [[left, top], [left, top + side], [left + side, top + side], [left + side, top]];
}

/** What lies inside a quad, as a square of `size` px. With `padding`, what lies outside of the picture is mirrored,
 * blurred and faded to the median colour; without, it is black. */
export function warpQuad(picture, quad, size, { padding = true } = {}) {
  [picture, quad] = shrinkAndCrop(picture, quad, size);
  if (padding) [picture, quad] = pad(picture, quad);
  const warped = warpSquare(picture, quad.map((corner) => plus(corner, [0.5, 0.5])), OVERSAMPLING * size);
  return resize(warped, size, size);
}

/** The corners of what `warpQuad` shows, in the picture's pixels: pictures that are reduced first move a little. */
export function quadCut(quad, { width, height }, size) {
  const factor = reduction(quad, size);
  if (factor <= 1) return quad;
  const [wide, tall] = reduced(width, height, factor);
  return quad.map(([x, y]) => [(x / factor + 0.5) * (width / wide) - 0.5, (y / factor + 0.5) * (height / tall) - 0.5]);
}

/** How far inwards `warpQuad` blurs the picture from its left, top, right and bottom edge, px. */
export function blurredMargins(quad, { width, height }, size) {
  const factor = Math.max(reduction(quad, size), 1);
  const corners = quad.map((corner) => times(corner, 1 / factor));
  const [wide, tall] = reduced(width, height, factor);
  const missing = missingPixels(corners, wide, tall);
  if (!leaves(corners, missing)) return [0, 0, 0, 0];
  return missing.map((count) => (count > 0 ? (Math.max(count, leastPadding(corners)) * factor) / 3 : 0));
}

/** Reduce the picture where it is far larger than the crop, and cut away what quad and border do not touch. */
function shrinkAndCrop(picture, quad, size) {
  const factor = Math.max(reduction(quad, size), 1);
  const [width, height] = reduced(picture.width, picture.height, factor);
  quad = quad.map((corner) => times(corner, 1 / factor));
  const [low, high, rim] = [...bounds(quad), border(quad)];
  const [left, top] = low.map((place) => Math.max(place - rim, 0));
  const [right, bottom] = [Math.min(high[0] + rim, width), Math.min(high[1] + rim, height)];
  if (left >= right || top >= bottom) throw new UserError("A face lies outside of the picture.");
  return [resize(picture, width, height, { left, top, right, bottom }), quad.map((corner) => minus(corner, [left, top]))];
}

const sideOf = (quad) => length(minus(quad[3], quad[0]));
const reduction = (quad, size) => Math.trunc((sideOf(quad) / size) * 0.5);
const reduced = (width, height, factor) => [width, height].map((side) => Math.max(1, roundEven(side / factor)));
const border = (quad) => Math.max(roundEven(0.1 * sideOf(quad)), 3);
const leastPadding = (quad) => roundEven(0.3 * sideOf(quad));
const leaves = (quad, missing) => Math.max(...missing) > border(quad) - 4;

function bounds(quad) {
  const [xs, ys] = [0, 1].map((axis) => quad.map((corner) => corner[axis]));
  return [[Math.min(...xs), Math.min(...ys)].map(Math.floor), [Math.max(...xs), Math.max(...ys)].map(Math.ceil)];
}

/** Pixels that a picture lacks on the left, above, on the right and below. */
function missingPixels(quad, width, height) {
  const [[left, top], [right, bottom]] = bounds(quad);
  const rim = border(quad);
  return [rim - left, rim - top, right - width + rim, bottom - height + rim].map((count) => Math.max(count, 0));
}

/** Surround the picture by its blurred mirror image, faded to the median colour, if the quad leaves it. */
function pad(picture, quad) {
  const missing = missingPixels(quad, picture.width, picture.height);
  if (!leaves(quad, missing)) return [picture, quad];
  const [left, top, right, bottom] = missing.map((count) => Math.max(count, leastPadding(quad)));
  const padded = makePicture(picture.width + left + right, picture.height + top + bottom);
  if (padded.width * padded.height > LARGEST_PADDED) throw new UserError("A face lies far outside of the picture.");
  const across = outside(padded.width, left, right), down = outside(padded.height, top, bottom);
  for (let channel = 0; channel < 3; channel++) {
    const values = surrounded(picture, channel, padded, left, top);
    const blurred = blur(values, padded.width, padded.height, 0.02 * sideOf(quad));
    fade(values, across, down, (value, out, place) => value + (blurred[place] - value) * clipped(3 * out + 1));
    const middle = median(values);
    fade(values, across, down, (value, out) => value + (middle - value) * clipped(out));
    for (let place = 0; place < values.length; place++) padded.data[4 * place + channel] = values[place];
  }
  return [padded, quad.map((corner) => plus(corner, [left, top]))];
}

const clipped = (share) => Math.min(Math.max(share, 0), 1);

/** 1 at the outer rim, 0 where the picture begins, negative inside it. */
function outside(count, before, after) {
  return Float32Array.from({ length: count }, (_, place) => 1 - Math.min(place / before, (count - 1 - place) / after));
}

/** One channel of a picture with its mirror image around it. */
function surrounded({ data, width, height }, channel, padded, left, top) {
  const values = new Float32Array(padded.width * padded.height);
  const columns = Array.from({ length: padded.width }, (_, x) => 4 * mirrored(x - left, width) + channel);
  for (let y = 0, place = 0; y < padded.height; y++) {
    const row = 4 * width * mirrored(y - top, height);
    for (let x = 0; x < padded.width; x++, place++) values[place] = data[row + columns[x]];
  }
  return values;
}

/** Mirror a place at the first and the last of `count` pixels, which are not repeated. */
function mirrored(place, count) {
  const period = Math.max(2 * (count - 1), 1);
  const inside = ((place % period) + period) % period;
  return inside < count ? inside : period - inside;
}

function fade(values, across, down, change) {
  for (let y = 0, place = 0; y < down.length; y++) {
    for (let x = 0; x < across.length; x++, place++) {
      values[place] = change(values[place], Math.max(across[x], down[y]), place);
    }
  }
}

function median(values) {
  const counts = new Uint32Array(256 * FINE);
  for (const value of values) counts[Math.min(Math.max(Math.round(value * FINE), 0), counts.length - 1)]++;
  let seen = 0;
  return counts.findIndex((count) => (seen += count) > values.length / 2) / FINE;
}

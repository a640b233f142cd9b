// Find faces and their 68 landmarks by the two small networks in faces/, which are those of @vladmandic/face-api.
// A network is a function: (values, shape) -> promise of values.

import { warpQuad } from "./alignment.js";
import { resize } from "./resample.js";

const CELL = 32; // px of what the detector sees, for each place of its answer
const SHAPES = [[1.603231, 2.094468], [6.041143, 7.080126], [2.882459, 3.518061], [4.266906, 5.178857],
  [9.041765, 10.66308]]; // of its boxes, in cells
// Sides that a photo is brought to, px, and the score of a face there. The first shows small faces, in photos that are
// not enlarged for it by more than ENLARGED, and more that only looks like a face; the last two show faces that fill the
// photo, and are taken where nothing was found.
const LOOKS = [{ side: 832, least: 0.5 }, { side: 416, least: 0.4 }, { side: 224, least: 0.4 }, { side: 160, least: 0.4 }];
const ENLARGED = 1.4;
const LARGEST = 1664; // px: larger photos are reduced to this, which shows a face of 50 px as well as one of 500
const COVERED = 0.4; // of the smaller box: two boxes that share more show one face
const MARKS = 112; // px, side of what the landmark network sees
const EYES = [45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40]; // what landmarks 36 to 47 are in a mirror

const sigmoid = (x) => 1 / (1 + Math.exp(-x));

/** The landmarks of each face of a picture, the largest first: [[[x, y], ... 68]]. */
export async function findFaces(picture, { detector, landmarks }) {
  const scale = Math.min(LARGEST / Math.max(picture.width, picture.height), 1);
  const sides = [picture.width, picture.height].map((side) => Math.max(1, Math.round(side * scale)));
  const seen = resize(picture, ...sides);
  const boxes = (await findBoxes(seen, detector)).sort((one, other) => area(other.box) - area(one.box));
  const faces = [];
  for (const { box } of boxes) faces.push(await findLandmarks(seen, box, landmarks));
  const [across, down] = [picture.width / seen.width, picture.height / seen.height];
  return faces.map((face) => face.map(([x, y]) => [(x + 0.5) * across - 0.5, (y + 0.5) * down - 0.5]));
}

async function findBoxes(picture, detector) {
  const found = [];
  const long = Math.max(picture.width, picture.height);
  let seen = picture;
  for (const { side, least } of LOOKS) {
    if ((side === 832 && long * ENLARGED < side) || (side < 416 && found.length)) continue;
    const scale = side / long;
    seen = resize(seen, ...[picture.width, picture.height].map((length) => Math.max(1, Math.round(length * scale))));
    const answer = await detector(channels(seen, side), [1, 3, side, side]);
    found.push(...boxesOf(answer, side, long).filter(({ score }) => score >= least));
  }
  const kept = [];
  for (const face of found.sort((one, other) => other.score - one.score)) {
    if (kept.every((other) => !sameFace(face.box, other.box))) kept.push(face);
  }
  return kept;
}

/** Read the boxes off an answer [5 * (x y width height score), cells, cells]; sides in the picture's pixels. */
function boxesOf(answer, side, long) {
  const cells = Math.ceil(side / CELL);
  const unit = long / cells;
  const boxes = [];
  SHAPES.forEach(([wide, tall], shape) => {
    for (let place = 0; place < cells * cells; place++) {
      const [x, y, w, h, score] = [0, 1, 2, 3, 4].map((n) => answer[(5 * shape + n) * cells * cells + place]);
      const centreX = ((place % cells) + sigmoid(x)) * unit, centreY = (Math.floor(place / cells) + sigmoid(y)) * unit;
      const halfWidth = (Math.exp(w) * wide * unit) / 2, halfHeight = (Math.exp(h) * tall * unit) / 2;
      const box = [centreX - halfWidth, centreY - halfHeight, centreX + halfWidth, centreY + halfHeight];
      boxes.push({ box, score: sigmoid(score) });
    }
  });
  return boxes;
}

/** The landmarks of the face in a box: the mean of two looks, of which one sees the face in a mirror. */
async function findLandmarks(picture, [left, top, right, bottom], network) {
  const side = Math.max(right - left, bottom - top);
  const x = (left + right) / 2 - side / 2 - 0.5, y = (top + bottom) / 2 - side / 2 - 0.5;
  const square = [[x, y], [x, y + side], [x + side, y + side], [x + side, y]];
  const face = warpQuad(picture, square, MARKS, { padding: false });
  const [plain, flipped] = [channels(face, MARKS), channels(face, MARKS, { flip: true })];
  const both = new Float32Array([...plain, ...flipped]);
  const answer = await network(both, [2, 3, MARKS, MARKS]); // shares of the side, x and y in turn
  return Array.from({ length: 68 }, (_, mark) => {
    const [u, v] = [answer[2 * mark], answer[2 * mark + 1]];
    const other = 136 + 2 * mirrorOf(mark);
    return [x + ((u + 1 - answer[other]) / 2) * side, y + ((v + answer[other + 1]) / 2) * side];
  });
}

/** Which landmark this one is in a mirror. */
function mirrorOf(mark) {
  if (mark < 17) return 16 - mark; // the jaw
  if (mark < 27) return 43 - mark; // brows
  if (mark < 31) return mark; // ridge of the nose
  if (mark < 36) return 66 - mark; // its base
  if (mark < 48) return EYES[mark - 36];
  if (mark < 55) return 102 - mark; // upper edge of the mouth
  if (mark < 60) return 114 - mark;
  return mark < 65 ? 124 - mark : 132 - mark; // its inside
}

/** A picture as float32 [3, side, side] of 0 to 255, in the upper left corner of a black square. */
function channels({ data, width, height }, side, { flip = false } = {}) {
  const values = new Float32Array(3 * side * side);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const from = 4 * (y * width + x), to = y * side + (flip ? width - 1 - x : x);
      for (let channel = 0; channel < 3; channel++) values[channel * side * side + to] = data[from + channel];
    }
  }
  return values;
}

const area = ([left, top, right, bottom]) => Math.max(right - left, 0) * Math.max(bottom - top, 0);

function sameFace(a, b) {
  const shared = [Math.max(a[0], b[0]), Math.max(a[1], b[1]), Math.min(a[2], b[2]), Math.min(a[3], b[3])];
  const both = shared[0] < shared[2] && shared[1] < shared[3] ? area(shared) : 0;
  return both > COVERED * Math.min(area(a), area(b));
}

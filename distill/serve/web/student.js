// A student at work: faces that are cut out and its style go in, pictures come out.

import { ffhqQuad, middleQuad, warpQuad } from "./alignment.js";
import { findFaces } from "./faces.js";
import { fetchFiles, openNetwork, openStudent, startRuntime } from "./networks.js";
import { UserError } from "./messages.js";
import { pasteBack } from "./paste.js";
import { makePicture } from "./resample.js";

/** Load everything; `progress` hears (share, text, amount). Returns the student, see the methods below. */
export async function loadStudent(facts, progress) {
  const files = await fetchFiles(facts.files, progress);
  progress(null, "Starting the networks…");
  startRuntime(files.program);
  const networks = { detector: await openNetwork(files.detector), landmarks: await openNetwork(files.landmarks) };
  const empty = makePicture(facts.size, facts.size);
  const noChange = facts.conditions.map(() => 0);
  const { run, runtime, why } = await openStudent(files.student, feedsOf(facts, [empty, empty], noChange));
  return new Student(facts, networks, run, { runtime, why });
}

class Student {
  constructor(facts, networks, run, runtime) {
    Object.assign(this, { facts, networks, run, runtime });
    this.photo = this.style = null;
    this.faces = [];
  }

  /** Take a photo and cut out its faces, or its `middle`; returns [{ quad, landmarks, pixels }]. */
  async open(photo, { middle }) {
    [this.photo, this.faces] = [null, []];
    const faces = await this.cuts(photo, middle);
    [this.photo, this.faces] = [photo, faces];
    return faces;
  }

  /** Take the largest face of a style image; returns its crop. */
  async setStyle(photo, { middle }) {
    this.style = null;
    this.style = (await this.cuts(photo, middle))[0].pixels;
    return this.style;
  }

  async cuts(photo, middle) {
    const { size } = this.facts;
    const places = middle
      ? [{ quad: middleQuad(photo) }]
      : (await findFaces(photo, this.networks)).map((landmarks) => ({ landmarks, quad: ffhqQuad(landmarks) }));
    if (!places.length) {
      throw new UserError("No face was found in this picture. Faces must be seen from the front.", { offer: "middle" });
    }
    return places.map((place) => ({ ...place, pixels: warpQuad(photo, place.quad, size) }));
  }

  /** Translate all faces by changes in units; returns the outputs, and the parts of the photo that they change. */
  async translate(changes, progress) {
    const outputs = [];
    for (const { pixels } of this.faces) {
      progress(outputs.length / this.faces.length, `Face ${outputs.length + 1} of ${this.faces.length}…`);
      const values = await this.run(feedsOf(this.facts, [pixels, this.style], changes));
      outputs.push(pictureOf(values, this.facts.size));
    }
    const edits = this.faces.map(({ quad }, place) => ({ quad, pixels: outputs[place] }));
    return { outputs, parts: pasteBack(this.photo, edits) };
  }
}

/** What the network takes: `images` [1, 3 or 6, size, size] in [-1, 1], and `condition` where there are conditions. */
function feedsOf({ size, inputs, conditions }, [face, style], changes) {
  const images = inputs.map((role) => (role === "style" ? style : face));
  const values = new Float32Array(3 * images.length * size * size);
  images.forEach(({ data }, image) => {
    for (let place = 0; place < size * size; place++) {
      for (let channel = 0; channel < 3; channel++) {
        values[(3 * image + channel) * size * size + place] = data[4 * place + channel] / 127.5 - 1;
      }
    }
  });
  const feeds = { images: [values, [1, 3 * images.length, size, size]] };
  if (conditions.length) feeds.condition = [Float32Array.from(changes), [1, conditions.length]];
  return feeds;
}

function pictureOf(values, size) {
  const picture = makePicture(size, size);
  for (let place = 0; place < size * size; place++) {
    for (let channel = 0; channel < 3; channel++) {
      picture.data[4 * place + channel] = values[channel * size * size + place] * 127.5 + 127.5;
    }
  }
  return picture;
}

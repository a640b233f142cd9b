// A file or a frame of the camera as a picture { data, width, height }: upright, sRGB, on white.

import { UserError, megapixels } from "./messages.js";

const MOST_PIXELS = 25e6; // larger ones are reduced: four bytes each, several times
const MOST_DECODED = 268e6; // what browsers decode at most

/** Read a picture file; `note` says what was done to it, or "". */
export async function readPhoto(file) {
  if (!file.size) throw new UserError(`${file.name} is empty (0 bytes). Choose another file.`);
  const image = new Image();
  const address = URL.createObjectURL(file);
  try {
    image.src = address;
    await image.decode().catch(() => onceLoaded(image));
    return takePicture(image, { width: image.naturalWidth, height: image.naturalHeight });
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw new UserError(`${file.name} is not a picture that this browser can read. JPEG, PNG and WebP always work.`);
  } finally {
    URL.revokeObjectURL(address);
  }
}

/** decode() refuses large pictures that can be drawn all the same. */
function onceLoaded(image) {
  if (image.complete && image.naturalWidth) return null;
  throw new Error("not a picture");
}

/** The pixels of an image or a video, reduced where they are too many. */
export function takePicture(source, { width, height }) {
  if (!(width && height)) throw new UserError("This picture does not say its size. Save it as PNG or JPEG first.");
  if (width * height > MOST_DECODED) throw new UserError(`This picture has ${megapixels({ width, height })} megapixels, too many for a browser. Reduce it first.`);
  const scale = Math.min(1, Math.sqrt(MOST_PIXELS / (width * height)));
  const size = { width: Math.max(1, Math.floor(width * scale)), height: Math.max(1, Math.floor(height * scale)) };
  const canvas = Object.assign(document.createElement("canvas"), size);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = "white";
  context.fillRect(0, 0, size.width, size.height);
  context.imageSmoothingQuality = "high";
  context.drawImage(source, 0, 0, size.width, size.height);
  const { data } = context.getImageData(0, 0, size.width, size.height);
  if (data[3] !== 255) throw new UserError("This browser cannot hold a picture of this size. Reduce it first.");
  const note = scale < 1
    ? `The picture has ${megapixels({ width, height })} megapixels; it was reduced to ${megapixels(size)} (${size.width} × ${size.height}).`
    : "";
  return { picture: { data, ...size }, note };
}

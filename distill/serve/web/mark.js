// Texts in a PNG, such as which network drew it. A PNG is a signature of 8 bytes and chunks; the first is the header.

const BEFORE = 8 + 4 + 4 + 13 + 4; // bytes of the signature, and of the header's length, kind, data and checksum
const POLYNOMIAL = 0xedb88320; // of CRC-32, as PNG has it

/** The same PNG with texts { keyword: text } in it, as a Blob. */
export async function withTexts(blob, texts) {
  const png = new Uint8Array(await blob.arrayBuffer());
  const chunks = Object.entries(texts).map(([keyword, text]) => textChunk(keyword, text));
  return new Blob([png.subarray(0, BEFORE), ...chunks, png.subarray(BEFORE)], { type: blob.type });
}

/** A chunk iTXt: keyword, not compressed, of no language, in UTF-8. */
function textChunk(keyword, text) {
  const data = new TextEncoder().encode(`iTXt${keyword}\0\0\0\0\0${text}`);
  const chunk = new Uint8Array(4 + data.length + 4);
  const numbers = new DataView(chunk.buffer);
  numbers.setUint32(0, data.length - 4); // without its kind
  chunk.set(data, 4);
  numbers.setUint32(4 + data.length, checksum(data));
  return chunk;
}

function checksum(bytes) {
  let rest = 0xffffffff;
  for (const byte of bytes) {
    rest ^= byte;
    for (let bit = 0; bit < 8; bit++) rest = (rest >>> 1) ^ (rest & 1 ? POLYNOMIAL : 0);
  }
  return (rest ^ 0xffffffff) >>> 0;
}

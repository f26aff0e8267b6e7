// What cases with pictures share in Node, whatever the SDK; for the oldest Node that any of them runs on.

import assert from "node:assert/strict";
import { deflateSync } from "node:zlib";

const SIDE = 64;
const SIGNATURE = Buffer.from("\x89PNG\r\n\x1a\n", "latin1");

/** The checksum of a PNG chunk; zlib has had its own only since Node 20.15. */
function crc32(data) {
  let crc = ~0;
  for (const byte of data) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (0xedb88320 & -(crc & 1));
  }
  return ~crc >>> 0;
}

/** A square of one colour: three numbers, four with alpha. */
export function png(...pixel) {
  const chunk = (kind, data) => {
    const body = Buffer.concat([Buffer.from(kind), data]);
    const ends = Buffer.alloc(8);
    ends.writeUInt32BE(data.length, 0);
    ends.writeUInt32BE(crc32(body), 4);
    return Buffer.concat([ends.subarray(0, 4), body, ends.subarray(4)]);
  };
  const header = Buffer.from([0, 0, 0, SIDE, 0, 0, 0, SIDE, 8, pixel.length === 3 ? 2 : 6, 0, 0, 0]);
  const row = Buffer.concat([Buffer.alloc(1), Buffer.alloc(SIDE * pixel.length, Buffer.from(pixel))]);
  const rows = deflateSync(Buffer.concat(Array(SIDE).fill(row)));
  return Buffer.concat([SIGNATURE, chunk("IHDR", header), chunk("IDAT", rows), chunk("IEND", Buffer.alloc(0))]);
}

/** Width and height of a PNG, from its header. */
export function measured(data) {
  assert.ok(data.subarray(0, 8).equals(SIGNATURE) && data.length > 500, data.subarray(0, 12).toString("latin1"));
  return `${data.readUInt32BE(16)}x${data.readUInt32BE(20)}`;
}

/** Proves every case of every row, several at a time, and prints how each ended. */
export async function proveAll(rows, cases) {
  const cells = rows.flatMap((row) => Object.entries(cases).map(([name, prove]) => [row, name, prove]));
  const work = async () => {
    for (let cell = cells.shift(); cell; cell = cells.shift()) {
      const [row, name, prove] = cell;
      const error = await prove(row).then(() => null, (failure) => failure?.stack ?? String(failure));
      console.log(JSON.stringify({ claim: `${row.name}: ${name}`, error }));
    }
  };
  await Promise.all(Array.from({ length: 8 }, work));
}

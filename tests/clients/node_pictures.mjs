// The cases of image_matrix.py, proved with OpenAI's Node SDK for every row.
//
//     node node_pictures.mjs PACKAGE_FOLDER BASE_URL API_KEY ROWS
//
// ROWS is a JSON list. Prints one JSON object per cell: `claim` (`ROW: CASE`), and `error` (null, or what went wrong).
// Nothing of the SDK is changed but the base URL and the key.

import assert from "node:assert/strict";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { measured, png, proveAll } from "./pictures.mjs";

const [folder, baseURL, apiKey, rows] = process.argv.slice(2);
const { default: OpenAI, toFile } = await import(pathToFileURL(path.join(folder, "index.mjs")).href);
// as it comes: with its own retries, which would show as more than one request upstream
const { images } = new OpenAI({ baseURL, apiKey, timeout: 30_000 });

const prompt = "a barn";
const size = "1024x1024";
const picture = () => toFile(png(200, 80, 120), "a.png", { type: "image/png" });
const clear = () => toFile(png(0, 0, 0, 0), "mask.png", { type: "image/png" });

function check(answer, count) {
  assert.equal(answer.data.length, count);
  const sizes = answer.data.map((item) => {
    assert.equal(item.url, undefined);
    return measured(Buffer.from(item.b64_json, "base64"));
  });
  assert.equal(answer.size, sizes[0]);
  assert.equal(answer.output_format, "png");
}

async function refused(asked, code, ...params) {
  const error = await asked.then(
    () => assert.fail("nothing was raised"),
    (raised) => raised,
  );
  assert.equal(error.constructor, OpenAI.BadRequestError, error.stack);
  assert.deepEqual([error.code, error.type], [code, "invalid_request_error"]);
  assert.ok(params.includes(error.param), error.param);
}

await proveAll(JSON.parse(rows), {
  b64_json: async ({ model }) => check(await images.generate({ model, prompt, size }), 1),

  url: async ({ model }) => {
    const { data } = await images.generate({ model, prompt, size, response_format: "url" });
    assert.deepEqual([data.length, data[0].b64_json], [1, undefined]);
    const fetched = await fetch(data[0].url);
    assert.equal(fetched.headers.get("content-type"), "image/png");
    measured(Buffer.from(await fetched.arrayBuffer()));
  },

  three: async ({ model }) => check(await images.generate({ model, prompt, size, n: 3 }), 3),

  edit: async ({ model, edits }) => {
    const asked = images.edit({ model: edits || model, prompt: "at dusk", size, image: await picture() });
    if (edits) check(await asked, 1);
    else await refused(asked, "unsupported_parameter", "image");
  },

  mask: async ({ model, edits, masked }) => {
    const files = { image: await picture(), mask: await clear() };
    const asked = images.edit({ model: masked || edits || model, prompt: "a door", ...files });
    if (masked) check(await asked, 1);
    else await refused(asked, "unsupported_parameter", "mask", ...(edits ? [] : ["image"]));
  },

  moderation: async ({ model, moderates }) => {
    const asked = images.generate({ model, prompt: "sandbox-fault: image-safety" });
    if (moderates) await refused(asked, "moderation_blocked", null, "prompt");
    else await assert.rejects(asked, OpenAI.InternalServerError);
  },

  stream: async ({ model, previews }) => {
    const events = [];
    for await (const event of await images.generate({ model, prompt, size, stream: true, partial_images: 2 })) {
      assert.equal(event.size, measured(Buffer.from(event.b64_json, "base64")));
      events.push(event);
    }
    const shown = previews ? ["image_generation.partial_image", "image_generation.partial_image"] : [];
    assert.deepEqual(events.map((event) => event.type), [...shown, "image_generation.completed"]);
    const { usage } = events.at(-1);
    assert.equal(usage.total_tokens, usage.input_tokens + usage.output_tokens);
  },
});

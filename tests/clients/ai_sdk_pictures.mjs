// The cases of image_matrix.py that the AI SDK's `generateImage` has, proved with one of its providers for every row.
//
//     node ai_sdk_pictures.mjs PACKAGE_JSON PROVIDER BASE_URL API_KEY ROWS
//
// PACKAGE_JSON stands beside the node_modules to use; PROVIDER is "openai" or "openai-compatible"; ROWS is a JSON list.
// Prints one JSON object per cell: `claim` (`ROW: CASE`), and `error` (null, or what went wrong). Nothing is changed but
// base URL and key.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { measured, png, proveAll } from "./pictures.mjs";

const [packageJson, provider, baseURL, apiKey, rows] = process.argv.slice(2);
const { resolve } = createRequire(packageJson);
const load = (name) => import(pathToFileURL(resolve(name)).href);
const { APICallError, generateImage } = await load("ai");
const { createOpenAI } = await load("@ai-sdk/openai");
const { createOpenAICompatible } = await load("@ai-sdk/openai-compatible");

const models = {
  openai: createOpenAI({ baseURL, apiKey }),
  "openai-compatible": createOpenAICompatible({ name: "turnout", baseURL, apiKey }),
}[provider];

const PICTURE = png(200, 80, 120);
const MASK = png(0, 0, 0, 0);
const USUAL = { prompt: "a barn", size: "1024x1024" };
const make = (model, more) => generateImage({ model: models.imageModel(model), ...USUAL, ...more });

function check({ images, image, usage }, count) {
  assert.equal(images.length, count);
  assert.equal(image, images[0]);
  for (const each of images) {
    assert.equal(each.mediaType, "image/png");
    measured(Buffer.from(each.uint8Array));
  }
  return usage;
}

async function failed(asked) {
  const error = await asked.then(
    () => assert.fail("nothing was raised"),
    (raised) => raised,
  );
  assert.ok(APICallError.isInstance(error), error?.stack);
  return error;
}

async function refused(asked, code, ...params) {
  const error = await failed(asked);
  assert.deepEqual([error.statusCode, error.isRetryable], [400, false]);
  const told = JSON.parse(error.responseBody).error;
  assert.equal(told.code, code);
  assert.equal(error.message, told.message);
  if (params.length) assert.ok(params.includes(told.param), told.param);
}

const cases = {
  b64_json: async ({ model }) => check(await make(model), 1),

  three: async ({ model }) => check(await make(model, { n: 3 }), 3),

  edit: async ({ model, edits }) => {
    const asked = make(edits || model, { prompt: { text: "at dusk", images: [PICTURE] } });
    if (edits) check(await asked, 1);
    else await refused(asked, "unsupported_parameter", "image");
  },

  mask: async ({ model, edits, masked }) => {
    const prompt = { text: "a door", images: [PICTURE], mask: MASK };
    const asked = make(masked || edits || model, { prompt });
    if (masked) check(await asked, 1);
    else await refused(asked, "unsupported_parameter", "mask", ...(edits ? [] : ["image"]));
  },

  moderation: async ({ model, moderates }) => {
    const asked = make(model, { prompt: "sandbox-fault: image-safety", maxRetries: 0 });
    if (moderates) await refused(asked, "moderation_blocked");
    else assert.ok((await failed(asked)).statusCode >= 500);
  },
};

if (provider === "openai-compatible") {
  // links are this provider's alone: the other reads base64 only
  cases.url = async ({ model }) => {
    check(await make(model, { providerOptions: { turnout: { response_format: "url" } } }), 1);
  };
}

await proveAll(JSON.parse(rows), cases);

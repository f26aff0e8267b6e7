// Pictures by the AI SDK's `generateImage`, with one of its providers.
//
//     node ai_sdk_images.mjs PACKAGE_JSON PROVIDER BASE_URL API_KEY
//
// PACKAGE_JSON stands beside the node_modules to use; PROVIDER is "openai" or "openai-compatible". Prints one JSON object
// per case: `claim`, and `error` (null, or what went wrong). Nothing is changed but base URL and key.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [packageJson, provider, baseURL, apiKey] = process.argv.slice(2);
const { resolve } = createRequire(packageJson);
const load = (name) => import(pathToFileURL(resolve(name)).href);
const { APICallError, generateImage } = await load("ai");
const { createOpenAI } = await load("@ai-sdk/openai");
const { createOpenAICompatible } = await load("@ai-sdk/openai-compatible");

const models = {
  openai: createOpenAI({ baseURL, apiKey }),
  "openai-compatible": createOpenAICompatible({ name: "turnout", baseURL, apiKey }),
}[provider];

// a square of 64 pixels, wholly transparent: picture and mask
const PICTURE = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAEAAAABACAYAAACqaXHeAAAAl0lEQVR4nO3QURUAEADAQCQUR0SxxLgPuwR7m3ef8bOlA7QG6ACtATpAa4AO0BqgA7QG6ACtATpAa4AO0BqgA7QG6ACtATpAa4AO0BqgA7QG6ACtATpAa4AO0BqgA7QG6ACtATpAa4AO0BqgA7QG6ACtATpAa4AO0BqgA7QG6ACtATpAa4AO0BqgA7QG6ACtATpAa4AO0B64PAIQd+liSgAAAABJRU5ErkJggg==",
  "base64",
);

function check(images, count) {
  assert.equal(images.length, count);
  for (const image of images) {
    assert.equal(image.mediaType, "image/png");
    assert.ok(image.uint8Array.length > 500);
  }
}

const cases = {
  "one picture comes as bytes": async () => {
    const model = models.imageModel("gemini-nano-banana-2.1");
    const { image, images, usage } = await generateImage({ model, prompt: "a barn" });
    check(images, 1);
    assert.equal(image, images[0]);
    assert.ok(usage.totalTokens > 0);
  },

  "three pictures come from one call": async () => {
    const model = models.imageModel("gpt-image-2");
    const { images } = await generateImage({ model, prompt: "a barn", n: 3, size: "1024x1024" });
    check(images, 3);
  },

  "three pictures come from a backend that makes one at a time": async () => {
    const model = models.imageModel("gemini-3.1-flash-image");
    check((await generateImage({ model, prompt: "a barn", n: 3 })).images, 3);
  },

  "a picture can be edited under a mask": async () => {
    const model = models.imageModel("gpt-image-2");
    const prompt = { text: "only there", images: [PICTURE], mask: PICTURE };
    check((await generateImage({ model, prompt })).images, 1);
  },

  "several pictures can be edited together": async () => {
    const prompt = { text: "join them", images: [PICTURE, PICTURE] };
    check((await generateImage({ model: models.imageModel("image"), prompt })).images, 1);
  },

  "a picture that is refused raises APICallError once, with the reason": async () => {
    const model = models.imageModel("gpt-image-2");
    const error = await generateImage({ model, prompt: "sandbox-fault: image-safety" }).then(
      () => assert.fail("nothing was raised"),
      (raised) => raised,
    );
    assert.ok(APICallError.isInstance(error), error?.stack);
    assert.equal(error.statusCode, 400);
    assert.equal(error.isRetryable, false);
    assert.equal(JSON.parse(error.responseBody).error.code, "moderation_blocked");
    assert.match(error.message, /safety/);
  },
};

for (const [claim, prove] of Object.entries(cases)) {
  let error = null;
  try {
    await prove();
  } catch (failure) {
    error = failure?.stack ?? String(failure);
  }
  console.log(JSON.stringify({ claim, error }));
}

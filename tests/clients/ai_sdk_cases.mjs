// The claims of agent_claims.py, proved with the AI SDK and one of its providers.
//
//     node ai_sdk_cases.mjs PACKAGE_JSON PROVIDER ROUTER_BASE_URL API_KEY SANDBOX_URL
//
// PACKAGE_JSON stands beside the node_modules to use; PROVIDER is "openai-compatible", which keeps what it does not know
// of a tool call, "openai", which drops it, or "openai-responses", the same by its default wire. Prints what agent_world.py says. Nothing is changed but base URL and key.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [packageJson, provider, baseURL, apiKey, sandboxURL] = process.argv.slice(2);
const { resolve } = createRequire(packageJson);
const load = (name) => import(pathToFileURL(resolve(name)).href);
const { generateText, isStepCount, Output, streamText, tool } = await load("ai");
const { createOpenAI } = await load("@ai-sdk/openai");
const { createOpenAICompatible } = await load("@ai-sdk/openai-compatible");
const { z } = await load("zod");

const conversations = JSON.parse(await readFile(new URL("conversations.json", import.meta.url), "utf8"));
const MODEL = conversations.model;
const PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

const openai = createOpenAI({ baseURL, apiKey });
const compatible = createOpenAICompatible({
  name: "turnout",
  baseURL,
  apiKey,
  includeUsage: true,
  supportsStructuredOutputs: true,
});
const models = { "openai-compatible": compatible, openai: openai.chat, "openai-responses": openai };
const chat = models[provider];

const Place = z
  .object({ city: z.string().describe("Name of the city, in English"), country: z.string().nullable() })
  .describe("Where somebody lives.");
const Journey = z.object({
  title: z.string(),
  stops: z.array(z.object({ place: Place, nights: z.int().min(1).max(14), by: z.enum(["train", "boat"]) })).min(1).max(3),
  budget: z.number().nullable(),
});

async function setFaults(rules) {
  const answer = await fetch(`${sandboxURL}/__sandbox/faults`, { method: "PUT", body: JSON.stringify(rules) });
  assert.ok(answer.ok);
}

/** The tools of one conversation, and what they were asked; being asked for the weather in some cities has effects. */
class World {
  asked = [];

  constructor(brokenBy, mendedBy) {
    this.tools = {
      get_weather: tool({
        description: "The weather in a city",
        inputSchema: z.object({ city: z.string(), unit: z.enum(["celsius", "fahrenheit"]).default("celsius") }),
        execute: async ({ city }) => {
          this.asked.push(["get_weather", city]);
          if (city === brokenBy) await setFaults([{ fault: "status-503", label: "google" }]);
          if (city === mendedBy) await setFaults([]);
          return `${city.length} degrees in ${city}`;
        },
      }),
      get_population: tool({
        description: "How many people live in a place",
        inputSchema: z.object({ place: Place }),
        execute: async ({ place }) => {
          this.asked.push(["get_population", place.city]);
          return `${place.city.length} millions in ${place.city}`;
        },
      }),
    };
  }
}

class Usage {
  input = 0;
  output = 0;
  thinking = 0;

  add({ inputTokens, outputTokens, totalTokens, outputTokenDetails }) {
    assert.ok(inputTokens > 0 && outputTokens > 0, "usage was not counted");
    assert.equal(totalTokens, inputTokens + outputTokens);
    this.input += inputTokens;
    this.output += outputTokens;
    this.thinking += outputTokenDetails.reasoningTokens ?? 0;
    return this;
  }
}

async function answer(options, stream) {
  const asked = { stopWhen: isStepCount(10), ...options };
  if (!stream) return generateText(asked);
  const result = streamText(asked);
  const kinds = [];
  for await (const part of result.fullStream) {
    if (part.type === "error") throw part.error;
    kinds.push(part.type);
  }
  assert.ok(kinds.filter((kind) => kind === "text-delta").length > 4 || options.output, "the text was not live");
  return {
    text: await result.text,
    usage: await result.usage,
    responseMessages: await result.responseMessages,
    output: options.output ? await result.output : undefined,
  };
}

/** Every turn calls the right tools with the right arguments, step after step, and is answered from all results. */
async function converse(world, model, claim, stream, turns) {
  const messages = [];
  const usage = new Usage();
  for (const turn of turns) {
    world.asked.length = 0;
    messages.push({ role: "user", content: turn.ask });
    const result = await answer({ model: chat(model), instructions: claim, tools: world.tools, messages }, stream);
    messages.push(...result.responseMessages);
    usage.add(result.usage);
    assert.deepEqual(world.asked, turn.steps.flat());
    for (const [name, city] of turn.steps.flat()) {
      const known = `${city.length} ${name === "get_weather" ? "degrees" : "millions"} in ${city}`;
      assert.ok(result.text.includes(known), `${known} is not in ${result.text}`);
    }
    assert.ok(result.text);
  }
  return usage;
}

async function loop(claim, stream) {
  const usage = await converse(new World(), MODEL, claim, stream, conversations.turns);
  assert.ok(usage.thinking > 0, "the model thinks, and is asked with its signatures");
  return usage;
}

async function takeover(claim, stream) {
  const { model, broken_by, mended_by, turns } = conversations.takeover;
  try {
    return await converse(new World(broken_by, mended_by), model, claim, stream, turns);
  } finally {
    await setFaults([]);
  }
}

async function typed(stream) {
  const output = Output.object({ schema: Journey });
  const result = await answer({ model: chat(MODEL), output, prompt: "Plan a journey" }, stream);
  Journey.parse(result.output);
  return new Usage().add(result.usage);
}

const cases = {
  "a conversation of four turns calls its tools and ends": (claim) => loop(claim, false),
  "a streamed conversation of four turns calls its tools and ends": (claim) => loop(claim, true),
  "another vendor takes over in the middle of a turn and hands back": (claim) => takeover(claim, false),
  "another vendor takes over in the middle of a streamed turn and hands back": (claim) => takeover(claim, true),

  "a picture can be part of the question": async () => {
    const content = [
      { type: "text", text: "what is it?" },
      { type: "file", mediaType: "image/png", data: Buffer.from(PNG, "base64") },
    ];
    const result = await generateText({ model: chat(MODEL), messages: [{ role: "user", content }] });
    assert.match(result.text, /1 picture\(s\)/);
    return new Usage().add(result.usage);
  },

  "a typed answer is an instance of its type": () => typed(false),
  "a typed answer can be streamed": () => typed(true),

  "a typed answer can follow tool calls": async () => {
    const world = new World();
    const output = Output.object({ schema: Journey });
    const prompt = "get_weather in Oslo and Rome";
    const result = await answer({ model: chat(MODEL), tools: world.tools, output, prompt }, false);
    assert.deepEqual(world.asked, [["get_weather", "Oslo"], ["get_weather", "Rome"]]);
    Journey.parse(result.output);
    return new Usage().add(result.usage);
  },
};

for (const [claim, prove] of Object.entries(cases)) {
  let error = null;
  let usage = new Usage();
  try {
    usage = await prove(claim);
  } catch (failure) {
    error = failure?.stack ?? String(failure);
  }
  console.log(JSON.stringify({ claim, error, usage: [usage.input, usage.output] }));
}

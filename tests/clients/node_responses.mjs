// The claims of responses_claims.py, proved with OpenAI's Node SDK.
//
//     node node_responses.mjs PACKAGE_FOLDER BASE_URL API_KEY
//
// Prints what node_cases.mjs prints. Nothing of the SDK is changed but the base URL and the key.

import assert from "node:assert/strict";
import path from "node:path";
import { pathToFileURL } from "node:url";

const [folder, baseURL, apiKey] = process.argv.slice(2);
const { default: OpenAI } = await import(pathToFileURL(path.join(folder, "index.mjs")).href);

const MODEL = "gemini-3.8-flash";
const WORDS = Array.from({ length: 40 }, (_, index) => `word${index + 1}`).join(" ");
const SIXTY = Array.from({ length: 60 }, (_, index) => `word${index + 1}`).join(" ");
const PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
const CITY = {
  type: "object",
  properties: { name: { type: "string" }, population: { type: "integer" } },
  required: ["name", "population"],
  additionalProperties: false,
};
const WEATHER = {
  type: "function",
  name: "get_weather",
  description: "The weather in a city",
  strict: true,
  parameters: {
    type: "object",
    properties: { city: { type: "string" } },
    required: ["city"],
    additionalProperties: false,
  },
};
const FORMAT = { format: { type: "json_schema", name: "city", strict: true, schema: CITY } };

const client = new OpenAI({ baseURL, apiKey, maxRetries: 0, timeout: 30_000 });
const standard = new OpenAI({ baseURL, apiKey });
const ask = (options) => client.responses.create(options);

/** The error that `act` raises, which must be exactly a `kind`. */
async function raised(kind, act) {
  let answer;
  try {
    answer = await act();
  } catch (error) {
    if (error?.constructor !== kind) throw error;
    return error;
  }
  assert.fail(`nothing was raised; the answer was ${JSON.stringify(answer)}`);
}

function checkStatus(error, status, type, code, param = null) {
  assert.deepEqual([error.status, error.type, error.code, error.param], [status, type, code, param]);
  assert.match(error.requestID, /^req_[0-9a-f]{32}$/);
  assert.ok(error.error.message);
}

async function collect(stream) {
  const events = [];
  for await (const event of stream) events.push(event);
  return events;
}

/** The response that a good stream ends with. */
function finished(events) {
  assert.deepEqual(
    events.map((event) => event.sequence_number),
    events.map((_, index) => index),
  );
  assert.deepEqual([events[0].type, events[1].type], ["response.created", "response.in_progress"]);
  assert.equal(events.at(-1).type, "response.completed");
  return events.at(-1).response;
}

const textOf = (response) =>
  response.output
    .flatMap((item) => (item.type === "message" ? item.content : []))
    .map((part) => part.text)
    .join("");

/** Question, two calls, their results, the answer; gives the first response. */
async function checkLoop(stream, more = {}) {
  const answer = async (input) => {
    const made = await ask({ model: MODEL, input, tools: [WEATHER], stream, ...more });
    return stream ? finished(await collect(made)) : made;
  };
  const input = [{ role: "user", content: "weather in Oslo and Rome" }];
  const first = await answer(input);
  const calls = first.output.filter((item) => item.type === "function_call");
  assert.deepEqual(
    calls.map((call) => JSON.parse(call.arguments).city),
    ["Oslo", "Rome"],
  );
  assert.equal(new Set(calls.map((call) => call.call_id)).size, 2);
  input.push(...first.output);
  calls.forEach(({ call_id }, index) =>
    input.push({ type: "function_call_output", call_id, output: `${[3, 9][index]} degrees` }),
  );
  assert.match(textOf(await answer(input)), /3 degrees.*9 degrees/);
  return first;
}

/** Reads a stream that must break off: with an error of the SDK, after some of the text. */
async function checkCut(model) {
  let text = "";
  const kinds = [];
  const error = await raised(OpenAI.APIError, async () => {
    for await (const event of await ask({ model, input: "words: 40", stream: true })) {
      kinds.push(event.type);
      if (event.type === "response.output_text.delta") text += event.delta;
    }
  });
  assert.equal(error.code, "upstream_stream_interrupted");
  assert.ok(text !== "" && text !== WORDS && WORDS.startsWith(text), text);
  assert.equal(kinds.at(-1), "response.failed");
  await assert.rejects(client.responses.stream({ model, input: "words: 40" }).finalResponse(), OpenAI.OpenAIError);
}

/** Reads a stream of all sixty words, once, in one message, from two upstreams. */
async function checkWhole(model, stream_mode) {
  let text = "";
  let done;
  for await (const event of await ask({ model, input: "words: 60", stream: true, router: { stream_mode } })) {
    if (event.type === "response.output_text.delta") text += event.delta;
    done = event;
  }
  assert.equal(text, SIXTY);
  assert.equal(done.type, "response.completed");
  assert.equal(done.response.output.filter((item) => item.type === "message").length, 1);
  assert.ok(done.response.usage.total_tokens > 160, "what was lost is billed as well");
}

const cases = {
  "a response names what served it and its usage adds up": async () => {
    const answer = await ask({ model: "auto", input: "Say hello" });
    assert.match(answer.model, /^gemini-/);
    assert.ok(answer.output_text.includes(answer.model));
    assert.equal(answer.status, "completed");
    const { input_tokens, output_tokens, total_tokens } = answer.usage;
    assert.ok(total_tokens === input_tokens + output_tokens && total_tokens > 0);
    assert.match(answer._request_id, /^req_/);
  },

  "a stream tells the whole text in numbered events": async () => {
    const events = await collect(await ask({ model: MODEL, input: "words: 40", stream: true }));
    const deltas = events.filter((event) => event.type === "response.output_text.delta");
    assert.equal(textOf(finished(events)), WORDS);
    assert.equal(deltas.map((event) => event.delta).join(""), WORDS);
    assert.ok(deltas.length > 4, "not live");
  },

  "the stream helper collects the response": async () => {
    const final = await client.responses.stream({ model: MODEL, input: "words: 40" }).finalResponse();
    assert.equal(final.output_text, WORDS);
    const called = await client.responses
      .stream({ model: MODEL, input: "weather in Oslo and Rome", tools: [WEATHER] })
      .finalResponse();
    assert.deepEqual(
      called.output.map((call) => JSON.parse(call.arguments).city),
      ["Oslo", "Rome"],
    );
  },

  "instructions and a conversation are understood": async () => {
    const first = await ask({ model: MODEL, input: "say: one" });
    const input = [{ role: "user", content: "say: one" }, ...first.output, { role: "user", content: "inspect:" }];
    const seen = JSON.parse((await ask({ model: MODEL, instructions: "be brief", input })).output_text);
    assert.deepEqual([seen.system, seen.turns], ["be brief", 3]);
  },

  "a loop with parallel calls runs to the answer": () => checkLoop(false),

  "a streamed loop with parallel calls runs to the answer": () => checkLoop(true),

  "a loop carries what the model needs in encrypted reasoning": async () => {
    for (const stream of [false, true]) {
      const first = await checkLoop(stream, { include: ["reasoning.encrypted_content"], store: false });
      assert.equal(first.output[0].type, "reasoning");
      assert.ok(first.output[0].encrypted_content);
    }
  },

  "a custom tool is called with free text": async () => {
    const tools = [{ type: "custom", name: "apply_patch", description: "Edits files" }];
    const input = [{ role: "user", content: "use apply_patch on Readme" }];
    const [call] = (await ask({ model: MODEL, input, tools })).output;
    assert.deepEqual([call.type, call.name], ["custom_tool_call", "apply_patch"]);
    assert.ok(call.input);
    input.push(call, { type: "custom_tool_call_output", call_id: call.call_id, output: "patched" });
    assert.match((await ask({ model: MODEL, input, tools })).output_text, /patched/);
  },

  "a JSON schema is kept": async () => {
    const city = JSON.parse((await ask({ model: MODEL, input: "a city", text: FORMAT })).output_text);
    assert.ok(typeof city.name === "string" && Number.isInteger(city.population));
  },

  "the parse helper gives a typed answer": async () => {
    const answer = await client.responses.parse({
      model: MODEL,
      input: "a city",
      text: { format: { ...FORMAT.format, $brand: "auto-parseable-response-format", $parseRaw: JSON.parse } },
    });
    assert.ok(Number.isInteger(answer.output_parsed.population), answer.output_text);
  },

  "a picture can be part of the question": async () => {
    const content = [
      { type: "input_text", text: "what is it?" },
      { type: "input_image", image_url: `data:image/png;base64,${PNG}`, detail: "auto" },
    ];
    assert.match((await ask({ model: MODEL, input: [{ role: "user", content }] })).output_text, /1 picture\(s\)/);
  },

  "an answer cut by its limit is incomplete": async () => {
    const limits = { max_output_tokens: 5, reasoning: { effort: "minimal" } };
    const answer = await ask({ model: MODEL, input: "words: 40", ...limits });
    assert.deepEqual([answer.status, answer.incomplete_details.reason], ["incomplete", "max_output_tokens"]);
    assert.ok(WORDS.startsWith(answer.output_text));
  },

  "a filtered answer says so": async () => {
    const answer = await ask({ model: "filtered", input: "hello" });
    assert.deepEqual([answer.status, answer.incomplete_details.reason], ["incomplete", "content_filter"]);
  },

  "a bad temperature raises BadRequestError naming the field": async () => {
    const error = await raised(OpenAI.BadRequestError, () =>
      standard.responses.create({ model: MODEL, input: "hi", temperature: 9 }),
    );
    checkStatus(error, 400, "invalid_request_error", "invalid_value", "temperature");
  },

  "a reference to an earlier response raises BadRequestError saying what to do": async () => {
    const error = await raised(OpenAI.BadRequestError, () =>
      standard.responses.create({ model: MODEL, input: "hi", previous_response_id: "resp_1" }),
    );
    checkStatus(error, 400, "invalid_request_error", "unsupported_parameter", "previous_response_id");
    assert.match(error.message, /'input'/);
  },

  "a response cannot be fetched later": async () => {
    const { id } = await ask({ model: MODEL, input: "hi" });
    const error = await raised(OpenAI.NotFoundError, () => standard.responses.retrieve(id));
    checkStatus(error, 404, "invalid_request_error", "not_found");
  },

  "a wrong key raises AuthenticationError": async () => {
    const stranger = new OpenAI({ baseURL, apiKey: "sk-not-one-of-yours" });
    const error = await raised(OpenAI.AuthenticationError, () =>
      stranger.responses.create({ model: MODEL, input: "hello" }),
    );
    checkStatus(error, 401, "invalid_request_error", "invalid_api_key");
  },

  "an unknown model raises NotFoundError": async () => {
    for (const stream of [false, true]) {
      const error = await raised(OpenAI.NotFoundError, () =>
        standard.responses.create({ model: "gpt-nobody", input: "hello", stream }),
      );
      checkStatus(error, 404, "invalid_request_error", "model_not_found");
    }
  },

  "upstreams that are all rate limited raise RateLimitError with the wait": async () => {
    for (const stream of [false, true]) {
      const error = await raised(OpenAI.RateLimitError, () => ask({ model: "limited", input: "hello", stream }));
      checkStatus(error, 429, "requests", "rate_limit_exceeded");
      assert.ok(Number(error.headers.get("retry-after")) <= 7);
    }
  },

  "upstreams that all fail raise InternalServerError and are not asked again": async () => {
    const error = await raised(OpenAI.InternalServerError, () =>
      standard.responses.create({ model: "broken", input: "hello" }),
    );
    assert.ok([502, 503].includes(error.status));
    assert.equal(error.headers.get("x-should-retry"), "false");
  },

  "a stall longer than the client's timeout raises its timeout error": () =>
    raised(OpenAI.APIConnectionTimeoutError, () =>
      client.responses.create({ model: "stalled", input: "hello" }, { timeout: 300 }),
    ),

  "an upstream lost in mid-stream raises after the text so far": () => checkCut("cut"),

  "an upstream that just stops in mid-stream raises after the text so far": () => checkCut("truncated"),

  "a broken stream is repaired from Gemini to an OpenAI upstream, every word once": () => checkWhole("mended", "repair"),

  "a broken stream is repaired from an OpenAI upstream to Gemini, every word once": () =>
    checkWhole("mended-back", "repair"),

  "a broken stream that is buffered comes whole, every word once": () => checkWhole("mended", "buffered"),
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

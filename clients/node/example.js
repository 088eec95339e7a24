/**
 * Asks an inferd server to read a handwritten digit, is refused for a wrong request and told
 * why, and gives up on a call.
 *
 *     node example.js 127.0.0.1:8001
 *
 * A second argument names the model whose call it gives up on: one that takes the same
 * tensors as `digits` and keeps its callers waiting.
 */

import { fileURLToPath } from "node:url";
import { credentials, loadPackageDefinition, status } from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";

const MODEL = "digits";
// The server schedules by it: a call that cannot be answered in time is refused at once.
const TIMEOUT_MS = 2000;
// The first calls have to wait for a connection.
const FIRST_TIMEOUT_MS = 10_000;
// How long a caller waits who may lose interest before the deadline.
const PATIENCE_MS = 250;

// A zero, eight pixels by eight, from 0 (white) to 16.
// prettier-ignore
const ZERO = [
  0, 0, 5, 13, 9, 1, 0, 0,
  0, 0, 13, 15, 10, 15, 5, 0,
  0, 3, 15, 2, 0, 11, 8, 0,
  0, 4, 12, 0, 0, 8, 8, 0,
  0, 5, 8, 0, 0, 9, 8, 0,
  0, 4, 11, 0, 1, 12, 7, 0,
  0, 2, 14, 5, 10, 12, 0, 0,
  0, 0, 6, 13, 10, 0, 0, 0,
];

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const options = { keepCase: true, defaults: true, longs: Number, json: true };
const { inference } = loadPackageDefinition(
  loadSync("inferd/oip/grpc_service.proto", { ...options, includeDirs: [here("../../protos")] }),
);
const google = loadSync(here("rich_error.proto"), options);

/** Calls `method` of `client`. Returns the call, to cancel it, and what will come of it. */
function start(client, method, request, timeoutMs) {
  let call;
  const answer = new Promise((resolve, reject) => {
    call = client[method](request, { deadline: Date.now() + timeoutMs }, (error, response) =>
      error ? reject(error) : resolve(response),
    );
  });
  return { call, answer };
}

/** Asks which digit a picture shows. Raw contents are little-endian and row by row. */
function inferRequest(model, pixels) {
  const raw = Buffer.alloc(4 * pixels.length);
  pixels.forEach((pixel, at) => raw.writeFloatLE(pixel, 4 * at));
  return {
    model_name: model,
    inputs: [{ name: "pixels", datatype: "FP32", shape: [1, pixels.length] }],
    outputs: [{ name: "label" }],
    raw_input_contents: [raw],
  };
}

async function checkReady(client) {
  const server = await start(client, "ServerReady", {}, FIRST_TIMEOUT_MS).answer;
  const digits = await start(client, "ModelReady", { name: MODEL }, FIRST_TIMEOUT_MS).answer;
  if (!server.ready || !digits.ready) {
    throw new Error("the server is there, but `digits` is not ready");
  }
  console.log("ready");
}

async function readDigit(client) {
  const answer = await start(client, "ModelInfer", inferRequest(MODEL, ZERO), TIMEOUT_MS).answer;
  const label = answer.raw_output_contents[0].readBigInt64LE();
  console.log(`it is a ${label}, says version ${answer.model_version}`);
}

/** Sends an image that is a pixel short. The server names each field that is wrong. */
async function beRefused(client) {
  const request = inferRequest(MODEL, ZERO.slice(1));
  const error = await start(client, "ModelInfer", request, TIMEOUT_MS).answer.then(
    () => new Error("expected to be refused"),
    (refused) => refused,
  );
  if (error.code !== status.INVALID_ARGUMENT) {
    throw error;
  }
  for (const { field, description } of violationsOf(error)) {
    console.log(`refused: ${field}: ${description}`);
  }
}

/** Returns what a refusal says about the fields of the request: grpc-js leaves that to us. */
function violationsOf(error) {
  const [encoded] = error.metadata.get("grpc-status-details-bin");
  const { details } = google["google.rpc.Status"].deserialize(encoded);
  return details
    .filter((detail) => detail["@type"]?.endsWith("/google.rpc.BadRequest"))
    .flatMap((detail) => detail.field_violations);
}

/** Cancels a call that takes too long. The server forgets it, too. */
async function giveUp(client, model) {
  const { call, answer } = start(client, "ModelInfer", inferRequest(model, ZERO), 60_000);
  const impatience = setTimeout(() => call.cancel(), PATIENCE_MS);
  try {
    await answer;
    console.log(`${model} was faster than our patience`);
  } catch (error) {
    if (error.code !== status.CANCELLED) {
      throw error;
    }
    console.log(`gave up on ${model}`);
  } finally {
    clearTimeout(impatience);
  }
}

const [address, slow = MODEL] = process.argv.slice(2);
if (address === undefined) {
  console.error("usage: node example.js ADDRESS [MODEL TO GIVE UP ON]");
  process.exit(2);
}
const client = new inference.GRPCInferenceService(address, credentials.createInsecure());
try {
  await checkReady(client);
  await readDigit(client);
  await beRefused(client);
  await giveUp(client, slow);
} finally {
  client.close();
}

// Runs steps.json with ioredis: ioredis.mjs PORT FOLDER_OF_NODE_MODULES. Reports as steps.py does.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";

const [port, modules] = process.argv.slice(2);
const require = createRequire(`${modules}/`);
const version = require("ioredis/package.json").version;
if (!version.startsWith("6.")) throw new Error(`ioredis ${version}`);
const { default: Redis } = require("ioredis");

// RESP3 and reconnection are ioredis's defaults; maps are asked for as maps.
const tls = process.env.TLS_CA && { ca: readFileSync(process.env.TLS_CA), servername: "localhost" };
const client = new Redis({ port: Number(port), replyMapping: "resp3", ...(tls && { tls }) });
let lastError = "";
client.on("error", (error) => (lastError = error.message));
const input = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const steps = JSON.parse(readFileSync(new URL("steps.json", import.meta.url)));

function value(node, i = 0) {
  if (typeof node === "string") return Buffer.from(node.replaceAll("{i}", i));
  return node.hex !== undefined ? Buffer.from(node.hex, "hex") : Buffer.from(node.repeat.repeat(node.times));
}

// ioredis wants the command's name as a string.
function command([name, ...rest], i) {
  return [name, ...rest.map((part) => value(part, i))];
}

function same(expected, reply, i = 0) {
  if (expected === null || typeof expected === "number") return reply === expected;
  if (Array.isArray(expected))
    return Array.isArray(reply) && reply.length === expected.length && expected.every((item, at) => same(item, reply[at]));
  if (expected.error !== undefined) return reply instanceof Error && reply.message.startsWith(expected.error);
  if (expected.range !== undefined)
    return Number.isInteger(reply) && expected.range[0] <= reply && reply <= expected.range[1];
  if (expected.integer !== undefined) return reply === Number(value(expected.integer, i));
  if (expected.map !== undefined)
    return Object.entries(expected.map).every(([name, item]) => same(item, reply[name]));
  if (!Buffer.isBuffer(reply) && typeof reply !== "string") return false;
  if (expected.contains !== undefined) return reply.includes(expected.contains);
  return value(expected, i).equals(Buffer.from(reply));
}

function shown(reply) {
  return (reply instanceof Error || Buffer.isBuffer(reply) ? String(reply) : JSON.stringify(reply) ?? "nothing").slice(0, 200);
}

async function call(step) {
  const deadline = Date.now() + (step.within_ms ?? 0);
  for (;;) {
    const reply = await client.callBuffer(...command(step.call)).catch((error) => error);
    if (same(step.reply, reply)) return null;
    if (Date.now() >= deadline) return shown(reply);
    await sleep(20);
  }
}

async function pipeline(step) {
  const pipe = client.pipeline();
  for (let i = 1; i <= step.times; i++) pipe.callBuffer(...command(step.pipeline, i));
  const replies = await pipe.exec();
  if (replies.length !== step.times) return `${replies.length} replies`;
  const wrong = replies.findIndex(([error, reply], at) => !same(step.reply, error ?? reply, at + 1));
  return wrong < 0 ? null : `reply ${wrong + 1} is ${shown(replies[wrong][0] ?? replies[wrong][1])}`;
}

async function scan(step) {
  const wanted = new Set(Array.from({ length: step.times }, (_, at) => String(value(step.keys, at + 1))));
  const found = new Set();
  for await (const page of client.scanStream({ match: step.scan, count: 100 })) page.forEach((key) => found.add(key));
  const absent = [...wanted].filter((key) => !found.has(key)).length;
  const extra = [...found].filter((key) => !wanted.has(key)).length;
  return absent + extra === 0 ? null : `${absent} keys absent, ${extra} too many`;
}

for (const step of steps) {
  let problem;
  try {
    if (step.restart) {
      console.log("RESTART");
      await input.next();
    }
    problem = await (step.scan ? scan(step) : step.pipeline ? pipeline(step) : call(step));
  } catch (error) {
    problem = `${error} ${lastError}`;
  }
  console.log(problem === null ? `ok ${step.name}` : `FAILED ${step.name}: ${problem}`);
}
client.disconnect();
process.exit(0);

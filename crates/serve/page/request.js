// The request of a question, and the same as curl and Python.
/** @import { Body, Medium, Message, Part, Sampling, Talk, Value } from './types.mjs' */

/** @param {Talk} talk */
export const present = (talk) => talk.media.filter((medium) => !medium.removed);

/** Media that no question before turn `upTo` had: they go with the next one. @param {Talk} talk
 * @param {number} [upTo] */
export function unasked(talk, upTo = talk.turns.length) {
  const asked = new Set(talk.turns.slice(0, upTo).flatMap((turn) => turn.media));
  return present(talk).filter((medium) => !asked.has(medium.id));
}

/** The request that asks `question` as turn `at`, and the media in it, in the order of their parts.
 * @param {Talk} talk @param {number} at @param {string} question @param {string[]} media ids of what is new with
 * this question @returns {{ body: Body, sent: Medium[] }} */
export function bodyOf(talk, at, question, media) {
  const messages = /** @type {Message[]} */ ([]);
  const sent = /** @type {Medium[]} */ ([]);
  let waiting = /** @type {string[]} */ ([]);
  const user = (/** @type {string} */ text) => {
    const parts = /** @type {Part[]} */ ([]);
    for (const medium of present(talk).filter((each) => waiting.includes(each.id) && each.fileId)) {
      sent.push(medium);
      parts.push(partOf(medium, talk.sampling));
    }
    waiting = [];
    messages.push({ role: 'user', content: parts.length ? [...parts, { type: 'text', text }] : text });
  };
  for (const turn of talk.turns.slice(0, at)) {
    // A question without an answer leaves its media to the next one.
    waiting.push(...turn.media);
    if (!turn.answer?.text) continue;
    user(turn.question);
    messages.push({ role: 'assistant', content: turn.answer.text });
  }
  waiting.push(...media);
  user(question);
  const { visual, temperature, longest, seed, settings } = talk.sampling;
  const body = { model: talk.model, messages, temperature, seed, max_tokens: longest, max_visual_tokens: visual };
  return { body: { ...body, ...(Object.keys(settings).length ? { settings } : {}) }, sent };
}

/** @param {Medium} medium @param {Sampling} sampling @returns {Part} */
function partOf(medium, sampling) {
  const url = medium.fileId ?? '';
  if (medium.kind === 'image') return { type: 'image_url', image_url: { url } };
  const film = { url, start: medium.start, end: medium.end, fps: sampling.fps, max_frames: sampling.most };
  return { type: 'video_url', video_url: film };
}

/** Comments that say which file an id is, and how to get one. @param {Medium[]} sent */
const uploads = (sent) =>
  sent
    .map(
      (medium) =>
        `# ${medium.fileId} is ${medium.name}:\n` +
        `#   curl ${location.origin}/v1/files -F purpose=user_data -F file=@FILE\n`,
    )
    .join('');

/** @param {Body} body @param {Medium[]} sent */
export function curlOf(body, sent) {
  const quoted = JSON.stringify(body, null, 2).replaceAll("'", "'\\''");
  const head = `curl ${location.origin}/v1/chat/completions \\\n  -H 'Content-Type: application/json'`;
  return `${uploads(sent)}${head} \\\n  -d '${quoted}'\n`;
}

/** @param {Body} body @param {Medium[]} sent */
export function pythonOf(body, sent) {
  const { max_visual_tokens: visual, settings, ...known } = body;
  const extra = JSON.parse(JSON.stringify({ max_visual_tokens: visual, settings }));
  const lines = Object.entries(JSON.parse(JSON.stringify(known))).map(
    ([name, value]) => `    ${name}=${literal(value, 4)},\n`,
  );
  if (Object.keys(extra).length) lines.push(`    extra_body=${literal(extra, 4)},\n`);
  return (
    `from openai import OpenAI\n\n${uploads(sent)}client = OpenAI(base_url="${location.origin}/v1", api_key="none")\n` +
    `answer = client.chat.completions.create(\n${lines.join('')})\nprint(answer.choices[0].message.content)\n`
  );
}

/** A value of JSON as Python writes it. @param {unknown} value @param {number} indent @returns {string} */
function literal(value, indent) {
  const pad = ' '.repeat(indent + 4);
  const close = ' '.repeat(indent);
  if (value === true) return 'True';
  if (value === false) return 'False';
  if (value === null) return 'None';
  if (Array.isArray(value)) {
    return value.length ? `[\n${value.map((each) => `${pad}${literal(each, indent + 4)},\n`).join('')}${close}]` : '[]';
  }
  if (typeof value !== 'object') return JSON.stringify(value);
  const pairs = Object.entries(/** @type {Record<string, Value>} */ (value));
  const lines = pairs.map(([name, each]) => `${pad}${JSON.stringify(name)}: ${literal(each, indent + 4)},\n`);
  return `{\n${lines.join('')}${close}}`;
}

// Answers what Backstage's own engine makes of expressions, and what npm's `yaml` reads.
//
// A request is one line of JSON on standard input, its answer one line on standard output, in the same order:
//   {"render": value, "context": {...}}  as a step's input is rendered
//   {"yaml": text}                       every document of a text
// An answer is {"value": ...}, {"undefined": true} or {"error": "..."}.

import { createInterface } from 'node:readline';
import { createRequire } from 'node:module';
import { createTemplateRenderer } from 'nunjitsu';
import { parseAllDocuments } from 'yaml';

const require = createRequire(import.meta.url);
const { parseEntityRef } = require('@backstage/catalog-model');
const { parseRepoUrl } = require('@backstage/plugin-scaffolder-node');
const get = require('lodash/get');

const KINDS_OF_HOSTS = { 'github.com': 'github', 'gitlab.com': 'gitlab' };
const integrations = { byHost: host => KINDS_OF_HOSTS[host] && { type: KINDS_OF_HOSTS[host] } };
const filters = {
  now: () => Date.now(), // brought by a plugin that many have installed
  parseEntityRef: (...given) => parseEntityRef(...given),
  parseRepoUrl: url => parseRepoUrl(url, integrations),
  pick: (...given) => get(...given),
  projectSlug: url => {
    const { owner, repo } = parseRepoUrl(url, integrations);
    return `${owner}/${repo}`;
  },
};

let asked = false;
const status = value => () => {
  asked = true;
  return value;
};
const renderer = createTemplateRenderer({
  allowRegexExecution: true,
  filters,
  globals: { always: status(true), failure: status(false) },
});

// What the runner of Backstage does with a step's input: each text by itself, and one that fails stays as it is.
function render(input, context) {
  return JSON.parse(JSON.stringify(input), (_key, value) => {
    if (typeof value !== 'string') return value;
    try {
      return renderer.renderValue(value, context, { coercion: 'json' });
    } catch {
      return value;
    }
  });
}

// JSON has no NaN, no infinities, no undefined in a list.
function spelled(value) {
  if (value === undefined) return { $: 'undefined' };
  if (typeof value === 'number' && !Number.isFinite(value)) return { $: String(value) };
  if (Object.is(value, -0)) return { $: '-0' };
  if (Array.isArray(value)) return Array.from(value, spelled);
  if (value !== null && typeof value === 'object') {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, spelled(item)]));
  }
  return value;
}

function documents(text) {
  return parseAllDocuments(text).map(document => {
    if (document.errors.length) throw document.errors[0];
    return document.toJS();
  });
}

function answer(question) {
  try {
    if ('yaml' in question) return { value: spelled(documents(question.yaml)) };
    const value = render(question.render, question.context);
    return value === undefined ? { undefined: true } : { value: spelled(value) };
  } catch (error) {
    return { error: String(error.message).split('\n')[0] };
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(answer(JSON.parse(line)))}\n`);
}

'use strict';

// Walks through named steps, and tells which one failed. What a script is asked to do comes as JSON in SYNC_CLIENT, so
// that no address or key stands on a command line.

exports.settings = JSON.parse(process.env.SYNC_CLIENT ?? '{}');

exports.walk = async steps => {
  for (const [name, step] of Object.entries(steps)) {
    try {
      await step();
    } catch (wrong) {
      process.stderr.write(`${name}: ${wrong.stack ?? wrong}\n`);
      process.exit(1);
    }
    process.stdout.write(`${name}\n`);
  }
  process.exit(0);
};

// The sandbox's own door: what a person does by hand.
exports.byHand = async (method, path, body) => {
  const answer = await fetch(`${exports.settings.product}/sandbox/${path}`, {
    method,
    body: body && JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
  return answer.status === 204 ? null : answer.json();
};

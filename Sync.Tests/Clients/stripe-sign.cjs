'use strict';

// Stripe's own client for Node signs bodies; whoever verifies signatures must take exactly these for genuine. One line of
// JSON each: { body, header, secret }.

const Stripe = require('stripe');

const stripe = new Stripe('sk_test_unused', { telemetry: false });
const secret = 'whsec_of_the_oracle';

for (const body of [
  '{"id":"evt_1","object":"event"}',
  '{\n  "name": "Zoë ☃ 😀",\n  "blank": " \\u0000 "\n}\r\n',
  'no JSON at all',
  '',
  'x'.repeat(200_000),
]) {
  const timestamp = Math.floor(Date.now() / 1000);
  const header = stripe.webhooks.generateTestHeaderString({ payload: body, secret, timestamp });
  process.stdout.write(`${JSON.stringify({ body, header, secret })}\n`);
}

'use strict';

// Stripe's own client for Node drives the sandbox's Stripe, and judges what it signs.

const assert = require('node:assert/strict');
const http = require('node:http');
const Stripe = require('stripe');
const { settings, walk, byHand } = require('./steps.cjs');

const connect = key => {
  const { hostname, port } = new URL(settings.stripe);
  return new Stripe(key, { host: hostname, port, protocol: 'http', maxNetworkRetries: 0, telemetry: false });
};
const stripe = connect(settings.stripeApiKey);

// Answers 200 and keeps what came, body as it was.
const receiver = async () => {
  const arrived = [];
  const waiting = [];
  const server = http.createServer((request, response) => {
    const chunks = [];
    request.on('data', chunk => chunks.push(chunk));
    request.on('end', () => {
      response.end();
      const delivery = { body: Buffer.concat(chunks), signature: request.headers['stripe-signature'] };
      if (waiting.length > 0) waiting.shift()(delivery);
      else arrived.push(delivery);
    });
  });
  await new Promise(listening => server.listen(0, '127.0.0.1', listening));
  return {
    url: `http://127.0.0.1:${server.address().port}/hooks`,
    next: () => (arrived.length > 0 ? arrived.shift() : new Promise(delivered => waiting.push(delivered))),
  };
};

let customer, endpoint, hooks;

walk({
  'a customer is created with everything that may be odd in a form': async () => {
    customer = await stripe.customers.create({
      name: 'Zoë & Söhne = 😀 + 1%',
      email: 'zoe@example.org',
      phone: '+442079460018',
      address: { line1: 'L 1', city: 'Köln', postal_code: '1+1', country: 'DE' },
      metadata: { customer_id: 'c/1', 'a &=b': 'c&d' },
      preferred_locales: ['de', 'en'],
    });
    assert.equal(customer.object, 'customer');
    assert.equal(customer.name, 'Zoë & Söhne = 😀 + 1%');
    assert.deepEqual(customer.address, {
      line1: 'L 1', line2: null, city: 'Köln', state: null, postal_code: '1+1', country: 'DE',
    });
    assert.equal(customer.metadata.customer_id, 'c/1');
    assert.deepEqual(customer.preferred_locales, ['de', 'en']);
    assert.match(customer.lastResponse.requestId, /^req_/);
    assert.equal((await stripe.customers.retrieve(customer.id)).name, customer.name);
  },

  'a change leaves alone what it does not name, and an empty text clears': async () => {
    const changed = await stripe.customers.update(customer.id, {
      email: '',
      address: { city: 'Bonn' },
      metadata: { customer_id: '', tier: 'gold' },
    });
    assert.equal(changed.email, null);
    assert.equal(changed.address.city, 'Bonn');
    assert.equal(changed.address.line1, 'L 1');
    assert.equal(changed.phone, '+442079460018');
    assert.equal(changed.metadata.tier, 'gold');
    assert.equal('customer_id' in changed.metadata, false);
    assert.equal((await stripe.customers.update(customer.id, { address: '' })).address, null);
  },

  'an idempotency key repeats an answer, and is not for another request': async () => {
    const key = { idempotencyKey: 'key-1' };
    const first = await stripe.customers.create({ name: 'Once' }, key);
    const again = await stripe.customers.create({ name: 'Once' }, key);
    assert.equal(again.id, first.id);
    await assert.rejects(stripe.customers.create({ name: 'Twice' }, key), Stripe.errors.StripeIdempotencyError);
    await stripe.customers.del(first.id);
  },

  'errors are of the classes that the client has for them': async () => {
    const missing = await stripe.customers.retrieve('cus_none').catch(error => error);
    assert.ok(missing instanceof Stripe.errors.StripeInvalidRequestError, missing.stack);
    assert.equal(missing.code, 'resource_missing');
    assert.equal(missing.param, 'id');
    assert.equal(missing.statusCode, 404);
    const invalid = await stripe.customers.create({ email: 'no address' }).catch(error => error);
    assert.equal(invalid.code, 'email_invalid');
    await assert.rejects(stripe.customers.create({ bogus: 1 }), { code: 'parameter_unknown', param: 'bogus' });
    await assert.rejects(connect('sk_test_other').customers.list(), Stripe.errors.StripeAuthenticationError);
    await byHand('POST', 'faults', { vendor: 'stripe', kind: 'rate-limit', next: 1 });
    await assert.rejects(stripe.customers.list(), Stripe.errors.StripeRateLimitError);
    await byHand('POST', 'faults', { vendor: 'stripe', kind: 'error-before', next: 1 });
    await assert.rejects(stripe.customers.list(), Stripe.errors.StripeAPIError);
    // The client repeats a cut connection once by itself, whatever it is told.
    await byHand('POST', 'faults', { vendor: 'stripe', kind: 'drop-after', next: 2 });
    await assert.rejects(stripe.customers.list(), Stripe.errors.StripeConnectionError);
  },

  'lists page by themselves, and search finds': async () => {
    for (const name of ['P0', 'P1', 'P2', 'P3', 'P4']) await stripe.customers.create({ name });
    const names = [];
    for await (const { name } of stripe.customers.list({ limit: 2 })) names.push(name);
    assert.deepEqual(names, ['P4', 'P3', 'P2', 'P1', 'P0', 'Zoë & Söhne = 😀 + 1%']);
    const found = [];
    for await (const { name } of stripe.customers.search({ query: "name:'P3'" })) found.push(name);
    assert.deepEqual(found, ['P3']);
  },

  'subscriptions of a customer are listed': async () => {
    await byHand('POST', `stripe/customers/${customer.id}/subscriptions?status=trialing`);
    const { data } = await stripe.subscriptions.list({ customer: customer.id, status: 'all' });
    assert.deepEqual(data.map(({ status }) => status), ['trialing']);
  },

  'events say what was there before': async () => {
    await stripe.customers.update(customer.id, { name: 'Zoë' }, { idempotencyKey: 'key-2' });
    const { data: [event] } = await stripe.events.list({ limit: 1, types: ['customer.updated'] });
    assert.equal(event.object, 'event');
    assert.deepEqual(event.data.previous_attributes, { name: 'Zoë & Söhne = 😀 + 1%' });
    assert.equal(event.data.object.name, 'Zoë');
    assert.equal(event.request.idempotency_key, 'key-2');
    assert.equal((await stripe.events.retrieve(event.id)).id, event.id);
    const types = [];
    for await (const { type } of stripe.events.list({ limit: 3 })) types.push(type);
    assert.equal(types.length, 11);
    assert.equal(types.at(-1), 'customer.created');
  },

  'a webhook endpoint is registered and tells its secret once': async () => {
    hooks = await receiver();
    endpoint = await stripe.webhookEndpoints.create({
      url: hooks.url,
      enabled_events: ['customer.created', 'customer.updated', 'customer.deleted'],
      api_version: Stripe.API_VERSION,
    });
    assert.match(endpoint.secret, /^whsec_/);
    assert.equal(endpoint.status, 'enabled');
    assert.equal((await stripe.webhookEndpoints.retrieve(endpoint.id)).secret, undefined);
    assert.equal((await stripe.webhookEndpoints.list()).data.length, 1);
  },

  'what the sandbox signs is genuine, and nothing else is': async () => {
    await stripe.customers.update(customer.id, { name: 'Snow ☃' });
    const { body, signature } = await hooks.next();
    const event = stripe.webhooks.constructEvent(body, signature, endpoint.secret);
    assert.equal(event.type, 'customer.updated');
    assert.equal(event.data.object.name, 'Snow ☃');
    const fails = Stripe.errors.StripeSignatureVerificationError;
    assert.throws(() => stripe.webhooks.constructEvent(body, signature, 'whsec_other'), fails);
    const changed = Buffer.from(body);
    changed[changed.length - 2] ^= 1;
    assert.throws(() => stripe.webhooks.constructEvent(changed, signature, endpoint.secret), fails);
  },

  'while a secret is rolled both are genuine': async () => {
    const { secret } = await byHand('POST', `stripe/webhook_endpoints/${endpoint.id}/roll`);
    await stripe.customers.del(customer.id);
    const { body, signature } = await hooks.next();
    for (const known of [endpoint.secret, secret])
      assert.equal(stripe.webhooks.constructEvent(body, signature, known).type, 'customer.deleted');
    assert.notEqual(secret, endpoint.secret);
  },

  'a deleted customer is told as deleted, and an endpoint goes': async () => {
    assert.equal((await stripe.customers.retrieve(customer.id)).deleted, true);
    assert.equal((await stripe.webhookEndpoints.del(endpoint.id)).deleted, true);
    assert.deepEqual((await stripe.webhookEndpoints.list()).data, []);
  },
});

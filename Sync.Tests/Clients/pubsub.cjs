'use strict';

// A client of Salesforce's Pub/Sub API that somebody else wrote subscribes to the sandbox's change events, and decodes
// schema, payload and bitmaps by its own code.

const assert = require('node:assert/strict');
const { default: PubSubApiClient } = require('salesforce-pubsub-api-client');
const { settings, walk, byHand } = require('./steps.cjs');

const topic = '/data/AccountChangeEvent';
const silent = { debug() {}, info() {}, warn() {}, error() {} };

const connect = async () => {
  const client = new PubSubApiClient(
    {
      authType: 'oauth-client-credentials',
      loginUrl: settings.salesforce,
      clientId: settings.salesforceClientId,
      clientSecret: settings.salesforceClientSecret,
      pubSubEndpoint: `localhost:${new URL(settings.salesforceEvents).port}`,
      // It trusts only the authorities that it brings; that the certificate is the sandbox's is tested elsewhere.
      rejectUnauthorizedSsl: false,
    },
    silent,
  );
  await client.connect();
  return client;
};

// What a subscription tells, in order.
const stream = () => {
  const told = [];
  let wake = () => {};
  return {
    callback: (subscription, type, data) => {
      told.push({ type, data: data ?? subscription });
      wake();
    },
    next: async wanted => {
      while (true) {
        const found = told.findIndex(({ type }) => type === wanted);
        if (found >= 0) return told.splice(0, found + 1).at(-1).data;
        await new Promise(news => (wake = news));
      }
    },
  };
};

let client, live, account, updated;

walk({
  'it signs in at the token endpoint and connects over TLS': async () => {
    client = await connect();
    live = stream();
    client.subscribe(topic, live.callback, 100);
    // The first keepalive says that the stream has begun: from here on, nothing is missed.
    const { lastReplayId } = await live.next('grpcKeepAlive');
    assert.ok(Number.isInteger(lastReplayId), `${lastReplayId}`);
  },

  'a new record is an event with every field': async () => {
    ({ id: account } = await byHand('POST', 'salesforce/accounts', {
      Name: 'Zoë ☃', Phone: '+442079460018', BillingCity: 'Köln', BillingCountry: 'Germany', Product_Customer_Id__c: 'c-1',
    }));
    const { payload } = await live.next('event');
    const header = payload.ChangeEventHeader;
    assert.equal(header.entityName, 'Account');
    assert.equal(header.changeType, 'CREATE');
    assert.deepEqual(header.recordIds, [account]);
    assert.match(header.commitUser, /^005/);
    assert.ok(header.commitTimestamp > 0);
    assert.equal(payload.Name, 'Zoë ☃');
    assert.equal(payload.BillingAddress.City, 'Köln');
    assert.equal(payload.Product_Customer_Id__c, 'c-1');
    assert.deepEqual(header.changedFields, []);
  },

  'a change is what changed, what was emptied, and parts of an address': async () => {
    await byHand('PATCH', `salesforce/accounts/${account}`, { Phone: null, BillingCity: 'Bonn', Product_Customer_Id__c: 'c-2' });
    updated = await live.next('event');
    const header = updated.payload.ChangeEventHeader;
    assert.equal(header.changeType, 'UPDATE');
    assert.deepEqual(
      [...header.changedFields].sort(),
      ['BillingAddress.City', 'LastModifiedDate', 'Phone', 'Product_Customer_Id__c'],
    );
    assert.deepEqual(header.nulledFields, ['Phone']);
    assert.equal(updated.payload.Phone, null);
  },

  'a deletion has no body': async () => {
    await byHand('DELETE', `salesforce/accounts/${account}`);
    const { payload } = await live.next('event');
    assert.equal(payload.ChangeEventHeader.changeType, 'DELETE');
    assert.deepEqual(payload.ChangeEventHeader.recordIds, [account]);
    assert.equal(payload.Name, null);
  },

  'a custom field is another schema, which the client fetches': async () => {
    await byHand('POST', 'salesforce/fields', { name: 'Shoe_Size__c' });
    await byHand('POST', 'salesforce/accounts', { Name: 'New', Shoe_Size__c: '43' });
    const { payload } = await live.next('event');
    assert.equal(payload.Shoe_Size__c, '43');
  },

  'an overflow event names no record': async () => {
    await byHand('POST', 'salesforce/events', { changeType: 'GAP_OVERFLOW', recordIds: ['000000000000000AAA'] });
    const { payload } = await live.next('event');
    assert.equal(payload.ChangeEventHeader.changeType, 'GAP_OVERFLOW');
  },

  'a stream begins again behind the replay id of an event': async () => {
    const again = await connect();
    const replayed = stream();
    again.subscribeFromReplayId(topic, replayed.callback, 2, updated.replayId);
    const first = await replayed.next('event');
    assert.equal(first.payload.ChangeEventHeader.changeType, 'DELETE');
    assert.ok(first.replayId > updated.replayId);
    await replayed.next('event');
    await replayed.next('lastEvent');
    again.close();
  },

  'a stream from the earliest event has them all, in order': async () => {
    const again = await connect();
    const replayed = stream();
    again.subscribeFromEarliestEvent(topic, replayed.callback, 5);
    const types = [];
    for (let i = 0; i < 5; i++)
      types.push((await replayed.next('event')).payload.ChangeEventHeader.changeType);
    assert.deepEqual(types, ['CREATE', 'UPDATE', 'DELETE', 'CREATE', 'GAP_OVERFLOW']);
    again.close();
  },

  'an expired replay id is an error with the code that says so': async () => {
    await byHand('POST', 'salesforce/events/expire');
    const again = await connect();
    const refused = stream();
    again.subscribeFromReplayId(topic, refused.callback, 1, updated.replayId);
    const error = await refused.next('error');
    assert.equal(error.code, 3);
    assert.match(String(error.metadata.get('error-code')), /replayid\.corrupted$/);
    again.close();
    client.close();
  },
});

'use strict';

// jsforce, a client that is not Salesforce's own and not ours, drives the sandbox's org.

const assert = require('node:assert/strict');
const jsforce = require('jsforce');
const { settings, walk, byHand } = require('./steps.cjs');

const version = '66.0';
const connect = more =>
  new jsforce.Connection({
    loginUrl: settings.salesforce,
    version,
    callOptions: { client: 'Somebody/1.0' },
    maxRequest: 20,
    ...more,
  });

// jsforce repeats a failed read by itself, five times at growing intervals; here the first answer is what is wanted.
const once = { retry: { maxRetries: 0 } };

let conn, account, many;

walk({
  'client credentials are exchanged for a token, and wrong ones are not': async () => {
    conn = connect({ oauth2: { loginUrl: settings.salesforce } });
    const grant = { grant_type: 'client_credentials', client_id: settings.salesforceClientId };
    await assert.rejects(conn.authorize({ ...grant, client_secret: 'wrong' }), { name: 'invalid_client' });
    const user = await conn.authorize({ ...grant, client_secret: settings.salesforceClientSecret });
    assert.match(conn.accessToken, /^00D.+!/);
    assert.equal(conn.instanceUrl, settings.salesforce);
    assert.match(user.organizationId, /^00D/);
    assert.match(user.id, /^005/);
  },

  'a record is created, read, changed and deleted': async () => {
    const created = await conn.sobject('Account').create({
      Name: 'Zoë & Söhne / 😀',
      Phone: '+442079460018',
      BillingCity: 'Köln',
      Product_Customer_Id__c: 'c/1',
    });
    assert.deepEqual(created, { id: created.id, success: true, errors: [] });
    account = created.id;
    assert.match(account, /^001.{15}$/);
    const read = await conn.sobject('Account').retrieve(account);
    assert.equal(read.attributes.type, 'Account');
    assert.equal(read.Name, 'Zoë & Söhne / 😀');
    assert.equal(read.BillingCity, 'Köln');
    assert.match(read.SystemModstamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+0000$/);
    assert.deepEqual(Object.keys(await conn.sobject('Account').retrieve(account, { fields: ['Id', 'Phone'] })), [
      'attributes', 'Id', 'Phone',
    ]);
    const changed = await conn.sobject('Account').update({ Id: account, Phone: null, BillingCity: 'Bonn' });
    assert.deepEqual(changed, { id: account, success: true, errors: [] });
    const after = await conn.sobject('Account').retrieve(account);
    assert.equal(after.Phone, null);
    assert.equal(after.BillingCity, 'Bonn');
  },

  'errors have the codes that the client reads': async () => {
    const accounts = conn.sobject('Account');
    await assert.rejects(accounts.create({ Phone: '1' }), { errorCode: 'REQUIRED_FIELD_MISSING' });
    await assert.rejects(accounts.create({ Name: 'A', Bogus__c: '1' }), { errorCode: 'INVALID_FIELD' });
    await assert.rejects(accounts.create({ Name: 'x'.repeat(256) }), { errorCode: 'STRING_TOO_LONG' });
    await assert.rejects(accounts.create({ Name: 'A', Product_Customer_Id__c: 'c/1' }), {
      errorCode: 'DUPLICATE_VALUE',
    });
    await assert.rejects(accounts.retrieve('001000000000000AAA'), { errorCode: 'NOT_FOUND' });
    await assert.rejects(conn.query('SELECT Bogus FROM Account'), { errorCode: 'INVALID_FIELD' });
    await assert.rejects(conn.query('SELECT Id FROM'), { errorCode: 'MALFORMED_QUERY' });
  },

  'a collection is created, each record with its own answer': async () => {
    const records = Array.from({ length: 199 }, (_, i) => ({
      Name: `Many ${String(i).padStart(3, '0')}`,
      Product_Customer_Id__c: `m-${i}`,
    }));
    records.push({ Name: 'Double', Product_Customer_Id__c: 'c/1' });
    const answers = await conn.sobject('Account').create(records);
    assert.equal(answers.length, 200);
    assert.equal(answers.filter(({ success }) => success).length, 199);
    assert.equal(answers[199].errors[0].statusCode ?? answers[199].errors[0].errorCode, 'DUPLICATE_VALUE');
    many = answers.slice(0, 199).map(({ id }) => id);
  },

  'a collection is changed, read and deleted': async () => {
    const accounts = conn.sobject('Account');
    const changed = await accounts.update(many.slice(0, 3).map((Id, i) => ({ Id, BillingCity: `City ${i}` })));
    assert.deepEqual(changed.map(({ success }) => success), [true, true, true]);
    const read = await accounts.retrieve(many.slice(0, 2));
    assert.deepEqual(read.map(({ BillingCity }) => BillingCity), ['City 0', 'City 1']);
    const refused = await accounts.create([{ Name: 'Good' }, { Phone: '1' }], { allOrNone: true });
    assert.deepEqual(refused.map(({ success }) => success), [false, false]);
    assert.equal((await conn.query("SELECT Id FROM Account WHERE Name = 'Good'")).totalSize, 0);
    const gone = await accounts.destroy([many[198], '001000000000000AAA']);
    assert.deepEqual(gone.map(({ success }) => success), [true, false]);
  },

  'queries filter, sort, count and go on where they stopped': async () => {
    const found = await conn.sobject('Account').find({ Name: 'Many 007' }, ['Id', 'Name']).limit(5);
    assert.deepEqual(found.map(({ Name }) => Name), ['Many 007']);
    const since = new Date(Date.now() - 3_600_000).toISOString();
    const page = await conn.query(
      `SELECT Id, Name, SystemModstamp FROM Account WHERE SystemModstamp >= ${since} AND Product_Customer_Id__c != null ` +
        'ORDER BY SystemModstamp, Id LIMIT 50',
    );
    assert.equal(page.records.length, 50);
    assert.equal(page.done, true);
    // More than one page of 2,000.
    for (let batch = 0; batch < 10; batch++) {
      const answers = await conn.sobject('Account').create(
        Array.from({ length: 200 }, (_, i) => ({ Name: `Page ${batch * 200 + i}` })),
      );
      assert.ok(answers.every(({ success }) => success));
    }
    const first = await conn.query('SELECT Id FROM Account ORDER BY Id');
    assert.equal(first.totalSize, 2_199);
    assert.equal(first.done, false);
    assert.equal(first.records.length, 2_000);
    const rest = await conn.queryMore(first.nextRecordsUrl);
    assert.equal(rest.done, true);
    assert.equal(rest.records.length, 199);
    const ids = [...first.records, ...rest.records].map(({ Id }) => Id);
    assert.equal(new Set(ids).size, 2_199);
    const all = await conn.query('SELECT Id FROM Account', { autoFetch: true, maxFetch: 5_000 });
    assert.equal(all.records.length, 2_199);
  },

  'queryAll sees what was deleted, and a query does not': async () => {
    await conn.sobject('Account').destroy(account);
    await assert.rejects(conn.sobject('Account').retrieve(account), { errorCode: 'ENTITY_IS_DELETED' });
    const where = `SELECT Id, IsDeleted FROM Account WHERE Id = '${account}'`;
    assert.equal((await conn.query(where)).totalSize, 0);
    const all = await conn.query(where, { scanAll: true });
    assert.deepEqual(all.records.map(({ IsDeleted }) => IsDeleted), [true]);
  },

  'the org describes itself and counts what it is asked': async () => {
    const described = await conn.sobject('Account').describe();
    const id = described.fields.find(({ name }) => name === 'Product_Customer_Id__c');
    assert.equal(id.externalId, true);
    assert.equal(id.unique, true);
    const { DailyApiRequests } = await conn.limits();
    assert.ok(DailyApiRequests.Remaining < DailyApiRequests.Max);
    assert.ok(conn.limitInfo.apiUsage.used > 0);
    assert.equal(conn.limitInfo.apiUsage.limit, DailyApiRequests.Max);
  },

  'a session that ended is renewed once and the call repeated': async () => {
    let renewals = 0;
    const stale = connect({
      instanceUrl: settings.salesforce,
      accessToken: conn.accessToken,
      refreshFn: async (_, renewed) => {
        renewals++;
        const fresh = connect({ oauth2: { loginUrl: settings.salesforce } });
        await fresh.authorize({
          grant_type: 'client_credentials',
          client_id: settings.salesforceClientId,
          client_secret: settings.salesforceClientSecret,
        });
        renewed(null, fresh.accessToken);
      },
    });
    await byHand('POST', 'salesforce/tokens/revoke');
    assert.equal((await stale.query('SELECT Id FROM Account LIMIT 1')).records.length, 1);
    assert.equal(renewals, 1);
    await assert.rejects(conn.query('SELECT Id FROM Account LIMIT 1', once), { errorCode: 'INVALID_SESSION_ID' });
  },
});

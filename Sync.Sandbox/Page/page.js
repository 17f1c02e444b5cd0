// What is shown is text that anybody may have typed: it is only ever set as text, never as markup. The browser holds the
// page to that as well (Content-Security-Policy, require-trusted-types-for).

const fieldNames = {
  name: 'Name', email: 'E-mail', phone: 'Phone', line1: 'Address line 1', line2: 'Address line 2', city: 'City',
  state: 'State', postalCode: 'Postal code', country: 'Country', tier: 'Tier',
};
const addressFields = ['line1', 'line2', 'city', 'state', 'postalCode', 'country'];

// Each system as its own page would edit it: where its records lie, and how it names the fields. `null` clears.
const systems = {
  product: {
    label: 'Product',
    url: id => (id === undefined ? '/customers' : `/customers?id=${encodeURIComponent(id)}`),
    id: record => record.id,
    paths: {
      name: ['name'], email: ['email'], phone: ['phone'], line1: ['address', 'line1'], line2: ['address', 'line2'],
      city: ['address', 'city'], state: ['address', 'state'], postalCode: ['address', 'postalCode'],
      country: ['address', 'country'], tier: ['attributes', 'tier'],
    },
  },
  stripe: {
    label: 'Stripe',
    url: id => `/sandbox/stripe/customers${id === undefined ? '' : `/${encodeURIComponent(id)}`}`,
    id: record => record.id,
    paths: {
      name: ['name'], email: ['email'], phone: ['phone'], line1: ['address', 'line1'], line2: ['address', 'line2'],
      city: ['address', 'city'], state: ['address', 'state'], postalCode: ['address', 'postal_code'],
      country: ['address', 'country'], tier: ['metadata', 'tier'],
    },
  },
  salesforce: {
    label: 'Salesforce',
    url: id => `/sandbox/salesforce/accounts${id === undefined ? '' : `/${encodeURIComponent(id)}`}`,
    id: record => record.Id,
    required: 'name',
    paths: {
      name: ['Name'], email: ['Product_Email__c'], phone: ['Phone'], line1: ['BillingStreet'], city: ['BillingCity'],
      state: ['BillingState'], postalCode: ['BillingPostalCode'], country: ['BillingCountry'], tier: ['Product_Tier__c'],
    },
  },
};

const labelOf = system => systems[system]?.label ?? system ?? 'Somebody';

const read = (system, record) =>
  Object.fromEntries(
    Object.entries(systems[system].paths).map(([field, path]) => [
      field,
      path.reduce((at, step) => at?.[step], record) ?? '',
    ]),
  );

const write = (system, values) => {
  const body = {};
  for (const [field, value] of Object.entries(values)) {
    const path = systems[system].paths[field];
    const at = path.length === 1 ? body : (body[path[0]] ??= {});
    at[path.at(-1)] = value === '' ? null : value;
  }
  return body;
};

// ---- the page's parts -----------------------------------------------------------------------------------------------

const byId = id => document.getElementById(id);

const element = (tag, properties = {}, ...children) => {
  const { dataset, ...rest } = properties;
  const made = Object.assign(document.createElement(tag), rest);
  Object.assign(made.dataset, dataset);
  made.append(...children);
  return made;
};

// Only where it differs: what has the focus keeps it, and a screen reader is told of nothing that is not new.
const setText = (node, text) => {
  if (node.textContent === text) return false;
  node.textContent = text;
  return true;
};

const showChip = (node, kind, text) => {
  setText(node, text);
  node.className = `chip ${kind}`;
};

const noName = '(no name)';

const nameOf = person => {
  for (const system of Object.keys(systems))
    for (const record of recordsOf(person, system)) {
      const { name, email } = read(system, record);
      if (name || email) return name || email;
    }
  return '';
};

const recordsOf = (person, system) =>
  system === 'product' ? (person.product ? [person.product] : []) : person[system];

// ---- talking to the sandbox -----------------------------------------------------------------------------------------

const call = async (method, url, body) => {
  const answer = await fetch(url, { method, body: body === undefined ? undefined : JSON.stringify(body) });
  if (answer.ok) return answer.status === 204 ? null : answer.json();
  const text = await answer.text();
  let said;
  try {
    said = JSON.parse(text);
  } catch {
    throw new Error(`${answer.status} ${text}`);
  }
  // The product's, Stripe's and Salesforce's own form.
  const problems = said.problems?.map(({ path, problem }) => `${path}: ${problem}`).join('; ');
  throw new Error(problems ?? said.error?.message ?? said.error ?? said[0]?.message ?? text);
};

// ---- customers ------------------------------------------------------------------------------------------------------

let open = null; // the key of the person whose steps are shown
let tag = null;
let latest = null;
const shown = new Map(); // key → what stands in the page for a person

const personParts = key => {
  const title = element('h3');
  const id = element('span', { className: 'id' });
  const state = element('span', { className: 'chip' });
  const toggle = element('button', { type: 'button', textContent: 'Steps', dataset: { steps: '' } });
  toggle.setAttribute('aria-expanded', 'false');
  toggle.addEventListener('click', () => {
    open = open === parts.key ? null : parts.key;
    refresh();
  });
  const cards = {};
  const columns = element('div', { className: 'systems' });
  for (const [system, { label }] of Object.entries(systems)) {
    const chip = element('span', { className: 'chip' });
    const records = element('div');
    const card = element(
      'section',
      { className: `system ${system}`, dataset: { system } },
      element('div', { className: 'title' }, element('h4', { textContent: label }), chip),
      records,
    );
    cards[system] = { card, chip, records, parts: new Map(), absent: null };
    columns.append(card);
  }
  const steps = element('div', { className: 'steps', hidden: true });
  const item = element(
    'li',
    { className: 'person' },
    element('div', { className: 'top' }, title, id, state, toggle),
    columns,
    steps,
  );
  const parts = { key, item, title, id, state, toggle, cards, steps };
  return parts;
};

const recordParts = (system, id) => {
  const list = element('dl');
  const values = {};
  for (const field of ['name', 'email', 'phone', 'address', 'tier']) {
    values[field] = element('dd', { dataset: { field } });
    values[field].addEventListener('animationend', ({ target }) => target.classList.remove('news'));
    list.append(element('dt', { textContent: fieldNames[field] ?? 'Address' }), values[field]);
  }
  const edit = element('button', { type: 'button', textContent: 'Edit', dataset: { edit: '' } });
  const remove = element('button', { type: 'button', textContent: 'Delete', dataset: { remove: '' } });
  const block = element(
    'div',
    { className: 'record', dataset: { record: id } },
    list,
    // The product's is the customer's own, and stands above.
    element('p', { className: 'id', textContent: id, hidden: system === 'product' }),
    element('div', { className: 'actions' }, edit, remove),
  );
  const parts = { block, values, edit, remove, record: null, person: null, new: true };
  edit.addEventListener('click', () => openEditor(system, parts.record, parts.person));
  remove.addEventListener('click', () => openRemoval(system, parts.record, parts.person));
  return parts;
};

// What every system's record says now; answers what is news to somebody who looked before.
const fillRecord = (parts, system, person, record) => {
  const fields = read(system, record);
  const address = addressFields.map(field => fields[field]).filter(Boolean).join(', ');
  const texts = { ...fields, address };
  const name = nameOf(person) || noName;
  parts.record = record;
  parts.person = person;
  const changed = [];
  for (const [field, node] of Object.entries(parts.values)) {
    if (!setText(node, texts[field]) || parts.new) continue;
    node.classList.add('news');
    changed.push((fieldNames[field] ?? 'Address').toLowerCase());
  }
  for (const [button, verb] of [[parts.edit, 'Edit'], [parts.remove, 'Delete']]) {
    const label = `${verb} ${name} in ${labelOf(system)}`;
    if (button.getAttribute('aria-label') !== label) button.setAttribute('aria-label', label);
  }
  const isNew = parts.new;
  parts.new = false;
  if (isNew) return 'is there';
  return changed.length > 0 ? `has another ${changed.join(', ')}` : null;
};

const systemState = (person, system, there) => {
  const saga = person.saga;
  const its = saga?.systems?.[system];
  if (!saga || !its) return ['', ''];
  if (saga.behind.includes(system)) return ['busy', its.attempt > 1 ? `try ${its.attempt}` : 'follows'];
  if (saga.attention?.split(' ')[1] === system) return ['bad', saga.attention.split(' ')[0]];
  return there ? ['good', 'in step'] : ['', ''];
};

const sagaState = ({ saga, customerId, waits }) => {
  if (waits) return ['bad', `waits for a person: ${waits}`];
  if (!saga) return latest?.sync === 'shown' ? ['busy', customerId ? 'not heard of yet' : 'being matched'] : ['', ''];
  if (saga.attention) return ['bad', `waits for a person: ${saga.attention.split(' ')[0]}`];
  if (saga.behind.length > 0) return ['busy', `catching up: ${saga.behind.map(labelOf).join(', ')}`];
  if (saga.state === 'Live') return ['good', 'in step'];
  return ['', saga.state.toLowerCase()];
};

const fillPerson = (parts, person, news) => {
  // Who is gone everywhere keeps the name that was seen last.
  const name = nameOf(person) || parts.name || noName;
  parts.name = name;
  setText(parts.title, name);
  setText(parts.id, person.customerId ?? 'not linked yet');
  showChip(parts.state, ...sagaState(person));
  const label = `Steps of ${name}`;
  if (parts.toggle.getAttribute('aria-label') !== label) parts.toggle.setAttribute('aria-label', label);
  for (const [system, card] of Object.entries(parts.cards)) {
    const records = recordsOf(person, system);
    card.card.setAttribute('aria-label', `${name} in ${labelOf(system)}`);
    card.card.classList.toggle('missing', records.length === 0);
    showChip(card.chip, ...systemState(person, system, records.length > 0));
    for (const [id, old] of card.parts) {
      if (records.some(record => systems[system].id(record) === id)) continue;
      const hadFocus = old.block.contains(document.activeElement);
      old.block.remove();
      card.parts.delete(id);
      if (hadFocus) parts.toggle.focus();
      news.push(`${labelOf(system)}: ${name} is gone`);
    }
    for (const record of records) {
      const id = systems[system].id(record);
      let known = card.parts.get(id);
      if (!known) {
        known = recordParts(system, id);
        card.parts.set(id, known);
        card.records.append(known.block);
      }
      const told = fillRecord(known, system, person, record);
      if (told) news.push(`${labelOf(system)}: ${name} ${told}`);
    }
    if (records.length === 0 && !card.absent) {
      card.absent = element('p', { className: 'absent' });
      card.records.append(card.absent);
    } else if (records.length > 0) {
      card.absent?.remove();
      card.absent = null;
    }
    if (card.absent)
      setText(card.absent, latest.systems[system]?.real ? 'the real one is not shown here' : 'not there');
  }
};

const showPeople = state => {
  const list = byId('people');
  const news = [];
  const first = shown.size === 0 && tag === null;
  const here = new Set(state.people.map(({ key }) => key));
  // A record that is linked now stands under its customer's id: the part of the page that it had goes with it.
  for (const person of state.people) {
    if (shown.has(person.key)) continue;
    for (const system of ['stripe', 'salesforce'])
      for (const record of person[system]) {
        const before = `${system}:${systems[system].id(record)}`;
        const parts = shown.get(before);
        if (!parts || here.has(before) || shown.has(person.key)) continue;
        shown.delete(before);
        parts.key = person.key;
        shown.set(person.key, parts);
      }
  }
  for (const [key, parts] of shown) {
    if (here.has(key)) continue;
    const hadFocus = parts.item.contains(document.activeElement);
    parts.item.remove();
    shown.delete(key);
    if (hadFocus) byId('customers').focus();
  }
  let place = list.firstElementChild;
  for (const person of state.people) {
    let parts = shown.get(person.key);
    if (!parts) {
      parts = personParts(person.key);
      shown.set(person.key, parts);
    }
    if (parts.item === place) place = place.nextElementSibling;
    else if (!parts.item.contains(document.activeElement) || !parts.item.isConnected)
      list.insertBefore(parts.item, place);
    fillPerson(parts, person, news);
    const isOpen = person.key === open;
    parts.toggle.setAttribute('aria-expanded', String(isOpen));
    parts.steps.hidden = !isOpen;
    if (isOpen) showSteps(parts.steps, state);
  }
  byId('nobody').hidden = state.people.length > 0;
  setText(byId('count'), state.more ? `the newest ${state.people.length} of more` : `${state.people.length}`);
  if (!first) tell(news);
};

const tell = news => {
  if (news.length === 0) return;
  const told = byId('told');
  const text = news.length > 4 ? `${news.length} changes` : news.join('. ');
  told.append(element('p', { textContent: text }));
  while (told.childElementCount > 20) told.firstElementChild.remove();
};

// ---- steps ----------------------------------------------------------------------------------------------------------

const stepWords = {
  'product.snapshot': ['the product says how things stand'],
  'product.deleted': ['the product has deleted the customer'],
  'product.exists': ['the product knows this person already'],
  'product.revision-backwards': ['the product told something older, which is ignored'],
  'product.revision-not-raised': ['the product told something else under the same revision, which is ignored'],
  'product.recreated': ['the product has a removed customer again, which waits for a person'],
  reported: ['says how things stand there', true],
  'reported.gone': ['has no such object any more', true],
  'reported.undeleted': ['took the object out of the recycle bin', true],
  'reported.back': ['has the object again', true],
  'reported.second-object': ['has a second object for this customer', true],
  'reported.newer-generation': ['knows more than the database, which was restored', true],
  answered: ['has done it', true],
  'answered.gone': ['says: gone', true],
  'answered.refused': ['refused', true],
  'conflict.overruled': ['was overruled by the owner of the field', true],
  'conflict.held': ['a conflict waits for a person'],
  'conflict.released': ['the conflict is over'],
  'conflict.overwritten': ['had something newer, which was overwritten', true],
  'deletion.seen': ['had the object deleted', true],
  'deletion.held': ['had a deletion, which waits for a person', true],
  'deletion.kept': ['keeps the object', true],
  'object.linked': ['has the object that is this customer', true],
  'object.replaced': ['has another object for this customer now', true],
  'object.asked': ['has an object, and whose it is was asked', true],
  'object.gone': ['lost the object', true],
  'object.parked': ['has an object that waits for a person', true],
  'object.duplicate': ['has an object too many', true],
  'command.create': ['is asked to create', true],
  'command.update': ['is asked to change', true],
  'command.delete': ['is asked to delete', true],
  'command.delete-object': ['is asked to delete the object', true],
  'command.repeated': ['is asked again', true],
  'command.read': ['is asked how things stand', true],
  'command.erase': ['is asked to forget', true],
  'loop.held': ['goes round in circles and waits for a person'],
  reborn: ['a new life under the same id'],
  erased: ['forgotten everywhere'],
  'operator.retry': ['a person asked to try again'],
  'operator.take-side': ['a person took a side'],
  'operator.release': ['a person decided the deletion'],
  'operator.ignore': ['a person chose not to see it'],
  'operator.resync': ['a person asked to compare anew'],
  'operator.erase': ['a person asked to forget'],
  'operator.release-loop': ['a person let it go on'],
  'operator.allow-recreate': ['a person allowed a new life'],
  'operator.link-to': ['a person said whose it is'],
  'operator.retry-object': ['a person asked to try again'],
  'operator.ignore-object': ['a person chose not to see it'],
};

// A pause after which what comes next has another beginning.
const pauseMs = 2000;

const stepText = step => {
  const [words, ofSystem] = stepWords[step.code] ?? [step.code, Boolean(step.system)];
  const parts = [];
  if (ofSystem && step.system) parts.push(element('b', { className: step.system, textContent: labelOf(step.system) }), ' ');
  parts.push(words);
  const more = [];
  if (step.paths.length > 0) more.push(step.paths.join(', '));
  if (step.reason) more.push(step.reason);
  if (step.requestedBy) more.push(`by ${step.requestedBy}`);
  if (step.durationMs !== null && step.calls) more.push(`${step.calls} ${step.calls === 1 ? 'call' : 'calls'}, ${step.durationMs} ms`);
  if (step.revision > 0) more.push(`revision ${step.revision}`);
  parts.push(' ', element('small', { textContent: more.join(' · ') }));
  return parts;
};

const showSteps = (box, state) => {
  const marks = JSON.stringify([state.sync, state.steps?.map(({ id }) => id)]);
  if (box.dataset.marks === marks) return;
  box.dataset.marks = marks;
  const title = element('h4', { textContent: 'Steps in between' });
  if (!state.steps?.length) {
    const why = {
      none: 'Sync does not run beside this sandbox, so there is nothing to see in between.',
      unreachable: 'The database of Sync does not answer.',
    }[state.sync];
    box.replaceChildren(title, element('p', { className: 'hint', textContent: why ?? 'Nothing yet.' }));
    return;
  }
  const list = element('ol');
  let begun = 0;
  let last = -Infinity;
  for (const step of state.steps) {
    const at = Date.parse(step.at);
    const first = at - last > pauseMs;
    if (first) begun = at;
    last = at;
    list.append(
      element(
        'li',
        { className: first ? 'first' : '', dataset: { code: step.code, system: step.system ?? '' } },
        element('span', {
          className: 'when',
          textContent: first ? new Date(at).toLocaleTimeString() : `+${at - begun} ms`,
        }),
        element('span', { className: 'what' }, ...stepText(step)),
      ),
    );
  }
  list.tabIndex = 0; // it scrolls, so the keyboard must reach it
  list.setAttribute('aria-label', 'Steps in between, the newest last');
  box.replaceChildren(title, list);
  list.scrollTop = list.scrollHeight;
};

// ---- faults ---------------------------------------------------------------------------------------------------------

const vendorFault = (vendor, kind, text, more = {}) => ({
  text,
  isOn: state => state.faults.some(({ order }) => order.vendor === vendor && order.kind === kind && !order.operation),
  on: () => call('POST', '/sandbox/faults', { vendor, kind, ...more }),
  off: async state => {
    for (const { id, order } of state.faults)
      if (order.vendor === vendor && order.kind === kind && !order.operation) await call('DELETE', `/sandbox/faults/${id}`);
  },
});

const switches = {
  Stripe: [
    vendorFault('stripe', 'down', 'Connections are refused'),
    vendorFault('stripe', 'unavailable', 'Every call is answered 503'),
    vendorFault('stripe', 'rate-limit', 'Every call is one too many (429)'),
    vendorFault('stripe', 'slow', 'Every call takes 2 s', { delayMs: 2000 }),
    vendorFault('stripe', 'drop-after', 'The write happens, its answer is lost'),
    {
      text: 'Webhooks are lost',
      isOn: state => state.eventFaults.some(({ kind }) => kind === 'lose'),
      on: () => call('POST', '/sandbox/stripe/event-faults', { kind: 'lose' }),
      off: () => call('DELETE', '/sandbox/stripe/event-faults'),
    },
  ],
  Salesforce: [
    vendorFault('salesforce', 'down', 'Connections are refused'),
    vendorFault('salesforce', 'unavailable', 'Every call is answered 503'),
    vendorFault('salesforce', 'rate-limit', 'Every call is one too many (403)'),
    vendorFault('salesforce', 'lock-timeout', 'Every record is locked'),
    vendorFault('salesforce', 'drop-after', 'The write happens, its answer is lost'),
    {
      text: 'Change events fall silent',
      isOn: state => state.silent,
      on: () => call('POST', '/sandbox/salesforce/events/silent'),
      off: () => call('DELETE', '/sandbox/salesforce/events/silent'),
    },
  ],
  Kafka: [
    {
      text: 'Connections are refused',
      isOn: state => state.kafka === 'down',
      isHere: state => state.kafka !== 'none',
      on: () => call('POST', '/sandbox/kafka/down'),
      off: () => call('POST', '/sandbox/kafka/up'),
    },
  ],
};

const switchButtons = [];
for (const [group, items] of Object.entries(switches)) {
  const set = element('fieldset', {}, element('legend', { textContent: group }));
  for (const item of items) {
    const button = element('button', { type: 'button', className: 'switch', textContent: item.text });
    button.setAttribute('role', 'switch');
    button.setAttribute('aria-checked', 'false');
    button.setAttribute('aria-label', `${group}: ${item.text}`);
    button.addEventListener('click', async () => {
      try {
        await (item.isOn(latest) ? item.off(latest) : item.on());
      } catch (wrong) {
        standing(wrong.message, true);
      }
      await refresh();
    });
    switchButtons.push([item, button]);
    set.append(button);
  }
  byId('faults').append(set);
}

const showFaults = state => {
  for (const [item, button] of switchButtons) {
    button.hidden = item.isHere?.(state) === false;
    button.setAttribute('aria-checked', String(item.isOn(state)));
  }
  const on = switchButtons.filter(([item]) => item.isOn(state)).length;
  setText(byId('on'), on > 0 ? `${on} on` : '');
};

// Where it would stand before the customers, it is shown when it is wanted.
byId('wrong').open = !matchMedia('(max-width: 62rem)').matches;

// ---- dialogs --------------------------------------------------------------------------------------------------------

const editor = byId('editor');
const removal = byId('removal');
let submit = async () => {};

for (const dialog of [editor, removal]) {
  dialog.querySelector('[data-close]').addEventListener('click', () => dialog.close());
  dialog.querySelector('form').addEventListener('submit', async event => {
    event.preventDefault();
    const button = dialog.querySelector('.main');
    button.disabled = true;
    try {
      await submit();
      dialog.close();
      await refresh();
    } catch (wrong) {
      setText(dialog.querySelector('.problem'), wrong.message);
    } finally {
      button.disabled = false;
    }
  });
}

const openEditor = (system, record, person) => {
  const { label, paths, required, url, id } = systems[system];
  const before = record ? read(system, record) : {};
  setText(byId('editor-title'), record ? `Edit ${nameOf(person) || noName} in ${label}` : `New customer in ${label}`);
  setText(editor.querySelector('.main'), record ? 'Save' : 'Create');
  setText(editor.querySelector('.problem'), '');
  const inputs = {};
  byId('fields').replaceChildren(
    ...Object.keys(paths).map(field => {
      inputs[field] = element('input', {
        name: field, value: before[field] ?? '', autocomplete: 'off', required: field === required,
      });
      return element('label', {}, fieldNames[field], inputs[field]);
    }),
  );
  submit = async () => {
    const changed = Object.fromEntries(
      Object.entries(inputs)
        .map(([field, { value }]) => [field, value])
        .filter(([field, value]) => value !== (before[field] ?? '')),
    );
    if (record) {
      if (Object.keys(changed).length > 0) await call('PATCH', url(id(record)), write(system, changed));
      open = person.key;
    } else {
      const made = await call('POST', url(), write(system, changed));
      open = system === 'product' ? made.id : `${system}:${made.id}`;
    }
  };
  editor.showModal();
  inputs.name.focus();
};

const openRemoval = (system, record, person) => {
  const { label, url, id } = systems[system];
  setText(byId('removal-title'), `Delete ${nameOf(person) || noName} in ${label}?`);
  setText(removal.querySelector('.problem'), '');
  submit = async () => {
    await call('DELETE', url(id(record)));
    open = person.key;
  };
  removal.showModal();
};

for (const button of document.querySelectorAll('[data-new]'))
  button.addEventListener('click', () => openEditor(button.dataset.new, null, null));

// ---- live -----------------------------------------------------------------------------------------------------------

const standing = (text, bad = false) => {
  setText(byId('standing'), text);
  byId('standing').classList.toggle('bad', bad);
};

let turn = 0;

const refresh = async () => {
  const mine = ++turn;
  const wanted = open;
  const asked = new URLSearchParams({ find: byId('find').value });
  if (wanted) asked.set('open', wanted);
  const answer = await fetch(`/sandbox/page/state?${asked}`, {
    headers: tag ? { 'If-None-Match': tag } : {},
    cache: 'no-store',
  });
  // A slower answer to an earlier question must not undo a newer one.
  if (mine !== turn) return;
  if (answer.status === 304) return;
  if (!answer.ok) throw new Error(`${answer.status}`);
  const state = await answer.json();
  if (mine !== turn) return;
  latest = state;
  if (open === wanted) open = state.open;
  showFaults(state);
  showPeople(state);
  tag = answer.headers.get('ETag');
  const words = {
    shown: 'Live',
    none: 'Live, without Sync: only the three systems are here',
    unreachable: 'Live; the database of Sync does not answer',
  };
  standing(state.notReady ?? words[state.sync], Boolean(state.notReady) || state.sync === 'unreachable');
};

byId('find').addEventListener('input', () => refresh().catch(() => {}));

const live = async () => {
  let wait = 500;
  try {
    await refresh();
    if (document.hidden) wait = 5000;
  } catch {
    tag = null;
    standing('The sandbox does not answer; trying again', true);
    wait = 2000;
  }
  setTimeout(live, wait);
};
live();

// One program of node-postgres (npm `pg`), run direct and through: its output must be the same.
const { Client, Pool } = require('pg');
// Transaction pooling: what is left out, direct too, with the reason where it is (proxy/pool/README.md).
const pooled = !!process.env.POOLED;
const settings = { host: '127.0.0.1', port: +process.env.PGPORT, user: 'postgres', database: 'postgres' };
const show = (name, value) => console.log(name + ': ' + JSON.stringify(value, (k, v) => (typeof v === 'bigint' ? String(v) : v)));
const error = (e) => [e.code, e.severity, e.message, e.detail, e.hint, e.position, e.constraint, e.table, e.routine];

async function main() {
  const client = new Client(settings);
  const notices = [];
  client.on('notice', (n) => notices.push(n.message));
  await client.connect();
  await client.query('create table if not exists js ()');
  notices.length = 0;  // so that the first and the second run see the same notices
  await client.query('drop table js');
  await client.query('create table js (id serial primary key, n numeric, t text, b bytea, j jsonb, a int[], x int unique)');
  const inserted = await client.query('insert into js (n, t, b, j, a, x) values ($1, $2, $3, $4, $5, 1) returning id, b', [
    '12.50', 'ä\'"\\€😀', Buffer.from([0, 255, 39, 92]), { k: [1, null, 'ü'] }, [1, null, 3]]);
  show('returning', inserted.rows);
  const all = await client.query('select * from js');
  show('row', all.rows);
  show('fields', all.fields.map((f) => [f.name, f.dataTypeID, f.dataTypeSize, f.dataTypeModifier, f.columnID]));
  for (const [text, values] of [['select 1/0'], ['selct 1'], ['select nothere from js'], ['insert into js (x) values ($1)', [1]], ['select $1::int', ['abc']],
    ['select $1', []], ['create table js (i int)']]) {
    try { await client.query(text, values); show(text, 'no error'); } catch (e) { show(text, error(e)); }
  }
  for (let i = 0; i < 8; i++) {  // the sixth is where a server may change to a generic plan
    const r = await client.query({ name: 'by id', text: 'select t, $2::text as p from js where id = $1', values: [1, 'p' + i] });
    show('prepared ' + i, r.rows);
  }
  try { await client.query({ name: 'by id', text: 'select 2' }); } catch (e) { show('same name, another text', e.message); }
  const several = await client.query("select 1 as a; select 'two' as b; update js set x = 2");
  show('several', several.map((r) => [r.command, r.rowCount, r.rows]));
  const queued = await Promise.all([...Array(50).keys()].map((i) => client.query('select $1::int as i', [i])));
  show('queued', queued.map((r) => r.rows[0].i));
  await client.query("do $$ begin raise notice 'from node'; end $$");
  show('notices', notices);
  show('array mode', (await client.query({ text: 'select 1, null, true', rowMode: 'array' })).rows);
  show('binary', (await client.query({ text: 'select 5::int4 as i, now() > $1::timestamptz as later', values: ['2020-01-01'], binary: true })).rows);
  await client.query('begin');
  try { await client.query('select 1/0'); } catch (e) { show('in a transaction', e.code); }
  try { await client.query('select 1'); } catch (e) { show('failed transaction', error(e)); }
  await client.query('rollback');
  show('big', (await client.query("select repeat('x', 5000000) as big")).rows[0].big.length);
  show('many rows', (await client.query('select i from generate_series(1, 50000) i')).rows.length);

  const listener = new Client(settings);
  await listener.connect();
  await listener.query('listen js_news');
  const heard = new Promise((resolve) => listener.on('notification', (n) => resolve([n.channel, n.payload, pooled || n.processId === client.processID])));  // pooled: the process id is no server's
  await client.query("notify js_news, 'node'");
  show('notify', await heard);

  if (!pooled) {  // by process id, which is no server's
    const slow = client.query('select pg_sleep(20)');
    setTimeout(() => listener.query('select pg_cancel_backend($1)', [client.processID]), 500);
    try { await slow; } catch (e) { show('cancelled', error(e)); }
  }

  const pool = new Pool({ ...settings, max: 10 });
  const answers = await Promise.all([...Array(100).keys()].map((i) => pool.query('select $1::int * 2 as d', [i])));
  show('pool', answers.map((r) => r.rows[0].d).reduce((a, b) => a + b));
  await pool.end();
  await listener.end();
  await client.end();
  const wrong = new Client({ ...settings, database: 'nothere' });
  try { await wrong.connect(); } catch (e) { show('wrong database', error(e)); }
  show('done', true);
}
main().catch((e) => { console.log('FAILED ' + e.stack); process.exit(1); });
setTimeout(() => { console.log('FAILED: too slow'); process.exit(2); }, 50000).unref();

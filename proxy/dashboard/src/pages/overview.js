import { get, rows, show, trend } from '../api.js'
import { chart } from '../chart.js'
import { fill, h } from '../dom.js'
import { count, ms, percent, time } from '../format.js'
import { simpleTable } from '../table.js'

export function overview(root) {
  const tiles = h('section', { class: 'tiles', 'aria-label': 'Now' })
  const rate = chart({ title: 'Throughput', unit: (v) => count(v) + '/s', series: [{ name: 'statements' }, { name: 'cache hits' }, { name: 'changed' }, { name: 'errors' }] })
  const latency = chart({ title: 'Latency', unit: ms, series: [{ name: 'p50' }, { name: 'p95' }, { name: 'p99' }] })
  const busiest = h('section', { class: 'card' }), changed = h('section', { class: 'card' }), health = h('section', { class: 'card' }), advice = h('section', { class: 'card' })
  root.append(h('h1', {}, 'Overview'), tiles, h('div', { class: 'two' }, rate.element, latency.element),
    h('div', { class: 'two' }, h('div', {}, busiest, health), changed), advice)
  let round = 0

  async function loadTrend() {
    const line = await trend()
    const queries = line.column('queries_per_second')
    const where = (name) => line.column(name).map((value, i) => (queries[i] > 0 ? value : null))
    rate.set([line.at, queries, line.column('cache_hits_per_second'), line.points.map((p) => p.rewritten_per_second + p.steered_per_second), line.column('errors_per_second')])
    latency.set([line.at, where('p50_ms'), where('p95_ms'), where('p99_ms')])
  }

  function drawTiles({ now, totals }) {
    const tile = (label, value, note) => h('div', { class: 'tile' }, h('span', { class: 'label' }, label), h('strong', {}, value), h('span', { class: 'note' }, note))
    const looked = totals.cache_hits + totals.cache_misses
    fill(tiles, [now, totals], () => [
      tile('Statements', count(now.queries_per_second) + '/s', count(totals.queries) + ' since start'),
      tile('Median latency', ms(now.p50_ms), 'p99 ' + ms(now.p99_ms)),
      tile('Time saved', ms(totals.saved_ms), 'against what was expected, since start'),
      tile('Cache hits', looked ? percent(totals.cache_hits, looked) : 'off', looked ? `${count(totals.cache_hits)} of ${count(looked)}` : 'no rule turns it on'),
      tile('Changed', count(totals.rewritten + totals.steered), `${count(totals.rewritten)} rewritten, ${count(totals.steered)} steered`),
      tile('pgsteer’s own time', ms(now.overhead_us / 1000), `a statement; ${count(totals.errors)} errors passed on`),
    ])
  }

  async function loadSlow() {
    const [audit, checks, hints] = await Promise.all([rows('audit?limit=12'), show('health'), show('advice', 8)])
    fill(changed, audit, () => [h('h2', {}, 'What changed'), simpleTable('What changed', [
      { label: 'When', show: (r) => h('time', { datetime: r.time, title: r.time }, time(Date.parse(r.time))) },
      { label: 'Event', show: (r) => r.event.replaceAll('_', ' ') },
      { label: 'Statement', code: true, show: (r) => r.fingerprint ? h('a', { href: '#/statements/' + r.fingerprint }, r.fingerprint.slice(0, 8)) : '' },
      { label: 'What and why', wide: true, show: (r) => [r.label, r.why].filter(Boolean).join(': ') },
    ], audit, 'Nothing yet: pgsteer has not changed how any statement is treated.'), h('p', {}, h('a', { href: '#/events' }, 'All events'))])
    const plain = ({ status, detail }) => status === 'ok' && !detail
    fill(health, checks, () => [h('h2', {}, 'Health'), simpleTable('Health', [
      { label: 'Check', name: 'check' },
      { label: 'Status', show: (r) => h('span', { class: 'badge ' + (r.status === 'ok' ? 'good' : ['off', 'none yet', 'working'].includes(r.status) ? '' : 'bad') }, r.status) },
      { label: 'Detail', name: 'detail', wide: true }], checks.filter((row) => !plain(row))),
      h('p', { class: 'quiet' }, 'Also ok: ', checks.filter(plain).map((row) => row.check).join(', '), '.')])
    fill(advice, hints, () => [h('h2', {}, 'Advice'), simpleTable('Advice', [
      { label: 'Statement', code: true, show: (r) => h('a', { href: '#/statements/' + r.fingerprint }, r.fingerprint.slice(0, 8)) },
      { label: 'What', name: 'advice' }, { label: 'Evidence', name: 'evidence', wide: true },
      { label: 'Saves a call', right: true, show: (r) => r.saves_ms_per_call > 0 ? ms(r.saves_ms_per_call) : '–' },
      { label: 'Rule that does it', code: true, wide: true, name: 'policy_rule' }], hints, 'None: what is known to pay is being done.')])
  }

  return {
    async update() {
      const [, state, queries] = await Promise.all([loadTrend(), get('overview'), get('queries?limit=8'), round++ % 4 === 0 ? loadSlow() : null])
      drawTiles(state)
      fill(busiest, queries.rows.map((q) => [q.fingerprint, q.calls]), () => [h('h2', {}, 'Where the time goes'), simpleTable('Statements by total time', [
        { label: 'Statement', code: true, wide: true, title: (q) => q.query, show: (q) => h('a', { href: '#/statements/' + q.fingerprint, class: 'clip' }, q.query || q.fingerprint) },
        { label: 'Total', right: true, show: (q) => ms(q.total_ms) }, { label: 'Calls', right: true, show: (q) => count(q.calls) },
        { label: 'p95', right: true, show: (q) => ms(q.p95_ms) }, { label: 'Action', show: (q) => q.action },
      ], queries.rows, 'No statement yet. Point an application at pgsteer’s port.'), h('p', {}, h('a', { href: '#/statements' }, 'All statements'))])
    },
    dispose() {
      rate.dispose()
      latency.dispose()
    },
  }
}

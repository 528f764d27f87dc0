import { get, show } from '../api.js'
import { chart } from '../chart.js'
import { fill, h } from '../dom.js'
import { count, factor, ms, percent, time, utc } from '../format.js'
import { simpleTable } from '../table.js'

const SPAN_S = 900

export function overview(root) {
  const tiles = h('section', { class: 'tiles', 'aria-label': 'Now' })
  const rate = chart({ title: 'Throughput', unit: (v) => count(v) + '/s', series: [{ name: 'statements' }, { name: 'cache hits' }, { name: 'changed' }, { name: 'errors' }] })
  const latency = chart({ title: 'Latency', unit: ms, series: [{ name: 'p50' }, { name: 'p95' }, { name: 'p99' }] })
  const busiest = h('section', { class: 'card' }), changed = h('section', { class: 'card' }), health = h('section', { class: 'card' }), advice = h('section', { class: 'card' })
  root.append(h('h1', {}, 'Overview'), tiles, h('div', { class: 'two' }, rate.element, latency.element),
    h('div', { class: 'two' }, busiest, h('div', {}, changed, health)), advice)
  let points = { time_ms: [] }
  let slow = 0

  async function loadTimeline() {
    const fresh = await get('timeline?since=' + (points.time_ms.at(-1) ?? Date.now() - SPAN_S * 1000))
    for (const name of Object.keys(fresh)) points[name] = [...(points[name] ?? []), ...fresh[name]].slice(-SPAN_S)
    const seconds = points.time_ms.map((t) => t / 1000)
    const gaps = (name) => points[name].map((v, i) => (points.queries[i] > 0 ? v : null))
    rate.set([seconds, points.queries, points.cache_hits, points.changed, points.errors])
    latency.set([seconds, gaps('p50_ms'), gaps('p95_ms'), gaps('p99_ms')])
  }

  function drawTiles(totals, queries) {
    const total = Object.fromEntries(totals.map((row) => [row.name, row.value]))
    const recent = (name, n = 10) => {
      const values = (points[name] ?? []).slice(-n).filter((v, i, all) => name === 'queries' || v > 0)
      return values.length ? values.reduce((a, b) => a + b, 0) / values.length : 0
    }
    const saved = queries.reduce((sum, q) => sum + (q.saved_ms ?? 0), 0)
    const tile = (label, value, note) => h('div', { class: 'tile' }, h('span', { class: 'label' }, label), h('strong', {}, value), h('span', { class: 'note' }, note))
    const looked = total.cache_hits + total.cache_misses
    fill(tiles, [recent('queries'), total, saved], () => [
      tile('Statements', count(recent('queries')) + '/s', count(total.total_query_count) + ' since start'),
      tile('Median latency', ms(recent('p50_ms')), 'p99 ' + ms(recent('p99_ms'))),
      tile('Time saved', ms(saved), 'against what was expected, since start'),
      tile('Cache hits', looked ? percent(total.cache_hits, looked) : 'off', looked ? `${count(total.cache_hits)} of ${count(looked)}` : 'no rule turns it on'),
      tile('Changed', count(total.rewritten + total.steered), `${count(total.rewritten)} rewritten, ${count(total.steered)} steered`),
      tile('pgsteer’s own time', ms(recent('overhead_us') / 1000), `a statement; ${count(total.errors)} errors passed on`),
    ])
  }

  async function loadSlow() {
    const [audit, checks, hints] = await Promise.all([show('audit', 12), show('health'), show('advice', 8)])
    fill(changed, audit, () => [h('h2', {}, 'What changed'), simpleTable('What changed', [
      { label: 'When', show: (r) => h('time', { datetime: r.time, title: r.time }, time(Date.parse(r.time))) },
      { label: 'Event', show: (r) => r.event.replaceAll('_', ' ') },
      { label: 'Statement', code: true, show: (r) => r.fingerprint ? h('a', { href: '#/statements/' + r.fingerprint }, r.fingerprint.slice(0, 8)) : '' },
      { label: 'What and why', wide: true, show: (r) => [r.label, r.why].filter(Boolean).join(': ') },
    ], audit, 'Nothing yet: pgsteer has not changed how any statement is treated.'), h('p', {}, h('a', { href: '#/events' }, 'All events'))])
    fill(health, checks, () => [h('h2', {}, 'Health'), simpleTable('Health', [
      { label: 'Check', name: 'check' },
      { label: 'Status', show: (r) => h('span', { class: 'badge ' + (r.status === 'ok' ? 'good' : ['off', 'none yet', 'working'].includes(r.status) ? '' : 'bad') }, r.status) },
      { label: 'Detail', name: 'detail', wide: true }], checks)])
    fill(advice, hints, () => [h('h2', {}, 'Advice'), simpleTable('Advice', [
      { label: 'Statement', code: true, show: (r) => h('a', { href: '#/statements/' + r.fingerprint }, r.fingerprint.slice(0, 8)) },
      { label: 'What', name: 'advice' }, { label: 'Evidence', name: 'evidence', wide: true },
      { label: 'Saves a call', right: true, show: (r) => r.saves_ms_per_call > 0 ? ms(r.saves_ms_per_call) : '–' },
      { label: 'Rule that does it', code: true, wide: true, name: 'policy_rule' }], hints, 'None: what is known to pay is being done.')])
  }

  return {
    async update() {
      const [, totals, queries] = await Promise.all([loadTimeline(), show('totals'), get('queries?limit=8'), slow++ % 4 === 0 ? loadSlow() : null])
      drawTiles(totals, queries.rows)
      const all = queries.rows.reduce((sum, q) => sum + q.total_ms, 0)
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

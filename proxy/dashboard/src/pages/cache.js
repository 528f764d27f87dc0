import { get, show, trend } from '../api.js'
import { chart } from '../chart.js'
import { confirmCommand } from '../dialog.js'
import { fill, h } from '../dom.js'
import { bytes, count, ms } from '../format.js'
import { simpleTable } from '../table.js'

export function cache(root) {
  const tiles = h('section', { class: 'tiles', 'aria-label': 'Cache' }), reasons = h('section', { class: 'card' }), saved = h('section', { class: 'card' })
  const rate = chart({ title: 'Answers', unit: (v) => count(v) + '/s', series: [{ name: 'statements' }, { name: 'cache hits' }] })
  root.append(h('div', { class: 'toolbar' }, h('h1', {}, 'Cache'), h('span', { class: 'grow' }),
    h('button', { type: 'button', class: 'danger', onclick: () => confirmCommand('Flush', 'Forgets every cached answer, in process and in Redis.', 'FLUSH CACHE') }, 'Flush all')),
    tiles, rate.element, h('div', { class: 'two' }, saved, reasons))
  return {
    async update() {
      const [rows, queries, line] = await Promise.all([show('cache'), get('queries?limit=1000'), trend()])
      rate.set([line.at, line.column('queries_per_second'), line.column('cache_hits_per_second')])
      const value = (name) => rows.find((row) => row.name === name)?.value ?? '–'
      const tile = (label, text, note) => h('div', { class: 'tile' }, h('span', { class: 'label' }, label), h('strong', {}, text), h('span', { class: 'note' }, note))
      fill(tiles, rows, () => [
        tile('Policy', value('policy').startsWith('some') ? 'on' : 'off', value('policy')),
        tile('Hit ratio', value('hit_ratio') === 'none' ? '–' : (100 * value('hit_ratio')).toFixed(1) + ' %', `${count(Number(value('hits')))} hits, ${count(Number(value('misses')))} misses`),
        tile('Time saved', ms(Number(value('saved_ms'))), 'server time not spent'),
        tile('In process', bytes(Number(value('memory_bytes'))), `${count(Number(value('memory_entries')))} answers of at most ${bytes(Number(value('memory_max_bytes')))}`),
        tile('Evicted', count(Number(value('memory_evictions'))), `${value('memory_rejected')} not admitted`),
        tile('Redis', value('redis'), 'shared by several pgsteers')])
      const hit = queries.rows.filter((q) => q.cache_hits > 0).sort((a, b) => b.saved_ms - a.saved_ms).slice(0, 50)
      fill(saved, hit.map((q) => [q.fingerprint, q.cache_hits]), () => [h('h2', {}, 'Answered from the cache'), simpleTable('Answered from the cache', [
        { label: 'Statement', wide: true, code: true, show: (q) => h('a', { class: 'clip', href: '#/statements/' + q.fingerprint, title: q.query }, q.query) },
        { label: 'Hits', right: true, show: (q) => `${count(q.cache_hits)} of ${count(q.calls)}` }, { label: 'Saved', right: true, show: (q) => ms(q.saved_ms) }], hit,
        'Nothing. A rule with cache = { mode = "strict" } turns it on.')])
      const why = rows.filter((row) => row.name.startsWith('not_cached: '))
      fill(reasons, why, () => [h('h2', {}, 'Why statements were not cached'), simpleTable('Reasons', [
        { label: 'Reason', wide: true, show: (r) => r.name.slice(12).replaceAll('_', ' ') }, { label: 'Calls', right: true, show: (r) => r.value }], why)])
    },
    dispose: () => rate.dispose(),
  }
}

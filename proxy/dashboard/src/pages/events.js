import { get, rows as list, show } from '../api.js'
import { fill, h } from '../dom.js'
import { ms, parseTime, time, utc } from '../format.js'
import { csvButton, simpleTable } from '../table.js'

export function events(root, { query }) {
  let rows = [], decisions = [], lines = []
  const search = h('input', { type: 'search', placeholder: 'Fingerprint, event, reason', 'aria-label': 'Search events', value: query.get('q') ?? '', oninput: draw })
  const audit = h('section', { class: 'card' }), latest = h('section', { class: 'card' }), log = h('section', { class: 'card' }), mismatches = h('section', { class: 'card' })
  const auditColumns = [
    { name: 'time', label: 'When', show: (r) => h('time', { datetime: r.time, title: r.time }, time(Date.parse(r.time), true)) },
    { name: 'event', label: 'Event', show: (r) => h('span', { class: 'badge ' + ({ approved: 'good', disabled: 'bad', mismatch: 'bad', rule_banned: 'bad' }[r.event] ?? '') }, r.event.replaceAll('_', ' ')) },
    { name: 'fingerprint', label: 'Statement', code: true, show: (r) => (r.fingerprint ? h('a', { href: '#/statements/' + r.fingerprint }, r.fingerprint.slice(0, 8)) : '') },
    { name: 'label', label: 'What', code: true }, { name: 'why', label: 'Why', wide: true }]
  const decisionColumns = [
    { name: 'time', label: 'When', show: (d) => h('time', { title: utc(parseTime(d.time)) }, time(parseTime(d.time))) }, { name: 'fingerprint', label: 'Statement', code: true, show: (d) => h('a', { href: '#/statements/' + d.fingerprint }, d.fingerprint.slice(0, 8)) },
    { name: 'database', label: 'Database' }, { name: 'user', label: 'User' }, { name: 'mode', label: 'Mode' }, { name: 'rule', label: 'Rule' }, { name: 'action', label: 'Action', code: true },
    { name: 'reason', label: 'Why', wide: true, show: (d) => d.reason.replaceAll('_', ' ') + (d.detail ? ': ' + d.detail : '') },
    { name: 'predicted_ms', label: 'Predicted', right: true, show: (d) => ms(d.predicted_ms || null) }, { name: 'actual_ms', label: 'Took', right: true, show: (d) => ms(d.actual_ms) }]
  root.append(h('h1', {}, 'Events and audit'), h('div', { class: 'toolbar' }, search, h('span', { class: 'grow' }), 'Audit ', csvButton('audit', auditColumns, () => rows), 'Decisions ', csvButton('decisions', decisionColumns, () => decisions)), audit, mismatches, log, latest)
  function draw() {
    const word = search.value.toLowerCase()
    const has = (row) => !word || Object.values(row).join(' ').toLowerCase().includes(word)
    const a = rows.filter(has), d = decisions.filter(has)
    fill(audit, a, () => [h('h2', {}, 'What changed how statements are treated'), simpleTable('Audit', auditColumns, a, 'Nothing yet.')])
    const l = lines.filter((line) => !word || line.text.toLowerCase().includes(word)).slice(0, 60)
    fill(log, l.map((line) => line.id), () => [h('h2', {}, 'Log'), h('div', { class: 'tall' }, simpleTable('Log', [
      { label: 'When', show: (r) => h('time', { title: utc(r.unix_ms) }, time(r.unix_ms)) },
      { label: 'Level', show: (r) => h('span', { class: 'badge ' + ({ warning: 'bad', error: 'bad', critical: 'bad' }[r.level] ?? '') }, r.level) },
      { label: 'Line', code: true, wide: true, name: 'text' }], l, 'Nothing yet.'))])
    fill(latest, d, () => [h('h2', {}, 'Newest decisions'), simpleTable('Decisions', decisionColumns, d, 'None yet.')])
  }
  return {
    async update() {
      const [auditRows, decisionRows, wrong, logRows] = await Promise.all([list('audit?limit=300'), get('decisions?limit=60'), show('mismatches'), list('log?limit=300')])
      lines = logRows
      rows = auditRows
      decisions = decisionRows.rows
      draw()
      fill(mismatches, wrong, () => wrong.length ? [h('h2', {}, 'Answers that were not the original’s'), simpleTable('Mismatches', Object.keys(wrong[0]).map((name) => ({ name, label: name.replaceAll('_', ' ') })), wrong)] : [])
    },
  }
}

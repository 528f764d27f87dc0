import { get, show } from '../api.js'
import { confirmCommand } from '../dialog.js'
import { fill, h } from '../dom.js'
import { count, factor, ms, percent } from '../format.js'
import { simpleTable } from '../table.js'

// "seen.median_q" -> 1.3: whatever numbers a version's metrics.json has, however deep.
function metricsOf(model) {
  const flat = {}
  const walk = (value, path) => {
    if (typeof value === 'number') flat[path] = value
    else if (value && typeof value === 'object' && !Array.isArray(value)) for (const [key, part] of Object.entries(value)) walk(part, path ? path + '.' + key : key)
  }
  try {
    const metrics = JSON.parse(model.metrics)
    walk(metrics, '')
    return { flat, importance: Array.isArray(metrics.importance) ? metrics.importance : [] }
  } catch {
    return { flat, importance: [] }
  }
}
const find = (flat, ...ends) => {
  const key = Object.keys(flat).find((name) => !name.startsWith('baseline') && ends.every((end) => name.includes(end)))
  return key === undefined ? undefined : flat[key]
}
const shown = [
  ['rows', (f) => find(f, 'rows_train') ?? find(f, 'train', 'rows') ?? find(f, 'rows'), count],
  ['q-error, seen', (f) => find(f, 'seen.median_q', 'seen') && Object.entries(f).find(([k]) => !k.startsWith('baseline') && /(^|\.)seen\.median_q/.test(k))?.[1], factor],
  ['q-error, unseen', (f) => Object.entries(f).find(([k]) => !k.startsWith('baseline') && /unseen\.median_q/.test(k))?.[1], factor],
  ['within 2×, unseen', (f) => Object.entries(f).find(([k]) => !k.startsWith('baseline') && /unseen\.within_2x/.test(k))?.[1], (v) => percent(v, 1)],
  ['interval holds, unseen', (f) => f['coverage_90.unseen'], (v) => percent(v, 1)],
  ['planner cost alone, unseen', (f) => f['baseline_planner_cost.unseen.median_q'], factor],
]

// Accuracy of what runs now: statements by how far off their prediction is in the median.
const classes = [['within 1.5×', 1, 1.5], ['1.5 to 2×', 1.5, 2], ['2 to 4×', 2, 4], ['beyond 4×', 4, Infinity]]

export function models(root) {
  const versions = h('section', { class: 'card' }), accuracy = h('section', { class: 'card' }), store = h('section', { class: 'card' }), worst = h('section', { class: 'card' })
  root.append(h('div', { class: 'toolbar' }, h('h1', {}, 'Models'), h('span', { class: 'grow' }),
    h('button', { type: 'button', onclick: () => confirmCommand('Train', 'Trains from the feedback store in the background, at low priority. It is used only if it beats the current version.', 'TRAIN') }, 'Train now'),
    h('button', { type: 'button', class: 'danger', onclick: () => confirmCommand('Roll back', 'Goes back to the version before.', 'ROLLBACK MODEL') }, 'Roll back')),
    versions, h('div', { class: 'two' }, accuracy, store), worst)
  return {
    async update() {
      const [list, queries, feedback] = await Promise.all([show('models'), get('queries?limit=2000'), show('feedback')])
      fill(versions, list, () => {
        const metrics = new Map(list.map((m) => [m, metricsOf(m)]))
        const current = list.find((m) => m.in_use) ?? list.at(-1)
        const most = current ? metrics.get(current).importance.slice(0, 8) : []
        return [h('h2', {}, 'Versions'), simpleTable('Versions', [
          { label: 'Name', name: 'name' }, { label: 'Version', name: 'version', code: true },
          { label: 'State', show: (m) => h('span', { class: 'badge ' + (m.in_use ? 'good' : '') }, m.in_use ? 'in use' : m.current ? 'current' : 'kept') },
          { label: '90 % interval', right: true, show: (m) => (m.in_use ? 'within ' + m.interval_factor.toFixed(1) + '×' : '–') },
          ...shown.map(([label, value, text]) => ({ label, right: true, show: (m) => { const v = value(metrics.get(m).flat); return v === undefined || v === null ? '–' : text(v) } })),
        ], [...list].reverse(), 'None yet. Estimates come from history and a calibrated planner cost; Train now makes one once some hundred executions are stored.'),
          most.length > 0 && h('p', {}, h('strong', {}, 'What it looks at most: '), most.map((f) => `${f.feature.replaceAll('_', ' ')} ${percent(f.share_of_gain, 1)}`).join(', '))].filter(Boolean)
      })
      const known = queries.rows.filter((q) => q.q_error_p50 > 0)
      const calls = known.reduce((sum, q) => sum + q.calls, 0)
      fill(accuracy, known.map((q) => [q.fingerprint, q.calls]), () => [h('h2', {}, 'Accuracy now'), simpleTable('Accuracy', [
        { label: 'Prediction off by (median)', show: (c) => c[0] },
        { label: 'Statements', right: true, show: (c) => percent(known.filter((q) => q.q_error_p50 >= c[1] && q.q_error_p50 < c[2]).length, known.length) },
        { label: 'Executions', right: true, show: (c) => percent(known.filter((q) => q.q_error_p50 >= c[1] && q.q_error_p50 < c[2]).reduce((s, q) => s + q.calls, 0), calls) },
      ], classes), h('p', { class: 'quiet' }, `${known.length} statements with a prediction.`)])
      fill(store, feedback, () => [h('h2', {}, 'Feedback store'), simpleTable('Feedback store', [{ label: 'What', show: (r) => r.name.replaceAll('_', ' ') }, { label: 'Value', right: true, name: 'value' }], feedback)])
      const bad = [...known].sort((a, b) => b.total_ms * Math.log(b.q_error_p50) - a.total_ms * Math.log(a.q_error_p50)).filter((q) => q.q_error_p50 > 1.5).slice(0, 15)
      fill(worst, bad.map((q) => [q.fingerprint, q.calls]), () => [h('h2', {}, 'Where predictions cost most'), simpleTable('Mispredicted statements', [
        { label: 'Statement', wide: true, code: true, show: (q) => h('a', { class: 'clip', href: '#/statements/' + q.fingerprint, title: q.query }, q.query) },
        { label: 'Predicted', right: true, show: (q) => ms(q.predicted_ms) }, { label: 'Median', right: true, show: (q) => ms(q.p50_ms) }, { label: 'Off by', right: true, show: (q) => factor(q.q_error_p50) }, { label: 'Calls', right: true, show: (q) => count(q.calls) }], bad, 'None is off by more than 1.5 times.')])
    },
  }
}

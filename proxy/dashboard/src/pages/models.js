import { get, show } from '../api.js'
import { confirmCommand } from '../dialog.js'
import { fill, h } from '../dom.js'
import { count, factor, ms, percent } from '../format.js'
import { simpleTable } from '../table.js'

function metricsOf(model) {
  try {
    return JSON.parse(model.metrics)
  } catch {
    return {}
  }
}

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
        const names = [...new Set([...metrics.values()].flatMap((m) => Object.keys(m).filter((k) => typeof m[k] === 'number')))]
        return [h('h2', {}, 'Versions'), simpleTable('Versions', [
          { label: 'Name', name: 'name' }, { label: 'Version', name: 'version', code: true },
          { label: 'State', show: (m) => h('span', { class: 'badge ' + (m.in_use ? 'good' : '') }, m.in_use ? 'in use' : m.current ? 'current' : 'kept') },
          { label: 'Interval', right: true, show: (m) => (m.in_use ? '÷ × ' + m.interval_factor.toFixed(2) : '–') },
          ...names.slice(0, 10).map((name) => ({ label: name.replaceAll('_', ' '), right: true, show: (m) => { const v = metrics.get(m)[name]; return v === undefined ? '–' : Number.isInteger(v) ? count(v) : v.toFixed(3) } })),
        ], [...list].reverse(), 'None yet. Estimates come from history and a calibrated planner cost; Train now makes one once some hundred executions are stored.')]
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

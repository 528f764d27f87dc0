import { show } from '../api.js'
import { fill, h } from '../dom.js'
import { count, factor, ms } from '../format.js'
import { csvButton, simpleTable } from '../table.js'

const columns = [
  { name: 'fingerprint', label: 'Statement', code: true, show: (e) => h('a', { href: '#/statements/' + e.fingerprint }, e.fingerprint.slice(0, 8)) },
  { name: 'database', label: 'Database' }, { name: 'candidate', label: 'Candidate', code: true },
  { name: 'state', label: 'State', show: (e) => h('span', { class: 'badge ' + ({ approved: 'good', pinned: 'good', disabled: 'bad', rejected: 'bad' }[e.state] ?? '') }, e.state) },
  { name: 'runs', label: 'Served', right: true, show: (e) => count(e.runs) }, { name: 'explored', label: 'Tried', right: true, show: (e) => count(e.explored) },
  { name: 'median_ms', label: 'Median', right: true, show: (e) => ms(e.median_ms) }, { name: 'default_ms', label: 'As it came', right: true, show: (e) => ms(e.default_ms) },
  { name: 'bar', label: 'Compared', show: bar }, { name: 'worst_ratio', label: 'Worst case', right: true, show: (e) => factor(e.worst_ratio) },
  { name: 'gain_low', label: 'Gain at least', right: true, show: (e) => (e.gain_low !== null && e.gain_low > -10 ? (100 * e.gain_low).toFixed(0) + ' %' : '–') },
  { name: 'step', label: 'Step' }, { name: 'effect', label: 'Against control', right: true, show: effect },
  { name: 'p_value', label: 'p', right: true, show: (e) => (e.pairs > 0 ? Math.min(e.p_value, e.p_loss).toPrecision(2) : '–') },
  { name: 'why', label: 'Why', wide: true },
]

// The share of the control group's time gained, with its interval: "31 % (12 to 45)".
function effect(e) {
  const percent = (share) => (Number.isFinite(share) && share > -10 ? (100 * share).toFixed(0) : '…')
  return e.pairs > 0 ? `${percent(e.effect)} % (${percent(e.effect_low)} to ${percent(e.effect_high)})` : '–'
}

// The two medians as bars over one another: above what was measured, below the default.
function bar(e) {
  const most = Math.max(e.median_ms, e.default_ms)
  if (!(most > 0) || !(e.default_ms > 0)) return ''
  const width = (value) => Math.max(1, (80 * value) / most).toFixed(1)
  return h('svg', { width: 84, height: 16, role: 'img', 'aria-label': `${ms(e.median_ms)} against ${ms(e.default_ms)}` },
    h('rect', { x: 0, y: 1, height: 6, width: width(e.median_ms), class: ['rejected', 'disabled'].includes(e.state) ? 'bar-bad' : 'bar-good' }),
    h('rect', { x: 0, y: 9, height: 6, width: width(e.default_ms), class: 'bar-plain' }))
}

export function experiments(root) {
  let rows = []
  const filter = h('select', { 'aria-label': 'State', onchange: draw }, ['all', 'trial', 'approved', 'rejected', 'disabled', 'pinned'].map((s) => h('option', {}, s)))
  const box = h('section', {})
  root.append(h('div', { class: 'toolbar' }, h('h1', {}, 'Experiments'), h('label', {}, 'State ', filter), h('span', { class: 'grow' }), csvButton('experiments', columns.filter((c) => c.name !== 'bar'), () => rows)),
    h('p', { class: 'quiet' }, 'Every rewrite and hint set that was tried, against the same statement as it came. Approved: three tries or more, none above 1.1 times the default, and a gain in sum. Two losses take it back, or the comparison with the control group: p is how surely, however often one looks.'), box)
  function draw() {
    const shown = rows.filter((e) => filter.value === 'all' || e.state === filter.value).slice(0, 500)
    fill(box, shown, () => simpleTable('Experiments', columns, shown, 'None yet. Rules with mode suggest or higher let pgsteer try candidates in the background.'))
  }
  return { async update() { rows = await show('experiments', 2000); draw() } }
}

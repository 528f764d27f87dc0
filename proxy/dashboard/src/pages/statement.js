import { get, quoted } from '../api.js'
import { chart } from '../chart.js'
import { confirmCommand } from '../dialog.js'
import { download, fill, h } from '../dom.js'
import { count, factor, ms, percent, time, utc } from '../format.js'
import { csvButton, simpleTable } from '../table.js'

const spans = [[15, '15 min'], [60, '1 h'], [360, '6 h'], [1440, '24 h'], [10080, '7 days']]

// #/statements/<fingerprint>?minutes=60 or ?from=<ms>&to=<ms>
export function statement(root, { argument: fingerprint, query }) {
  let range = rangeOf(query)
  const head = h('section', {}), action = h('section', { class: 'card' }), plan = h('section', { class: 'card' }), executions = h('section', { class: 'card' })
  const candidates = h('section', { class: 'card' }), explain = h('section', { class: 'card' })
  const choice = h('select', { 'aria-label': 'Time window', onchange: () => go({ minutes: choice.value }) }, h('option', { value: '' }, 'selected span'),
    spans.map(([minutes, label]) => h('option', { value: minutes }, 'last ' + label)))
  const at = h('input', { type: 'datetime-local', 'aria-label': 'Ten minutes around this time', onchange: () => {
    const middle = new Date(at.value).getTime()
    if (middle) go({ from: middle - 300000, to: middle + 300000 })
  } })
  const history = chart({ title: 'Latency', unit: ms, onrange: (from, to) => go({ from: Math.round(from), to: Math.round(to) }),
    series: [{ name: 'median' }, { name: 'p95' }, { name: 'predicted', colour: 2 }, { name: 'interval, high', band: true, bandTo: 1, colour: 2 }, { name: 'interval, low', band: true, colour: 2 }] })
  const calls = chart({ title: 'Executions recorded', unit: count, height: 160, series: [{ name: 'all' }, { name: 'changed' }, { name: 'cached' }, { name: 'errors' }] })
  root.append(h('p', { class: 'crumb' }, h('a', { href: '#/statements' }, 'Statements'), ' / ', h('code', {}, fingerprint)), head, action,
    h('div', { class: 'toolbar' }, h('label', {}, 'Time window ', choice), h('label', {}, 'or around ', at), h('span', { class: 'quiet' }, 'or drag over the chart')),
    h('div', { class: 'two wide-left' }, history.element, calls.element), executions, candidates, h('div', { class: 'two' }, plan, explain))
  drawChoice()

  function rangeOf(parameters) {
    const from = Number(parameters.get('from')), to = Number(parameters.get('to'))
    return from && to > from ? { from, to } : { minutes: Number(parameters.get('minutes')) || 60 }
  }
  function go(next) {
    location.hash = `#/statements/${fingerprint}?` + new URLSearchParams(next)
  }
  function drawChoice() {
    choice.value = range.minutes && spans.some(([m]) => m === range.minutes) ? range.minutes : ''
    if (range.from) {
      const middle = new Date((range.from + range.to) / 2)
      at.value = new Date(middle - middle.getTimezoneOffset() * 60000).toISOString().slice(0, 16)
    } else at.value = ''
  }

  async function act(title, explanation, text) {
    if (await confirmCommand(title, explanation, text)) update()
  }

  function drawHead(s) {
    fill(head, [s.query, s.totals], () => [
      h('h1', { class: 'statement-title' }, s.totals[0]?.kind ?? 'statement', ' ', h('code', {}, fingerprint)),
      h('div', { class: 'sql' }, h('pre', { tabindex: 0, 'aria-label': 'Statement' }, s.formatted.join('\n'))),
      s.totals.length === 0 ? h('p', { class: 'quiet' }, 'Not seen since pgsteer started: what follows is from the feedback store.') :
        simpleTable('Since start', [
          { label: 'Database', name: 'database' }, { label: 'Calls', right: true, show: (r) => count(r.calls) }, { label: 'Errors', right: true, show: (r) => count(r.errors) },
          { label: 'Total', right: true, show: (r) => ms(r.total_ms) }, { label: 'Mean', right: true, show: (r) => ms(r.mean_ms) }, { label: 'p50', right: true, show: (r) => ms(r.p50_ms) },
          { label: 'p95', right: true, show: (r) => ms(r.p95_ms) }, { label: 'p99', right: true, show: (r) => ms(r.p99_ms) },
          { label: 'Predicted', right: true, show: (r) => ms(r.predicted_ms || null) }, { label: 'Off by', right: true, show: (r) => factor(r.q_error_p50) },
          { label: 'Saved', right: true, show: (r) => (r.saved_ms ? ms(r.saved_ms) : '–') }, { label: 'Cacheable', show: (r) => r.cacheable + (r.reason ? ': ' + r.reason : '') }, { label: 'Last action', name: 'action' },
        ], s.totals)])
  }

  function drawAction(s) {
    const pinned = s.knowledge.find((k) => k.pinned)?.pinned
    const labels = [...new Set(['as-is', ...s.candidates.map((c) => c.label), ...s.knowledge.flatMap((k) => [...k.rewrites, ...k.evidence].map((r) => r.label))])]
    const now = s.candidates.find((c) => c.chosen)?.label
    const policy = (lines) => `[[rule]]\nname = "${fingerprint}"\nmatch = { fingerprint = "${fingerprint}" }\n${lines}\n`
    fill(action, [pinned, labels, now, s.knowledge.map((k) => k.banned)], () => {
      const which = h('select', { 'aria-label': 'Candidate' }, labels.map((label) => h('option', { value: label }, label)))
      if (pinned) which.value = pinned
      const rule = h('select', { 'aria-label': 'Mode or cache for this statement' }, [['mode = "off"', 'mode off'], ['mode = "observe"', 'mode observe'], ['mode = "suggest"', 'mode suggest'],
        ['mode = "canary"', 'mode canary'], ['mode = "auto"', 'mode auto'], ['mode = "auto"\ncache = { mode = "strict" }', 'cache strict'],
        ['mode = "auto"\ncache = { mode = "bounded", staleness = "2s" }', 'cache, at most 2 s old'], ['cache = "off"', 'cache off']].map(([text, label]) => h('option', { value: text }, label)))
      return [h('h2', {}, 'What to do with it'),
        h('p', {}, pinned ? ['Pinned to ', h('code', {}, pinned), '. '] : ['Now: ', h('code', {}, now ?? 'as-is'), '. '],
          s.knowledge.some((k) => k.banned) && ['Banned: ', h('code', {}, s.knowledge.map((k) => k.banned).filter(Boolean).join(', ')), '.']),
        h('div', { class: 'toolbar' },
          h('label', {}, 'Candidate ', which),
          h('button', { type: 'button', onclick: () => act('Pin', 'Always use this candidate for this statement.', `PIN ${quoted(fingerprint)} TO ${quoted(which.value)}`) }, 'Pin'),
          h('button', { type: 'button', disabled: !pinned, onclick: () => act('Unpin', 'Let the decision be made again.', `UNPIN ${quoted(fingerprint)}`) }, 'Unpin'),
          h('button', { type: 'button', class: 'danger', onclick: () => act('Ban', 'Never use this candidate for this statement.', `BAN ${quoted(fingerprint)} ${quoted(which.value)}`) }, 'Ban'),
          h('span', { class: 'divider' }),
          h('label', {}, 'Policy ', rule),
          h('button', { type: 'button', onclick: () => ruleDialog(policy(rule.value)) }, 'Show rule'))]
    })
  }

  function ruleDialog(text) {
    const dialog = h('dialog', { 'aria-labelledby': 'rule-title' }, h('h2', { id: 'rule-title' }, 'Policy rule'),
      h('p', {}, 'Modes and caching are decided by the policy files. Put this before the rules it should win over, then reload.'),
      h('pre', { tabindex: 0 }, text),
      h('div', { class: 'buttons' }, h('button', { type: 'button', onclick: () => dialog.close() }, 'Close'),
        h('button', { type: 'button', onclick: () => download(fingerprint + '.toml', 'text/plain', text) }, 'Save as file'),
        h('button', { type: 'button', onclick: (event) => { navigator.clipboard?.writeText(text); event.target.textContent = 'Copied' } }, 'Copy'),
        h('button', { type: 'button', class: 'primary', onclick: () => { dialog.close(); confirmCommand('Reload', 'Reads configuration and policies again: all or nothing.', 'RELOAD') } }, 'Reload')))
    dialog.addEventListener('close', () => dialog.remove())
    document.body.append(dialog)
    dialog.showModal()
  }

  function drawHistory(s) {
    const b = s.history.buckets
    const column = (name) => b.map((row) => row[name])
    const seconds = b.map((row) => row.time_ms / 1000)
    history.set([seconds, column('p50_ms'), column('p95_ms'), column('predicted_ms'), column('high_ms'), column('low_ms')])
    calls.set([seconds, column('calls'), column('changed'), column('cached'), column('errors')])
  }

  let order = 'time'
  function drawExecutions(s) {
    const inside = s.executions.filter((e) => e.actual_ms >= e.low_ms && e.actual_ms <= e.high_ms && e.source === 'server').length
    const predicted = s.executions.filter((e) => e.predicted_ms > 0 && e.source === 'server').length
    fill(executions, [order, s.executions.length, s.executions.at(-1)?.time_ms, s.history.from_ms], () => {
      const rows = [...s.executions].sort((a, b) => (order === 'time' ? b.time_ms - a.time_ms : b.actual_ms - a.actual_ms))
      const columns = [
        { name: 'time_ms', label: 'When', show: (e) => h('time', { title: utc(e.time_ms) }, time(e.time_ms)) },
        { name: 'actual_ms', label: 'Took', right: true, show: (e) => ms(e.actual_ms) },
        { name: 'predicted_ms', label: 'Predicted (90 %)', right: true, show: (e) => (e.predicted_ms > 0 ? `${ms(e.predicted_ms)} (${ms(e.low_ms)} … ${ms(e.high_ms)})` : '–') },
        { name: 'low_ms' }, { name: 'high_ms' },
        { name: 'candidate', label: 'What pgsteer did', show: (e) => (e.source === 'cache' ? 'answered from the cache' : e.candidate === 'as-is' ? 'sent as it came' : 'sent ' + e.candidate) },
        { name: 'source' },
        { name: 'reason', label: 'Why', show: (e) => e.reason.replaceAll('_', ' ') + (e.rule ? `, rule ${e.rule}` : '') }, { name: 'rule' },
        { name: 'user', label: 'Who', show: (e) => e.user + (e.application ? ' · ' + e.application : '') }, { name: 'application' },
        { name: 'rows', label: 'Rows', right: true, show: (e) => count(e.rows) },
        { name: 'sqlstate', label: 'Error' },
      ]
      const select = h('select', { 'aria-label': 'Order', onchange: () => { order = select.value; drawExecutions(s) } }, h('option', { value: 'time' }, 'newest first'), h('option', { value: 'slow' }, 'slowest first'))
      select.value = order
      return [h('div', { class: 'toolbar' }, h('h2', {}, 'Executions in this window'), select, h('span', { class: 'quiet' },
        predicted ? `${percent(inside, predicted)} of ${predicted} within the predicted interval` : ''), h('span', { class: 'grow' }), csvButton('executions-' + fingerprint, columns, () => rows)),
        h('div', { class: 'tall' }, simpleTable('Executions', columns.filter((c) => c.label), rows.slice(0, 200), s.history.error || 'None recorded in this window.'))]
    })
  }

  function drawCandidates(s) {
    const known = new Map()
    const of = (label) => known.get(label) ?? known.set(label, { label }).get(label)
    for (const c of s.candidates) Object.assign(of(c.label), { candidate: c })
    for (const k of s.knowledge) {
      for (const r of k.rewrites) of(r.label).rewrite = r
      for (const e of k.evidence) of(e.label).evidence = e
    }
    fill(candidates, [...known.values()], () => [h('h2', {}, 'Candidates and experiments'), simpleTable('Candidates', [
      { label: 'Candidate', code: true, show: (c) => [c.label, c.candidate?.chosen && h('span', { class: 'badge good' }, 'now'), !c.candidate?.chosen && c.candidate?.suggested && h('span', { class: 'badge' }, 'suggested')].filter(Boolean).flatMap((x) => [x, ' ']).reduce((box, x) => (box.append(x), box), h('span', {})) },
      { label: 'Predicted (90 %)', right: true, show: (c) => (c.candidate?.predicted_ms > 0 ? `${ms(c.candidate.predicted_ms)} (${ms(c.candidate.low_ms)} … ${ms(c.candidate.high_ms)})` : '–') },
      { label: 'Planner cost', right: true, show: (c) => (c.rewrite ? `${count(Math.round(c.rewrite.cost_original))} → ${count(Math.round(c.rewrite.cost_rewritten))}` : '–') },
      { label: 'Runs', right: true, show: (c) => (c.evidence ? `${count(c.evidence.runs)} + ${count(c.evidence.explored)} tried` : '–') },
      { label: 'Median', right: true, show: (c) => ms(c.evidence?.median_ms) },
      { label: 'Gain at least', right: true, show: (c) => (c.evidence?.gain_low > -1 && c.label !== 'as-is' ? (100 * c.evidence.gain_low).toFixed(0) + ' %' : '–') },
      { label: 'State', show: (c) => c.evidence?.state ?? (c.rewrite ? (c.rewrite.approved ? 'approved by cost' : 'not approved') : '') },
      { label: 'Why', wide: true, show: (c) => [c.evidence?.why, c.rewrite?.why, c.candidate?.settings?.join('; ')].filter(Boolean).join('; ') },
    ], [...known.values()], 'None: only a plain SELECT is ever changed, and only once the background has looked at it.'),
    [...known.values()].filter((c) => c.candidate?.diff?.length).map((c) => [h('h3', {}, 'What ', h('code', {}, c.label), ' changes'),
      h('pre', { class: 'diff', tabindex: 0, 'aria-label': 'Difference' }, c.candidate.diff.map((line) => h(line[0] === '+' ? 'ins' : line[0] === '-' ? 'del' : 'span', {}, line + '\n')))])].flat(2))
  }

  function drawPlan(s) {
    const plans = s.knowledge.filter((k) => k.plan)
    fill(plan, plans.map((k) => k.plan), () => [h('h2', {}, 'The server’s plan'), ...(plans.length ? plans.map((k) => h('pre', { tabindex: 0, 'aria-label': 'Plan' }, k.plan)) : [h('p', { class: 'quiet' }, 'Not looked at yet: the background asks for the plans of what costs most.')])])
    fill(explain, s.explain, () => [h('h2', {}, 'EXPLAIN (PGSTEER)'), h('pre', { tabindex: 0, 'aria-label': 'EXPLAIN (PGSTEER)' }, s.explain.join('\n')), h('p', { class: 'quiet' }, 'Of the text without its values: with them, a decision that hangs on them may differ.')])
  }

  async function update() {
    const to = range.to ?? Date.now(), from = range.from ?? to - range.minutes * 60000
    const s = await get(`statements/${fingerprint}?from=${from}&to=${to}`)
    drawHead(s)
    drawAction(s)
    drawHistory(s)
    drawExecutions(s)
    drawCandidates(s)
    drawPlan(s)
  }
  return {
    update,
    navigate(parameters) {
      range = rangeOf(parameters)
      drawChoice()
      return update()
    },
    dispose() {
      history.dispose()
      calls.dispose()
    },
  }
}
